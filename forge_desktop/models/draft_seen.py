"""A draft's datasets as the model sees them: each is measured by a helper, one after the other, answers are kept."""

from __future__ import annotations

import json
from typing import Any

from PySide6.QtCore import QObject, Signal

from engine.contract.errors import ErrorBody
from forge_desktop.bridge.session import Session

Answer = tuple[dict[str, Any], ErrorBody | None]


class SeenRows(QObject):
    """By the path of a dataset in the draft; an answer holds for as long as nothing it was asked with changes."""

    changed = Signal()

    def __init__(self, session: Session, parent: QObject) -> None:
        super().__init__(parent)
        self._session = session
        self._wanted: dict[str, str] = {}
        """Path to the question about it, as text."""
        self._answers: dict[str, Answer] = {}
        self._asking = ""

    def want(self, questions: dict[str, dict[str, Any]]) -> None:
        """What `preview_row` is asked of each dataset; those that are no longer named are forgotten."""
        wanted = {path: _as_text(params) for path, params in questions.items()}
        if wanted == self._wanted:
            return
        self._wanted = wanted
        self._answers = {question: found for question, found in self._answers.items() if question in wanted.values()}
        if self._asking not in wanted.values():
            self._asking = ""  # its answer is dropped
        self._ask_next()
        self.changed.emit()

    def rows(self, path: str) -> dict[str, Any]:
        """Answer about a dataset; empty while there is none."""
        return self._answer(path)[0]

    def error(self, path: str) -> ErrorBody | None:
        """Why there is no answer."""
        return self._answer(path)[1]

    def is_busy(self, path: str) -> bool:
        """The answer will come."""
        return path in self._wanted and self._wanted[path] not in self._answers

    def teaching_nothing(self, questions: dict[str, dict[str, Any]]) -> list[str]:
        """Datasets of no measured row of which a token is learned: no answer is marked, or all are cut off.

        Only where the question is still the same: another dataset may have come to a path meanwhile.
        """
        same = [path for path, params in questions.items() if self._wanted.get(path) == _as_text(params)]
        return [path for path in same if _teaches_nothing(self.rows(path))]

    def _answer(self, path: str) -> Answer:
        return self._answers.get(self._wanted.get(path, ""), ({}, None))

    def _ask_next(self) -> None:
        """One at a time: each is a process of its own."""
        waiting = [question for question in self._wanted.values() if question not in self._answers]
        if self._asking or not waiting:
            return
        self._asking = question = waiting[0]
        params = json.loads(question)
        self._session.ask(
            lambda backend: backend.query("preview_row", params),
            lambda found: self._got(question, found, None),
            lambda error: self._got(question, {}, error),
            owner=self,
        )

    def _got(self, question: str, found: dict[str, Any], error: ErrorBody | None) -> None:
        if question != self._asking:
            return
        self._asking = ""
        self._answers[question] = (found, error)
        self._ask_next()
        self.changed.emit()


def _as_text(params: dict[str, Any]) -> str:
    return json.dumps(params, sort_keys=True)


def _teaches_nothing(seen: dict[str, Any]) -> bool:
    return bool(seen.get("lengths")) and (seen.get("trained_share") == 0 or seen.get("teaching") == 0)
