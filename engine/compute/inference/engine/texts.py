"""Text out of tokens as they come: whole characters only, and nothing that may become a stop text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

UNFINISHED = "�"
MOST_WAITING = 8
"""Tokens after which a broken character is told as it is."""


class TextStream:
    """Of one answer."""

    def __init__(self, tokenizer: Any, stops: Sequence[str] = ()) -> None:
        self._tokenizer, self._stops = tokenizer, [stop for stop in stops if stop]
        self._tokens: list[int] = []
        self._begin = self._told = 0
        """Where decoding begins, and up to where it was told: a token's text depends on those before it."""
        self._held = ""
        self.stopped = False

    def add(self, token: int) -> str:
        """One more token; the text that is sure by now."""
        self._tokens.append(token)
        before = self._decode(self._tokens[self._begin : self._told])
        whole = self._decode(self._tokens[self._begin :])
        waiting = len(self._tokens) - self._told
        if whole.endswith(UNFINISHED) and waiting < MOST_WAITING:
            return ""
        self._begin, self._told = self._told, len(self._tokens)
        return self._sure(self._held + whole[len(before) :])

    def rest(self) -> str:
        """What was held back; nothing comes any more."""
        if self.stopped:
            return ""
        whole = self._decode(self._tokens[self._begin :])
        before = self._decode(self._tokens[self._begin : self._told])
        text, self._held = self._held + whole[len(before) :], ""
        found = self._first_stop(text)
        return text if found is None else text[:found]

    def _decode(self, tokens: list[int]) -> str:
        return str(self._tokenizer.decode(tokens, skip_special_tokens=True)) if tokens else ""

    def _first_stop(self, text: str) -> int | None:
        return min((place for stop in self._stops if (place := text.find(stop)) >= 0), default=None)

    def _sure(self, text: str) -> str:
        found = self._first_stop(text)
        if found is not None:
            self.stopped, self._held = True, ""
            return text[:found]
        most = max((len(stop) for stop in self._stops), default=1) - 1
        keep = next(
            (n for n in range(min(most, len(text)), 0, -1) if any(stop.startswith(text[-n:]) for stop in self._stops)),
            0,
        )
        self._held = text[len(text) - keep :]
        return text[: len(text) - keep]
