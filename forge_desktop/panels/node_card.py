"""A node as a card: its state, how busy, full, warm and hungry it is, what runs there, and what can be done."""

from __future__ import annotations

from PySide6.QtCore import QPoint, Qt, Signal
from PySide6.QtGui import QContextMenuEvent, QMouseEvent
from PySide6.QtWidgets import QSizePolicy, QWidget

from engine.contract.nodes import NodeView, Transfer
from forge_desktop.models.node_figures import Figures, figures_of
from forge_desktop.models.node_words import HOT, condition, facts_line, price_text, runs_line, runs_tip, title_of
from forge_desktop.panels.node_actions import Action, buttons_of, menu_of
from forge_desktop.panels.node_look import chip_of
from forge_desktop.panels.node_meters import Meter, Ring
from forge_desktop.panels.sparkline import Sparkline
from forge_desktop.theme import icons
from forge_desktop.theme.controls import Card, Chip, Elided, button, clear, column, label, restyle, row, set_enabled
from forge_desktop.theme.language import explain, labelled, tr
from forge_desktop.theme.look import tokens
from forge_desktop.theme.measures import percent, size

SPARK_WIDTH, SPARK_HEIGHT = 96, 30
LEAST_SPAN = 3.0
"""Per cent above and below the curve, so that noise does not look like a mountain."""
SILENT = ("unreachable", "offline", "checking", "broken")


