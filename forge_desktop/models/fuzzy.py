"""Finding names by a few of their letters, and which letters those were."""

from __future__ import annotations

from typing import NamedTuple

WORD_START, RUN_ON, WHOLE, LETTER = 8, 5, 20, 1
GAP = 0.05


class Match(NamedTuple):
    """How well it fits, and the places of the letters that were found."""

    score: float
    places: frozenset[int]


def match(pattern: str, text: str) -> Match | None:
    """How a name fits what was typed: every word of it must be there, as a piece or letter by letter, in any order."""
    lowered = text.lower()
    if len(lowered) != len(text):
        lowered = text
    score, places = 0.0, set[int]()
    for word in pattern.lower().split():
        found = _piece(word, lowered) or _letters(word, lowered)
        if found is None:
            return None
        score += found.score
        places |= found.places
    return Match(score - GAP * len(text), frozenset(places))


def _starts(text: str, place: int) -> bool:
    return place == 0 or not text[place - 1].isalnum() or ord(text[place]) > 0x2E80


def _piece(word: str, text: str) -> Match | None:
    """The word as it is; best where a word of the text begins."""
    places = [place for place in range(len(text) - len(word) + 1) if text.startswith(word, place)]
    if not places:
        return None
    best = next((place for place in places if _starts(text, place)), places[0])
    score = WHOLE + len(word) * RUN_ON + (WORD_START if _starts(text, best) else 0) + (WORD_START if best == 0 else 0)
    return Match(score, frozenset(range(best, best + len(word))))


def _letters(word: str, text: str) -> Match | None:
    """The word's letters one after another, each at the beginning of a word or right after the one before."""
    if len(word) < 2:
        return None
    places: list[int] = []
    for letter in word:
        after = places[-1] + 1 if places else 0
        if after < len(text) and places and text[after] == letter:
            places.append(after)
            continue
        start = next((n for n in range(after, len(text)) if text[n] == letter and _starts(text, n)), -1)
        if start < 0:
            return None
        places.append(start)
    score = sum(WORD_START if _starts(text, place) else LETTER for place in places)
    return Match(float(score), frozenset(places))
