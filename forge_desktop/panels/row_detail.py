"""One row in full: its tokens with their losses under the base model or any state of the run that is there."""

from __future__ import annotations

from PySide6.QtWidgets import QWidget

from engine.contract.api import RunDetail
from engine.contract.errors import ErrorBody
from engine.contract.forensics_api import TokenLosses, TokenLossesAnswer
from engine.contract.run_spec import TrainJob
from forge_desktop.bridge.session import Session
from forge_desktop.models.row_lines import RowLine
from forge_desktop.panels.loss_map import LossMap
from forge_desktop.panels.page import ErrorCard
from forge_desktop.theme.controls import Choice, column, label, row
from forge_desktop.theme.language import labelled, tr
from forge_desktop.theme.measures import figure

RESULTS = ("adapter", "model")
MOST_STATES = 20


class RowDetail(QWidget):
    """Asks a helper anew whenever another row or another state is chosen."""

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._session, self._asked = session, 0
        self._detail: RunDetail | None = None
        self._line: RowLine | None = None
        self._title = label(tr("No row is open"), "card-title")
        self.states = Choice([("", tr("Base model"))])
        self.states.setObjectName("rows.state")
        self.states.setAccessibleName(tr("Losses under"))
        self.states.setMinimumContentsLength(18)
        self.states.activated.connect(lambda _place: self._ask())
        self.map = LossMap()
        self._pointed = label("", "hint", wrap=True)
        self._said = label(tr("Open a row with Enter or a double click to see the loss of each of its tokens."),
                           "hint", wrap=True)  # fmt: skip
        self._error = ErrorCard("rows.detail.error")
        self.map.pointed.connect(self._pointed.setText)
        head = row(self._title, None, label(tr("Losses under"), "label"), self.states, spacing=10)
        layout = column(spacing=8)
        layout.addLayout(head)
        for part in (self._said, self._error, self.map, self._pointed):
            layout.addWidget(part)
        layout.setStretch(3, 1)
        layout.addStretch(0)
        self.setLayout(layout)
        for part in (self.map, self._pointed):  # until there is something to see
            part.hide()

    def show_run(self, detail: RunDetail) -> None:
        """The run whose rows they are: its states can be chosen."""
        chosen = self.states.value()
        known = [("", tr("Base model"))]
        known += [
            (f"attempts/{one.attempt}/outputs/{one.kind}", tr("Result of attempt {n}", n=one.attempt))
            for one in detail.artifacts
            if one.kind in RESULTS
        ]
        known += [
            (one.name if one.name.startswith("checkpoints/") else f"checkpoints/{one.name}",
             tr("Checkpoint at step {step}", step=f"{one.step:,}"))
            for one in reversed(detail.checkpoints[-MOST_STATES:])
        ]  # fmt: skip
        if self._detail is None and len(known) > 1:
            chosen = known[1][0]
        self._detail = detail
        self.states.clear()
        for key, text in known:
            self.states.addItem(text, key)
        self.states.set_value(chosen if chosen in dict(known) else "")

    def open(self, line: RowLine) -> None:
        """Show a row."""
        self._line = line
        self._title.setText(tr("Row {n} of {name}", n=line.place, name=line.dataset))
        self._ask()

    def _ask(self) -> None:
        detail, line = self._detail, self._line
        if detail is None or line is None or not isinstance(detail.spec.job, TrainJob):
            return
        job = detail.spec.job
        self._error.show_error(None)
        self.map.show_tokens([])
        if line.key.source >= len(job.data.train):
            self._said.setText(tr("Rows about itself are built in: they stand in no dataset."))
            return
        self._said.setText(tr("The tokens are being weighed…"))
        self._asked += 1
        number = self._asked
        asked = TokenLosses(
            model=job.model, source=job.data.train[line.key.source], line=line.key.line, stage=job.stage,
            max_length=job.data.max_length, assistant_only_loss=job.training.assistant_only_loss,
            tuner=job.tuner.model_dump(mode="json"), run=detail.run.uid, state=self.states.value(),
        )  # fmt: skip
        self._session.ask(
            lambda backend: backend.token_losses(asked),
            lambda found: self._got(number, found),
            lambda error: self._failed(number, error),
            owner=self,
        )

    def _got(self, number: int, found: TokenLossesAnswer) -> None:
        if number != self._asked:
            return
        self.map.show_tokens(found.tokens)
        for part in (self.map, self._pointed):
            part.show()
        mean = "—" if found.mean is None else figure(found.mean)
        said = labelled(tr("Mean over the learned tokens"), mean)
        cut = [tr("The row is cut at its longest length.")] if found.cut else []
        legend = tr("The stronger the ground, the higher the loss; bold from 3 on; learned tokens are underlined.")
        self._said.setText("\n".join([" · ".join([said, *cut]), legend]))

    def _failed(self, number: int, error: ErrorBody) -> None:
        if number == self._asked:
            self._said.setText("")
            self._error.show_error(error)
