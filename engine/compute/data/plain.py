"""Values of tables as JSON has them, and rows as the text they are kept as."""

from __future__ import annotations

import base64
import hashlib
import json
import math
from typing import Any

HASH_BYTES = 16
_encoder = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def plain(value: Any) -> Any:
    """A value without what JSON does not know: bytes as base64, dates as texts, what is no number as nothing."""
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set):
        return [plain(item) for item in value]
    if isinstance(value, bytes | bytearray | memoryview):
        return {"base64": base64.b64encode(value).decode()}
    if hasattr(value, "isoformat"):
        return value.isoformat()
    return str(value)


def as_text(content: dict[str, Any]) -> tuple[dict[str, Any], str]:
    """A row and the JSON text it is kept as. Numbers that are none (NaN) become null, in both."""
    try:
        return content, _encoder.encode(content)
    except ValueError:
        clean = plain(content)
        return clean, _encoder.encode(clean)


def row_hash(content: str) -> bytes:
    """The fingerprint of a row as it is kept."""
    return hashlib.blake2b(content.encode(), digest_size=HASH_BYTES).digest()
