"""What the end of a worker's process means for its run, and whether the fault was the run's own."""

from __future__ import annotations

import errno
import json
import sqlite3
from dataclasses import dataclass
from typing import Any

from engine.contract.errors import ErrorBody, UserError
from engine.contract.states import EXIT_COMPLETED, EXIT_SAVED_ON_REQUEST, EndReason, RunState
from engine.control.executors.base import Exit

PAUSE = "pause"
MOVE = "move"
"""Verbs of wishes: to save and end, and wait; to go on elsewhere."""
MAY_PASS = frozenset(
    getattr(errno, name)
    for name in (
        "EAGAIN", "ENOMEM", "EIO", "ENOSPC", "EDQUOT", "EMFILE", "ENFILE", "EBUSY", "EINTR", "ESTALE", "ETIMEDOUT",
        "ETXTBSY",
    )
    if hasattr(errno, name)
)  # fmt: skip
"""What the system may say today and not tomorrow."""
INFRASTRUCTURE = frozenset(
    {
        EndReason.WORKER_KILLED, EndReason.LOST, EndReason.INTERRUPTED, EndReason.HANG, EndReason.DISK_FULL,
        EndReason.DOWNLOAD_FAILED,
    }
)  # fmt: skip
"""Ends that are not the run's own fault. A bad config, data, model, a loss that is not finite, memory that torch
asked for in vain and a bug of ours would only happen again."""


EARLY = frozenset({EndReason.EARLY_STOP, EndReason.TIME_LIMIT, EndReason.COST_LIMIT})
"""Ends before the last step that were wished for beforehand."""
NODE_ROOMS = frozenset({"node"})
"""First parts of the codes that blame a node."""
PASSING = frozenset({"artifacts.unreachable", "artifacts.refused", "artifacts.no_bucket", "artifacts.no_keys"})
"""What a run goes on from lies where nobody can get at it now: rather wait than begin anew."""


_LEFT = (EndReason.PAUSED_BY_PERSON, EndReason.INTERRUPTED)
"""Last words of a worker that saved and ended because it was told to."""


@dataclass(frozen=True)
class Verdict:
    """How a run ends, and why."""

    state: RunState
    reason: EndReason
    error: ErrorBody | None = None
    again: bool = False
    """Not the run's own fault: worth another attempt."""
    of_node: bool = False
    """It never came to work, by the node's fault: it waits again and nothing is counted."""


def verdict(ended: Exit, attempt: sqlite3.Row, hung_minutes: float | None = None) -> Verdict:
    """The exit code counts first, then the worker's last word, then what a person asked for, then the signal."""
    word = json.loads(attempt["last_word"]) if attempt["last_word"] else None
    asked = (attempt["stop_verb"] or "stop") if attempt["stop_asked"] is not None else None
    if ended.code == EXIT_COMPLETED and (word is None or word["state"] == RunState.COMPLETED):
        reason = EndReason(str(word["reason"])) if word is not None else EndReason.FINISHED
        return Verdict(RunState.COMPLETED, reason if reason in EARLY else EndReason.FINISHED)
    if asked == MOVE:
        if ended.code == EXIT_SAVED_ON_REQUEST or (word is not None and word["reason"] in _LEFT):
            return Verdict(RunState.QUEUED, EndReason.MOVED)
        asked = None  # it ended otherwise: as if nobody had asked
    if ended.code == EXIT_SAVED_ON_REQUEST:
        return _saved(word, asked)
    if word is not None:
        return _last_word(word, asked)
    if asked == PAUSE and ended.code is None:  # it died before it could; its last checkpoint is there
        return Verdict(RunState.PAUSED, EndReason.PAUSED_BY_PERSON)
    if asked is not None and asked != PAUSE:
        return Verdict(RunState.STOPPED, EndReason.STOPPED_BY_PERSON)
    if ended.node_fault is not None:
        return node_verdict(ended.node_fault, own_image=bool(json.loads(attempt["spec"])["compute"].get("image")))
    if ended.out_of_memory and ended.code != EXIT_COMPLETED:
        return _failed(EndReason.OUT_OF_MEMORY, "worker.out_of_memory", {})
    if hung_minutes is not None:
        return _failed(EndReason.HANG, "worker.hung", {"minutes": round(hung_minutes, 1)})
    if ended.signal is not None:
        return _failed(EndReason.WORKER_KILLED, "worker.killed", {"signal": ended.signal})
    if ended.code is not None:
        return _failed(EndReason.WORKER_ERROR, "worker.vanished", {"code": ended.code})
    return _failed(EndReason.LOST, "worker.lost", {})


def node_verdict(error: ErrorBody, own_image: bool = False) -> Verdict:
    """What it means that a node could not do its part of a start. With an image of the run's choice it may be that."""
    if own_image:
        return Verdict(RunState.FAILED, EndReason.START_FAILED, error, again=True)
    return Verdict(RunState.QUEUED, EndReason.START_FAILED, error, again=True, of_node=True)


def is_of_node(error: UserError) -> bool:
    """Whether an error at a start is the fault of the node, not of what the run asks for."""
    return error.code.partition(".")[0] in NODE_ROOMS


def start_verdict(error: OSError | UserError) -> Verdict:
    """What it means that a worker could not be started."""
    if not isinstance(error, OSError):
        return Verdict(RunState.FAILED, EndReason.START_FAILED, error.body(), again=error.code in PASSING)
    reason = EndReason.DISK_FULL if error.errno in (errno.ENOSPC, errno.EDQUOT) else EndReason.START_FAILED
    body = UserError("run.start_failed", detail=str(error)).body()
    return Verdict(RunState.FAILED, reason, body, again=error.errno in MAY_PASS)


def _saved(word: dict[str, Any] | None, asked: str | None) -> Verdict:
    """It saved and ended on request: a person's, or the system's (SIGTERM)."""
    if asked == PAUSE:
        return Verdict(RunState.PAUSED, EndReason.PAUSED_BY_PERSON)
    if asked is not None:
        return Verdict(RunState.STOPPED, EndReason.STOPPED_BY_PERSON)
    return _last_word(word or {"state": RunState.STOPPED, "reason": EndReason.INTERRUPTED}, None)


def _last_word(word: dict[str, Any], asked: str | None) -> Verdict:
    state, reason = RunState(str(word["state"])), EndReason(str(word["reason"]))
    error = ErrorBody.model_validate(word["error"]) if word.get("error") else None
    if reason is EndReason.INTERRUPTED:
        if asked is not None:
            return _saved(None, asked)
        error = error or UserError("run.interrupted", step=word.get("step") or 0).body()
        return Verdict(RunState.STOPPED, reason, error, again=True)
    if state is RunState.PAUSED and asked is not None and asked != PAUSE:
        return Verdict(RunState.STOPPED, EndReason.STOPPED_BY_PERSON)
    if state not in (RunState.COMPLETED, RunState.STOPPED, RunState.FAILED, RunState.PAUSED):
        state = RunState.FAILED
    again = state is RunState.FAILED and reason in INFRASTRUCTURE and asked is None
    return Verdict(state, reason, error, again)


def _failed(reason: EndReason, code: str, params: dict[str, Any]) -> Verdict:
    return Verdict(RunState.FAILED, reason, UserError(code, **params).body(), again=reason in INFRASTRUCTURE)
