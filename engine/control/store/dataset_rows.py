"""Pages of a version: rows, rows that hold a text or have a problem, problems. Bounded in time and in bytes."""

from __future__ import annotations

import json
import threading
import time
from collections import OrderedDict
from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from engine.contract.csv_cells import harmless
from engine.contract.datasets import ProblemPage, RowPage, RowProblem, RowView
from engine.contract.errors import render
from engine.contract.messages import MESSAGES
from engine.control.store.dataset_folder import Folder, damaged_is_said

SHOWN_CHARACTERS = 8_000
"""Of a row in a list; one that is asked for alone is shown whole, up to the next."""
MOST_CHARACTERS = 4_000_000
SEARCH_S = 1.5
SEARCHES = 16
_COLUMNS = ["file", "line", "hash", "content"]
CSV_HEAD = ("kind", "severity", "file", "line", "row", "column", "what", "fix", "excerpt")


class Search:
    """The rows of a version that hold a text; goes on where the last look broke off."""

    def __init__(self, folder: Folder, text: str) -> None:
        self.folder = folder
        self.text = text
        self.found: list[int] = []
        self.complete = folder.batches == 0
        self._next = 0
        self._lock = threading.Lock()

    def look(self, enough: int, seconds: float = SEARCH_S) -> None:
        """Search on until all is searched, or time is up; never less than one piece."""
        until = time.monotonic() + seconds
        wanted = json.dumps(self.text, ensure_ascii=False)[1:-1]  # as it stands in a row
        with self._lock:
            while not self.complete:
                column = self.folder.batch(self._next).column("content")
                hits = pc.match_substring(column, wanted, ignore_case=True).to_numpy(zero_copy_only=False)
                self.found += (np.flatnonzero(hits) + self.folder.begin_of(self._next)).tolist()
                self._next += 1
                self.complete = self._next >= self.folder.batches
                if time.monotonic() > until and (len(self.found) >= enough or time.monotonic() > until + seconds):
                    return


