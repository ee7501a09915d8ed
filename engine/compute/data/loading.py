"""From the data settings of a run to examples: read whole, refused whole."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from engine.compute.data.formats import BadRow, Detected, convert, detect_or_none, unknown_form
from engine.compute.data.rows import Example, Record
from engine.compute.data.sources import read_records
from engine.contract.bundled import DATASETS, locate
from engine.contract.data import DataSource
from engine.contract.errors import Problem, Refused, UserError

MAX_PROBLEMS = 50
"""Problems listed; the rest are counted."""


@dataclass(frozen=True)
class Loaded:
    """The examples of one source, and how they were read."""

    examples: list[Example]
    form: Detected
    chosen: bool
    """The form was recognised, not given."""
    rows: int
    """Rows in the file, before a limit."""
    name: str


def load_sources(sources: Sequence[DataSource], seed: int) -> list[Loaded]:
    """Every source; raises Refused with the problems of the first bad one."""
    return [load_source(source, number, seed) for number, source in enumerate(sources)]


def load_source(source: DataSource, number: int = 0, seed: int = 0) -> Loaded:
    """One source, converted; a single bad row refuses it whole."""
    path = locate(source)
    if path is None:
        raise UserError("data.not_here", path=source.path, choices=", ".join(DATASETS))
    form = None if source.format == "auto" else Detected(source.format, "")
    examples, problems, bad = list[Example](), list[Problem](), 0
    tried = 0
    for found in read_records(path):
        if isinstance(found, Record) and form is None:
            form = detect_or_none(found, tried := tried + 1)
        outcome = _converted(found, form, number)
        if isinstance(outcome, Example):
            examples.append(outcome)
        else:
            bad += 1
            problems += [outcome] if len(problems) < MAX_PROBLEMS else []
    if form is None and bad and tried == bad:
        raise UserError("data.unknown_format", **problems[0].params)
    if bad:
        raise Refused("data.refused", problems=problems, count=bad, path=str(path), shown=len(problems))
    if not examples or form is None:
        raise UserError("data.no_rows", path=str(path))
    rows = len(examples)
    return Loaded(_limited(examples, source.limit, seed), form, source.format == "auto", rows, source.path)


def _converted(found: Record | Problem, form: Detected | None, number: int) -> Example | Problem:
    if isinstance(found, Problem):
        return found
    if form is None:
        return unknown_form(found)
    try:
        return convert(found, form.format, number)
    except BadRow as error:
        return error.problem(found.line)


def _limited(examples: list[Example], limit: int | None, seed: int) -> list[Example]:
    """At most `limit` examples, by a seeded choice, in the order of the file."""
    if limit is None or limit >= len(examples):
        return examples
    chosen = sorted(random.Random(seed).sample(range(len(examples)), limit))
    return [examples[index] for index in chosen]
