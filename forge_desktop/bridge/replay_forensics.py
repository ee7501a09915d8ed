"""Rows of runs over a replay: what a test or a picture lays down."""

from __future__ import annotations

from collections.abc import Sequence

from engine.contract.api import RunDetail, RunSummary
from engine.contract.errors import NotFound
from engine.contract.forensics_api import (
    DEFINITIONS,
    Ranking,
    RankingKind,
    RowKey,
    RowTexts,
    RowTextsAnswer,
    StepRows,
    TokenLosses,
    TokenLossesAnswer,
)
from engine.contract.reproduction import Reproduction, ReproductionCheck
from engine.contract.run_spec import RunSpec


class ReplayForensics:
    """Part of `ReplayBackend`."""

    def __init__(self) -> None:
        super().__init__()
        self.rows_of_steps: dict[int, StepRows] = {}
        self.rankings: dict[str, Ranking] = {}
        self.texts = RowTextsAnswer(rows=[])
        self.token_answer = TokenLossesAnswer(tokens=[])
        self.tokens_asked: list[TokenLosses] = []
        self.excluded: list[list[RowKey]] = []
        """What `without_rows` was asked for."""
        self.check_answer = ReproductionCheck(run="", attempt=1)
        self.reproductions: dict[str, Reproduction] = {}

    def _answer(self) -> None:
        raise NotImplementedError

    def create(self, spec: RunSpec, start: bool) -> RunSummary:
        """Make a run."""
        raise NotImplementedError

    def run(self, uid: str) -> RunDetail:
        """Everything about a run."""
        raise NotImplementedError

    def step_rows(self, uid: str, step: int) -> StepRows:
        """The nearest that was laid down."""
        self._answer()
        if not self.rows_of_steps:
            raise NotFound("rows.none", run=self.run(uid).run.name)
        return self.rows_of_steps[min(self.rows_of_steps, key=lambda known: abs(known - step))]

    def ranking(self, uid: str, kind: RankingKind) -> Ranking:
        """As laid down."""
        self._answer()
        if not self.rows_of_steps:
            raise NotFound("rows.none", run=self.run(uid).run.name)
        return self.rankings.get(kind, Ranking(kind=kind, definition=DEFINITIONS[kind], meetings=3))

    def row_texts(self, asked: RowTexts) -> RowTextsAnswer:
        """Those of the lines that were laid down."""
        self._answer()
        return RowTextsAnswer(rows=[row for row in self.texts.rows if row.line in asked.lines])

    def token_losses(self, asked: TokenLosses) -> TokenLossesAnswer:
        """As laid down."""
        self._answer()
        self.tokens_asked.append(asked)
        return self.token_answer

    def without_rows(self, uid: str, keys: Sequence[RowKey]) -> RunSummary:
        """A draft with the same order."""
        self._answer()
        self.excluded.append(list(keys))
        return self.create(self.run(uid).spec, False)

    def reproduce_check(self, uid: str) -> ReproductionCheck:
        """As laid down."""
        self._answer()
        return self.check_answer.model_copy(update={"run": uid})

    def reproduce(self, uid: str) -> RunSummary:
        """The same order once more."""
        self._answer()
        return self.create(self.run(uid).spec, True)

    def reproduction(self, uid: str) -> Reproduction | None:
        """As laid down."""
        self._answer()
        return self.reproductions.get(uid)