class Searches:
    """The latest searches, so that the next page of one costs nothing."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: OrderedDict[tuple[str, str], Search] = OrderedDict()

    def get(self, folder: Folder, text: str) -> Search:
        """The search for this text, begun or not."""
        key = (str(folder.folder), text)
        with self._lock:
            found = self._known.get(key)
            if found is None or found.folder is not folder:
                found = self._known[key] = Search(folder, text)
            self._known.move_to_end(key)
            while len(self._known) > SEARCHES:
                self._known.popitem(last=False)
            return found


def page(
    folder: Folder, searches: Searches, *, offset: int = 0, limit: int = 100, search: str = "", problem: str = ""
) -> RowPage:
    """Some of the rows: all, those that hold a text, those with a problem of a kind."""
    with damaged_is_said(folder.folder):
        complete = True
        if search.strip():
            found = searches.get(folder, search.strip())
            found.look(offset + limit)
            rows, complete = found.found, found.complete
            if problem:
                having = rows_with(folder, problem)
                rows = np.intersect1d(np.asarray(rows, np.int64), having).tolist()
        elif problem:
            rows = rows_with(folder, problem).tolist()
        else:
            wanted = list(range(offset, min(offset + limit, folder.rows)))
            return RowPage(rows=views(folder, wanted), offset=offset, total=folder.rows)
        shown = views(folder, rows[offset : offset + limit])
        return RowPage(rows=shown, offset=offset, total=len(rows), complete=complete)


def views(folder: Folder, rows: list[int]) -> list[RowView]:
    """Rows as they are shown, each with the kinds of its problems."""
    if not rows:
        return []
    most = MOST_CHARACTERS if len(rows) == 1 else SHOWN_CHARACTERS
    table = folder.table(rows, _COLUMNS)
    cut = pc.utf8_slice_codeunits(table.column("content"), 0, most + 1).to_pylist()
    kinds = _kinds_of(folder, rows)
    files = folder.manifest.files
    return [
        RowView(
            row=row, file=_file(files, file), line=line, hash=fingerprint.hex(), content=content[:most],
            cut=len(content) > most, problems=kinds.get(row, []),
        )
        for row, file, line, fingerprint, content in zip(
            rows, table.column("file").to_pylist(), table.column("line").to_pylist(),
            table.column("hash").to_pylist(), cut, strict=True,
        )
    ]  # fmt: skip


def rows_with(folder: Folder, kind: str) -> np.ndarray[Any, Any]:
    """Kept rows that have a problem of this kind, in order."""
    problems = folder.problems
    mask = pc.and_(pc.equal(problems.column("kind"), kind), pc.greater_equal(problems.column("row"), 0))
    found = problems.column("row").filter(mask).to_numpy()
    return np.unique(found)


def _kinds_of(folder: Folder, rows: list[int]) -> dict[int, list[str]]:
    problems = folder.problems
    if not problems.num_rows:
        return {}
    chosen = problems.select(["row", "kind"]).filter(pc.is_in(problems.column("row"), pa.array(rows, pa.int64())))
    found: dict[int, list[str]] = {}
    for row, kind in zip(chosen.column("row").to_pylist(), chosen.column("kind").to_pylist(), strict=True):
        kinds = found.setdefault(row, [])
        if kind not in kinds:
            kinds.append(kind)
    return found


def problem_page(
    folder: Folder, *, kind: str = "", severity: str = "", offset: int = 0, limit: int = 100
) -> ProblemPage:
    """Some of what is wrong with rows, and how many there are of each kind."""
    with damaged_is_said(folder.folder):
        table = _chosen(folder, kind, severity)
        counted = pc.value_counts(folder.problems.column("kind")).to_pylist()
        counts = {str(one["values"]): int(one["counts"]) for one in counted}
        found = [_problem(folder, plain) for plain in table.slice(offset, limit).to_pylist()]
        return ProblemPage(problems=found, offset=offset, total=table.num_rows, counts=counts)


def problems_csv(folder: Folder, kind: str = "", severity: str = "") -> Iterator[bytes]:
    """All of them, as a spreadsheet reads it; no cell is a formula."""
    import csv
    import io

    def written(rows: list[tuple[Any, ...]]) -> bytes:
        text = io.StringIO()
        csv.writer(text).writerows([[harmless(cell) for cell in row] for row in rows])
        return text.getvalue().encode()

    yield "\ufeff".encode() + written([CSV_HEAD])
    for batch in _chosen(folder, kind, severity).to_batches(max_chunksize=1000):
        yield written([_cells(_problem(folder, plain)) for plain in batch.to_pylist()])


def jsonl(folder: Folder) -> Iterator[bytes]:
    """Every row as it was kept, one a line."""
    for _first, batch in folder.pieces(0, folder.rows, ["content"]):
        lines = batch.column("content").to_pylist()
        yield ("\n".join(lines) + "\n").encode() if lines else b""


def _chosen(folder: Folder, kind: str, severity: str) -> Any:
    table = folder.problems
    if kind:
        table = table.filter(pc.equal(table.column("kind"), kind))
    if severity:
        table = table.filter(pc.equal(table.column("severity"), severity))
    return table


def _problem(folder: Folder, plain: dict[str, Any]) -> RowProblem:
    params = json.loads(plain["params"] or "{}")
    code = str(plain.get("code") or params.pop("code", f"data.{plain['kind']}"))
    row, fingerprint = plain["row"], plain["hash"]
    return RowProblem(
        kind=plain["kind"], severity=plain["severity"], row=None if row is None or row < 0 else row,
        file=_file(folder.manifest.files, plain["file"]), line=plain["line"] or 0, column=plain["column"] or "",
        code=code, params=params, excerpt=plain["excerpt"] or "",
        hash=fingerprint.hex() if isinstance(fingerprint, bytes) else fingerprint or "",
    )  # fmt: skip


def _cells(problem: RowProblem) -> tuple[Any, ...]:
    message = MESSAGES.get(problem.code)
    what, fix = problem.code, ""
    if message is not None:
        said = (render(part, problem.params) for part in (message.what, message.why))
        what, fix = " ".join(part for part in said if part), render(message.fix, problem.params)
    row = "" if problem.row is None else problem.row
    return (
        problem.kind, problem.severity, problem.file, problem.line, row, problem.column, what, fix, problem.excerpt,
    )  # fmt: skip


def _file(files: list[str], place: Any) -> str:
    if isinstance(place, str):
        return place
    return files[place] if place is not None and 0 <= place < len(files) else ""
