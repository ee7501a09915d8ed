"""A row that is kept out, as a problem of the dataset."""

from __future__ import annotations

import json
from typing import Any

from engine.compute.data.formats import BadRow
from engine.contract.datasets import CheckKind, RowProblem
from engine.contract.errors import Problem

EXCERPT = 300
ENCODING = frozenset(("data.bad_bytes", "data.bytes_gb18030", "data.zero_byte", "data.half_character"))
"""Codes of lines whose bytes or characters are wrong."""


def refused(error: BadRow | Problem, line: int = 0, content: Any = None, file: str = "") -> RowProblem:
    """What keeps a row out: a row that does not fit its format, or a line that is no row."""
    if isinstance(error, BadRow):
        return RowProblem(
            kind=error.kind, severity="refused", file=file, line=line, column=error.where, code=error.code,
            params=error.params, excerpt=excerpt_of(content),
        )  # fmt: skip
    kind: CheckKind = "encoding" if error.code in ENCODING else "malformed"
    return RowProblem(
        kind=kind, severity="refused", file=file, line=error.line or line, column=error.field, code=error.code,
        params=error.params, excerpt=excerpt_of(content),
    )  # fmt: skip


def excerpt_of(content: Any) -> str:
    """The beginning of a row as JSON."""
    if content is None:
        return ""
    if isinstance(content, dict):  # a large row is not written out whole for its beginning
        content = {name: value[:EXCERPT] if isinstance(value, str) else value for name, value in content.items()}
    return json.dumps(content, ensure_ascii=False, default=str)[:EXCERPT]
