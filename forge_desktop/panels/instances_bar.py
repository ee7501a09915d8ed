"""The bar that appears while instances are picked: how many, and what can be done with all of them."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QFrame, QPushButton

from engine.contract.nodes import Instance
from forge_desktop.models.instance_words import why_not, why_not_any
from forge_desktop.theme.controls import button, label, row, set_enabled
from forge_desktop.theme.language import count, tr

ICONS = {"stop": "square", "kill": "circle-x", "remove": "trash-2", "adopt": "download"}


def verb_text(verb: str) -> str:
    """What a verb is called on a button; the dots say that something is asked first."""
    match verb:
        case "stop":
            return tr("Stop and save")
        case "kill":
            return tr("Kill…")
        case "remove":
            return tr("Remove…")
    return tr("Adopt")


class InstancesBar(QFrame):
    """Hidden while nothing is picked."""

    wanted = Signal(str)
    """stop, kill, remove or adopt."""
    none_wanted = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("instances.bulk")
        self.setProperty("role", "bulk")
        self.setAccessibleName(tr("What can be done with the picked instances"))
        self._text = label("", "strong")
        self.buttons: dict[str, QPushButton] = {}
        layout = row(self._text, spacing=6, margins=(14, 4, 10, 4))
        layout.addSpacing(8)
        for verb, icon in ICONS.items():
            variant = "danger-quiet" if verb in ("kill", "remove") else "quiet"
            made = button(verb_text(verb), variant, icon, name=f"instances.bulk.{verb}")
            made.clicked.connect(lambda _checked=False, verb=verb: self.wanted.emit(verb))
            self.buttons[verb] = made
            layout.addWidget(made)
        layout.addStretch(1)
        layout.addWidget(button(tr("Pick none"), "link", on_click=self.none_wanted.emit, name="instances.bulk.none"))
        self.setLayout(layout)
        self.hide()

    def show_picked(self, picked: Sequence[Instance], offline: str = "") -> None:
        """What can be done with these."""
        self.setVisible(bool(picked))
        if not picked:
            return
        self._text.setText(count(len(picked), "1 picked", "{n} picked"))
        for verb, made in self.buttons.items():
            why = offline or why_not_any(picked, verb)
            set_enabled(made, not why, why)
        self.buttons["adopt"].setVisible(any(not why_not(one, "adopt") for one in picked))
