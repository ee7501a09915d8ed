"""Rows of a feed become a version: read, converted to see that they can be, looked at, repaired, kept as they came."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

from engine.compute.data.checking import Checking
from engine.compute.data.checks.repairs import apply
from engine.compute.data.columns import ColumnFacts
from engine.compute.data.feeds import Feed, Met, Place
from engine.compute.data.formats import BadRow, convert, detect_format
from engine.compute.data.plain import as_text
from engine.compute.data.rows import Example, Record
from engine.compute.data.store.making import Making
from engine.contract.clock import now
from engine.contract.dataset_queries import FormatReason
from engine.contract.datasets import CheckKind, ImportJob, Manifest, RowProblem
from engine.contract.errors import Problem, Refused, UserError

LOOKED_ROWS, LOOKED_FOUND, LOOKED_BYTES = 200, 2_000, 16 << 20
"""The first rows, from which the format is told."""
EXCERPT = 300
LISTED = 20
ENCODING_CODES = frozenset(("data.bad_bytes", "data.bytes_gb18030", "data.zero_byte", "data.half_character"))


class Importer:
    """One import; everything it needs to go on lies in the state that is written with each shard."""

    def __init__(self, job: ImportJob, feed: Feed, making: Making, tell: Callable[[], None]) -> None:
        self.job, self.feed, self.making, self._tell = job, feed, making, tell
        state = making.progress.state
        self.place = Place(*state.get("place", (0, 0)))
        self.reason: dict[str, Any] = state.get("reason", {})
        self.form: str = state.get("format", "")
        self.refused: int = state.get("refused", 0)
        self.dropped: int = state.get("dropped", 0)
        self.characters: int = state.get("characters", 0)
        self.tally: dict[str, int] = state.get("tally", {})
        """Counts of whoever makes the rows, kept with the state."""
        self._checked: bool = state.get("checked", False)
        self._facts: dict[str, Any] = state.get("facts", {})
        self._listed = [Problem.model_validate(entry) for entry in state.get("listed", [])]
        feed.encodings.update({name: tuple(found) for name, found in state.get("encodings", {}).items()})
        self.columns = ColumnFacts(state.get("columns"))
        if not self.form:
            self._choose_format()
        self._checking = Checking(job, self.form, making, state.get("checks", {}))
        self._finishing = False
        if not self._checked:
            self._checking.catch_up(tell)

    @property
    def read(self) -> int:
        """Rows that were read so far, with what was refused."""
        return self.making.rows + self.refused + self.dropped

    def _choose_format(self) -> None:
        """As the order says, else as most of the first rows speak for."""
        if self.job.format != "auto":
            self.form, self.reason = self.job.format, {"code": "inspect.format_given", "params": {}}
            return
        rows, problems = self._first_rows()
        found: list[FormatReason] = detect_format(rows, self.job.mapping) if rows else []
        if found:
            self.form = found[0].format
            self.reason = {"code": found[0].code, "params": found[0].params, "fits": found[0].fits}
        elif rows:
            raise UserError(
                "data.unknown_format", columns=", ".join(str(name)[:40] for name in [*rows[0].content][:12])
            )
        elif problems:
            raise Refused("data.nothing_kept", problems=problems[:LISTED], refused=len(problems))
        else:
            raise UserError("data.no_rows", path=self.job.source.name or self.job.source.place)

    def _first_rows(self) -> tuple[list[Record], list[Problem]]:
        rows, problems = list[Record](), list[Problem]()
        reading = self.feed.rows(Place())
        for met in reading:
            self._tell()
            if isinstance(met.found, Record):
                rows.append(met.found)
            else:
                problems.append(met.found)
            enough = len(rows) >= LOOKED_ROWS or len(rows) + len(problems) >= LOOKED_FOUND
            if enough or (rows and self.feed.done > LOOKED_BYTES):
                break
        reading.close() if hasattr(reading, "close") else None
        self.feed.encodings.clear()
        return rows, problems

    def run(self) -> None:
        """All of it, or until `tell` raises; what was kept by then is cut by `save`."""
        self.read_rows()
        self.check_all()

    def read_rows(self) -> None:
        """Read to the end."""
        for met in self._rows():
            self._take(met)
            if self.making.full:
                self.save()
            self._tell()

    def _rows(self) -> Iterator[Met]:
        limit = self.job.limit
        if limit is None:
            yield from self.feed.rows(self.place)
            return
        if self.read >= limit:
            return
        for met in self.feed.rows(self.place):
            yield met
            if self.read >= limit:
                return

    def save(self) -> None:
        """What came so far is made last."""
        if self._finishing:  # half of what the checks say at the end is of no use: they are asked again
            return
        self.making.cut(
            {
                "place": [self.place.file, self.place.row],
                "format": self.form,
                "reason": self.reason,
                "refused": self.refused,
                "dropped": self.dropped,
                "characters": self.characters,
                "tally": self.tally,
                "checked": self._checked,
                "facts": self._facts,
                "listed": [problem.model_dump() for problem in self._listed],
                "encodings": {name: list(found) for name, found in self.feed.encodings.items()},
                "columns": self.columns.state(),
                "checks": {} if self._checked else self._checking.state(),
            },
            beside=[] if self._checked else self._checking.files,
        )

    def _take(self, met: Met) -> None:
        """One row: kept, refused, or dropped by a repair."""
        if isinstance(met.found, Problem):
            kind: CheckKind = "encoding" if met.found.code in ENCODING_CODES else "malformed"
            self._refuse(kind, met.found, met.file, "")
            return
        content, text = as_text(met.found.content)
        record = Record(met.found.line, content)
        try:
            example = convert(record, self.form, 0, self.job.mapping)
            if self.job.repairs:
                repaired = apply(self.job.repairs, record, example, met.problems)
                if repaired is None:
                    self.dropped += 1
                    return
                if repaired is not record:
                    content, text = as_text(repaired.content)
                    record = Record(met.found.line, content)
                    example = convert(record, self.form, 0, self.job.mapping)
        except BadRow as error:
            self._refuse(error.kind, error.problem(met.found.line), met.file, text)
            return
        self._keep(record, example, text, met.file)

    def _keep(self, record: Record, example: Example, text: str, file: int) -> None:
        number = self.making.rows
        found = self._checking.look(record, example)
        out = next((problem for problem in found if problem.severity == "refused"), None)
        if out is not None:
            self._refuse(
                out.kind, Problem(code=out.code, field=out.column, line=record.line, params=out.params), file, text
            )
            return
        characters = example.characters
        fingerprint = self.making.add(file, record.line, text, min(characters, (1 << 31) - 1)).hex()
        self.characters += characters
        self.columns.add(record.content, number, file, record.line)
        for problem in found:
            excerpt = problem.excerpt or text[:EXCERPT]
            self.making.problem(problem.model_copy(update={"excerpt": excerpt, "hash": fingerprint}), file)

    def _refuse(self, kind: CheckKind, problem: Problem, file: int, text: str) -> None:
        self.refused += 1
        if len(self._listed) < LISTED:
            self._listed.append(problem)
        refused = RowProblem(
            kind=kind,
            severity="refused",
            line=problem.line or 0,
            column=problem.field,
            code=problem.code,
            params=problem.params,
            excerpt=text[:EXCERPT],
        )
        self.making.problem(refused, file)

    def check_all(self) -> None:
        """What only all rows can tell."""
        if self._checked:
            return
        if not self.making.rows:
            if self.refused:
                raise Refused("data.nothing_kept", problems=self._listed, refused=self.refused)
            raise UserError("data.no_rows", path=self.job.source.name or self.job.source.place)
        self.save()
        self._finishing = True
        for problem, file in self._checking.finish():
            self.making.problem(problem, file)
            self._tell()
        self._facts = self._checking.facts()
        self._remark_media()
        self._checked, self._finishing = True, False
        self.save()

    def _remark_media(self) -> None:
        """One remark for each column; what is counted are rows."""
        rows = self.making.counts["not_trained_media"]
        for name, kind, count, (row, file, line) in self.columns.media():
            rows = max(rows, count)
            remark = RowProblem(
                kind="not_trained_media",
                severity="note",
                row=row,
                line=line,
                column=name,
                code="data.not_trained_media",
                params={"column": name, "kind": kind, "rows": count},
            )
            self.making.problem(remark, file)
        if rows:
            self.making.counts["not_trained_media"] = rows

    def manifest(self, code: str, commit: str) -> Manifest:
        """What the version says of itself."""
        source = self.job.source
        parent = source.place if source.kind == "version" else None
        encodings = Counter(encoding for encoding, _ in self.feed.encodings.values())
        return Manifest(
            hash=self.making.fingerprint(self.form, self.job.mapping),
            format=self.form,  # type: ignore[arg-type]
            mapping=self.job.mapping,
            reason=self.reason,
            columns=self.columns.columns(),
            rows=self.making.rows,
            refused=self.refused,
            problems={kind: rows for kind, rows in self.making.counts.items() if rows},
            characters=self.characters,
            turns=self._facts.get("turns") or {},
            languages=self._facts.get("languages") or {},
            encoding=", ".join(name for name, _ in encodings.most_common()),
            files=self.feed.names,
            source=source,
            source_bytes=self.feed.bytes,
            source_commit=commit,
            parent=parent,
            repairs=self.job.repairs,
            code=code,
            created=now(),
            shards=self.making.progress.shards,
        )


def order_key(job: ImportJob, identity: str) -> str:
    """The same while an earlier attempt's rows are still what is wanted."""
    asked = job.model_dump(mode="json", exclude={"dataset"})
    return json.dumps([identity, asked], sort_keys=True)
