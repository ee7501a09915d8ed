"""Rows of runs, and runs that are done again, by the real controller."""

from __future__ import annotations

from collections.abc import Sequence

from engine.client.client import ControllerClient
from engine.client.exclusion import exclude
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


class ControllerForensics:
    """Part of `ControllerBackend`."""

    _client: ControllerClient
    _closed: bool

    def step_rows(self, uid: str, step: int) -> StepRows:
        """What a step learned from."""
        return self._client.step_rows(uid, step)

    def ranking(self, uid: str, kind: RankingKind) -> Ranking:
        """Rows of one kind."""
        return self._client.ranking(uid, kind)

    def row_texts(self, asked: RowTexts) -> RowTextsAnswer:
        """What rows say."""
        return self._client.row_texts(asked)

    def token_losses(self, asked: TokenLosses) -> TokenLossesAnswer:
        """The loss of each token of a row."""
        return self._client.token_losses(asked)

    def without_rows(self, uid: str, keys: Sequence[RowKey]) -> RunSummary:
        """Versions without the rows, then a draft on them."""
        config = exclude(self._client, uid, keys, lambda: not self._closed)
        return self._client.create(config.to_spec(), start=False)

    def reproduce_check(self, uid: str) -> ReproductionCheck:
        """What is other today."""
        return self._client.reproduce_check(uid)

    def reproduce(self, uid: str) -> RunSummary:
        """Do it again."""
        return self._client.reproduce(uid)

    def reproduction(self, uid: str) -> Reproduction | None:
        """How it stands to the run it does again."""
        return self._client.reproduction(uid)
