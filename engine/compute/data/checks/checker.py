"""All checks over the rows of a dataset: what each row shows at once, and what only all of them can show."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from engine.compute.data.checks.duplicates import Digests
from engine.compute.data.checks.held_out import HeldOut
from engine.compute.data.checks.languages import Languages
from engine.compute.data.checks.lengths import Lengths
from engine.compute.data.checks.near import MOST_ROWS, Sketches, alike
from engine.compute.data.checks.private import look_for_private
from engine.compute.data.checks.repairs import fingerprint
from engine.compute.data.checks.row import CheckedRow
from engine.compute.data.checks.shape import look_at_answers, look_at_media, look_at_roles
from engine.compute.data.checks.texts import look_at_controls, look_at_encoding, look_at_repetition
from engine.compute.data.rows import Example, Record
from engine.contract.data_format import Mapping
from engine.contract.datasets import CheckKind, CheckOptions, RowProblem, Severity

MOST_CLASSES = 1_000
"""Classifications with more are regressions or free texts; their balance means nothing."""
UNBALANCED, LEAST_LABELLED = 10, 50
STATE = 1


class Checker:
    """Looks at every row that is kept; memory grows by 25 bytes a row, by 153 where near duplicates are looked for.

    `earlier` are fingerprints of rows none of these may be among; they are used where the versions that the options
    name are not here (`folders`, or those of the home) to be read themselves.
    """

    def __init__(
        self, form: str, mapping: Mapping, options: CheckOptions, earlier: Sequence[bytes] = (),
        folders: Sequence[Path] | None = None,
    ) -> None:  # fmt: skip
        self.form, self.mapping, self.options = form, mapping, options
        self._held_out = HeldOut(options, earlier, folders)
        self._lengths = Lengths(options)
        self._digests = Digests()
        self._lines = bytearray()
        self._sketches = Sketches() if options.near_duplicates or self._held_out.near else None
        self._languages = Languages() if options.languages else None
        self._turns = Counter[str]()
        self._labels = dict[str, list[int]]()
        """Label to how many rows have it, and the first of them."""

    def look(self, row_number: int, record: Record, example: Example) -> list[RowProblem]:
        """What is remarked on the next row. Rows come in their order, each once."""
        row = CheckedRow.of(row_number, record, example)
        self._gather(row)
        look_at_roles(row)
        look_at_answers(row)
        look_at_media(row)
        look_at_controls(row)
        look_at_encoding(row)
        look_at_repetition(row)
        self._lengths.look(row)
        if self.options.private:
            look_for_private(row)
        return row.problems

    def _gather(self, row: CheckedRow) -> None:
        held_out = self._held_out.fingerprints
        if held_out and bytes.fromhex(fingerprint(row.record)) in held_out:
            row.remark("leak", "checks.leak_same")
        digest = row.digest
        self._digests.add(digest)
        self._lines += row.record.line.to_bytes(8, "little", signed=True)
        if self._sketches is not None:
            self._sketches.add(row.body)
        if self._languages is not None:
            self._languages.look(row.body, digest)
        for turn in (*row.example.turns, *row.example.chosen):
            self._turns[turn["role"]] += 1
        if row.example.label is not None and row.example.teaches in ("verdict", "class"):
            self._count_label(row)

    def _count_label(self, row: CheckedRow) -> None:
        label = row.example.label
        for name in {str(item) for item in (label if isinstance(label, list) else [label])}:
            if name in self._labels:
                self._labels[name][0] += 1
            elif len(self._labels) <= MOST_CLASSES:
                self._labels[name] = [1, row.number]

    def finish(self) -> Iterator[RowProblem]:
        """What needs all rows, one by one: there may be as many as rows."""
        repeated = set[int]()
        for row, first in self._digests.repeated():
            repeated.add(row)
            yield self._problem(row, "duplicate", "checks.duplicate", first=first + 1, line_of_first=self._line(first))
        leaked = set[int]()
        for row, place, version in self._held_out.same(self._digests):
            if row not in leaked:
                leaked.add(row)
                yield self._problem(row, "leak", "checks.leak", other=place + 1, version=version)
        if self._sketches is not None:
            yield from self._near(repeated, leaked)
        if self._languages is not None:
            for row, code, main in self._languages.others():
                yield self._problem(row, "other_language", "checks.other_language", "note", language=code, main=main)
        yield from self._unbalanced()

    def _near(self, repeated: set[int], leaked: set[int]) -> Iterator[RowProblem]:
        assert self._sketches is not None
        matrix = self._sketches.matrix()
        for row, place, version, share in self._held_out.like(matrix):
            if row not in leaked:
                yield self._problem(row, "leak", "checks.near_leak", other=place + 1, version=version, share=share)
        if self.options.near_duplicates:
            for row, first, share in alike(matrix[:0], matrix, self.options.near_duplicates):
                if row not in repeated:
                    yield self._problem(row, "near_duplicate", "checks.near_duplicate", first=first + 1,
                                        line_of_first=self._line(first), share=share)  # fmt: skip

    def _unbalanced(self) -> Iterator[RowProblem]:
        counts = {name: count for name, (count, _) in self._labels.items()}
        total = sum(counts.values())
        if len(counts) > MOST_CLASSES or total < LEAST_LABELLED or len(counts) > total / 5:
            return
        if self.form == "kto" and len(counts) == 1:
            only = next(iter(counts))
            yield self._problem(self._labels[only][1], "unbalanced", "checks.one_label", label=only, rows=total)
            return
        most, least = max(counts, key=lambda name: counts[name]), min(counts, key=lambda name: counts[name])
        if counts[most] >= UNBALANCED * counts[least]:
            yield self._problem(
                self._labels[least][1], "unbalanced", "checks.unbalanced", "note", most=most, most_rows=counts[most],
                least=least, least_rows=counts[least],
            )  # fmt: skip

    def _problem(
        self, row: int, kind: CheckKind, code: str, severity: Severity = "warning", **params: Any
    ) -> RowProblem:
        return RowProblem(kind=kind, severity=severity, row=row, line=self._line(row), code=code, params=params)

    def _line(self, row: int) -> int:
        return int.from_bytes(self._lines[8 * row : 8 * row + 8], "little", signed=True)

    def facts(self) -> dict[str, Any]:
        """Turns by role, languages by share, and what could not be looked at whole."""
        return {
            "turns": dict(self._turns),
            "languages": self._languages.shares() if self._languages else {},
            "tokens_counted": self._lengths.in_tokens,
            "compared_rows": min(len(self._digests), MOST_ROWS) if self._sketches is not None else 0,
        }

    def state(self) -> dict[str, Any]:
        """All it knows, so that another attempt goes on: JSON values and bytes, lent and not copied."""
        return {
            "v": STATE,
            "digests": self._digests.state(),
            "lines": self._lines,
            "sketches": self._sketches.state() if self._sketches is not None else None,
            "languages": self._languages.state() if self._languages else None,
            "turns": dict(self._turns),
            "labels": self._labels,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from what another attempt knew."""
        self._digests.restore(state["digests"])
        self._lines = bytearray(state["lines"])
        if self._sketches is not None and state["sketches"]:
            self._sketches.restore(state["sketches"])
        if self._languages is not None and state["languages"]:
            self._languages.restore(state["languages"])
        self._turns = Counter(state["turns"])
        self._labels = {name: list(entry) for name, entry in state["labels"].items()}
