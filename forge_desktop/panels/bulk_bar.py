"""The bar that appears while several runs are picked: how many, and what can be done with all of them."""

from __future__ import annotations

from PySide6.QtCore import Signal, Slot
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QFrame, QPushButton, QSizePolicy

from engine.contract.listing import MAX_BULK
from engine.contract.states import LIVE, RunState
from forge_desktop.models.picked import Picked
from forge_desktop.theme.controls import Elided, button, column, face, label, row, set_enabled
from forge_desktop.theme.language import count, tr

STARTABLE = {RunState.DRAFT, RunState.PAUSED, RunState.FAILED, RunState.STOPPED}
STOPPABLE = {*LIVE, RunState.QUEUED, RunState.PAUSED}
PAUSABLE = {RunState.RUNNING, RunState.PREPARING, RunState.QUEUED}
COMPARED = range(2, 11)
GAP = 4


class BulkBar(QFrame):
    """Hidden until two runs or more are picked. Where room is short its buttons are icons."""

    wanted = Signal(str)
    """start, stop, pause, tag, pin, unpin, compare or delete."""

    def __init__(self, picked: Picked) -> None:
        super().__init__()
        self.setObjectName("runs.bulk")
        self.setProperty("role", "bulk")
        self.setAccessibleName(tr("What can be done with the picked runs"))
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self._picked = picked
        self._text = label("", "strong")
        self._text.setObjectName("runs.bulk.text")
        self._note = Elided("", "hint")
        self._note.setObjectName("runs.bulk.note")
        self._buttons: dict[str, QPushButton] = {}
        self._texts: dict[str, str] = {}
        self._why: dict[str, str] = {}
        tools = row(spacing=GAP)
        for key, text, icon in (
            ("start", tr("Start"), "play"),
            ("stop", tr("Stop…"), "square"),
            ("pause", tr("Pause"), "pause"),
            ("tag", tr("Tags…"), "tag"),
            ("pin", tr("Pin"), "pin"),
            ("compare", tr("Compare"), "git-compare"),
            ("delete", tr("Delete…"), "trash-2"),
        ):
            made = button(text, "danger-quiet" if key == "delete" else "quiet", icon, name=f"runs.bulk.{key}")
            made.clicked.connect(lambda _checked=False, key=key: self._clicked(key))
            self._buttons[key], self._texts[key] = made, text
            tools.addWidget(made)
        self._none = button(tr("Pick none"), "link", on_click=picked.clear, name="runs.bulk.none")
        layout = row(spacing=10, margins=(14, 4, 10, 4))
        layout.addLayout(column(self._text, self._note, spacing=0))
        layout.addLayout(tools)
        layout.addStretch(1)
        layout.addWidget(self._none)
        self.setLayout(layout)
        picked.changed.connect(self._refresh)
        self._refresh()

    def _clicked(self, key: str) -> None:
        pins = all(run.pinned for run in self._picked.runs)
        self.wanted.emit("unpin" if key == "pin" and pins else key)

    @Slot()
    def _refresh(self) -> None:
        runs, number = self._picked.runs, len(self._picked)
        self.setVisible(number > 1)
        if number < 2:
            return
        states = {run.state for run in runs}
        self._text.setText(count(number, "1 run picked", "{n} runs picked"))
        beyond = tr("of {total}, {most} at most", total=f"{self._picked.of:,}", most=f"{MAX_BULK:,}")
        self._note.set_text(beyond if self._picked.of else "")
        self._note.setVisible(bool(self._picked.of))
        self._texts["pin"] = tr("Unpin") if all(run.pinned for run in runs) else tr("Pin")
        idle = tr("None of them is at work or waits.")
        live = bool(states) and states <= LIVE
        self._why = {
            "start": "" if states & STARTABLE else tr("None of them can be started."),
            "stop": "" if states & STOPPABLE else idle,
            "pause": "" if states & PAUSABLE else idle,
            "compare": "" if number in COMPARED else tr("Pick 2 to 10 runs to compare them."),
            "delete": tr("A run at work cannot be deleted: stop it first.") if live else "",
        }
        self._fit()

    def _fit(self) -> None:
        """Words beside the icons if there is room for all of them."""
        self._say(True)
        layout = self.layout()
        if layout is not None and layout.sizeHint().width() > self.width():
            self._say(False)

    def _say(self, words: bool) -> None:
        for key, made in self._buttons.items():
            made.setText(face(self._texts[key], True) if words else "")
            made.setAccessibleName(self._texts[key])
            why = self._why.get(key, "")
            set_enabled(made, not why, why)
            if not why and not words:
                made.setToolTip(self._texts[key])

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Qt's own hook."""
        super().resizeEvent(event)
        if self.isVisible():
            self._fit()
