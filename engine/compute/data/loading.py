"""From the data settings of a run to rows: a plain file is read whole, a version when rows are wanted."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from engine.compute.data.formats import BadRow, Detected, convert, detect_first, unknown_form
from engine.compute.data.row_set import HeldRows, RowSet, StoredRows, digests_of
from engine.compute.data.rows import Example, Record
from engine.compute.data.sources import read_records
from engine.compute.data.store import Version, is_version, open_version
from engine.contract.bundled import DATASETS, locate
from engine.contract.data import DataSource
from engine.contract.data_format import Mapping
from engine.contract.errors import Problem, Refused, UserError

MAX_PROBLEMS = 50
"""Problems listed; the rest are counted."""
Rows = TypeVar("Rows", bound=RowSet)


@dataclass(frozen=True)
class Loaded:
    """The rows of one source, and how they were read."""

    content: RowSet
    form: Detected
    chosen: bool
    """The form was recognised, not given."""
    rows: int
    """Rows in the file, before a limit."""
    name: str
    media: int = 0
    """Rows with images, audio or videos, of which only the text is learned."""
    version: Version | None = None
    """Of the library."""

    @property
    def examples(self) -> list[Example]:
        """All of its rows, in memory."""
        return self.content.all()


def load_sources(sources: Sequence[DataSource], seed: int, group: str | None = None) -> list[Loaded]:
    """Every source; raises Refused with the problems of the first bad one. `group`: the column rows are kept by."""
    return [load_source(source, number, seed, group) for number, source in enumerate(sources)]


def load_source(source: DataSource, number: int = 0, seed: int = 0, group: str | None = None) -> Loaded:
    """One source: a version of the library stays where it is, a plain file is read whole and refused whole."""
    path = locate(source)
    if path is None:
        raise UserError("data.not_here", path=source.path, choices=", ".join(DATASETS))
    if source.hub == "library" or is_version(path):
        return load_version(source, path, number, seed, group)
    rows, form = _begun(source, path)
    examples, values, problems = list[Example](), list[Any](), Problems(path)
    for found in rows:
        outcome = _converted(found, form, number, source.mapping)
        if isinstance(outcome, Example):
            examples.append(outcome)
            if group is not None and isinstance(found, Record):
                values.append(problems.group_of(found, group))
        else:
            problems.add(outcome)
    problems.refuse()
    if not examples or form is None:
        raise UserError("data.no_rows", path=str(path))
    media = sum(1 for example in examples if example.media)
    content = HeldRows(examples, digests_of(values, len(values)) if group is not None else None)
    return Loaded(
        _limited(content, source.limit, seed), form, source.format == "auto", len(examples), source.path, media
    )


def load_version(source: DataSource, folder: Path, number: int, seed: int, group: str | None) -> Loaded:
    """A version of the library: its rows were checked when it was made, unless the run reads them in another way."""
    if not is_version(folder):
        name, wanted = source.path, source.version or folder.name
        raise UserError("data.version_gone", name=name, version=wanted[:12], path=str(folder))
    version = open_version(folder)
    manifest = version.manifest
    form = manifest.format if source.format == "auto" else source.format
    mapping = manifest.mapping if source.mapping == Mapping() else source.mapping
    if not len(version):
        raise UserError("data.no_rows", path=source.path)
    problems = Problems(folder)
    if (form, mapping) != (manifest.format, manifest.mapping):
        for record in version.records():
            problems.look(_converted(record, Detected(form, ""), number, mapping))
        problems.refuse()
    content = StoredRows(version, form, mapping, number)
    if group is not None:
        content = content.with_groups(
            digests_of((problems.group_of(record, group) for record in version.records()), len(version))
        )
        problems.refuse()
    version.let_go()
    media = manifest.problems.get("not_trained_media", 0)
    kept = _limited(content, source.limit, seed)
    return Loaded(kept, Detected(form, ""), False, len(version), source.path, media, version)


class Problems:
    """What is wrong with the rows of a source: some of it, and how much in all."""

    def __init__(self, path: Path) -> None:
        self._path, self._found, self._count = path, list[Problem](), 0

    def add(self, problem: Problem) -> None:
        """One more."""
        self._count += 1
        if len(self._found) < MAX_PROBLEMS:
            self._found.append(problem)

    def look(self, outcome: Example | Problem) -> None:
        """One more, if it is one."""
        if isinstance(outcome, Problem):
            self.add(outcome)

    def group_of(self, record: Record, column: str) -> Any:
        """What stands in the column rows are kept together by."""
        value = record.content.get(column)
        if value is None or value == "":
            self.add(Problem(code="data.group_missing", field=column, line=record.line, params={"column": column}))
        return value if isinstance(value, str) else json.dumps(value, sort_keys=True, default=str)

    def refuse(self) -> None:
        """Go no further if there are any."""
        if self._count:
            count, shown = self._count, len(self._found)
            raise Refused("data.refused", problems=self._found, count=count, path=str(self._path), shown=shown)


def _begun(source: DataSource, path: Path) -> tuple[Iterable[Record | Problem], Detected | None]:
    """The rows, and how they are read: as the settings say, else as the first of them are."""
    found = read_records(path)
    if source.format != "auto":
        return found, Detected(source.format, "")
    form, rows = detect_first(found, source.mapping)
    return rows, form


def _converted(found: Record | Problem, form: Detected | None, number: int, mapping: Mapping) -> Example | Problem:
    if isinstance(found, Problem):
        return found
    if form is None:
        return unknown_form(found)
    try:
        return convert(found, form.format, number, mapping)
    except BadRow as error:
        return error.problem(found.line)


def _limited(rows: Rows, limit: int | None, seed: int) -> Rows:
    """At most `limit` rows, by a seeded choice, in the order of the file."""
    if limit is None or limit >= len(rows):
        return rows
    chosen = random.Random(seed).sample(range(len(rows)), limit)
    return rows.take(np.sort(np.array(chosen, dtype=np.int64)))
