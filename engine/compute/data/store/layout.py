"""How the files of a version look: columns of rows and problems, and what a version's fingerprint is made of."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Iterable

import pyarrow as pa

from engine.compute.data.plain import HASH_BYTES
from engine.contract.data_format import Mapping
from engine.contract.datasets import MANIFEST_VERSION, PROBLEM_COLUMNS, ROW_COLUMNS

_ROW_TYPES = {
    "file": pa.int32(),
    "line": pa.int64(),
    "hash": pa.binary(HASH_BYTES),
    "characters": pa.int32(),
    "content": pa.large_string(),
}
_PROBLEM_TYPES = {
    "row": pa.int64(),
    "file": pa.int32(),
    "line": pa.int64(),
    "kind": pa.string(),
    "severity": pa.string(),
    "code": pa.string(),
    "column": pa.string(),
    "params": pa.string(),
    "excerpt": pa.string(),
    "hash": pa.binary(HASH_BYTES),
}
ROWS = pa.schema([(name, _ROW_TYPES[name]) for name in ROW_COLUMNS])
PROBLEMS = pa.schema([(name, _PROBLEM_TYPES[name]) for name in PROBLEM_COLUMNS])
BATCH_ROWS, BATCH_BYTES = 1000, 4 << 20
"""A batch is what is read to reach one row."""
SHARD_ROWS, SHARD_BYTES = 200_000, 128 << 20
"""A shard is what is done again when an import is killed."""


def _settle_pandas() -> None:
    """Let pyarrow find out now that there is no pandas: a worker bars it (it would cost half a second and memory), and
    the first look at a barred one raises."""
    with contextlib.suppress(AttributeError):
        pa.array([])


_settle_pandas()


def version_hash(form: str, mapping: Mapping, hashes: Iterable[bytes]) -> str:
    """The name of a version: the same for the same rows in the same order, read in the same way.

    `hashes` are the rows' fingerprints, any number of them joined in each piece.
    """
    digest = hashlib.sha256()
    how = json.dumps(mapping.model_dump(mode="json"), ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    for part in (str(MANIFEST_VERSION), form, how):
        data = part.encode()
        digest.update(len(data).to_bytes(8, "big") + data)
    for piece in hashes:
        digest.update(piece)
    return digest.hexdigest()
