"""What a file, folder, archive or version holds, from its first rows: in under a second whatever its size."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from engine.compute.data.checks import Checker, refused
from engine.compute.data.columns import ColumnFacts
from engine.compute.data.formats import BadRow, Columns, convert, detect_format
from engine.compute.data.formats.base import PARTS_BY_NAME
from engine.compute.data.formats.roles import keys_of
from engine.compute.data.formats.values import unpacked
from engine.compute.data.place import Place, look_at_place
from engine.compute.data.rows import Example, Record
from engine.compute.data.shown import shown_row
from engine.compute.data.sources import read_records
from engine.contract.bundled import DATASETS, locate
from engine.contract.data import DataSource
from engine.contract.data_format import Mapping
from engine.contract.dataset_queries import FormatReason, InspectData, Inspection, ShownRow
from engine.contract.datasets import MANIFEST, CheckOptions, RowProblem
from engine.contract.errors import Problem, UserError

LOOKED_ROWS = 200
"""So many rows are looked at, or as many as are shown."""
COUNTED_BYTES = 8 << 20
"""Rows of a smaller file are counted, if the time is enough."""
MAX_PROBLEMS = 200
QUICK = CheckOptions(languages=False)
"""Telling languages takes a second to begin with."""


@dataclass
class _Head:
    """The first rows, and what came of reading on."""

    records: list[Record] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    rows: int = 0
    ended: bool = False
    """All of it was read."""
    broken: UserError | None = None
    """Reading came to an end before the end."""

    @property
    def looked_at(self) -> int:
        """Rows whose content was looked at, with those that are none."""
        return len(self.records) + len(self.problems)


def inspect(asked: InspectData) -> Inspection:
    """Look at a place."""
    until = time.monotonic() + asked.seconds
    path = locate(asked.source)
    if path is None:
        raise UserError("data.not_here", path=asked.source.path, choices=", ".join(DATASETS))
    head = _read(path, asked, until)
    if not head.looked_at:
        raise head.broken or UserError("data.no_rows", path=str(path))
    place = look_at_place(path, asked.encoding)
    source = _as_imported(path, asked.source)
    reasons = detect_format(head.records, source.mapping) if head.records else []
    chosen, others = _chosen(head.records, source, reasons, path)
    found = Inspection(
        kind=place.kind, compression=place.compression, encoding=place.encoding,
        encoding_reason=place.encoding_reason, files=place.files, bytes=place.bytes, looked_at=head.looked_at,
        chosen=chosen, others=others, mapping=source.mapping,
    )  # fmt: skip
    _count(found, place, head)
    _look(found, head, asked.rows)
    return found


def _read(path: Path, asked: InspectData, until: float) -> _Head:
    """The first rows; a small file is read on to its end, so that its rows are counted."""
    head, wanted = _Head(), max(LOOKED_ROWS, asked.rows)
    small = path.is_file() and path.stat().st_size <= COUNTED_BYTES
    rows: Iterator[Record | Problem] = read_records(path, asked.encoding, hurry=asked.seconds)
    try:
        for found in rows:
            head.rows += 1
            if head.looked_at < wanted:
                if isinstance(found, Record):
                    head.records.append(found)
                else:
                    head.problems.append(found)
            elif not small:
                return head
            if head.rows % 16 == 0 and time.monotonic() > until:
                return head
    except UserError as error:
        head.broken = error
    head.ended = head.broken is None
    return head


def _as_imported(path: Path, source: DataSource) -> DataSource:
    """A version's own format and columns, unless the request names others."""
    if not (path / MANIFEST).is_file():
        return source
    from engine.compute.data.store import open_version

    manifest = open_version(path).manifest
    plain = source.mapping == Mapping()
    return source.model_copy(
        update={
            "format": manifest.format if source.format == "auto" else source.format,
            "mapping": manifest.mapping if plain else source.mapping,
        }
    )


def _chosen(
    records: list[Record], source: DataSource, reasons: list[FormatReason], path: Path
) -> tuple[FormatReason | None, list[FormatReason]]:
    """The format taken and the runners-up; one that is named is taken whatever the rows say."""
    if source.format == "auto":
        return (reasons[0], reasons[1:]) if reasons else (None, [])
    code = "format.of_version" if (path / MANIFEST).is_file() else "format.given"
    known = next((reason.fits for reason in reasons if reason.format == source.format), None)
    fits = _fits(records, source) if known is None else known
    others = [reason for reason in reasons if reason.format != source.format]
    return FormatReason(format=source.format, code=code, fits=fits), others


