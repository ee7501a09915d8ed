"""Asking the controller to put a run's result on a hub."""

from __future__ import annotations

from engine.client.calls import Calls
from engine.contract.push import PushAsked, Pushed

PUSH_S = 24 * 3600.0


class PushCalls(Calls):
    """A part of `ControllerClient`."""

    def push(self, uid: str, asked: PushAsked) -> Pushed:
        """Push, and wait until it is there."""
        return self._read(self._send("POST", f"/runs/{uid}/push", body=asked, timeout=PUSH_S), Pushed)
