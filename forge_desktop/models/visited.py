"""The addresses a person went through, to go back and forward in."""

from __future__ import annotations

LONGEST = 50


class Visited:
    """Like a browser's: going somewhere new forgets what lay ahead."""

    def __init__(self) -> None:
        self._list: list[str] = []
        self._place = -1

    def note(self, address: str) -> None:
        """Somebody went there, not by `step`."""
        if self._place >= 0 and self._list[self._place] == address:
            return
        self._list = [*self._list[: self._place + 1], address][-LONGEST:]
        self._place = len(self._list) - 1

    def can_step(self, by: int) -> bool:
        """There is an address before (-1) or after (1)."""
        return 0 <= self._place + by < len(self._list)

    def step(self, by: int) -> str:
        """Move, and say where that is."""
        self._place += by
        return self._list[self._place]
