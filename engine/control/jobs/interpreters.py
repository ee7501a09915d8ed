"""What interpreters hold: each is started and asked on a thread, and its answer kept while its packages stay."""

from __future__ import annotations

import contextlib
import queue
import subprocess
import threading
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from engine.contract.environments import Holds
from engine.contract.errors import ErrorBody, UserError
from engine.control.executors.installer import clean_environment, folder_bytes
from engine.control.executors.packages import LOOK

LIMIT_S = 120.0
"""Importing torch on a busy computer takes a while."""


@dataclass(frozen=True)
class Found:
    """What an interpreter said."""

    stamp: tuple[float, ...]
    holds: Holds | None
    error: ErrorBody | None
    bytes: int | None

    @property
    def works(self) -> bool:
        """Whether workers can run with it."""
        return self.error is None


class Interpreters:
    """Asks one after the other. Any thread may use it."""

    def __init__(self) -> None:
        self._known: dict[str, Found] = {}
        self._waiting: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._asked: set[str] = set()
        self._lock = threading.Lock()
        self._child: subprocess.Popen[str] | None = None
        self._closed = False
        self._thread: threading.Thread | None = None

    def look(self, python: str, again: bool = False) -> Found | None:
        """What is known of it; None while it is being asked."""
        with self._lock:
            found = self._known.get(python)
            if python not in self._asked and not self._closed and (
                found is None or again or found.stamp != _stamp(python)
            ):  # fmt: skip
                self._asked.add(python)
                self._waiting.put(python)
                if self._thread is None:
                    self._thread = threading.Thread(target=self._work, name="forge-interpreters", daemon=True)
                    self._thread.start()
            return None if python in self._asked else found

    def close(self) -> None:
        """Ask no more; who is being asked now is ended."""
        with self._lock:
            self._closed = True
            self._waiting.put(None)
            if self._child is not None and self._child.poll() is None:
                self._child.kill()
            thread = self._thread
        if thread is not None:
            thread.join(5)

    def _work(self) -> None:
        while (python := self._waiting.get()) is not None and not self._closed:
            found = self._ask(python)
            with self._lock:
                self._known[python] = found
                self._asked.discard(python)

    def _ask(self, python: str) -> Found:
        stamp = _stamp(python)
        root = Path(python).parents[1] if len(Path(python).parents) > 1 else Path(python)
        size = folder_bytes(root) if (root / "pyvenv.cfg").is_file() else None
        try:
            output, errors, code = self._start(python)
            holds = Holds.model_validate_json((output.splitlines() or [""])[-1])
        except subprocess.TimeoutExpired:
            detail = f"It did not answer within {LIMIT_S:.0f} s."
            return Found(stamp, None, UserError("worker.check_failed", python=python, detail=detail).body(), size)
        except OSError as error:
            detail = error.strerror or str(error)
            return Found(stamp, None, UserError("worker.check_failed", python=python, detail=detail).body(), size)
        except ValidationError:
            detail = (errors.strip().splitlines() or [f"It ended with code {code}."])[-1][:500]
            return Found(stamp, None, UserError("worker.check_failed", python=python, detail=detail).body(), size)
        if holds.complete:
            return Found(stamp, holds, None, size)
        missing = ", ".join(name for name, version in holds.versions.items() if not version)
        return Found(stamp, holds, UserError("environment.incomplete", python=python, missing=missing).body(), size)

    def _start(self, python: str) -> tuple[str, str, int]:
        child = subprocess.Popen(
            [python, "-c", LOOK], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            errors="replace", env=clean_environment(),
        )  # fmt: skip
        self._child = child
        try:
            output, errors = child.communicate(timeout=LIMIT_S)
        finally:
            if child.poll() is None:
                child.kill()
                child.wait()
        return output, errors, child.returncode


def _stamp(python: str) -> tuple[float, ...]:
    """Changes when packages come or go."""
    places = [Path(python), *sorted(Path(python).parents[1].glob("lib/*/site-packages"))]
    stamp: list[float] = []
    for place in places:
        with contextlib.suppress(OSError):
            stamp.append(place.stat().st_mtime)
    return tuple(stamp)
