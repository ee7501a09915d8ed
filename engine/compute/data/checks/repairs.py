"""What repairs do to a row: a pure function of the row and of what was found in it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from engine.compute.data.checks.texts import CONTROL, looks_misread
from engine.compute.data.plain import as_text, row_hash
from engine.compute.data.rows import Example, Record
from engine.contract.datasets import Repair, RowProblem

NOT_TEXTS = frozenset(("tools", "functions", "tool_calls", "function_call", "role", "from"))
"""Keys whose values no repair touches: schemas, calls and names of roles mean what they say to the letter."""


def apply(repairs: Sequence[Repair], record: Record, example: Example, problems: Sequence[RowProblem]) -> Record | None:
    """The row as it is afterwards, the same one where nothing changed; None where it is dropped."""
    del example
    kept: Record = record
    for repair in repairs:
        if drops(repair, record, problems):
            return None
        change = CHANGES.get(repair.kind)
        if change is not None and _meant(repair, problems):
            content = _changed(kept.content, change)
            kept = kept if content is kept.content else Record(kept.line, content)
    return kept


def drops(repair: Repair, record: Record, problems: Sequence[RowProblem]) -> bool:
    """Whether a repair takes the row out. Fingerprints are of the row as it came."""
    if repair.kind == "drop":
        return any(problem.kind in repair.problems for problem in problems)
    if repair.kind == "deduplicate":
        return any(_repeated(problem, repair.near) for problem in problems)
    if repair.kind == "exclude":
        return fingerprint(record) in repair.named
    if repair.kind == "keep":
        return fingerprint(record) not in repair.named
    return False


def _repeated(problem: RowProblem, near: float | None) -> bool:
    if problem.kind == "duplicate":
        return True
    return problem.kind == "near_duplicate" and near is not None and float(problem.params.get("share", 0)) >= near


def _meant(repair: Repair, problems: Sequence[RowProblem]) -> bool:
    """A repair that names problems changes only rows that have one of them."""
    return not repair.problems or any(problem.kind in repair.problems for problem in problems)


def fingerprint(record: Record) -> str:
    """The fingerprint a version keeps of a row."""
    return row_hash(as_text(record.content)[1]).hex()


def _changed(value: Any, change: Callable[[str], str]) -> Any:
    """A value with every text in it changed; the very same where no text was."""
    if isinstance(value, str):
        made = change(value)
        return value if made == value else made
    if isinstance(value, dict):
        inner = {name: item if name in NOT_TEXTS else _changed(item, change) for name, item in value.items()}
        return inner if any(inner[name] is not item for name, item in value.items()) else value
    if isinstance(value, list):
        items = [_changed(item, change) for item in value]
        return items if any(new is not old for new, old in zip(items, value, strict=True)) else value
    return value


def clean(text: str) -> str:
    """Without control characters, and with characters put right that were read in the wrong encoding."""
    text = CONTROL.sub("", text)
    if looks_misread(text):
        from ftfy import fix_encoding
        from ftfy.badness import is_bad

        if is_bad(text):
            return str(fix_encoding(text))
    return text


CHANGES: dict[str, Callable[[str], str]] = {"trim": str.strip, "clean": clean}
