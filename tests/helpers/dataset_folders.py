"""Versions of datasets as an import leaves them, small or large, written quickly; and lines that tell of them."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from engine.contract.datasets import MANIFEST, PROBLEMS_FILE, ROWS_FILE, ImportSource, Manifest, Shard
from engine.contract.paths import Home
from engine.control.store import datasets
from engine.control.store.database import Database
from engine.control.store.datasets import Made, Registered

BATCH_ROWS, SHARD_ROWS = 1000, 200_000
PROBLEM_FIELDS = [
    ("row", pa.int64()), ("file", pa.int32()), ("line", pa.int64()), ("kind", pa.string()), ("severity", pa.string()),
    ("code", pa.string()), ("column", pa.string()), ("params", pa.string()), ("excerpt", pa.string()),
    ("hash", pa.binary(16)),
]  # fmt: skip


def write_version(
    home: Home,
    contents: Sequence[dict[str, Any] | str],
    *,
    lines: Iterable[int] | None = None,
    files: Sequence[str] = ("rows.jsonl",),
    problems: Sequence[dict[str, Any]] = (),
    form: str = "text",
    refused: int = 0,
) -> Manifest:
    """A version of these rows in the home's library; what is there already stays."""
    texts = [one if isinstance(one, str) else json.dumps(one, ensure_ascii=False) for one in contents]
    hashes = [hashlib.blake2b(text.encode(), digest_size=16).digest() for text in texts]
    name = hashlib.sha256(form.encode() + b"".join(hashes)).hexdigest()
    folder = home.dataset(name)
    if folder.exists():
        return Manifest.model_validate_json((folder / MANIFEST).read_bytes())
    aside = home.datasets / f".making-{name[:8]}"
    aside.mkdir(parents=True)
    numbers = list(lines) if lines is not None else list(range(1, len(texts) + 1))
    shards = [
        _shard(aside, number, numbers[begin : begin + SHARD_ROWS], hashes[begin : begin + SHARD_ROWS],
               texts[begin : begin + SHARD_ROWS])
        for number, begin in enumerate(range(0, len(texts), SHARD_ROWS))
    ]  # fmt: skip
    kinds = {one["kind"] for one in problems}
    manifest = Manifest(
        hash=name, format=form, rows=len(texts), refused=refused, files=list(files), created=time.time(),  # type: ignore[arg-type]
        problems={kind: sum(one["kind"] == kind for one in problems) for kind in kinds},
        source=ImportSource(kind="path", place="/rows.jsonl"), shards=shards,
    )  # fmt: skip
    _write_problems(aside / PROBLEMS_FILE, problems)
    (aside / MANIFEST).write_text(manifest.model_dump_json())
    aside.rename(folder)
    return manifest


def register(database: Database, name: str, manifest: Manifest, run: str = "someimport") -> Registered:
    """Have the history know it, as if an import had told of it."""
    made = Made(
        name, manifest.hash, manifest.parent, run, manifest.rows, manifest.refused, manifest.bytes, manifest.format,
        manifest.problems, "0" * 64,
    )  # fmt: skip
    return database.write_now(lambda t: datasets.register(t, made, time.time()))


def problem(kind: str, line: int, row: int = -1, **more: Any) -> dict[str, Any]:
    """A line of the problems; of a row that was not kept, unless its place is given."""
    usual = {
        "file": 0, "severity": "refused" if row < 0 else "warning", "code": "data.not_an_object", "column": "text",
        "params": '{"found": "list"}', "excerpt": "", "hash": None,
    }  # fmt: skip
    return {"kind": kind, "line": line, "row": row, **usual, **more}


def _shard(folder: Path, number: int, lines: list[int], hashes: list[bytes], texts: list[str]) -> Shard:
    path = folder / ROWS_FILE.format(number=number)
    schema = pa.schema(
        [("file", pa.int32()), ("line", pa.int64()), ("hash", pa.binary(16)), ("characters", pa.int32()),
         ("content", pa.large_string())]
    )  # fmt: skip
    with pa.ipc.new_file(str(path), schema) as writer:
        for begin in range(0, len(texts), BATCH_ROWS):
            piece = slice(begin, begin + BATCH_ROWS)
            rows = texts[piece]
            arrays = [
                pa.array([0] * len(rows), pa.int32()), pa.array(lines[piece], pa.int64()),
                pa.array(hashes[piece], pa.binary(16)), pa.array([len(text) for text in rows], pa.int32()),
                pa.array(rows, pa.large_string()),
            ]  # fmt: skip
            writer.write_batch(pa.record_batch(arrays, schema=schema))
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return Shard(name=path.name, rows=len(texts), bytes=path.stat().st_size, sha256=digest)


def _write_problems(path: Path, problems: Sequence[dict[str, Any]]) -> None:
    schema = pa.schema(PROBLEM_FIELDS)
    with pa.ipc.new_file(str(path), schema) as writer:
        writer.write_table(pa.Table.from_pylist(list(problems), schema=schema))
