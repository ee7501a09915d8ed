"""Notices about moves of runs: there, or back where it was."""

from __future__ import annotations

import time
from typing import Any

from engine.contract.errors import ErrorBody
from engine.contract.nodes import MoveView
from forge_desktop.models.node_words import title_of
from forge_desktop.theme.language import explain, sentences, tr
from forge_desktop.theme.measures import duration

MOVED, NOT_MOVED = "moved", "not_moved"


def facts_of(move: MoveView) -> tuple[str, dict[str, Any]] | None:
    """What is to be told of a move that ended, and the facts; None where a person gave it up or it goes on."""
    if move.state not in ("done", "failed"):
        return None
    error = move.error.model_dump() if move.error is not None else None
    facts = {"source": move.source, "target": move.target, "downtime": move.downtime, "error": error}
    return (MOVED if move.state == "done" else NOT_MOVED), facts


def ended_at(move: MoveView) -> float:
    """When it ended."""
    return move.ended if move.ended is not None else time.time()


def title(what: str, name: str, facts: dict[str, Any]) -> str:
    """What happened, in a few words."""
    target = title_of(str(facts.get("target", "")))
    if what == MOVED:
        return tr("'{name}' was moved to {node}", name=name, node=target)
    return tr("'{name}' could not be moved to {node}", name=name, node=target)


def text(what: str, facts: dict[str, Any]) -> str:
    """The rest of it."""
    source, seconds = title_of(str(facts.get("source", ""))), facts.get("downtime")
    if what == MOVED:
        return "" if seconds is None else tr("It stood still for {time}.", time=duration(seconds))
    goes_on = tr("It goes on at {node}; nothing is lost.", node=source)
    if not facts.get("error"):
        return goes_on
    reason, why, _fix = explain(ErrorBody.model_validate(facts["error"]))
    return sentences(reason, why, goes_on)
