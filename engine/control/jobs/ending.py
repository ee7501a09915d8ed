"""What the end of a worker's process means for its run."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import dataclass
from typing import Any

from engine.contract.errors import ErrorBody, UserError
from engine.contract.states import EXIT_COMPLETED, EXIT_SAVED_ON_REQUEST, EndReason, RunState
from engine.control.executors.base import Exit


@dataclass(frozen=True)
class Verdict:
    """How a run ends, and why."""

    state: RunState
    reason: EndReason
    error: ErrorBody | None = None


def verdict(ended: Exit, attempt: sqlite3.Row) -> Verdict:
    """The exit code counts first, then the worker's last word, then what a person asked for, then the signal."""
    word = json.loads(attempt["last_word"]) if attempt["last_word"] else None
    asked = attempt["stop_asked"] is not None
    if ended.code == EXIT_COMPLETED and (word is None or word["state"] == RunState.COMPLETED):
        return Verdict(RunState.COMPLETED, EndReason.FINISHED)
    if ended.code == EXIT_SAVED_ON_REQUEST:
        reason = EndReason(word["reason"]) if word else EndReason.STOPPED_BY_PERSON
        return Verdict(RunState.STOPPED, reason)
    if word is not None:
        return _last_word(word)
    if asked:
        return Verdict(RunState.STOPPED, EndReason.STOPPED_BY_PERSON)
    if ended.signal is not None:
        return _failed(EndReason.WORKER_KILLED, "worker.killed", {"signal": ended.signal})
    if ended.code is not None:
        return _failed(EndReason.WORKER_ERROR, "worker.vanished", {"code": ended.code})
    return _failed(EndReason.LOST, "worker.lost", {})


def _last_word(word: dict[str, object]) -> Verdict:
    state = RunState(str(word["state"]))
    reason = EndReason(str(word["reason"]))
    error = ErrorBody.model_validate(word["error"]) if word.get("error") else None
    if state not in (RunState.COMPLETED, RunState.STOPPED, RunState.FAILED, RunState.PAUSED):
        state = RunState.FAILED
    return Verdict(state, reason, error)


def _failed(reason: EndReason, code: str, params: dict[str, Any]) -> Verdict:
    return Verdict(RunState.FAILED, reason, UserError(code, **params).body())
