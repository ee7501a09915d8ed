"""What the desktop asks about single rows of a run, and for runs to be done again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from engine.contract.api import RunSummary
from engine.contract.forensics_api import (
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


class ForensicsBackend(Protocol):
    """The part of a backend behind a look inside a curve. Calls block and raise UserError."""

    def step_rows(self, uid: str, step: int) -> StepRows:
        """What a step learned from."""

    def ranking(self, uid: str, kind: RankingKind) -> Ranking:
        """Rows of one kind, the worst first."""

    def row_texts(self, asked: RowTexts) -> RowTextsAnswer:
        """What rows say."""

    def token_losses(self, asked: TokenLosses) -> TokenLossesAnswer:
        """The loss of each token of a row."""

    def without_rows(self, uid: str, keys: Sequence[RowKey]) -> RunSummary:
        """A draft of the run on versions of its datasets that lack these rows. Waits for the imports."""

    def reproduce_check(self, uid: str) -> ReproductionCheck:
        """What is other today than when the run was made."""

    def reproduce(self, uid: str) -> RunSummary:
        """Do it again."""

    def reproduction(self, uid: str) -> Reproduction | None:
        """How it stands to the run it does again."""
