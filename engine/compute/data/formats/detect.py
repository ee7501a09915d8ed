"""Which format the rows of a dataset have: the one most of its first rows speak for, and those that fit as well."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain

from engine.compute.data.formats.base import PARTS_BY_NAME, BadRow, Content, named
from engine.compute.data.formats.convert import AS_USUAL, convert
from engine.compute.data.formats.rules import MOST_TELLING, Guess, guesses
from engine.compute.data.rows import Record
from engine.contract.data_format import FORMATS, Mapping
from engine.contract.dataset_queries import FormatReason
from engine.contract.errors import Problem, UserError

MAX_TRIED = 100
"""So many first rows decide; if none of them has a known form, the file has none."""


@dataclass(frozen=True)
class Detected:
    """A form, and which columns gave it away."""

    format: str
    column: str


def detect_format(rows: Sequence[Record], mapping: Mapping = AS_USUAL) -> list[FormatReason]:
    """The formats these rows may have, best first; none where their columns say nothing.

    The first is what most rows speak for; a mapping narrows the choice to formats with the parts it names. `fits` is
    the share of the rows that can be read so.
    """
    first, known = Counter[str](), dict[str, Guess]()
    for record in rows:
        found = _allowed(record.content, mapping)
        first.update(guess.format for guess in found[:1])
        for guess in found:
            known.setdefault(guess.format, guess)
    fits = {form: _share(rows, form, mapping) for form in known}
    order = sorted(known, key=lambda form: (-first[form], -fits[form], MOST_TELLING.index(form)))
    return [
        FormatReason(format=form, code=known[form].code, params=known[form].params, fits=fits[form])
        for number, form in enumerate(order)
        if number == 0 or fits[form] > 0
    ]


def _allowed(content: Content, mapping: Mapping) -> list[Guess]:
    """What a row may be, with formats the mapping speaks for before all others."""
    found = guesses(content, mapping)
    if not mapping.columns:
        return found
    wanted = set(mapping.columns)
    fitting = [form for form in FORMATS if wanted <= set(PARTS_BY_NAME[form])]
    columns = ", ".join(mapping.columns.values())
    seen = [
        replace(guess, code="format.mapped", params={"columns": columns}) for guess in found if guess.format in fitting
    ]
    if not seen and fitting and all(column in content for column in mapping.columns.values()):
        form = max(fitting, key=lambda form: _required(form, wanted))
        seen = [Guess(form, "format.mapped", next(iter(mapping.columns.values())), {"columns": columns})]
    return seen or found


def _required(form: str, wanted: set[str]) -> tuple[int, int]:
    """How well the parts that are named make up a format: required ones that are missing count most."""
    parts = PARTS_BY_NAME[form]
    missing = sum(1 for part in parts.values() if part.required and part.name not in wanted)
    return -missing, -len(parts)


def _share(rows: Sequence[Record], form: str, mapping: Mapping) -> float:
    return round(sum(1 for record in rows if _fits(record, form, mapping)) / max(1, len(rows)), 4)


def _fits(record: Record, form: str, mapping: Mapping) -> bool:
    try:
        convert(record, form, mapping=mapping)
    except BadRow:
        return False
    return True


def detect(content: Content, mapping: Mapping = AS_USUAL) -> Detected:
    """The form of one row, from its columns."""
    found = _allowed(content, mapping)
    if not found:
        raise UserError("data.unknown_format", columns=named(content))
    return Detected(found[0].format, found[0].column)


def detect_first(
    found: Iterable[Record | Problem], mapping: Mapping = AS_USUAL
) -> tuple[Detected | None, Iterator[Record | Problem]]:
    """The form that the first rows speak for, and all of what was found; None where too few rows say anything."""
    rest, head, records = iter(found), list[Record | Problem](), list[Record]()
    for item in rest:
        head.append(item)
        records += [item] if isinstance(item, Record) else []
        if len(records) == MAX_TRIED or len(head) == 10 * MAX_TRIED:
            break
    reasons = detect_format(records, mapping)
    if reasons:
        best = reasons[0]
        column = next(
            guess.column for row in records for guess in _allowed(row.content, mapping) if guess.format == best.format
        )
        return Detected(best.format, column), chain(head, rest)
    if records and (len(records) == MAX_TRIED or len(records) == len(head)):
        raise UserError("data.unknown_format", columns=named(records[0].content))
    return None, chain(head, rest)


def unknown_form(record: Record) -> Problem:
    """A row whose columns say nothing."""
    return Problem(code="data.unknown_format", line=record.line, params={"columns": named(record.content)})
