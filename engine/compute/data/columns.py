"""What the columns of a dataset are, learned row by row: their kinds, how many rows have them, an example."""

from __future__ import annotations

import base64
from collections import Counter
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from engine.contract.datasets import Column

MEDIA = ("image", "audio", "video")
MOST_COLUMNS = 20_000
EXAMPLE = 200
_ENDINGS = {
    **dict.fromkeys((".png", ".jpg", ".jpeg", ".gif", ".webp", ".bmp", ".tif", ".tiff"), "image"),
    **dict.fromkeys((".wav", ".mp3", ".flac", ".ogg", ".opus", ".m4a", ".aac"), "audio"),
    **dict.fromkeys((".mp4", ".mkv", ".webm", ".mov", ".avi"), "video"),
}
_BEGINNINGS = (
    (b"\x89PNG", "image"),
    (b"\xff\xd8\xff", "image"),
    (b"GIF8", "image"),
    (b"II*\x00", "image"),
    (b"ID3", "audio"),
    (b"\xff\xfb", "audio"),
    (b"fLaC", "audio"),
    (b"OggS", "audio"),
    (b"\x1aE\xdf\xa3", "video"),
)
_WITHIN = {b"WEBP": "image", b"WAVE": "audio", b"AVI ": "video"}
"""What stands at the ninth byte of a RIFF file."""
_LONGEST_PATH = 2048
_TURN_KEYS = ({"role", "content"}, {"from", "value"})


def kind_of(value: Any) -> str:
    """What sort of value stands in a column; empty where there is none."""
    if value is None or value == "":
        return "empty"
    if isinstance(value, str):
        return (_media_text(value) if len(value) < _LONGEST_PATH or value.startswith("data:") else "") or "text"
    if isinstance(value, bool):
        return "truth"
    if isinstance(value, int | float):
        return "number"
    if isinstance(value, dict):
        return _media_object(value) or "object"
    return _kind_of_list(value) if isinstance(value, list) else "object"


def _kind_of_list(items: list[Any]) -> str:
    if not items:
        return "empty"
    first = items[0]
    if isinstance(first, dict):
        if any(keys <= set(first) for keys in _TURN_KEYS) or ("role" in first and "tool_calls" in first):
            return "turns"
        return _media_object(first) or "list"
    inner = _media_text(first) if isinstance(first, str) and len(first) < _LONGEST_PATH else ""
    return inner or "list"


def _media_text(value: str) -> str:
    """A path, an address or a data URL of something that is no text."""
    if value.startswith("data:"):
        kind = value[5:10]
        return kind if kind in MEDIA else ""
    path = value.partition("?")[0] if "://" in value[:10] else value
    if "." not in path[-6:] or "\n" in path:
        return ""
    return _ENDINGS.get(PurePosixPath(path).suffix.lower(), "")


def _media_object(value: dict[str, Any]) -> str:
    """As the features Image, Audio and Video of Hugging Face lie in tables: bytes and path."""
    inner = value.get("bytes", value)
    data = inner.get("base64") if isinstance(inner, dict) else None
    if isinstance(data, str):
        found = _media_bytes(data)
        if found:
            return found
    path = value.get("path")
    if isinstance(path, str) and set(value) <= {"bytes", "path", "array", "sampling_rate"}:
        return _media_text(path)
    return "audio" if {"array", "sampling_rate"} <= set(value) else ""


def _media_bytes(data: str) -> str:
    """What the first bytes of a file say, given as base64."""
    try:
        head = base64.b64decode(data[:16])
    except ValueError:
        return ""
    if head.startswith(b"RIFF"):
        return _WITHIN.get(head[8:12], "")
    if head[4:8] == b"ftyp":
        return "video"
    return next((kind for begin, kind in _BEGINNINGS if head.startswith(begin)), "")


@dataclass
class _Seen:
    kinds: Counter[str] = field(default_factory=Counter)
    example: str = ""
    first: tuple[int, int, int] = (-1, -1, -1)
    """Row, file and line of the first that is a picture, a sound or a film."""


class ColumnFacts:
    """Takes rows in; bounded however many names they use."""

    def __init__(self, state: dict[str, Any] | None = None) -> None:
        self._seen: dict[str, _Seen] = {}
        self.rows = 0
        if state:
            self.rows = state["rows"]
            for name, kinds, example, first in state["columns"]:
                self._seen[name] = _Seen(Counter(kinds), example, tuple(first))

    def add(self, content: dict[str, Any], row: int, file: int, line: int) -> None:
        """A row that is kept."""
        self.rows += 1
        for name, value in content.items():
            seen = self._seen.get(name)
            if seen is None:
                if len(self._seen) >= MOST_COLUMNS:
                    continue
                seen = self._seen[name] = _Seen()
            kind = kind_of(value)
            seen.kinds[kind] += 1
            if not seen.example and kind != "empty":
                seen.example = (value if isinstance(value, str) else repr(value)[: 2 * EXAMPLE])[:EXAMPLE]
            if kind in MEDIA and seen.first[0] < 0:
                seen.first = (row, file, line)

    def state(self) -> dict[str, Any]:
        """For another attempt."""
        columns = [[name, dict(seen.kinds), seen.example, list(seen.first)] for name, seen in self._seen.items()]
        return {"rows": self.rows, "columns": columns}

    def columns(self) -> list[Column]:
        """All of them, in the order they were met."""
        return [
            Column(name=name, kind=_common(seen.kinds), filled=self._filled(seen), example=seen.example)
            for name, seen in self._seen.items()
        ]

    def _filled(self, seen: _Seen) -> float:
        return round((seen.kinds.total() - seen.kinds["empty"]) / self.rows, 4) if self.rows else 0.0

    def media(self) -> list[tuple[str, str, int, tuple[int, int, int]]]:
        """Columns no stage of this version learns from: name, kind, rows, and where the first is."""
        found = []
        for name, seen in self._seen.items():
            kind = _common(seen.kinds)
            if kind in MEDIA:
                found.append((name, kind, seen.kinds[kind], seen.first))
        return found


def _common(kinds: Counter[str]) -> str:
    """The kind of a column; mixed where no kind stands for nearly all."""
    filled = Counter({kind: count for kind, count in kinds.items() if kind != "empty"})
    if not filled:
        return "empty"
    kind, count = filled.most_common(1)[0]
    return kind if count >= 0.95 * filled.total() else "mixed"
