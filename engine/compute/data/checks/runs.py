"""Runs of five words of many texts at once, as numbers: words are found and runs are hashed column by column.

A run's number is what FxHash makes of its UTF-8 bytes, the words with one blank between them: the hash `rensa` gives
tokens itself. Making a Python object of each run would cost ten times as much.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from itertools import accumulate

import numpy as np

RUN = 5
MOST_WORDS = 4_000
MOST_CHARACTERS = 8 * MOST_WORDS
"""Of a text that are looked at."""
ALONE = "\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af"
"""Scripts that put no spaces between words: each letter is a word, unless it goes on a word of other letters."""
APART, LETTER, SINGLE, MARK = range(4)
"""What a character is: between words, of a word, a word alone, one that also ends a word."""
BLANK = 32
FLAT = 250_000
"""Characters that are looked at together."""

_K, _SEED_1, _SEED_2, _MORE = (
    np.uint64(number) for number in (0xF1357AEA2E62A9C5, 0x243F6A8885A308D3, 0x13198A2E03707344, 0xA4093822299F31D0)
)
_LOW, _HALF, _TURN = np.uint64(0xFFFFFFFF), np.uint64(32), 26
Runs = tuple[np.ndarray, np.ndarray]
"""Numbers of the runs of all texts, and where each text's begin (with the end of the last)."""


def runs_of(texts: Sequence[str]) -> Runs:
    """The runs of each text, in lower case; a text of fewer words is one run."""
    pieces = [text[:MOST_CHARACTERS] for text in texts]
    parts, begin = list[Runs](), 0
    for end in _ends(pieces):
        parts.append(_runs_of(pieces[begin:end]))
        begin = end
    if len(parts) == 1:
        return parts[0]
    offsets = [np.zeros(1, np.int64)]
    for _, found in parts:
        offsets.append(found[1:] + offsets[-1][-1])
    return np.concatenate([hashes for hashes, _ in parts] or [np.zeros(0, np.uint64)]), np.concatenate(offsets)


def _ends(pieces: list[str]) -> list[int]:
    """Where to cut, so that no more is looked at together than memory should hold."""
    ends, size = list[int](), 0
    for number, piece in enumerate(pieces):
        if size and size + len(piece) > FLAT:
            ends.append(number)
            size = 0
        size += len(piece)
    return [*ends, len(pieces)] if pieces else ends


def _runs_of(pieces: list[str]) -> Runs:
    """Of texts that are looked at together: a zero character stands between any two of them."""
    whole = "\0".join(pieces)
    if whole.isascii():
        lengths = [len(piece) for piece in pieces]
        codes = np.frombuffer(whole.encode().translate(_ascii()), np.uint8)
        kinds = (codes != BLANK).view(np.uint8)
    else:
        lower = [piece.lower() for piece in pieces]
        lengths = [len(piece) for piece in lower]
        codes = np.frombuffer("\0".join(lower).encode("utf-32-le", "surrogatepass"), np.uint32)
        kinds = _kinds()[codes]
    data, words, begins, ends = _words(codes, kinds)
    rows = np.fromiter(accumulate((length + 1 for length in lengths), initial=0), np.int64, len(lengths) + 1)
    first = np.searchsorted(words, rows)
    counts = np.minimum(np.diff(first), MOST_WORDS)
    runs = np.maximum(counts - RUN + 1, 1)
    offsets = np.concatenate(([0], np.cumsum(runs)))
    place = np.arange(offsets[-1]) - np.repeat(offsets[:-1] - first[:-1], runs)
    last = np.minimum(place + RUN - 1, np.repeat(first[:-1] + counts - 1, runs))
    empty = np.repeat(counts == 0, runs)
    if not len(begins):
        begins = ends = np.zeros(1, np.int64)
    start = np.where(empty, 0, begins[np.minimum(place, len(begins) - 1)])
    stop = np.where(empty, 0, ends[np.maximum(last, 0)])
    return fx_hash(data, start, stop), offsets


