"""The first rows of a dataset as a person reads them, its form, its size, and what is wrong with it."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from engine.compute.data.formats import BadRow, Detected, convert, detect_first, unknown_form
from engine.compute.data.rows import Example, Record
from engine.compute.data.sources import read_records
from engine.contract.errors import Problem, UserError

MAX_PROBLEMS = 100
COUNTING_SECONDS = 4.0
MAX_TEXT = 2_000
"""Longest text of a turn that is shown."""


@dataclass
class _Look:
    """What was seen so far."""

    form: Detected | None
    wanted: int
    rows: int = 0
    bad: int = 0
    columns: list[str] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    shown: list[list[dict[str, str]]] = field(default_factory=list)

    def add(self, found: Record | Problem) -> None:
        """Take in the next row."""
        self.rows += 1
        if isinstance(found, Record):
            self._convert(found)
        else:
            self._refuse(found)

    def _convert(self, record: Record) -> None:
        if self.form is None:
            self._refuse(unknown_form(record))
            return
        self.columns = self.columns or [str(name) for name in record.content]
        try:
            example = convert(record, self.form.format)
        except BadRow as error:
            self._refuse(error.problem(record.line))
            return
        if len(self.shown) < self.wanted:
            self.shown.append(turns_of(example))

    def _refuse(self, problem: Problem) -> None:
        self.bad += 1
        if len(self.problems) < MAX_PROBLEMS:
            self.problems.append(problem)


def preview(path: Path, form: str, rows: int, seconds: float = COUNTING_SECONDS) -> dict[str, Any]:
    """Look through a dataset for a few seconds."""
    given = form != "auto"
    look = _Look(Detected(form, "") if given else None, rows)
    until, complete = time.monotonic() + seconds, True
    rows_found: Iterable[Record | Problem] = read_records(path)
    if not given:
        look.form, rows_found = detect_first(rows_found)
    for found in rows_found:
        look.add(found)
        if look.rows % 256 == 0 and time.monotonic() > until:
            complete = False
            break
    if not look.rows:
        raise UserError("data.no_rows", path=str(path))
    column = look.form.column if look.form else ""
    reason = {"code": "inspect.format_given" if given else "inspect.format_by_column", "params": {"column": column}}
    return {
        "format": look.form.format if look.form else "",
        "reason": reason if look.form else "",
        "columns": look.columns,
        "rows": look.rows,
        "complete": complete,
        "preview": look.shown,
        "bad_rows": look.bad,
        "problems": [problem.model_dump() for problem in look.problems],
    }


def turns_of(example: Example) -> list[dict[str, str]]:
    """A row as roles and texts."""
    if not example.turns:
        return [{"role": "text", "text": example.text[:MAX_TEXT]}]
    return [{"role": turn["role"], "text": turn["content"][:MAX_TEXT]} for turn in example.turns]
