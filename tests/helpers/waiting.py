"""Waiting for a condition, never for a duration."""

import asyncio
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
PATIENCE_S = 120.0
"""For what takes a second on an idle computer: how long it takes on a busy one is no verdict."""


def wait_until(condition: Callable[[], T], timeout: float = PATIENCE_S, what: str = "") -> T:
    """The condition's first true value; fails after the deadline, saying what was waited for."""
    deadline = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < deadline, f"not within {timeout} s: {what or condition}; last {value!r}"
        time.sleep(0.02)


async def eventually(condition: Callable[[], T], timeout: float = PATIENCE_S, what: str = "") -> T:
    """The same on an event loop."""
    deadline = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < deadline, f"not within {timeout} s: {what or condition}; last {value!r}"
        await asyncio.sleep(0.01)
