"""Asking the controller about single rows of a run, and for a run to be done again."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from engine.client.calls import Calls
from engine.contract.api import QueryAnswer, RunSummary
from engine.contract.errors import error_of
from engine.contract.forensics_api import (
    Ranking,
    RankingKind,
    RowHistory,
    RowKey,
    RowTexts,
    RowTextsAnswer,
    StepRows,
    TokenLosses,
    TokenLossesAnswer,
)
from engine.contract.reproduction import Reproduction, ReproductionCheck

CHECK_S = 45.0
"""A check asks a helper twice at most."""


class ForensicsCalls(Calls):
    """A part of `ControllerClient`."""

    def query(self, kind: str, **params: Any) -> QueryAnswer:
        """Ask a helper process."""
        raise NotImplementedError

    def step_rows(self, uid: str, step: int) -> StepRows:
        """What a step learned from."""
        return self._get(f"/runs/{uid}/rows", StepRows, {"step": step})

    def row_history(self, uid: str, key: RowKey) -> RowHistory:
        """A row's course."""
        return self._get(f"/runs/{uid}/rows/history", RowHistory, key.model_dump())

    def ranking(self, uid: str, kind: RankingKind, most: int = 200) -> Ranking:
        """Rows of one kind, the worst first."""
        return self._get(f"/runs/{uid}/rows/ranking/{kind}", Ranking, {"most": most})

    def row_texts(self, asked: RowTexts) -> RowTextsAnswer:
        """What rows of a dataset say."""
        return RowTextsAnswer.model_validate(self._asked("row_texts", asked))

    def token_losses(self, asked: TokenLosses) -> TokenLossesAnswer:
        """The loss of each token of a row."""
        return TokenLossesAnswer.model_validate(self._asked("token_losses", asked))

    def _asked(self, kind: str, asked: BaseModel) -> dict[str, Any]:
        answer = self.query(kind, **asked.model_dump(mode="json"))
        if answer.error is not None:
            raise error_of(answer.error, answer.status)
        return answer.result

    def reproduce_check(self, uid: str) -> ReproductionCheck:
        """What is other today than when the run was made."""
        return self._read(self._send("POST", f"/runs/{uid}/reproduce/check", timeout=CHECK_S), ReproductionCheck)

    def reproduce(self, uid: str) -> RunSummary:
        """Do it again."""
        return self._change("POST", f"/runs/{uid}/reproduce")

    def reproduction(self, uid: str) -> Reproduction | None:
        """How it stands to the run it does again."""
        answer = self._send("GET", f"/runs/{uid}/reproduction")
        return None if answer.content == b"null" else self._read(answer, Reproduction)
