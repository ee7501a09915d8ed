"""What a doctor's check comes to."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from engine.contract.errors import ErrorBody, UserError
from engine.contract.nodes import CheckState


@dataclass(frozen=True)
class Finding:
    """Green, or what is wrong; `skipped` may say why there was nothing to look at."""

    state: CheckState = "ok"
    facts: dict[str, Any] = field(default_factory=dict)
    error: ErrorBody | None = None


def ok(**facts: Any) -> Finding:
    """Nothing is wrong."""
    return Finding("ok", facts)


def warning(error: UserError, **facts: Any) -> Finding:
    """It works, but not as it should."""
    return Finding("warning", facts, error.body())


def bad(error: UserError, **facts: Any) -> Finding:
    """No run can work there like this."""
    return Finding("bad", facts, error.body())


def skipped(error: UserError | None = None, **facts: Any) -> Finding:
    """There was nothing to look at."""
    return Finding("skipped", facts, error.body() if error else None)
