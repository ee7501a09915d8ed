"""Notices and first steps over the real controller."""

from __future__ import annotations

import shutil

from engine.client.client import ControllerClient
from engine.contract.api import RunSummary
from engine.contract.paths import Home
from engine.contract.states import ENDED
from forge_desktop.bridge.backend_notices import DiskRoom

PAGE = 50


class ControllerNotices:
    """Part of `ControllerBackend`."""

    _home: Home
    _client: ControllerClient

    def ended_since(self, since: float, limit: int) -> list[RunSummary]:
        """Runs that ended at or after a moment, the latest first."""
        found: list[RunSummary] = []
        states = sorted(str(state) for state in ENDED)
        while len(found) < limit:
            size = min(PAGE, limit - len(found))
            page = self._client.runs(states=states, sort="finished", offset=len(found), limit=size)
            late = [run for run in page.runs if run.finished is not None and run.finished >= since]
            found += late
            if len(late) < size:
                break
        return found

    def disk_room(self) -> DiskRoom | None:
        """Room on the disk of the data folder."""
        try:
            usage = shutil.disk_usage(self._home.root)
        except OSError:
            return None
        return DiskRoom(str(self._home.root), usage.free, usage.total)
