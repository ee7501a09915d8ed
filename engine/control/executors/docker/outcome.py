"""What the end of a container means."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from engine.contract.errors import ErrorBody, UserError
from engine.control.executors.base import Exit
from engine.control.executors.docker.remote import State

SIGNALLED = 128
NEVER_RAN = (125, 126, 127)
"""How a container ends whose first program could not be started."""


def outcome(node: str, state: State, witness: dict[str, Any] | None) -> Exit:
    """The witness is what the worker's parent wrote; where there is none, the container's own code counts."""
    if witness is None and never_started(state):
        detail = state.error or f"It ended with code {state.code} before it began."
        return Exit(node_fault=UserError("docker.not_started", node=node, detail=detail).body())
    code, signal = _code(state.code) if witness is None else (witness.get("code"), witness.get("signal"))
    at = witness.get("t") if witness is not None else moment(state.finished)
    at = float(at) if isinstance(at, int | float) else None
    # The flag alone can be a child of the worker's that it did without.
    return Exit(code, signal, at, out_of_memory=state.oom and state.code != 0)


def gone(witness: dict[str, Any] | None) -> Exit:
    """Somebody removed the container; perhaps the worker's parent could still say how it ended."""
    if witness is None:
        return Exit()
    at = witness.get("t")
    return Exit(witness.get("code"), witness.get("signal"), float(at) if isinstance(at, int | float) else None)


def fault(error: UserError) -> Exit:
    """It never came to work, and that is the node's fault."""
    return Exit(node_fault=error.body())


def never_started(state: State) -> bool:
    """The engine could not run its first program."""
    failed = bool(state.error) and state.code in NEVER_RAN
    return failed or state.status == "created" or state.started.startswith("0001")


def moment(text: str) -> float | None:
    """A time as the engine writes it, which counts nanoseconds."""
    if not text or text.startswith("0001"):
        return None
    head, _, rest = text.partition(".")
    try:
        return datetime.fromisoformat(f"{head.rstrip('Z')}+00:00").timestamp() + float(f"0.{rest.rstrip('Z') or '0'}")
    except ValueError:
        return None


def witness_of(data: bytes | None) -> dict[str, Any] | None:
    """What exit.json says."""
    try:
        found = json.loads(data or b"")
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def to_json(ended: Exit) -> dict[str, Any]:
    """As it is kept in the attempt's folder: with this the copy is whole."""
    fault_body = ended.node_fault.model_dump(mode="json") if ended.node_fault else None
    return {
        "code": ended.code, "signal": ended.signal, "t": ended.at, "out_of_memory": ended.out_of_memory,
        "node_fault": fault_body,
    }  # fmt: skip


def from_json(found: dict[str, Any]) -> Exit:
    """As it was kept."""
    body = found.get("node_fault")
    fault_body = ErrorBody.model_validate(body) if body else None
    return Exit(found.get("code"), found.get("signal"), found.get("t"), bool(found.get("out_of_memory")), fault_body)


def _code(code: int) -> tuple[int | None, int | None]:
    return (None, code - SIGNALLED) if SIGNALLED < code < SIGNALLED + 65 else (code, None)
