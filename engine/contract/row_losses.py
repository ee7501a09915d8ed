"""Losses of single rows as files: what the worker writes beside its journal, and how anybody reads it again.

A file is a series of blocks, each with a checksum; it only grows, and what is torn at its end is passed over. A block
holds either rows (which row a number means, once for each) or their losses (16 bytes a row and step).
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np

FOLDER = "row_losses"
"""In the outputs of an attempt."""
SUFFIX = ".rows"
PART_BYTES = 4 << 20
"""A file of this size is finished, told in the journal, and another begun."""
ROWS, LOSSES = 1, 2
ROW = np.dtype(
    [("place", "<u4"), ("source", "<u4"), ("line", "<u4"), ("tokens", "<u4"), ("prompt", "<u8"), ("answer", "<u8"),
     ("hash", "V20")]
)  # fmt: skip
"""A row: its number in this attempt, the dataset (by its place in the config), line or row number there (from 1),
its learned tokens, fingerprints of what stands before the first learned token and of the learned tokens after it, and
of it all: one byte for the length, then the bytes."""
LOSS = np.dtype([("step", "<u4"), ("place", "<u4"), ("loss", "<f4"), ("tokens", "<u4")])
"""What a row gave to a step: the sum over its learned tokens, and how many they are."""
HEAD = struct.Struct("<4sIII")
MAGIC = b"FRL1"


def block(kind: int, records: np.ndarray) -> bytes:
    """Records as they stand in a file."""
    data = records.tobytes()
    return HEAD.pack(MAGIC, kind, len(data), zlib.crc32(data)) + data


def blocks(path: Path) -> Iterator[tuple[int, np.ndarray]]:
    """The whole blocks of a file, up to the first that is not."""
    content, at = path.read_bytes(), 0
    while at + HEAD.size <= len(content):
        magic, kind, size, checksum = HEAD.unpack_from(content, at)
        at += HEAD.size
        data = content[at : at + size]
        if magic != MAGIC or len(data) < size or zlib.crc32(data) != checksum or kind not in (ROWS, LOSSES):
            return
        at += size
        yield kind, np.frombuffer(data, dtype=ROW if kind == ROWS else LOSS)


def parts(folder: Path) -> list[Path]:
    """The files of an attempt, in their order."""
    return sorted(folder.glob(f"*{SUFFIX}"))


def read(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """Rows and losses of an attempt, as far as they are whole; empty where nothing was kept."""
    rows, losses = [np.empty(0, ROW)], [np.empty(0, LOSS)]
    for path in parts(folder):
        for kind, records in blocks(path):
            (rows if kind == ROWS else losses).append(records)
    return np.concatenate(rows), np.concatenate(losses)


def packed_hash(fingerprint: bytes) -> bytes:
    """A fingerprint of up to 19 bytes as the file holds it."""
    return bytes([len(fingerprint)]) + fingerprint


def hash_text(stored: bytes) -> str:
    """The same as hexadecimal digits."""
    return stored[1 : 1 + stored[0]].hex() if stored else ""
