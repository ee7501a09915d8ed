"""What the list of runs asks of a controller: pages in any order, bulk deeds, the queue, all runs as points, prices."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from engine.contract.api import RunPage, Settings
from engine.contract.listing import BulkRequest, BulkResult, Price, Quality, Queue, RunPoints


class ListingBackend(Protocol):
    """The part of a backend behind the Runs page. Calls block and raise UserError."""

    def runs(
        self,
        states: Sequence[str],
        search: str,
        offset: int,
        limit: int,
        sort: str = "created",
        descending: bool = True,
    ) -> RunPage:
        """A page of runs; `search` may hold operators, at most 1000 runs come at once."""

    def bulk(self, request: BulkRequest) -> BulkResult:
        """One deed for many runs, each done or refused by itself."""

    def queue(self) -> Queue:
        """All waiting runs in the order they will start."""

    def move_in_queue(self, uid: str, before: str | None) -> Queue:
        """Let a waiting run start before another, or last of all; the queue as it is then."""

    def run_points(self, price: Price, quality: Quality) -> RunPoints:
        """Ended runs as points of a picture."""

    def price_list(self) -> Settings:
        """The controller's settings, for the prices of its slots and their currency."""