class NodeCard(Card):
    """One node; made once, then shown what it is like by and by."""

    wanted = Signal(str, str)
    """What is to be done (a key of `node_actions`), and to which node."""

    chosen = Signal(str)
    """Somebody pressed it; the name of its node."""

    def __init__(self, name: str) -> None:
        super().__init__(margins=(16, 12, 16, 14))
        self.setObjectName(f"node.{name}")
        self.name = name
        self._node: NodeView | None = None
        self._buttons_shown: tuple[Action, ...] = ()
        self.body.setSpacing(8)
        self._title = Elided(title_of(name), "card-title")
        self._chip = Chip()
        self._chip.setObjectName(f"node.{name}.state")
        self._more = button("", "quiet", "ellipsis", self._open_menu, f"node.{name}.more", tr("More that can be done"))
        self._more.setAccessibleName(labelled(tr("More that can be done"), title_of(name)))
        self._more.setFixedWidth(36)
        head = row(self._title, self._chip, None, self._more, spacing=10)
        self._title.setSizePolicy(QSizePolicy.Policy.Maximum, QSizePolicy.Policy.Preferred)
        self.body.addLayout(head)
        self._facts = Elided("", "label")
        self.body.addWidget(self._facts)
        self._ring = Ring()
        self._meters = {key: Meter(text) for key, text in self._names()}
        meters = column(*self._meters.values(), spacing=6)
        middle = row(self._ring, spacing=18)
        middle.addLayout(meters, 1)
        self.body.addLayout(middle)
        self._sign = label()
        self._runs = Elided("")
        self._runs.setMinimumHeight(20)
        runs = row(self._sign, self._runs, spacing=8)
        runs.setStretch(1, 1)
        self.body.addLayout(runs)
        self._spark = Sparkline(tokens().series[2], 0, 100)
        self._spark.setFixedHeight(SPARK_HEIGHT)
        self._spark.setMinimumWidth(SPARK_WIDTH // 2)
        self._spark.setMaximumWidth(SPARK_WIDTH)
        self._spark.setAccessibleName(tr("How busy it was lately"))
        self._actions = row(spacing=8)
        foot = row(spacing=8)
        foot.addLayout(self._actions)
        foot.addStretch(1)
        foot.addWidget(self._spark, 4)
        self.body.addLayout(foot)

    def _names(self) -> list[tuple[str, str]]:
        return [("memory", tr("Memory")), ("temperature", tr("Temperature")), ("power", tr("Power"))]

    def show_node(self, node: NodeView, hot: float = HOT) -> None:
        """Show what it is like now."""
        self._node = node
        kind = condition(node, hot)
        self._chip.set(*chip_of(node, hot))
        restyle(self, state="bad" if kind in ("hot", "broken") else "")
        self._facts.set_text(" · ".join(part for part in (facts_line(node), price_text(node)) if part))
        silent = kind in SILENT
        found = Figures() if silent else figures_of(node.values)
        busy = None if found.utilisation is None else found.utilisation / 100
        self._ring.set(busy, kind == "hot")
        self._show_meters(found, kind == "hot")
        self._show_runs(node, kind)
        self._spark.setVisible(not silent)
        self._spark.set_colour(tokens().bad_fill if kind == "hot" else tokens().series[2])
        self._show_buttons(node)

    def _show_meters(self, found: Figures, is_hot: bool) -> None:
        t = tokens()
        share = found.memory / found.memory_total if found.memory is not None and found.memory_total else None
        text = f"{_gb(found.memory)} / {size_of(found.memory_total)}" if share is not None else "—"
        self._meters["memory"].set(text, share, t.series[3])
        warm = found.temperature
        text = "—" if warm is None else f"{warm:.0f} °C"
        tone = "bad" if is_hot else ""
        self._meters["temperature"].set(text, None if warm is None else min(1.0, warm / 100), t.series[2], tone)
        power = None if found.power is None or not found.power_limit else found.power / found.power_limit
        self._meters["power"].set(power_text(found.power, found.power_limit), power, t.series[1])

    def _show_runs(self, node: NodeView, kind: str) -> None:
        lost = kind in ("unreachable", "broken") and node.error is not None
        text = runs_line(node)
        if lost and node.error is not None and not node.runs:
            text = f"{text} · {explain(node.error)[0]}" if kind == "unreachable" else explain(node.error)[0]
        self._runs.set_text(text)
        self._runs.setToolTip(" ".join(explain(node.error)) if lost and node.error is not None else runs_tip(node))
        icon = {"unreachable": "wifi-off", "broken": "circle-alert"}.get(kind, "activity")
        self._sign.setPixmap(icons.pixmap(icon, tokens().muted, 14))

    def _show_buttons(self, node: NodeView) -> None:
        found = tuple(buttons_of(node))
        if found == self._buttons_shown:
            return
        focused = next((made for made in self._made() if made.hasFocus()), None)
        self._buttons_shown = found
        clear(self._actions)
        for action in found:
            self._actions.addWidget(self._button(action))
        if focused is not None:  # who pressed it stays where they were
            self._more.setFocus()

    def _made(self) -> list[QWidget]:
        items = [self._actions.itemAt(place) for place in range(self._actions.count())]
        return [widget for item in items if item is not None and (widget := item.widget()) is not None]

    def _button(self, action: Action) -> QWidget:
        text = action.text.removesuffix("…")
        icon = "" if action.key == "online" else action.icon
        made = button(text, "default", icon, name=f"node.{self.name}.{action.key}")
        made.clicked.connect(lambda _checked=False, key=action.key: self.wanted.emit(key, self.name))
        made.setAccessibleName(labelled(text, title_of(self.name)))
        set_enabled(made, not action.why_not, action.why_not)
        return made

    def show_recent(self, values: list[float]) -> None:
        """How busy it was lately."""
        low, high = min(values, default=0.0), max(values, default=100.0)
        self._spark.set_scale(max(0.0, low - LEAST_SPAN), min(100.0, high + LEAST_SPAN))
        self._spark.set_values(values)

    def show_transfer(self, transfer: Transfer | None) -> None:
        """An image on its way there, in place of what runs."""
        if transfer is None or self._node is None:
            return
        if transfer.state == "running":
            share = transfer.done / transfer.total if transfer.total else 0.0
            self._runs.set_text(tr("Worker image on its way: {share} of {size}", share=percent(share),
                                   size=size(transfer.total)))  # fmt: skip
        elif transfer.state == "done":
            self._runs.set_text(tr("The worker image is there"))
        elif transfer.error is not None:
            self._runs.set_text(explain(transfer.error)[0])

    def _open_menu(self) -> None:
        self.open_menu(self._more.mapToGlobal(QPoint(0, self._more.height())))

    def open_menu(self, at: QPoint) -> None:
        """Everything that can be done to it."""
        if self._node is not None:
            menu = menu_of(self, self._node, self.wanted.emit)
            menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
            menu.popup(at)

    @property
    def is_marked(self) -> bool:
        """It is the one that was selected."""
        return bool(self.property("marked") == "yes")

    def mark(self, on: bool) -> None:
        """Select it, or another."""
        restyle(self, marked="yes" if on else "")
        self.setAccessibleDescription(tr("Selected") if on else "")

    def take_keyboard(self) -> None:
        """To what can be done to it."""
        self._more.setFocus(Qt.FocusReason.OtherFocusReason)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Qt's own hook: a click selects it."""
        self.chosen.emit(self.name)
        super().mousePressEvent(event)

    def contextMenuEvent(self, event: QContextMenuEvent) -> None:
        """Qt's own hook."""
        self.open_menu(event.globalPos())

    def texts(self) -> dict[str, str]:
        """What it says, by part."""
        return {
            "state": self._chip.text(),
            "facts": self._facts.accessibleName(),
            "runs": self._runs.accessibleName(),
            **{key: meter.text() for key, meter in self._meters.items()},
        }


def _gb(number: float | None) -> str:
    if number is None:
        return "—"
    gigabytes = number / 1e9
    return f"{gigabytes:,.0f}" if gigabytes >= 100 or gigabytes == round(gigabytes) else f"{gigabytes:.1f}"


def size_of(number: float | None) -> str:
    """Gigabytes, without a fraction where there is none."""
    return f"{_gb(number)} GB"


def power_text(power: float | None, limit: float | None) -> str:
    """`318 / 450 W`, `2.3 / 2.8 kW`."""
    if power is None:
        return "—"
    if (limit or power) >= 1000:
        return f"{power / 1000:.1f} / {limit / 1000:.1f} kW" if limit else f"{power / 1000:.1f} kW"
    return f"{power:.0f} / {limit:.0f} W" if limit else f"{power:.0f} W"
