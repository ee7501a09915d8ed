"""What readers of rows say of files that do not hold what they should."""

from __future__ import annotations

import io
from pathlib import Path

import pyarrow as pa
import pyarrow.json
import pyarrow.parquet


def column_changes_type() -> None:
    """A column that is a text in one row and an object in the next."""
    rows = b'{"answer": "a"}\n' + b'{"answer": {"text": "b"}}\n'
    pyarrow.json.read_json(io.BytesIO(rows))


def not_utf8() -> None:
    """A text in GB18030."""
    Path("rows.txt").write_bytes("问题与回答\n".encode("gb18030"))
    Path("rows.txt").read_text(encoding="utf-8")


def parquet_cut() -> None:
    """A Parquet file whose copy broke off."""
    pyarrow.parquet.write_table(pa.table({"text": ["a"] * 1000}), "rows.parquet")
    content = Path("rows.parquet").read_bytes()
    Path("rows.parquet").write_bytes(content[:-20])
    pyarrow.parquet.read_table("rows.parquet")
