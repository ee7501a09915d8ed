"""The strip above the nodes: the worst that is the matter now, why, and what to do."""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QFrame

from forge_desktop.models.node_words import Trouble
from forge_desktop.panels.node_look import TONES
from forge_desktop.theme import icons
from forge_desktop.theme.controls import button, column, label, restyle, row
from forge_desktop.theme.language import count, tr
from forge_desktop.theme.look import tokens


class NodeAlert(QFrame):
    """Hidden while all is well, or after somebody has seen it."""

    wanted = Signal(str, str)

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("nodes.alert")
        self.setProperty("role", "banner")
        self._trouble: Trouble | None = None
        self._seen: set[str] = set()
        self._icon = label()
        self._what = label("", "strong", wrap=True, select=True)
        self._more = label("", wrap=True, select=True)
        self._move = button("", "default", "arrow-left-right", lambda: self._want("move"), "nodes.alert.move")
        self._doctor = button(tr("Doctor"), "default", "stethoscope", lambda: self._want("doctor"),
                              "nodes.alert.doctor")  # fmt: skip
        self._close = button(tr("Acknowledge"), "quiet", on_click=self._acknowledge, name="nodes.alert.seen")
        layout = row(self._icon, spacing=14, margins=(16, 10, 12, 10))
        layout.addLayout(column(self._what, self._more, spacing=2), 1)
        for made in (self._move, self._doctor, self._close):
            layout.addWidget(made)
        self.setLayout(layout)
        self.hide()

    def show_trouble(self, trouble: Trouble | None) -> None:
        """Show it, unless somebody has seen it; one that is over may come again."""
        if trouble is None:
            self._seen.clear()
        self._trouble = trouble
        self.setVisible(trouble is not None and trouble.key not in self._seen)
        if trouble is None:
            return
        hot = trouble.condition == "hot"
        t = tokens()
        tone = "bad" if hot else "warn"
        restyle(self, tone=tone)
        self._icon.setPixmap(icons.pixmap(TONES[trouble.condition][1], t.bad_text if hot else t.warn_text, 18))
        self._what.setText(trouble.what)
        self._more.setText(trouble.more)
        text = count(trouble.runs, "Move 1 run", "Move {n} runs")
        self._move.setText(f" {text}")
        self._move.setAccessibleName(text)
        self._move.setVisible(bool(trouble.runs) and hot)
        self._doctor.setVisible(not hot)

    def text(self) -> str:
        """What it says."""
        return self._what.text() if not self.isHidden() else ""

    def _want(self, key: str) -> None:
        if self._trouble is not None:
            self.wanted.emit(key, self._trouble.node)

    def _acknowledge(self) -> None:
        if self._trouble is not None:
            self._seen.add(self._trouble.key)
        self.hide()
