"""Values inside rows: lists given as text, contents made of parts, and the media among them."""

from __future__ import annotations

import ast
import json
from collections.abc import Iterable
from typing import Any

from engine.compute.data.formats.base import BadRow

MAX_LITERAL = 1 << 18
"""Longer texts are not tried as Python literals, which takes time and memory."""
MEDIA_PARTS = {
    "image": "image",
    "image_url": "image",
    "input_image": "image",
    "audio": "audio",
    "audio_url": "audio",
    "input_audio": "audio",
    "video": "video",
    "video_url": "video",
}
"""Types of a part of a message, and what it is."""
TEXT_PARTS = ("text", "input_text", "output_text")
MEDIA_COLUMNS = {
    "image": "image",
    "images": "image",
    "img": "image",
    "image_path": "image",
    "image_url": "image",
    "audio": "audio",
    "audios": "audio",
    "audio_path": "audio",
    "video": "video",
    "videos": "video",
    "video_path": "video",
}
"""Usual names of columns with media."""
MEDIA_SUFFIXES = {
    ".png": "image", ".jpg": "image", ".jpeg": "image", ".webp": "image", ".gif": "image", ".bmp": "image",
    ".wav": "audio", ".mp3": "audio", ".flac": "audio", ".ogg": "audio", ".m4a": "audio",
    ".mp4": "video", ".avi": "video", ".mov": "video", ".mkv": "video", ".webm": "video",
}  # fmt: skip


def unpacked(value: Any) -> Any:
    """A list or object that is given as JSON text (or as Python writes it, which CSV files often hold)."""
    if not isinstance(value, str):
        return value
    text = value.strip()
    if not text.startswith(("[", "{")):
        return value
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        pass
    if len(text) > MAX_LITERAL:
        return value
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, RecursionError, MemoryError, TypeError):
        return value


def joined_parts(parts: list[Any], where: str, media: list[str]) -> str:
    """The text of a content given as a list of parts; media among them are noted, anything else is refused."""
    texts = []
    for part in parts:
        if isinstance(part, str):
            texts.append(part)
            continue
        kind = str(part.get("type", "")) if isinstance(part, dict) else type(part).__name__
        # loaders of columns give every part all keys, most of them empty; the type says which one counts
        text = part.get("text") if isinstance(part, dict) else None
        if isinstance(text, str) and (not kind or kind in TEXT_PARTS):
            texts.append(text)
        elif kind in MEDIA_PARTS:
            media.append(MEDIA_PARTS[kind])
        else:
            raise BadRow("data.not_only_text", where, kind=kind[:80] or "?")
    return "".join(texts)


def media_of(content: dict[str, Any], used: Iterable[str] = ()) -> list[str]:
    """Kinds of media in the columns of a row, by usual names and by what they hold."""
    found = list[str]()
    taken = set(used)
    for name, value in content.items():
        if value is None or name in taken or (isinstance(value, str) and len(value) > 4096):
            continue
        kind = MEDIA_COLUMNS.get(name) or (_media_object(value) if isinstance(value, dict) else None)
        if kind and value not in ("", [], {}):
            found.append(kind)
    return found


def _media_object(value: dict[str, Any]) -> str | None:
    """Bytes or a path with its suffix, the way columns of images and sounds are stored."""
    if "bytes" not in value and "path" not in value:
        return None
    path = str(value.get("path") or "").lower()
    kind = next((kind for suffix, kind in MEDIA_SUFFIXES.items() if path.endswith(suffix)), None)
    return kind or ("audio" if "sampling_rate" in value else "image" if isinstance(value.get("bytes"), bytes) else None)


def as_truth(value: Any) -> bool | None:
    """Yes or no in one of its usual forms; None where it is neither."""
    if isinstance(value, bool):
        return value
    if isinstance(value, int | float) and value in (0, 1):
        return bool(value)
    if isinstance(value, int | float) and value == -1:
        return False
    if isinstance(value, str):
        return TRUTHS.get(value.strip().lower())
    return None


TRUTHS = {
    "true": True, "false": False, "1": True, "0": False, "yes": True, "no": False, "good": True, "bad": False,
    "chosen": True, "rejected": False, "desirable": True, "undesirable": False, "1.0": True, "0.0": False, "-1": False,
}  # fmt: skip
