"""Which language rows are written in, from a piece of each; rows of another one than most are remarked on."""

from __future__ import annotations

import re
from collections import Counter
from functools import cache
from typing import Any

PIECE = 160
"""Characters of a row that are looked at."""
EVERY_ROW = 20_000
"""So many first rows are looked at, then one in eight, chosen by its content."""
AT_ONCE = 256
SURE, LEAST_LETTERS, MAIN_SHARE = 0.9, 24, 0.1
HAN = re.compile("[\u3400-\u9fff]")
KANA = re.compile("[\u3041-\u30ff]")
HANGUL = re.compile("[\uac00-\ud7af]")
NOT_WORDS = re.compile(r"[\W\d_]+|https?://\S+")


class Languages:
    """Takes texts in; a byte a row."""

    def __init__(self) -> None:
        self._codes: list[str] = ["?"]
        self._rows = bytearray()
        """Place in `_codes` a row, 255 for one that was not looked at."""
        self._waiting = list[tuple[int, str]]()
        """Rows the model is still to be asked about, and their words: it is asked about many at once."""

    def look(self, text: str, digest: bytes) -> None:
        """Tell the language of the next row."""
        if len(self._rows) >= EVERY_ROW and digest[0] % 8:
            self._rows.append(255)
            return
        code, words = plain_to_see(text)
        if words:
            self._waiting.append((len(self._rows), words))
        self._rows.append(self._place(code))
        if len(self._waiting) == AT_ONCE:
            self._ask()

    def _place(self, code: str) -> int:
        if code not in self._codes:
            self._codes.append(code)
        return self._codes.index(code)

    def _ask(self) -> None:
        found = asked([words for _, words in self._waiting])
        for (row, _), code in zip(self._waiting, found, strict=True):
            self._rows[row] = self._place(code)
        self._waiting = []

    def shares(self) -> dict[str, float]:
        """Language to share of the rows that were looked at, the commonest first."""
        self._ask()
        counts = Counter(self._rows)
        counts.pop(255, None)
        total = counts.total()
        return {self._codes[place]: round(count / total, 4) for place, count in counts.most_common()} if total else {}

    def others(self) -> list[tuple[int, str, str]]:
        """Rows in another language than those most rows are in: row, its language, the main ones."""
        shares = {code: share for code, share in self.shares().items() if code != "?"}
        known = sum(shares.values())
        main = [code for code, share in shares.items() if share >= MAIN_SHARE * known]
        if not main or len(main) == len(shares):
            return []
        meant = {self._codes.index(code) for code in shares if code not in main}
        return [(row, self._codes[place], ", ".join(main)) for row, place in enumerate(self._rows) if place in meant]

    def state(self) -> dict[str, Any]:
        """For another attempt."""
        self._ask()
        return {"codes": self._codes, "rows": self._rows}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on."""
        self._codes, self._rows = list(state["codes"]), bytearray(state["rows"])


def plain_to_see(text: str) -> tuple[str, str]:
    """The language where it needs no model to tell, else the words to ask it about."""
    piece = text[:PIECE] if len(text) < 4 * PIECE else text[len(text) // 2 : len(text) // 2 + PIECE]
    if not piece.isascii():
        han = len(HAN.findall(piece))
        if 3 * han > len(piece):
            return ("ja" if KANA.search(piece) else "zh"), ""
        if 3 * len(HANGUL.findall(piece)) > len(piece):
            return "ko", ""
    words = NOT_WORDS.sub(" ", piece)
    return "?", words if len(words) - words.count(" ") >= LEAST_LETTERS else ""


def asked(texts: list[str]) -> list[str]:
    """What the model says of words, where it is sure."""
    return [code or "?" for code in _identifier().sure_of(texts, SURE)] if texts else []


@cache
def _identifier() -> Any:
    """The model, loaded on first use: a second, and only where languages are told."""
    from engine.compute.data.checks.language_model import load

    return load()
