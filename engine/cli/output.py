"""How commands print: tables and sentences for people, one JSON document for programs."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel

from engine.contract.api import ScoreInfo
from engine.contract.errors import UserError


def print_json(content: Any) -> None:
    """One document on standard output."""
    if isinstance(content, BaseModel):
        content = content.model_dump(mode="json")
    print(json.dumps(content, ensure_ascii=False, indent=2))


def print_error(error: UserError, as_json: bool) -> None:
    """For people on standard error; for programs where they read the answer."""
    if as_json:
        body = error.body().model_dump(mode="json")
        for plain, problem in zip(body["problems"], error.problems, strict=True):
            plain |= {"reason": problem.reason, "fix": problem.fix}
        print_json({"error": body})
    else:
        print(error.text, file=sys.stderr)


def say(text: str) -> None:
    """Progress, apart from the answer."""
    print(text, file=sys.stderr, flush=True)


def share_of(score: ScoreInfo) -> str:
    """Of how many rows a score is, and how many of them are right where that is what it says."""
    return f"{score.correct} of {score.rows}" if score.correct is not None else f"{score.rows} rows"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns as wide as they need to be."""
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    lines = [[*head], *rows]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
    )


def number(value: float | None, digits: int = 4) -> str:
    """A number, or a dash."""
    return "–" if value is None else f"{value:.{digits}g}"


def moment(seconds: float | None) -> str:
    """A point in time on the local clock."""
    return "–" if seconds is None else time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds))


def span(seconds: float | None) -> str:
    """A duration."""
    if seconds is None:
        return "–"
    seconds = max(0.0, seconds)  # the clock may have been set back between two starts
    whole = round(seconds)
    if whole < 60:
        return f"{seconds:.1f} s"
    hours, rest = divmod(whole, 3600)
    return f"{hours} h {rest // 60:02} min" if hours else f"{rest // 60} min {rest % 60:02} s"