def _words(codes: np.ndarray, kinds: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """UTF-8 with one blank before each word; where each word stands in the text; where it begins and ends there."""
    kept = kinds != APART
    starts = kept.copy()
    if kinds.max(initial=0) < SINGLE:
        starts[1:] &= ~kept[:-1]
    else:
        at = np.arange(len(kinds), dtype=np.int32)
        letter = np.maximum.accumulate(np.where(kinds == LETTER, at, -1))
        end = np.maximum.accumulate(np.where((kinds == APART) | (kinds == MARK), at, -1))
        starts[1:] &= (letter <= end)[:-1] | (kinds == MARK)[1:]
    letters, first = codes[kept], np.flatnonzero(starts[kept])
    blanks = first + np.arange(len(first))
    filled = np.ones(len(letters) + len(blanks), np.bool_)
    filled[blanks] = False
    out = np.full(len(filled), BLANK, codes.dtype)
    out[filled] = letters
    if codes.dtype != np.uint8:
        text = out.tobytes().decode("utf-32-le", "surrogatepass")
        out = np.frombuffer(text.encode("utf-8", "surrogatepass"), np.uint8)
        blanks = np.flatnonzero(out == BLANK)
    return out, np.flatnonzero(starts), blanks + 1, np.append(blanks[1:], len(out))


def fx_hash(data: np.ndarray, begins: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """The FxHash (rustc-hash 2) of pieces of bytes."""
    padded = np.concatenate((data, np.zeros(16, np.uint8)))
    words = np.ndarray(len(padded) - 7, "<u8", padded, strides=(1,)).copy()  # aligned: quicker to pick from
    sizes = ends - begins
    one, other = np.full(len(sizes), _SEED_1), np.full(len(sizes), _SEED_2)
    at, live = begins, np.flatnonzero(sizes > 16)
    while len(live):  # sixteen bytes of every piece that has more than that left
        where = at[live]
        mixed = _mix(one[live] ^ words[where], _MORE ^ words[where + 8])
        one[live], other[live] = other[live], mixed
        at = at + 16 if len(live) == len(at) else _moved(at, live)
        live = live[at[live] < ends[live] - 16]
    long = sizes > 16
    first, last = np.where(long, ends - 16, begins), ends - 8
    whole = sizes >= 8
    one[whole] ^= words[first[whole]]
    other[whole] ^= words[last[whole]]
    half = np.flatnonzero((sizes >= 4) & ~whole)
    one[half] ^= words[begins[half]] & _LOW
    other[half] ^= words[ends[half] - 4] & _LOW
    few = np.flatnonzero((sizes > 0) & (sizes < 4))
    one[few] ^= padded[begins[few]].astype(np.uint64)
    middle = padded[begins[few] + sizes[few] // 2].astype(np.uint64)
    other[few] ^= (padded[ends[few] - 1].astype(np.uint64) << np.uint64(8)) | middle
    found = (_mix(one, other) ^ sizes.astype(np.uint64)) * _K
    turned: np.ndarray = (found << np.uint64(_TURN)) | (found >> np.uint64(64 - _TURN))
    return turned


def _moved(at: np.ndarray, live: np.ndarray) -> np.ndarray:
    at = at.copy()
    at[live] += 16
    return at


def _mix(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Both halves of the product of 128 bits, folded."""
    low_1, high_1, low_2, high_2 = one & _LOW, one >> _HALF, other & _LOW, other >> _HALF
    lowest, cross = low_1 * low_2, high_1 * low_2
    middle = low_1 * high_2 + (lowest >> _HALF)
    carried = (middle & _LOW) + (cross & _LOW)
    top = high_1 * high_2 + (middle >> _HALF) + (cross >> _HALF) + (carried >> _HALF)
    folded: np.ndarray = top ^ (one * other)
    return folded


@cache
def _ascii() -> bytes:
    """Letters in lower case and digits as they are, everything else a blank."""
    return bytes(ord(chr(code).lower()) if code < 128 and chr(code).isalnum() else BLANK for code in range(256))


@cache
def _kinds() -> np.ndarray:
    """Every character's kind."""
    kinds = np.zeros(0x110000, np.uint8)
    for code in range(0x110000):
        if chr(code).isalnum():
            kinds[code] = LETTER
    for first, last in ((ALONE[at], ALONE[at + 2]) for at in range(0, len(ALONE), 3)):
        part = kinds[ord(first) : ord(last) + 1]
        part[:] = np.where(part == LETTER, SINGLE, MARK)
    return kinds
