"""The strip above the nodes: what is the matter now, since when, why, and what to do; the worst in full."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QFrame, QLayout, QPushButton, QVBoxLayout, QWidget

from forge_desktop.models.node_troubles import Trouble
from forge_desktop.theme import icons
from forge_desktop.theme.controls import Elided, button, clear, column, label, line, restyle, row
from forge_desktop.theme.language import count, labelled, tr
from forge_desktop.theme.look import tokens

MORE_SHOWN = 2
"""Besides the worst; the others are counted."""


class NodeAlert(QFrame):
    """Hidden while all is well, or everything that is the matter has been seen by somebody."""

    wanted = Signal(str, str)
    """Move or doctor, and which node."""
    seen = Signal(object)
    """Numbers of alerts somebody has seen."""
    all_wanted = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("nodes.alert")
        self.setProperty("role", "banner")
        self._troubles: list[Trouble] = []
        self._tone = ""
        self._rows = QVBoxLayout()
        self._rows.setSpacing(4)
        self._made: dict[str, QPushButton] = {}
        layout = column(margins=(16, 10, 12, 10))
        layout.addLayout(self._rows)
        self.setLayout(layout)
        self.hide()

    def show_troubles(self, troubles: Sequence[Trouble]) -> None:
        """Show them; what has not changed is left as it is."""
        found = list(troubles)
        if found == self._troubles and bool(found) is not self.isHidden():
            return
        held = next((name for name, made in self._made.items() if made.hasFocus()), "")
        self._troubles, self._made = found, {}
        clear(self._rows)
        self.setVisible(bool(found))
        if not found:
            return
        self._tone = found[0].tone
        restyle(self, tone=self._tone)
        self._rows.addWidget(self._full(found[0]))
        for trouble in found[1 : 1 + MORE_SHOWN]:
            self._rows.addWidget(line())
            self._rows.addWidget(self._short(trouble))
        self._add_foot(found)
        if held:  # who works by keyboard stays within the strip
            made = self._made.get(held) or next(iter(self._made.values()), None)
            if made is not None:
                made.setFocus()

    def _button(self, text: str, role: str, icon: str, do: Callable[[], object], name: str) -> QPushButton:
        made = button(text, role, icon, do, name)
        self._made[name] = made
        return made

    def _ink(self, tone: str) -> str:
        return tokens().bad_text if tone == "bad" else tokens().warn_text

    def _full(self, trouble: Trouble) -> QWidget:
        """What, since when, why, and what to do."""
        picture = label()
        picture.setPixmap(icons.pixmap(trouble.icon, self._ink(self._tone), 18))
        what = label(_headline(trouble), "strong", wrap=True, select=True)
        what.setObjectName("nodes.alert.what")
        layout = row(picture, spacing=14)
        layout.addLayout(column(what, label(trouble.more, wrap=True, select=True), spacing=2), 1)
        if trouble.runs:
            text = count(trouble.runs, "Move 1 run", "Move {n} runs")
            move = self._button(f" {text}", "default", "arrow-left-right",
                                lambda: self.wanted.emit("move", trouble.node), "nodes.alert.move")  # fmt: skip
            move.setAccessibleName(text)
            layout.addWidget(move)
        if trouble.doctor:
            doctor = self._button(tr("Doctor"), "default", "stethoscope",
                                  lambda: self.wanted.emit("doctor", trouble.node), "nodes.alert.doctor")  # fmt: skip
            layout.addWidget(doctor)
        if trouble.alert:
            layout.addWidget(self._seen_button(trouble))
        return _holder(layout)

    def _short(self, trouble: Trouble) -> QWidget:
        """One line: the rest is its tooltip."""
        picture = label()
        picture.setPixmap(icons.pixmap(trouble.icon, self._ink(self._tone), 16))
        what = Elided(_headline(trouble))
        what.setToolTip(trouble.more)
        layout = row(picture, spacing=14)
        layout.addWidget(what, 1)
        if trouble.alert:
            layout.addWidget(self._seen_button(trouble))
        return _holder(layout)

    def _seen_button(self, trouble: Trouble) -> QPushButton:
        made = self._button(tr("Acknowledge"), "quiet", "", partial(self.seen.emit, (trouble.alert,)),
                            f"nodes.alert.seen.{trouble.alert}")  # fmt: skip
        made.setAccessibleName(labelled(tr("Acknowledge"), trouble.what))
        return made

    def _add_foot(self, found: list[Trouble]) -> None:
        """How many more there are, and one button for all."""
        alerts = tuple(trouble.alert for trouble in found if trouble.alert)
        more = len(found) - 1 - MORE_SHOWN
        if more < 1:
            return
        text = count(more, "and 1 more", "and {n} more")
        layout = row(self._button(text, "link", "", self.all_wanted.emit, "nodes.alert.all"), None, spacing=10)
        seen = self._button(tr("Acknowledge all"), "quiet", "check-check", partial(self.seen.emit, alerts),
                            "nodes.alert.seen.all")  # fmt: skip
        layout.addWidget(seen)
        self._rows.addWidget(_holder(layout))

    def text(self) -> str:
        """What the worst is; nothing while it is hidden."""
        return "" if self.isHidden() or not self._troubles else self._troubles[0].what

    def texts(self) -> list[str]:
        """What each of them is."""
        return [] if self.isHidden() else [trouble.what for trouble in self._troubles]


def _headline(trouble: Trouble) -> str:
    """What it is, and since when."""
    return " · ".join(part for part in (trouble.what.rstrip(".。"), trouble.since) if part)


def _holder(layout: QLayout) -> QWidget:
    made = QWidget()
    made.setLayout(layout)
    return made
