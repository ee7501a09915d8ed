"""The watchdog reports a window that stands still, with what it was doing."""

from __future__ import annotations

import time

from forge_desktop.bridge.watchdog import Stall, Watchdog


def stand_still(seconds: float) -> None:
    """Do work on the window's thread."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        pass


def test_that_a_stall_is_reported_with_its_stack(qtbot):
    stalls: list[Stall] = []
    dog = Watchdog(stalls.append, limit=0.2)
    dog.start()
    stand_still(0.6)
    qtbot.waitUntil(lambda: any(stall.seconds >= 0.6 for stall in stalls))
    dog.close()
    assert any("stand_still" in stall.stack for stall in stalls)


def test_that_the_time_of_a_stall_is_its_own(qtbot):
    stalls: list[Stall] = []
    dog = Watchdog(stalls.append, limit=0.2)
    dog.start()
    stand_still(0.5)
    qtbot.waitUntil(lambda: any("stand_still" in stall.stack for stall in stalls))
    first = next(stall for stall in stalls if "stand_still" in stall.stack)
    stand_still(1.0)
    qtbot.waitUntil(lambda: any(stall.seconds >= 1.0 for stall in stalls))
    dog.close()
    assert first.seconds >= 0.5
    assert all(len(stall.stack) > 0 for stall in stalls)
