"""Telling from its first bytes that a file is no UTF-8 text, and what it is instead."""

from __future__ import annotations

import re
from pathlib import Path

from engine.contract.errors import UserError

SIGNATURES: tuple[tuple[bytes, str], ...] = (
    (b"\x89PNG\r\n", "PNG"),
    (b"\xff\xd8\xff", "JPEG"),
    (b"GIF8", "GIF"),
    (b"%PDF-", "PDF"),
    (b"\x7fELF", "ELF"),
    (b"MZ\x90\x00", "EXE"),
    (b"PK\x03\x04", "ZIP"),
    (b"\x1f\x8b", "gzip"),
    (b"BZh", "bzip2"),
    (b"\xfd7zXZ\x00", "xz"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"7z\xbc\xaf\x27\x1c", "7z"),
    (b"PAR1", "Parquet"),
    (b"ARROW1\x00", "Arrow"),
    (b"SQLite format 3\x00", "SQLite"),
    (b"\x93NUMPY", "NumPy"),
)
PACKED = ("ZIP", "gzip", "bzip2", "xz", "zstd", "7z")
COMMON_CHINESE = re.compile("[\u4e00-\u9fff]{2}|[\u3000-\u303f\uff00-\uff5e]")


def refuse_other_kinds(head: bytes, path: Path) -> None:
    """Raise what the first bytes of a file say against reading it as UTF-8 text."""
    kind = next((name for signature, name in SIGNATURES if head.startswith(signature)), None)
    if kind is not None:
        raise UserError("data.packed" if kind in PACKED else "data.other_kind", path=str(path), kind=kind)
    wide = _wide_encoding(head)
    if wide is not None:
        raise UserError("data.not_utf8", path=str(path), detail=f"It is {wide}.")
    if b"\x00" in head:
        raise UserError("data.binary", path=str(path))


def _wide_encoding(head: bytes) -> str | None:
    """UTF-16 or UTF-32, by its mark, or by zero bytes in every second place."""
    if head.startswith((b"\xff\xfe\x00\x00", b"\x00\x00\xfe\xff")):
        return "UTF-32"
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "UTF-16"
    even, odd = head[0::2], head[1::2]
    if not odd:
        return None
    low, high = even.count(0) / len(even), odd.count(0) / len(odd)
    if max(low, high) > 0.3 and min(low, high) < 0.02:
        return "UTF-16"
    return None


def looks_chinese(raw: bytes) -> bool:
    """Whether bytes that are no UTF-8 read well as GB18030."""
    try:
        text = raw.decode("gb18030")
    except UnicodeDecodeError:
        return False
    return bool(COMMON_CHINESE.search(text)) and sum(raw.count(byte) for byte in range(0xB0, 0xF8)) >= 2
