"""The list of runs over the real controller."""

from __future__ import annotations

from collections.abc import Sequence

from engine.client.client import ControllerClient
from engine.contract.api import RunPage, Settings
from engine.contract.listing import BulkRequest, BulkResult, Price, Quality, Queue, RunPoints


class ControllerListing:
    """Passes what the Runs page asks on to a controller."""

    _client: ControllerClient

    def runs(
        self,
        states: Sequence[str],
        search: str,
        offset: int,
        limit: int,
        sort: str = "created",
        descending: bool = True,
    ) -> RunPage:
        """A page of runs."""
        return self._client.runs(
            states=states, search=search, offset=offset, limit=limit, sort=sort, descending=descending
        )

    def bulk(self, request: BulkRequest) -> BulkResult:
        """One deed for many runs."""
        return self._client.bulk(request)

    def queue(self) -> Queue:
        """All waiting runs."""
        return self._client.queue()

    def move_in_queue(self, uid: str, before: str | None) -> Queue:
        """Move a waiting run."""
        self._client.move_in_queue(uid, before)
        return self.queue()

    def run_points(self, price: Price, quality: Quality) -> RunPoints:
        """Ended runs as points of a picture."""
        return self._client.picture(price, quality)

    def price_list(self) -> Settings:
        """The controller's settings."""
        return self._client.settings()
