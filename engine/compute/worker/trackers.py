"""Where the figures of a training go besides the journal: TensorBoard files always, other trackers where asked for.

Each has a thread and a bounded queue of its own. One that is slow loses points, one that fails or hangs is left
behind; training neither waits for it nor ends with it, and what was lost is said.
"""

from __future__ import annotations

import importlib.util
import logging
import math
import queue
import sys
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Protocol

from engine.compute.worker.resume import Start
from engine.compute.worker.tracker_kinds import Facts, maker, tensorboard
from engine.contract.errors import UserError
from engine.contract.watching import TRACKERS, WatchingConfig

if TYPE_CHECKING:
    from engine.compute.worker.train_job import TrainSession

log = logging.getLogger("worker")
WAITING = 2000
"""Points that may wait for a tracker."""
FAREWELL_S = 10.0
"""How long all trackers together may take to finish once training is over."""
TENSORBOARD = "tensorboard"


class Tracker(Protocol):
    """What takes figures. Nothing of it is called by the thread that trains."""

    def log(self, step: int, values: dict[str, float], at: float) -> None:
        """The figures of a step."""

    def finish(self) -> None:
        """No more will come."""


class Line:
    """One tracker with its thread."""

    def __init__(self, name: str, make: Callable[[], Tracker], size: int = WAITING) -> None:
        self.name, self._make = name, make
        self._queue: queue.Queue[tuple[int, dict[str, float], float] | None] = queue.Queue(size)
        self._closing = threading.Event()
        self.dropped = 0
        self.failure = ""
        self._thread = threading.Thread(target=self._run, name=f"tracker-{name}", daemon=True)
        self._thread.start()

    def put(self, step: int, values: dict[str, float]) -> None:
        """Hand it figures; never waits."""
        try:
            if self.failure:
                raise queue.Full
            self._queue.put_nowait((step, values, time.time()))
        except queue.Full:
            self.dropped += 1

    def close(self, until: float) -> bool:
        """Nothing more comes; whether it has finished by then."""
        self._closing.set()
        self._thread.join(max(0.0, until - time.monotonic()))
        return not self._thread.is_alive()

    @property
    def left(self) -> int:
        """Points it never took."""
        return self.dropped + self._queue.qsize()

    def _run(self) -> None:
        try:
            tracker = self._make()
            while (point := self._next()) is not None:
                tracker.log(*point)
            tracker.finish()
        except BaseException as error:  # noqa: BLE001 - other people's programs: whatever it is, training goes on
            self.failure = f"{type(error).__name__}: {error}"[:500]

    def _next(self) -> tuple[int, dict[str, float], float] | None:
        """The next point; None once there will be none."""
        while True:
            try:
                return self._queue.get(timeout=0.2)
            except queue.Empty:
                if self._closing.is_set():
                    return None


class Trackers:
    """All of a run, while it trains."""

    def __init__(self, session: TrainSession, start: Start | None) -> None:
        self._report = session.report
        facts = facts_of(session, start)
        self.lines = [Line(TENSORBOARD, lambda: tensorboard(facts))]
        names = list(dict.fromkeys(session.job.watching.trackers))
        if names:
            _unhide()
        self.lines += [Line(name, maker(name, facts)) for name in names]
        self._told: set[str] = set()

    def __enter__(self) -> Trackers:
        self._report.figures = self._put
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self._report.figures = lambda _step, _values: None
        until = time.monotonic() + FAREWELL_S
        for line in self.lines:
            if not line.close(until):
                self._report.note("tracking.left_behind", "warning", tracker=line.name, points=line.left)
            elif line.failure:
                self._tell_failure(line)
            elif line.left:
                self._report.note("tracking.dropped", "warning", tracker=line.name, points=line.left)

    def _put(self, step: int, values: dict[str, float]) -> None:
        finite = {name: value for name, value in values.items() if math.isfinite(value)}
        for line in self.lines:
            line.put(step, finite)
            if line.failure:
                self._tell_failure(line)

    def _tell_failure(self, line: Line) -> None:
        if line.name not in self._told:
            self._told.add(line.name)
            self._report.note("tracking.failed", "warning", tracker=line.name, detail=line.failure)


def facts_of(session: TrainSession, start: Start | None) -> Facts:
    """What a tracker is told of the run."""
    watching, secrets = session.job.watching, session.worker.secrets
    return Facts(
        run=session.order.run,
        attempt=session.order.attempt,
        name=session.spec.name,
        project=watching.tracker_project,
        address=watching.tracker_address,
        online=watching.tracker_online,
        folder=session.folder.outputs,
        first_step=start.manifest.step + 1 if start else 1,
        config=session.job.model_dump(mode="json"),
        tokens={name: value for name in TRACKERS if (value := secrets.plain(name))},
    )


def refuse_missing(watching: WatchingConfig) -> None:
    """Before anything heavy: a tracker whose package is not there is refused."""
    for name in watching.trackers:
        if importlib.util.find_spec(name) is None:
            raise UserError("tracking.missing", tracker=name, package=TRACKERS.get(name, name))


def _unhide() -> None:
    """Trackers may want packages this worker keeps transformers from importing."""
    for package in [name for name, module in sys.modules.items() if module is None and name in ("pandas", "datasets")]:
        del sys.modules[package]
