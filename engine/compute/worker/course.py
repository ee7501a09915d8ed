"""What ends a training before its last step, or turns it back: limits, early stop, guards; and what its result is."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING, Any

from engine.compute.training.checkpoint import load_weights
from engine.compute.training.guards import DataStalled, Guards, Sighting
from engine.compute.training.trainer import ForgeTrainer
from engine.compute.worker.resume import Start
from engine.contract.checkpoints import Manifest
from engine.contract.errors import ErrorBody, UserError
from engine.contract.guards import Deed
from engine.contract.states import EndReason, RunState
from engine.contract.stopping import SCORE, StoppingConfig, stops_at

if TYPE_CHECKING:
    from engine.compute.worker.train_job import TrainSession


def rating(manifest: Manifest, stopping: StoppingConfig) -> float | None:
    """What a checkpoint is ranked by, the lower the better; None where it was not measured."""
    return ranked(manifest.score if stopping.metric == SCORE else manifest.validation_loss, stopping)


def ranked(value: float | None, stopping: StoppingConfig) -> float | None:
    """A measurement as a rank, the lower the better; None for none and for what is no number."""
    if value is None or value != value:
        return None
    return -value if stopping.higher else value


class Course:
    """Asked at every step boundary whether training goes on."""

    def __init__(self, session: TrainSession, start: Start | None) -> None:
        self._session = session
        self._spent_before = start.manifest.trained_seconds if start else 0.0
        self._measured: list[float] = []
        self.trainer: ForgeTrainer
        self.guards = Guards(session.job.guards, self._tell, session.folder.run)
        self._stalled = False

    # Limits.

    def should_stop(self) -> bool:
        """Time or money is used up, or a guard wants the end."""
        if self.guards.stopped is not None:
            self._end(RunState.STOPPED, EndReason.GUARD, _error_of(self.guards.stopped))
        limits, worker = self._session.spec.limits, self._session.worker
        spent = time.monotonic() - worker.began
        hours = (self._spent_before + spent) / 3600
        if worker.ending is None and limits.max_hours is not None and hours > limits.max_hours:
            self._session.report.note("training.time_limit", "warning", hours=limits.max_hours)
            self._end(RunState.COMPLETED, EndReason.TIME_LIMIT)
        price = self._session.order.price
        if worker.ending is None and limits.max_cost is not None and price is not None:
            cost = self._session.order.cost_before + spent / 3600 * price
            if cost > limits.max_cost:
                self._session.report.note("training.cost_limit", "warning", limit=limits.max_cost, cost=f"{cost:.4g}")
                self._end(RunState.COMPLETED, EndReason.COST_LIMIT)
        return worker.ending is not None

    def _end(self, state: RunState, reason: EndReason, error: ErrorBody | None = None) -> None:
        if self._session.worker.ending is None:
            self._session.worker.ending = (state, reason, error)

    @property
    def by_guard(self) -> bool:
        """A guard ended it."""
        ending = self._session.worker.ending
        return ending is not None and ending[1] is EndReason.GUARD

    # Early stop.

    def measured(self, step: int, values: dict[str, float]) -> None:
        """A measurement of what gets better or not."""
        stopping = self._session.job.stopping
        if stopping.metric not in values:
            return
        self._measured.append(values[stopping.metric])
        if stopping.patience is None or self._session.worker.ending is not None:
            return
        place = stops_at(self._measured, stopping.patience, stopping.min_delta, stopping.higher)
        if place is None:
            return
        best = (max if stopping.higher else min)(self._measured)
        self._session.report.note(
            "training.early_stop", step=step, metric=stopping.metric, patience=stopping.patience, best=f"{best:.4g}"
        )
        self._end(RunState.COMPLETED, EndReason.EARLY_STOP)
        self.trainer.ended = True

    def state(self) -> dict[str, Any]:
        """For a checkpoint: what was measured so far."""
        return {"measured": self._measured}

    def load(self, state: dict[str, Any]) -> None:
        """What `state` gave."""
        self._measured = [float(value) for value in state.get("measured", [])]

    # Guards.

    def _tell(self, sighting: Sighting, deed: Deed, done: str) -> None:
        config = self._session.job.guards
        params = {**sighting.params, "most": config.max_rollbacks if "back" in done else config.max_skips}
        seen = {name: value for name, value in sighting.seen.items() if value == value}
        self._session.report.guarded(
            guard=sighting.guard, step=sighting.step, deed=deed, wanted=sighting.action, seen=seen,
            code=sighting.code, params=params, done=done, level="error" if deed == "stopped" else "warning",
        )  # fmt: skip

    def go_back(self) -> int | None:
        """Put the last good checkpoint's weights back; None where there is none."""
        found = self._session.checkpoints.last_good(self.guards.flagged)
        if found is None:
            return None
        folder, manifest = found
        self.trainer.go_back(folder, self._session.job.guards.rollback_rate)
        return manifest.step

    @contextmanager
    def watched_data(self) -> Iterator[None]:
        """Inside, a wait for data that takes too long is told, and broken off where that is wanted."""
        watch = self._session.worker.ticker.watch
        can_break = threading.current_thread() is threading.main_thread()
        before = signal.signal(signal.SIGUSR1, self._break_off) if can_break else None
        watch.append(self._look_at_data)
        try:
            yield
        except DataStalled:
            self.should_stop()
        finally:
            watch.remove(self._look_at_data)
            if can_break:
                signal.signal(signal.SIGUSR1, before)

    def _look_at_data(self) -> None:
        if self.guards.look_at_data():
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGUSR1)

    def _break_off(self, number: int, frame: FrameType | None) -> None:
        del number, frame
        if self.guards.is_waiting:
            raise DataStalled

    # Result.

    def result(self, model: Any, step: int) -> int:
        """Make the model what the result is to be; the step it comes from."""
        if self._session.job.stopping.result != "best":
            return step
        found = self._session.checkpoints.best_one()
        if found is None:
            self._session.report.note("training.no_best", "warning", step=step)
            return step
        folder, manifest = found
        if manifest.step != step:
            load_weights(model, folder)
        self._session.report.note("training.best_result", step=manifest.step, last=step)
        return manifest.step


def _error_of(sighting: Sighting) -> ErrorBody:
    return UserError(sighting.code, **sighting.params).body()
