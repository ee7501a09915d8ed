"""`python -m engine.compute.worker.data_check FILE`: look a file of rows through as an import would, and keep nothing.

Answers with one JSON object on stdout; what is wrong with the file as a whole is `{"error": …}`. Memory stays flat
whatever the size: rows are read, looked at and forgotten.
"""

from __future__ import annotations

import argparse
import json
import sys
import traceback
from collections import Counter
from itertools import chain, islice
from pathlib import Path
from typing import Any, TextIO, get_args

from pydantic import ValidationError

from engine.compute.data.checks import Checker
from engine.compute.data.columns import ColumnFacts
from engine.compute.data.formats import BadRow, convert, detect_format
from engine.compute.data.rows import Record
from engine.compute.data.sources import read_records
from engine.contract.data_format import FORMATS, Mapping
from engine.contract.dataset_queries import FormatReason
from engine.contract.datasets import CheckKind, CheckOptions, Encoding, RowProblem
from engine.contract.errors import Problem, Refused, UserError

LOOKED_ROWS = 200
"""The format is told from so many first rows."""
LISTED = 50
"""Problems that are listed; the rest are counted."""
EXCERPT = 300
ENCODING = frozenset(("data.bad_bytes", "data.bytes_gb18030", "data.zero_byte", "data.half_character"))
"""Codes of lines whose letters cannot be read."""


class Look:
    """What was seen of a file so far."""

    def __init__(self, reason: FormatReason, mapping: Mapping, options: CheckOptions) -> None:
        self.reason = reason
        self._mapping = mapping
        self._checker = Checker(reason.format, mapping, options)
        self._columns = ColumnFacts()
        self.kept = self.refused = 0
        self.kinds = Counter[str]()
        self.listed: list[RowProblem] = []

    def take(self, found: Record | Problem) -> None:
        """The next row."""
        if isinstance(found, Problem):
            self._refuse("encoding" if found.code in ENCODING else "malformed", found, None)
            return
        try:
            example = convert(found, self.reason.format, 0, self._mapping)
        except BadRow as error:
            self._refuse(error.kind, error.problem(found.line), found)
            return
        problems = self._checker.look(self.kept, found, example)
        out = next((problem for problem in problems if problem.severity == "refused"), None)
        if out is not None:
            self.refused += 1
            self._remark(out)
            return
        self._columns.add(found.content, self.kept, 0, found.line)
        self.kept += 1
        for problem in problems:
            self._remark(problem)

    def finish(self) -> dict[str, Any]:
        """The answer."""
        for problem in self._checker.finish():
            self._remark(problem)
        return {
            "format": self.reason.format,
            "reason": {"code": self.reason.code, "params": self.reason.params, "fits": self.reason.fits},
            "rows": self.kept,
            "refused": self.refused,
            "problems": dict(self.kinds.most_common()),
            "columns": {one.name: {"kind": one.kind, "filled": one.filled} for one in self._columns.columns()},
            "listed": [problem.model_dump(mode="json") for problem in self.listed],
        }

    def _refuse(self, kind: CheckKind, problem: Problem, record: Record | None) -> None:
        self.refused += 1
        excerpt = json.dumps(record.content, ensure_ascii=False, default=str)[:EXCERPT] if record is not None else ""
        self._remark(
            RowProblem(
                kind=kind, severity="refused", line=problem.line or 0, column=problem.field, code=problem.code,
                params=problem.params, excerpt=excerpt,
            )
        )  # fmt: skip

    def _remark(self, problem: RowProblem) -> None:
        self.kinds[problem.kind] += 1
        if len(self.listed) < LISTED:
            self.listed.append(problem)


def check(
    path: Path,
    form: str = "auto",
    mapping: Mapping | None = None,
    options: CheckOptions | None = None,
    encoding: str = "auto",
) -> Look:
    """Look all of it through; raises UserError where nothing of it can be used."""
    mapping, found = mapping or Mapping(), read_records(path, encoding)
    first = list(islice(found, LOOKED_ROWS))
    look = Look(_format_of(first, form, mapping, path), mapping, options or CheckOptions())
    for one in chain(first, found):
        look.take(one)
    return look


def _format_of(first: list[Record | Problem], form: str, mapping: Mapping, path: Path) -> FormatReason:
    rows = [one for one in first if isinstance(one, Record)]
    if form != "auto":
        return FormatReason(format=form, code="inspect.format_given")
    if not first:
        raise UserError("data.no_rows", path=str(path))
    if not rows:
        problems = [one for one in first if isinstance(one, Problem)]
        raise Refused(
            "data.refused", path=str(path), count=len(problems), shown=len(problems), problems=problems[:LISTED]
        )
    found = detect_format(rows, mapping)
    if not found:
        raise UserError("data.unknown_format", columns=", ".join(str(name)[:40] for name in [*rows[0].content][:12]))
    return found[0]


def answer(arguments: list[str]) -> dict[str, Any]:
    """What is printed; whatever goes wrong is an error with a code."""
    options = _parser().parse_args(arguments)
    try:
        mapping = Mapping.model_validate_json(options.mapping)
        checks = CheckOptions.model_validate_json(options.options)
        return check(options.file, options.format, mapping, checks, options.encoding).finish()
    except UserError as error:
        return {"error": error.body().model_dump(mode="json")}
    except ValidationError as error:
        return {"error": UserError("query.invalid", detail=str(error)[:500]).body().model_dump(mode="json")}
    except Exception as error:  # noqa: BLE001 - the border: it never ends without an answer
        traceback.print_exc()
        detail = f"{type(error).__name__}: {error}"[:500]
        return {"error": UserError("worker.bug", detail=detail).body().model_dump(mode="json")}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="engine.compute.worker.data_check")
    parser.add_argument("file", type=Path)
    parser.add_argument("--format", choices=("auto", *FORMATS), default="auto")
    parser.add_argument("--encoding", choices=get_args(Encoding), default="auto")
    parser.add_argument("--mapping", default="{}", help="JSON")
    parser.add_argument("--options", default="{}", help="JSON")
    return parser


def main() -> int:
    """Print the answer."""
    out: TextIO = sys.stdout
    sys.stdout = sys.stderr  # only the answer may stand on stdout
    out.write(json.dumps(answer(sys.argv[1:]), ensure_ascii=False) + "\n")
    out.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
