"""Memory ran out: what can be lowered, what each saves and costs, and a button to go on with it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from PySide6.QtCore import Slot
from PySide6.QtWidgets import QSizePolicy, QVBoxLayout, QWidget

from engine.contract.api import ResumeRun
from engine.contract.ladder import Rung
from engine.contract.states import EndReason, RunState
from forge_desktop.models import rung_words
from forge_desktop.models.run_model import RunModel
from forge_desktop.theme.controls import Card, Chip, Elided, button, clear, label, row
from forge_desktop.theme.language import labelled, tr

WAITS = (RunState.PAUSED, RunState.FAILED)
LINE_HEIGHT = 36


class RungsCard(Card):
    """Seen while a run waits because its memory ran out."""

    def __init__(self, model: RunModel, go_on: Callable[[ResumeRun], object]) -> None:
        super().__init__(tr("Go on with less memory"))
        self.setObjectName("run.rungs")
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)
        self._model, self._go_on = model, go_on
        self._shown: list[Rung] = []
        self._list = QVBoxLayout()
        self._list.setSpacing(4)
        self._taken = label("", "hint", select=True)
        self._taken.setObjectName("run.rungs.taken")
        self.body.setSpacing(8)
        self.body.addWidget(Elided(tr("It goes on from its last checkpoint, as one curve. Choose what is lowered.")))
        self.body.addLayout(self._list)
        self.body.addWidget(self._taken)
        self.setVisible(False)
        model.changed.connect(self.refresh)

    @Slot()
    def refresh(self) -> None:
        """Follow the run."""
        detail = self._model.detail
        if detail is None:
            return
        run = detail.run
        waits = run.state in WAITS and run.reason is EndReason.OUT_OF_MEMORY and bool(detail.rungs)
        taken = ", ".join(rung_words.name_of(rung) for rung in detail.lowered)
        self._taken.setText(tr("Lowered already: {what}.", what=taken) if taken else "")
        self._taken.setVisible(bool(taken))
        if waits and detail.rungs != self._shown:
            self._shown = list(detail.rungs)
            self._fill()
        self.setVisible(waits)

    @property
    def offered(self) -> list[Rung]:
        """Those that are shown."""
        return list(self._shown)

    def _fill(self) -> None:
        clear(self._list)
        for place, rung in enumerate(self._shown):
            self._list.addWidget(self._line(rung, first=place == 0))

    def _line(self, rung: Rung, first: bool) -> QWidget:
        made, name = QWidget(), rung_words.name_of(rung)
        made.setFixedHeight(LINE_HEIGHT)
        go = button(
            tr("Go on with this"), "primary" if first else "default", "play", partial(self._do_go_on, rung.name),
            name=f"run.rungs.{rung.name}",
        )  # fmt: skip
        go.setAccessibleName(labelled(tr("Go on with this"), name))
        go.setAccessibleDescription(rung_words.facts_of(rung))
        what, facts = label(name, "strong"), Elided(rung_words.facts_of(rung), "hint")
        layout = row(what, Chip(*rung_words.chip_of(rung)), spacing=10)
        layout.addWidget(facts, 1)
        layout.addWidget(go)
        made.setLayout(layout)
        return made

    def _do_go_on(self, name: str) -> None:
        self._go_on(ResumeRun(rung=name))