def _fits(records: list[Record], source: DataSource) -> float:
    good = 0
    for record in records:
        try:
            convert(record, source.format, mapping=source.mapping)
        except BadRow:
            continue
        good += 1
    return round(good / max(1, len(records)), 4)


def _count(found: Inspection, place: Place, head: _Head) -> None:
    """Rows exactly where they are known, else by the bytes of the first."""
    if place.rows is not None:
        found.rows = place.rows
    elif head.ended:
        found.rows = head.rows
    elif place.bytes_a_row:
        found.rows_estimated = max(head.rows, round(place.bytes / place.bytes_a_row))
    elif head.records and place.kind == "json":
        size = sum(len(str(record.content).encode(errors="replace")) for record in head.records) / len(head.records)
        found.rows_estimated = max(head.rows, round(place.bytes / max(1.0, size)))


def _look(found: Inspection, head: _Head, wanted: int) -> None:
    """Columns, shown rows and problems."""
    facts = ColumnFacts()
    for number, record in enumerate(head.records):
        facts.add(record.content, number, 0, record.line)
    found.columns = facts.columns()
    problems = [refused(problem) for problem in head.problems] + _media(facts)
    if found.chosen is None:
        problems += [_unknown(record) for record in head.records]
    else:
        problems += _examples(found, head.records, found.chosen.format, wanted)
        found.mapping = found_mapping(head.records, found.chosen.format, found.mapping)
    if head.broken is not None:
        problems.append(RowProblem(kind="malformed", severity="refused", line=0, code=head.broken.code,
                                   params=head.broken.body().params))  # fmt: skip
    problems.sort(key=lambda problem: (problem.line, problem.code))
    found.refused = sum(problem.severity == "refused" for problem in problems)
    found.problems = problems[:MAX_PROBLEMS]


def _media(facts: ColumnFacts) -> list[RowProblem]:
    """Columns no stage of this version learns from, each once."""
    return [
        RowProblem(
            kind="not_trained_media", severity="note", row=row, line=line, column=name, code="data.not_trained_media",
            params={"column": name, "kind": kind, "rows": rows},
        )
        for name, kind, rows, (row, _, line) in facts.media()
    ]  # fmt: skip


def _unknown(record: Record) -> RowProblem:
    columns = ", ".join(str(name)[:40] for name in list(record.content)[:12])
    return refused(BadRow("data.unknown_format", columns=columns), record.line, record.content)


def _examples(found: Inspection, records: list[Record], form: str, wanted: int) -> list[RowProblem]:
    """Rows as they will be read; how they are shown goes into `found`."""
    checker, problems, kept = Checker(form, found.mapping, QUICK), list[RowProblem](), 0
    shown = list[ShownRow]()
    for number, record in enumerate(records):
        try:
            example: Example = convert(record, form, mapping=found.mapping)
        except BadRow as error:
            problems.append(refused(error, record.line, record.content))
            continue
        problems += checker.look(kept, record, example)
        kept += 1
        if len(shown) < wanted:
            shown.append(shown_row(number, record, example, found.mapping))
    found.shown = shown
    return [*problems, *checker.finish()]


def found_mapping(records: list[Record], form: str, mapping: Mapping) -> Mapping:
    """What each part is taken from in most rows, with what the mapping names."""
    columns = dict[str, str]()
    for part in PARTS_BY_NAME[form]:
        names = Counter(name for row in records if (name := Columns(row.content, form, mapping).name(part)))
        names = Counter({name: count for name, count in names.items() if any(name in row.content for row in records)})
        if names:
            columns[part] = names.most_common(1)[0][0]
    keys = Counter[tuple[str, str]]()
    for record in records:
        value = unpacked(record.content.get(columns.get("messages", "")))
        if isinstance(value, list) and value and isinstance(value[0], dict):
            keys[keys_of(value, mapping)] += 1
    role, content = keys.most_common(1)[0][0] if keys else ("", "")
    return mapping.model_copy(
        update={
            "columns": {**columns, **mapping.columns},
            "role_key": mapping.role_key or role or None,
            "content_key": mapping.content_key or content or None,
        }
    )
