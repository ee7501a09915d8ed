"""The checks of an import, so that another attempt goes on with what they have seen.

What they know grows with the rows, so it lies in a file of its own, which is not written with every shard but when the
rows have doubled; the rows that came after are looked at again, from the shards, which is the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from engine.compute.data.checks import Checker
from engine.compute.data.formats import convert
from engine.compute.data.rows import Example, Record
from engine.compute.data.store.making import Making
from engine.compute.data.store.state_file import read_state, write_state
from engine.contract.datasets import ImportJob, RowProblem

SAVED_ROWS = 200_000
"""Up to so many rows it is written with every shard."""
STATE_FILE = "checks-{rows:012d}.state"


class Checking:
    """A checker and what was last written of it."""

    def __init__(self, job: ImportJob, form: str, making: Making, state: dict[str, Any]) -> None:
        self._job, self._form, self._making = job, form, making
        self._checker = Checker(form, job.mapping, job.checks)
        self._saved: dict[str, Any] = state
        self._files: list[int] = []

    def catch_up(self, tell: Callable[[], None]) -> None:
        """Know what the attempts before knew."""
        begin = 0
        if self._saved:
            try:
                known = read_state(self._making.folder / str(self._saved["file"]), self._saved["sha256"])
            except (OSError, ValueError):
                self._saved = {}  # all rows are looked at again
            else:
                self._checker.restore(known)
                begin = self._saved["rows"]
        for number, (_, record) in enumerate(self._making.rows_kept(begin), begin):
            self._checker.look(number, record, convert(record, self._form, 0, self._job.mapping))
            tell()

    def look(self, record: Record, example: Example) -> list[RowProblem]:
        """What is wrong with the next row."""
        return self._checker.look(self._making.rows, record, example)

    def state(self) -> dict[str, Any]:
        """As it is written with a shard: where it lies."""
        rows = self._making.rows
        saved = self._saved.get("rows")
        if saved is None or (rows != saved and rows <= SAVED_ROWS) or rows >= 2 * saved:
            name = STATE_FILE.format(rows=rows)
            digest = write_state(self._making.folder / name, self._checker.state())
            self._saved = {"rows": rows, "file": name, "sha256": digest}
        return self._saved

    @property
    def files(self) -> list[str]:
        """Those that the state names."""
        return [self._saved["file"]] if self._saved else []

    def finish(self) -> Iterator[tuple[RowProblem, int]]:
        """What only all rows can tell, and the file of each; all rows must lie in shards by now."""
        for problem in self._checker.finish():
            if problem.row is None:
                yield problem, -1
                continue
            file, fingerprint, excerpt = self._making.kept(problem.row)
            more = {"hash": fingerprint.hex(), "excerpt": problem.excerpt or excerpt}
            yield problem.model_copy(update=more), file

    def facts(self) -> dict[str, Any]:
        """Turns and languages."""
        return dict(self._checker.facts())
