"""Checks of the texts themselves: control characters, broken encodings, endless repetition, length."""

from __future__ import annotations

import re
import zlib

from engine.compute.data.checks.row import CheckedRow

CONTROL = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u200b\u202a-\u202e\u2066-\u2069\ufeff\ufdd0-\ufdef\ufffe\uffff]"
)
"""C0 and C1 controls but tab and line ends, marks of writing direction, zero-width spaces, what is no character."""
_TAILS = (
    "\u0080-\u00bf\u0152\u0153\u0160\u0161\u0178\u017d\u017e\u0192\u02c6\u02dc\u2013\u2014\u2018-\u201e\u2020-\u2022\u2026\u2030"
    "\u2039\u203a\u20ac\u2122"
)
SUSPICIOUS = re.compile(f"[\u00c2-\u00f4][{_TAILS}]")
SUSPICIOUS_CYRILLIC = re.compile("(?:[РС][\u0080-\u04ff\u2010-\u2122]){4}")
"""What UTF-8 looks like when it was read as Latin or Cyrillic bytes; only then the dear look is taken."""
MAYBE_SUSPICIOUS, MAYBE_CYRILLIC = b"\xc3", b"\xd0"
"""First bytes of all that such a place can begin with."""
LOST = tuple((text, text.encode()) for text in ("\ufffd", "锟斤拷", "烫烫烫", "屯屯屯"))
"""What is left where characters were lost: nothing brings them back."""
LONG = 200_000
"""Characters; a longer row is remarked on where no length was asked for."""
REPEATING, MIN_REPEATED, TAIL = 0.10, 300, 800


def look_at_controls(row: CheckedRow) -> None:
    """Characters that no one sees and a model learns."""
    if row.body.replace("\n", "").isprintable():  # nearly all are, and this is told in no time
        return
    found = CONTROL.search(row.body)
    if found is None:
        return
    count = len(CONTROL.findall(row.body))
    row.remark(
        "control_characters",
        "checks.control_characters",
        column=row.column_of(found.group()),
        excerpt=CONTROL.sub("\u2423", row.around(*found.span())),
        character=f"U+{ord(found.group()):04X}",
        count=count,
    )


def look_at_encoding(row: CheckedRow) -> None:
    """Text that was read with another encoding than it was written with."""
    if row.body.isascii():
        return
    for lost, data in LOST:
        if data in row.data:
            at = row.body.find(lost)
            row.remark("mojibake", "checks.lost_characters", column=row.column_of(lost), excerpt=row.around(at, at + 1),
                       text=lost)  # fmt: skip
            return
    if MAYBE_SUSPICIOUS not in row.data and MAYBE_CYRILLIC not in row.data:
        return
    suspicious = looks_misread(row.body)
    if suspicious is None:
        return
    from ftfy import fix_encoding
    from ftfy.badness import is_bad

    piece = row.body[max(0, suspicious.start() - 100) : suspicious.end() + 200]
    fixed = fix_encoding(piece)
    if is_bad(piece) and fixed != piece:
        column = row.column_of(suspicious.group())
        row.remark("mojibake", "checks.mojibake", column=column, excerpt=row.around(*suspicious.span()),
                   text=suspicious.group(), better=fixed[:80])  # fmt: skip


def looks_misread(text: str) -> re.Match[str] | None:
    """The first place that looks like an encoding taken for another."""
    found = SUSPICIOUS.search(text)
    return found or (SUSPICIOUS_CYRILLIC.search(text) if "Р" in text or "С" in text else None)


def look_at_repetition(row: CheckedRow) -> None:
    """A text that says the same again and again; the end is looked at by itself, where loops of models stand."""
    for text in row.texts:
        if len(text) < MIN_REPEATED:
            continue
        share = _packed_share(text[:20_000])
        if share >= REPEATING and len(text) > 2 * TAIL:
            share = _packed_share(text[-TAIL:])
        if share < REPEATING:
            row.remark("repetition", "checks.repetition", column=row.column_of(text[:200]), excerpt=text[-200:],
                       share=round(share, 3))  # fmt: skip
            return


def _packed_share(text: str) -> float:
    """How much is left of a text when it is packed: little of one that repeats itself."""
    raw = text.encode(errors="surrogatepass")
    return len(zlib.compress(raw, 1)) / len(raw)
