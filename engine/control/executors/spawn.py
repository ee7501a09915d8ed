"""How a monitor is called, what variables a worker gets, and that no signal ends either before it listens."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Iterator, Mapping

from engine.contract.paths import code_root
from engine.control.executors.code import WORKER_PATH

OURS = "FORGE_"
LATE = ("CUDA_VISIBLE_DEVICES",)
"""Variables that can still be set when torch and its kin are imported already: nothing has read them by then."""


def monitor_command() -> list[str]:
    """The monitor, without what it is to do: standard library only, so that it is small and quick."""
    return [sys.executable, "-S", "-m", "engine.control.executors.monitor"]


@contextlib.contextmanager
def sigterm_held() -> Iterator[None]:
    """What is started within is not ended by SIGTERM before it listens: the signal waits for it."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})  # of this thread; a child inherits it
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def monitor_environment(more: Mapping[str, str]) -> dict[str, str]:
    """Our own variables, and the controller's code."""
    return {**os.environ, **more, "PYTHONPATH": str(code_root()), "PYTHONSAFEPATH": "1"}


def worker_environment(more: Mapping[str, str]) -> dict[str, str]:
    """What a worker gets from its monitor: the same, but with the worker's code."""
    environment = monitor_environment(more)
    path = environment.pop(WORKER_PATH, None)
    return {**environment, "PYTHONPATH": path} if path else environment


def early(environment: Mapping[str, str]) -> dict[str, str]:
    """What must be the same for a worker that is warm already."""
    return {name: value for name, value in environment.items() if name not in LATE and not name.startswith(OURS)}
