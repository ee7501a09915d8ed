"""Notices and first steps over a replay."""

from __future__ import annotations

from engine.contract.api import RunSummary
from forge_desktop.bridge.backend_notices import DiskRoom
from forge_desktop.bridge.replayed import Played


class ReplayNotices:
    """Part of `ReplayBackend`."""

    _runs: dict[str, Played]
    disk: DiskRoom | None = DiskRoom("/data", 120_000_000_000, 500_000_000_000)
    """What `disk_room` finds."""
    worker_python: str | None = None
    """What `health` says of it."""

    def ended_since(self, since: float, limit: int) -> list[RunSummary]:
        """As the controller does."""
        every = [run.summary for run in list(self._runs.values()) if run.summary.state.ended]
        late = [run for run in every if run.finished is not None and run.finished >= since]
        return sorted(late, key=lambda run: -(run.finished or 0.0))[:limit]

    def disk_room(self) -> DiskRoom | None:
        """Whatever a test put there."""
        return self.disk
