"""Some pages of a long list, the most lately seen ones, and where each run stands in it."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

from engine.contract.api import RunSummary

PAGE = 200
KEPT = 12
"""Pages that stay in memory: a few screens' worth, however long the list."""


class RunPages:
    """What is known of a list: whole pages, by number."""

    def __init__(self) -> None:
        self._pages: OrderedDict[int, list[RunSummary]] = OrderedDict()
        self._rows: dict[str, int] = {}
        self.stale: set[int] = set()
        """Pages that may have changed since; shown until they come anew."""

    def __len__(self) -> int:
        return len(self._pages)

    def clear(self) -> None:
        """Nothing is known."""
        self._pages.clear()
        self._rows.clear()
        self.stale.clear()

    def put(self, number: int, runs: Sequence[RunSummary], keep: Sequence[int] = ()) -> None:
        """A page came; the one unseen longest goes, unless it is to be kept."""
        self._forget_rows(number)
        self._pages[number] = list(runs)
        self._pages.move_to_end(number)
        self.stale.discard(number)
        self._rows.update((run.uid, number * PAGE + place) for place, run in enumerate(runs))
        for old in list(self._pages):
            if len(self._pages) <= KEPT:
                break
            if old != number and old not in keep:
                self.drop(old)

    def drop(self, number: int) -> None:
        """Forget a page."""
        self._forget_rows(number)
        self._pages.pop(number, None)
        self.stale.discard(number)

    def _forget_rows(self, number: int) -> None:
        for run in self._pages.get(number, ()):
            if self._rows.get(run.uid, -1) // PAGE == number:
                del self._rows[run.uid]

    def touch(self, number: int) -> bool:
        """Note that a page is looked at; whether it is there and fresh."""
        if number not in self._pages:
            return False
        self._pages.move_to_end(number)
        return number not in self.stale

    def age(self) -> None:
        """All pages may have changed."""
        self.stale.update(self._pages)

    def at(self, row: int) -> RunSummary | None:
        """The run of a row, if its page is there."""
        page = self._pages.get(row // PAGE)
        place = row % PAGE
        return page[place] if page is not None and place < len(page) else None

    def row_of(self, uid: str) -> int | None:
        """Where a run stands, if its page is there."""
        return self._rows.get(uid)

    def replace(self, run: RunSummary) -> int | None:
        """Newer facts of a run that is shown; its row."""
        row = self._rows.get(run.uid)
        if row is not None:
            self._pages[row // PAGE][row % PAGE] = run
        return row

    def runs(self) -> list[RunSummary]:
        """Every run that is known, in the order of the list."""
        return [run for number in sorted(self._pages) for run in self._pages[number]]

    def numbers(self) -> list[int]:
        """Which pages are there."""
        return list(self._pages)
