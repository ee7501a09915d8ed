"""What checks know, as a file: JSON, and the arrays it names behind it as they are.

    8 bytes: length of the JSON text · the text, in which {"b": [begin, end]} is a stretch of what follows · the arrays

The arrays grow with the rows. They are written from where they lie, so that saving them takes no memory of its own.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from engine.contract import durable

PIECE = 8 << 20


def write_state(path: Path, state: Any) -> str:
    """Write it aside, then in its place; its sha256."""
    arrays = list[memoryview]()
    text = json.dumps(_packed(state, arrays), ensure_ascii=False).encode()
    digest = hashlib.sha256()
    try:
        with durable.aside(path) as made, made.open("wb") as file:
            for piece in _pieces([memoryview(len(text).to_bytes(8, "little")), memoryview(text), *arrays]):
                digest.update(piece)
                file.write(piece)
    finally:
        for array in arrays:  # who lent them could not grow until now
            array.release()
    return digest.hexdigest()


def read_state(path: Path, sha256: str) -> Any:
    """What was written; ValueError if it is not whole."""
    content = path.read_bytes()
    if hashlib.sha256(content).hexdigest() != sha256:
        raise ValueError(f"{path.name} is not as it was written")
    begin = 8 + int.from_bytes(content[:8], "little")
    return _unpacked(json.loads(content[8:begin]), memoryview(content)[begin:])


def _pieces(arrays: list[memoryview]) -> Iterator[memoryview]:
    for array in arrays:
        for begin in range(0, len(array), PIECE):
            yield array[begin : begin + PIECE]


def _packed(state: Any, arrays: list[memoryview]) -> Any:
    if isinstance(state, dict):
        return {"d": [[key, _packed(value, arrays)] for key, value in state.items()]}
    if isinstance(state, bytes | bytearray | np.ndarray):
        begin, lent = sum(map(len, arrays)), memoryview(state)  # type: ignore[arg-type]
        arrays.append(lent.cast("B") if lent.nbytes else memoryview(b""))
        return {"b": [begin, begin + len(arrays[-1])]}
    if isinstance(state, list | tuple | set | frozenset):
        return [_packed(item, arrays) for item in state]
    return state


def _unpacked(state: Any, arrays: memoryview) -> Any:
    if isinstance(state, dict):
        if "b" in state:
            return bytes(arrays[slice(*state["b"])])
        return {key: _unpacked(value, arrays) for key, value in state["d"]}
    if isinstance(state, list):
        return [_unpacked(item, arrays) for item in state]
    return state
