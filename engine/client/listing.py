"""Asking the controller about many runs at once: bulk deeds, the queue, every run as a point."""

from __future__ import annotations

from engine.client.calls import Calls
from engine.contract.api import RunSummary
from engine.contract.ids import new_id
from engine.contract.listing import BulkRequest, BulkResult, MoveInQueue, Price, Quality, Queue, RunPoints

BULK_TIMEOUT_S = 300.0
"""A thousand starts look at the files of each."""


class ListingCalls(Calls):
    """A part of `ControllerClient`."""

    def bulk(self, request: BulkRequest, key: str | None = None) -> BulkResult:
        """One deed for many runs; asked again with the same key, it is not done again."""
        answer = self._send("POST", "/runs/bulk", body=request, key=key or new_id(), timeout=BULK_TIMEOUT_S)
        return self._read(answer, BulkResult)

    def queue(self) -> Queue:
        """All waiting runs in the order they will start."""
        return self._get("/queue", Queue)

    def move_in_queue(self, uid: str, before: str | None = None) -> RunSummary:
        """Let a waiting run start before another, or last of all."""
        body = MoveInQueue(before=before)
        return self._read(self._send("POST", f"/queue/{uid}/move", body=body, key=new_id()), RunSummary)

    def points(self, search: str = "", project: str = "") -> RunPoints:
        """Ended runs, newest first, for a picture of all."""
        return self._get("/runs/points", RunPoints, {"search": search, "project": project})

    def picture(self, price: Price, quality: Quality, search: str = "", project: str = "") -> RunPoints:
        """The ended runs that a picture of these two values shows, however many there are."""
        query = {"search": search, "project": project, "price": price, "quality": quality}
        return self._get("/runs/points", RunPoints, query)
