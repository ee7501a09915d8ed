"""Files damaged at random are imported: nothing crashes, nothing hangs, and no row is lost without a word.

300 of them, or as many as FORGE_MUTATIONS says (10,000 take some minutes); FORGE_MUTATION_SEED names one alone.
"""

from __future__ import annotations

import bz2
import gzip
import json
import os
import random
import signal
import tarfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tiny
from importing import Slow, import_job

from engine.compute.data.sources import read_records
from engine.contract.errors import UserError
from engine.contract.paths import Home

COUNT = int(os.environ.get("FORGE_MUTATIONS", "300"))
ONLY = os.environ.get("FORGE_MUTATION_SEED")
AT_ONCE = 50
LIMIT_S = 5
TEXTS = [
    {"instruction": f"翻译 {n}", "input": "", "output": 'say "hi"\nand go', "n": n, "list": [1, {"a": None}]}
    for n in range(60)
]
INSERTED = (
    b"\x00", b"\xff", b"\n", b'"', b"{", b"}", b"[", b"]", b",", b"\\", b"\\ud83d", b"\xef\xbb\xbf", b"\r",
    b"NaN", b"1e999",
    b'{"text": "x"}\n', b"\x1f\x8b", b"PAR1", b"[" * 3000, b"9" * 5000, "汉".encode("gb18030"), b'"a": 1, "a": 2',
)  # fmt: skip


def tarred(lines: str) -> bytes:
    """Two files of rows in a tar archive, one with a name too long for a plain header."""
    sink = BytesIO()
    with tarfile.open(fileobj=sink, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name in ("a.jsonl", f"{'long' * 40}/b.jsonl"):
            entry = tarfile.TarInfo(name)
            entry.size = len(lines.encode())
            archive.addfile(entry, BytesIO(lines.encode()))
    return sink.getvalue()


def originals() -> dict[str, bytes]:
    """One file of each kind."""
    lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in TEXTS)
    chat = "".join(json.dumps(row) + "\n" for row in tiny.make_rows(60))
    flat = pa.Table.from_pylist([{"prompt": row["instruction"], "completion": row["output"]} for row in TEXTS])
    parquet, feather, packed = pa.BufferOutputStream(), pa.BufferOutputStream(), BytesIO()
    pq.write_table(flat, parquet)
    with pa.ipc.new_file(feather, flat.schema) as writer:
        writer.write_table(flat, max_chunksize=20)
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.jsonl", lines)
        archive.writestr("b/c.jsonl", chat)
    table = "prompt,completion\n" + "".join(f'"{n}, 问","a\nb"\n' for n in range(60))
    return {
        "a.jsonl": lines.encode(),
        "chat.jsonl": chat.encode(),
        "wide.jsonl": lines.encode("utf-16"),
        "chinese.jsonl": lines.encode("gb18030"),
        "a.json": json.dumps(TEXTS, indent=1).encode(),
        "held.json": json.dumps({"data": TEXTS}).encode(),
        "a.csv": table.encode(),
        "a.tsv": table.replace(",", "\t").encode(),
        "a.txt": b"one\n\ntwo\n\nthree\n" * 20,
        "a.parquet": parquet.getvalue().to_pybytes(),
        "a.arrow": feather.getvalue().to_pybytes(),
        "a.jsonl.gz": gzip.compress(lines.encode(), mtime=0),
        "a.jsonl.bz2": bz2.compress(lines.encode()),
        "a.jsonl.zst": pa.compress(lines.encode(), codec="zstd", asbytes=True),
        "a.zip": packed.getvalue(),
        "a.tar": tarred(lines),
        "a.tar.gz": gzip.compress(tarred(lines), mtime=0),
    }


def mutated(seed: int, files: dict[str, bytes]) -> tuple[str, bytes]:
    """A file with some damage."""
    chance = random.Random(seed)
    name = chance.choice(sorted(files))
    data = bytearray(files[name])
    for _ in range(chance.choice([1, 1, 2, 5, 20])):
        at = chance.randrange(len(data) + 1)
        deed = chance.randrange(6)
        if deed == 0:
            data[at:at] = chance.choice(INSERTED)
        elif deed == 1 and at < len(data):
            data[at] = chance.randrange(256)
        elif deed == 2:
            del data[at : at + chance.choice([1, 3, 50, 500])]
        elif deed == 3:
            data[at:at] = data[at : at + chance.choice([10, 200])]
        elif deed == 4 and chance.random() < 0.3:
            del data[at:]
        else:
            data[at:at] = chance.randbytes(chance.choice([1, 4, 30]))
    return name, bytes(data)


class TooSlow(BaseException):
    """No exception of the code under test catches it."""


@contextmanager
def within(seconds: int) -> Iterator[None]:
    """Ends what takes longer. A deadline of processor and clock alike, far beyond what a file of some kB can need."""

    def ring(*_: object) -> None:
        raise TooSlow

    before = signal.signal(signal.SIGPROF, ring)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def look(folder: Path, name: str, data: bytes) -> str:
    """Import a file; what became of it."""
    folder.mkdir()
    path = folder / name
    path.write_bytes(data)
    slow = Slow(Home(folder / "home"), import_job(path), shard_rows=1000)
    try:
        with within(LIMIT_S):
            manifest = slow.run()
    except UserError as error:
        return error.code
    assert manifest is not None
    version = slow.version(manifest)
    refused = [found for _, found in version.problems() if found.severity == "refused"]
    assert manifest.rows + manifest.refused == sum(1 for _ in read_records(path))
    assert len(refused) == manifest.refused
    assert len(version) == manifest.rows == sum(1 for _ in version.records())
    return "imported"


@pytest.mark.parametrize("begin", [int(ONLY)] if ONLY else range(0, COUNT, AT_ONCE))
def test_that_damaged_files_are_imported_or_refused(tmp_path, begin):
    files, outcomes = originals(), set()
    for seed in range(begin, begin + (1 if ONLY else AT_ONCE)):
        name, data = mutated(seed, files)
        try:
            outcomes.add(look(tmp_path / str(seed), name, data))
        except (Exception, TooSlow) as error:
            raise AssertionError(f"FORGE_MUTATION_SEED={seed} ({name}): {type(error).__name__}: {error}") from error
    assert ONLY or "imported" in outcomes


def test_that_the_files_are_imported_whole_when_nothing_is_damaged(tmp_path):
    for number, (name, data) in enumerate(originals().items()):
        if name == "a.zip":  # of two formats: one of them is refused row by row
            continue
        folder = tmp_path / str(number)
        assert look(folder, name, data) == "imported", name
