"""How this computer is: load, memory and temperature, each as a bar with its figure."""

from __future__ import annotations

from PySide6.QtCore import Qt, Slot
from PySide6.QtWidgets import QGridLayout, QLabel

from engine.contract.nodes import LOCAL
from engine.contract.stream import Resources
from forge_desktop.bridge.session import Session
from forge_desktop.models.node_alerts import NodeAlerts
from forge_desktop.models.resource_history import ResourceHistory, gpus
from forge_desktop.theme.controls import Bar, Card, Chip, Elided, label, row
from forge_desktop.theme.language import tr, word
from forge_desktop.theme.look import tokens
from forge_desktop.theme.measures import size

WARM_BELOW = 7.0
"""°C below what counts as hot."""
FULL = 0.92
MOST_GPUS = 4


class HealthCard(Card):
    """The one node there is; more lines with more GPUs."""

    def __init__(self, session: Session, alerts: NodeAlerts) -> None:
        super().__init__(margins=(16, 12, 16, 12))
        self.setObjectName("runs.health")
        self._history, self._alerts = ResourceHistory.of(session), alerts
        self._chip = Chip()
        self._name = Elided("", "hint")
        head = row(label(tr("Node health"), "card-title"), self._chip, self._name, spacing=10)
        head.setStretch(2, 1)
        self.body.addLayout(head)
        self._grid = QGridLayout()
        self._grid.setHorizontalSpacing(10)
        self._grid.setVerticalSpacing(8)
        self._grid.setColumnStretch(1, 1)
        self.body.addLayout(self._grid)
        self.body.addStretch(1)
        self._lines: list[tuple[QLabel, Bar, QLabel]] = []
        self._history.changed.connect(self._show)
        alerts.changed.connect(self._show)
        self._show()

    @Slot()
    def _show(self, *_news: object) -> None:
        now = self._history.now
        lines = readings(now, self._alerts.hot_at(LOCAL)) if now is not None else []
        while len(self._lines) < len(lines):
            self._add_line()
        for place, widgets in enumerate(self._lines):
            for widget in widgets:
                widget.setVisible(place < len(lines))
        for (name, bar, figure), (title, share, text, tone) in zip(self._lines, lines, strict=False):
            t = tokens()
            name.setText(title)
            bar.set(share, {"bad": t.bad_fill, "warn": t.warn_fill}.get(tone, t.info_fill))
            bar.setAccessibleName(f"{title}: {text}")
            figure.setText(text)
        self._say(now, lines)

    def _add_line(self) -> None:
        made = (label("", "label"), Bar(6), label("", "label"))
        made[2].setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        for place, widget in enumerate(made):
            self._grid.addWidget(widget, len(self._lines), place)
        self._lines.append(made)

    def _say(self, now: Resources | None, lines: list[tuple[str, float, str, str]]) -> None:
        tones = [tone for *_rest, tone in lines]
        if now is None:
            self._chip.set(tr("Waiting for readings"), "plain", "loader-circle")
        elif "bad" in tones:
            self._chip.set(tr("Too hot"), "bad", "thermometer")
        elif "warn" in tones:
            self._chip.set(tr("Under strain"), "warn", "triangle-alert")
        else:
            self._chip.set(tr("Healthy"), "ok", "check")
        names = now.names if now is not None else {}
        self._name.set_text(" · ".join([word("choice", "local"), *list(names.values())[:1]]))


def readings(now: Resources, hot_at: float) -> list[tuple[str, float, str, str]]:
    """Title, share of one, figure and tone of everything that is known; `hot_at`: °C from which a GPU is hot."""
    values, found = now.values, list[tuple[str, float, str, str]]()
    for key in gpus(now)[:MOST_GPUS]:
        title = tr("GPU {n}", n=key.removeprefix("gpu"))
        load, heat = values.get(f"{key}.utilisation"), values.get(f"{key}.temperature")
        if load is not None:
            hot = "" if heat is None else "bad" if heat >= hot_at else "warn" if heat >= hot_at - WARM_BELOW else ""
            text = f"{load:.0f}%" if heat is None else f"{load:.0f}% · {heat:.0f} °C"
            found.append((title, load / 100, text, hot))
        found += _memory(tr("GPU {n} memory", n=key.removeprefix("gpu")), values.get(f"{key}.memory_used"),
                         values.get(f"{key}.memory_total"))  # fmt: skip
    cpu = values.get("cpu.utilisation")
    if cpu is not None:
        heat = values.get("cpu.temperature")
        text = f"{cpu:.0f}%" if heat is None else f"{cpu:.0f}% · {heat:.0f} °C"
        found.append((tr("Processor"), cpu / 100, text, ""))
    return [*found, *_memory(tr("Memory"), values.get("ram.used"), values.get("ram.total"))]


def _memory(title: str, used: float | None, total: float | None) -> list[tuple[str, float, str, str]]:
    if used is None or not total:
        return []
    tone = "warn" if used / total > FULL else ""
    return [(title, used / total, f"{size(used)} / {size(total)}", tone)]
