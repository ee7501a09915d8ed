"""Telling from its first bytes that a file is no text, and what it is instead."""

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
WIDE_MARKS = (b"\xff\xfe", b"\xfe\xff", b"\x00\x00\xfe\xff")
CHINESE_MARKS = "，。、；：？！“”‘’（）《》【】…—·～￥　１２３４５６７８９０"
COMMON_LETTERS = (
    "的一是不了在人有我他这中大来上国个到说们为子和你地出道也时年得就那要下以生会自着去之过家学对可里后么能好多"
)
LAST_HANGUL, HIGH_SHARE, MANY = 0xC8, 0.15, 2000
"""Korean letters begin with bytes up to this one; of Chinese ones half begin with higher ones."""
FEW_ZEROS = 3
"""So many zero bytes among the first are a mistake in single lines; more are no text."""
FEW, SCRIPT_SHARE, COMMON_SHARE = 80, 0.7, 0.04
"""The commonest letters of Chinese make up a quarter of a text; read as GB18030, Korean has hardly any of them."""
COMMON_CHINESE = re.compile("[\u4e00-\u9fff]{2}|[\u3000-\u303f\uff00-\uff5e]")


def refuse_other_kinds(head: bytes, path: Path) -> None:
    """Raise what the first bytes of a file say against reading it as text."""
    kind = next((name for signature, name in SIGNATURES if head.startswith(signature)), None)
    if kind is not None:
        raise UserError("data.packed" if kind in PACKED else "data.other_kind", path=str(path), kind=kind)
    if head.count(0) > FEW_ZEROS and wide_encoding(head) is None and not head.startswith(WIDE_MARKS):
        raise UserError("data.binary", path=str(path))


def wide_encoding(head: bytes) -> str | None:
    """UTF-16 or UTF-32 without a mark, by zero bytes in every second place, or in three of four."""
    if head.startswith(WIDE_MARKS):
        return None
    whole = head[: len(head) // 4 * 4]
    if not whole:
        return None
    zeros = [whole[place::4].count(0) * 4 / len(whole) for place in range(4)]
    if min(zeros[1:]) > 0.9 and zeros[0] < 0.02:
        return "utf-32-le"
    if min(zeros[:3]) > 0.9 and zeros[3] < 0.02:
        return "utf-32-be"
    even, odd = (zeros[0] + zeros[2]) / 2, (zeros[1] + zeros[3]) / 2
    if max(even, odd) > 0.12 and min(even, odd) < 0.02:
        return "utf-16-le" if odd > even else "utf-16-be"
    return None


def looks_chinese(raw: bytes) -> bool:
    """Whether bytes that are no UTF-8 read well as GB18030."""
    try:
        text = raw.decode("gb18030")
    except UnicodeDecodeError:
        return False
    return bool(COMMON_CHINESE.search(text)) and sum(raw.count(byte) for byte in range(0xB0, 0xF8)) >= 2


def is_chinese(raw: bytes) -> bool:
    """Whether a longer text reads as Chinese in GB18030: its characters are common ones, and not another script's."""
    try:
        text = raw.decode("gb18030")
    except UnicodeDecodeError as error:
        if len(raw) - error.start > 4:  # not only cut in the middle of a character
            return False
        text = raw[: error.start].decode("gb18030")
    letters = [letter for letter in text if letter >= "\u0080"]
    known = sum(1 for letter in letters if "\u4e00" <= letter <= "\u9fff" or letter in CHINESE_MARKS)
    if not letters or known < SCRIPT_SHARE * len(letters):
        return False
    two = sum(raw.count(byte) for byte in range(0xA1, 0xF8))  # both bytes of the usual ones lie high
    if two < 1.6 * known:
        return False
    high = sum(1 for letter in letters[:MANY] if letter.encode("gb18030")[0] > LAST_HANGUL)
    if high < HIGH_SHARE * min(MANY, len(letters)):
        return False
    return len(set(letters)) < FEW or sum(map(text.count, COMMON_LETTERS)) >= COMMON_SHARE * known
