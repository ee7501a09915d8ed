"""Sealed pieces of curves: how a chunk is written and read, bit for bit, and how damage to one shows.

Codec 1: a head (CRC-32 of what the row says and of all that follows, length of the first part), then two zlib
streams. The first holds journal line, step (or µs) and wall time in µs as differences of 64-bit integers, modulo
2^64; the second the float64 values. Both are byte-transposed, which lets like bytes stand together.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from typing import Any

import numpy as np

from engine.contract.pyramid import Damaged

Array = np.ndarray[Any, Any]
CODEC = 1
_HEAD = struct.Struct("<II")
_KEY = struct.Struct("<6q")
_EFFORT = 1


@dataclass(frozen=True)
class Key:
    """What the row of a chunk says besides its content. first_x and last_x are the least and the greatest x."""

    series: int
    attempt: int
    ordinal: int
    n: int
    first_x: int
    last_x: int

    def bytes(self) -> bytes:
        """As the checksum sees it."""
        return _KEY.pack(self.series, self.attempt, self.ordinal, self.n, self.first_x, self.last_x)


@dataclass
class Columns:
    """Points of one curve in the order of the journal: seq, x (step or µs) and t (µs) int64, value float64."""

    seq: Array
    x: Array
    t: Array
    value: Array

    def __len__(self) -> int:
        return len(self.seq)

    def piece(self, begin: int, end: int) -> Columns:
        """Points from begin to before end."""
        return Columns(self.seq[begin:end], self.x[begin:end], self.t[begin:end], self.value[begin:end])

    def sorted(self) -> Columns:
        """In the order of the journal."""
        if len(self) < 2 or bool(np.all(self.seq[1:] >= self.seq[:-1])):
            return self
        order = np.argsort(self.seq, kind="stable")
        return Columns(self.seq[order], self.x[order], self.t[order], self.value[order])


def join(parts: list[Columns]) -> Columns:
    """One after another."""
    if len(parts) == 1:
        return parts[0]
    return Columns(*(np.concatenate([getattr(p, name) for p in parts]) for name in ("seq", "x", "t", "value")))


def pack_places(points: Columns) -> bytes:
    """The part that curves of the same journal lines share."""
    whole = np.stack([points.seq, points.x, points.t]).astype("<i8")
    return zlib.compress(_transposed(np.diff(whole, axis=1, prepend=np.zeros((3, 1), np.int64))), _EFFORT)


def encode(key: Key, places: bytes, values: Array) -> bytes:
    """The data of a chunk."""
    body = places + zlib.compress(_transposed(values.astype("<f8")), _EFFORT)
    length = len(places).to_bytes(4, "little")
    return _HEAD.pack(zlib.crc32(key.bytes() + length + body), len(places)) + body


def decode(codec: int, key: Key, data: bytes) -> Columns:
    """The points of a chunk; Damaged if anything changed since it was written."""
    if codec != CODEC:
        raise Damaged(f"codec {codec}")
    try:
        checksum, length = _HEAD.unpack_from(data)
        body = data[_HEAD.size :]
        if zlib.crc32(key.bytes() + length.to_bytes(4, "little") + body) != checksum:
            raise Damaged("checksum")
        steps = _restored(zlib.decompress(body[:length]), "<i8").reshape(3, key.n)
        values = _restored(zlib.decompress(body[length:]), "<f8").reshape(key.n)
    except (struct.error, zlib.error, ValueError) as error:
        raise Damaged(str(error)) from error
    seq, x, t = np.cumsum(steps, axis=1, dtype=np.int64)
    return Columns(seq, x, t, values)


def _transposed(numbers: Array) -> bytes:
    return np.ascontiguousarray(numbers).view(np.uint8).reshape(-1, 8).T.tobytes()


def _restored(data: bytes, kind: str) -> Array:
    return np.ascontiguousarray(np.frombuffer(data, np.uint8).reshape(8, -1).T).view(kind).reshape(-1)
