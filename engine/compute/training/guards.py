"""Guards over training: what each sees is reckoned here, from plain numbers; what is done is said by its setting."""

from __future__ import annotations

import math
import shutil
import statistics
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from engine.contract.errors import UserError
from engine.contract.guards import Deed, GuardName, GuardsConfig

NEEDED = 5
"""Steps before there is a usual value."""
NEEDED_FOR_PACE = 10
LEAST_SPREAD = 0.05
"""Of the median: a loss that hardly moves is not spiking when it moves a little."""
ROBUST = 1.4826
"""Makes of the median absolute deviation what the standard deviation is of a normal distribution."""
LEAST_SLOW_S = 1.0
"""A quicker step is never worth a word."""
DISK_EVERY_S = 5.0


class DataStalled(Exception):
    """Thrown into the wait for a batch that does not come, where the run is to stop for it."""


@dataclass(frozen=True)
class Sighting:
    """A guard saw something at a step."""

    guard: GuardName
    step: int
    action: str
    """What its setting names."""
    code: str
    params: dict[str, Any] = field(default_factory=dict)
    seen: dict[str, float] = field(default_factory=dict)


Tell = Callable[[Sighting, Deed, str], None]
"""(what, what was done, code of the message that says it)."""


def spread(values: list[float], median: float) -> float:
    """Robust deviation from the median, never next to nothing."""
    deviation = ROBUST * statistics.median([abs(value - median) for value in values])
    return max(deviation, LEAST_SPREAD * abs(median), 1e-6)


class Lately:
    """The last so many finite values of something."""

    def __init__(self, size: int) -> None:
        self.values: deque[float] = deque(maxlen=size)

    def add(self, value: float) -> None:
        """One more."""
        if math.isfinite(value):
            self.values.append(value)

    def usual(self, needed: int = NEEDED) -> float | None:
        """The median, once there are enough."""
        return statistics.median(self.values) if len(self.values) >= needed else None


class Guards:
    """Asked before each update of the weights and after each step; tells what it saw, and remembers what is to be done.

    What goes on and on is told once, until it was over.
    """

    def __init__(
        self, config: GuardsConfig | None = None, tell: Tell | None = None, folder: Path | None = None
    ) -> None:
        self.config = config or GuardsConfig()
        self._tell: Tell = tell or (lambda *_told: None)
        self._folder = folder
        self._losses, self._norms = Lately(self.config.spike_window), Lately(self.config.spike_window)
        self._seconds = Lately(max(self.config.spike_window, NEEDED_FOR_PACE))
        self._going_on: set[str] = set()
        self._small = 0
        self._skips = 0
        self.rollbacks = 0
        self.fatal: UserError | None = None
        """To be raised once the point of the step is in the journal."""
        self.stopped: Sighting | None = None
        """Why the run is to stop at this step."""
        self.going_back: Sighting | None = None
        """Why the weights are to go back after this step."""
        self._disk_at = 0.0
        self._waiting_since: float | None = None
        self._stall_told = False
        self._lock = threading.Lock()
        self.step = 0
        self.flagged = -1
        """The last step at which something was wrong with the weights' course."""

    # Before the weights are updated.

    def before_update(self, step: int, loss: float, norm: float, trained: int, fp16: bool = False) -> bool:
        """Look at a step whose gradient is there; True: leave the weights as they are."""
        self.step = step
        found = [
            sighting
            for sighting in (
                self._not_finite(step, loss, norm, fp16),
                self._untrained(step, trained),
                self._spike(step, loss) if trained else None,
                self._exploding(step, norm) if trained else None,
                self._vanishing(step, norm) if trained else None,
            )
            if sighting is not None
        ]
        if trained:
            self._losses.add(loss)
            self._norms.add(norm)
        held = [self._decide(sighting, loss, norm) for sighting in found]
        self._skips = self._skips + 1 if any(held) else 0
        return any(held)

    def _not_finite(self, step: int, loss: float, norm: float, fp16: bool) -> Sighting | None:
        """Under fp16 a lone gradient out of range is the loss scale's matter."""
        if not math.isfinite(loss):
            params = {"step": step, "loss": str(loss)}
            return Sighting("not_finite", step, self.config.not_finite, "guard.loss_not_finite", params)
        if not math.isfinite(norm) and not fp16:
            params = {"step": step, "norm": str(norm)}
            return Sighting("not_finite", step, self.config.not_finite, "guard.gradient_not_finite", params)
        return None

    def _untrained(self, step: int, trained: int) -> Sighting | None:
        return self._sighted("no_trained_tokens", trained == 0, step, {"step": step}, {})

    def _spike(self, step: int, loss: float) -> Sighting | None:
        usual = self._losses.usual()
        if usual is None or not math.isfinite(loss):
            return None
        limit = usual + self.config.spike_threshold * spread(list(self._losses.values), usual)
        seen = {"loss": loss, "usual": usual, "limit": limit}
        return self._sighted("loss_spike", loss > limit, step, {"step": step, **_short(seen)}, seen)

    def _exploding(self, step: int, norm: float) -> Sighting | None:
        usual = self._norms.usual()
        if usual is None or not math.isfinite(norm):
            return None
        limit = self.config.exploding_factor * usual
        seen = {"norm": norm, "usual": usual, "limit": limit}
        return self._sighted("exploding_gradient", norm > limit > 0, step, {"step": step, **_short(seen)}, seen)

    def _vanishing(self, step: int, norm: float) -> Sighting | None:
        self._small = self._small + 1 if norm < self.config.vanishing_below else 0
        seen = {"norm": norm, "limit": self.config.vanishing_below, "steps": float(self._small)}
        params = {"step": step, "steps": self._small, "norm": f"{norm:.3g}"}
        return self._sighted("vanishing_gradient", self._small >= self.config.vanishing_steps, step, params, seen)

    def _sighted(
        self, guard: GuardName, is_so: bool, step: int, params: dict[str, Any], seen: dict[str, float]
    ) -> Sighting | None:
        """A sighting, if there is one to act on: a mere warning comes once while it goes on."""
        action = getattr(self.config, guard)
        if not is_so:
            self._going_on.discard(guard)
            return None
        if action == "off" or (action == "warn" and guard in self._going_on):
            return None
        self._going_on.add(guard)
        return Sighting(guard, step, action, f"guard.{guard}", params, seen)

    def _decide(self, sighting: Sighting, loss: float, norm: float) -> bool:
        """Do what is wanted of it, and tell; True: the weights stay as they are at this step."""
        action = sighting.action
        if sighting.guard != "no_trained_tokens":
            self.flagged = sighting.step
        if action == "skip" and self._skips + 1 > self.config.max_skips:
            self._stop(sighting, "guard.done.skipped_enough")
        elif action == "skip":
            self._tell(sighting, "skipped", "guard.done.skipped")
        elif action == "roll_back" and self.rollbacks >= self.config.max_rollbacks:
            self._stop(sighting, "guard.done.rolled_back_enough")
        elif action == "roll_back":
            self.going_back = self.going_back or sighting  # told once it is known where to
        elif action == "stop" and sighting.guard == "not_finite":
            self.fatal = _not_finite_error(sighting.step, loss, norm)
            self._tell(sighting, "stopped", "guard.done.failed")
        elif action == "stop":
            self._stop(sighting)
        else:
            self._tell(sighting, "warned", "guard.done.warned")
        return action != "warn"

    def _stop(self, sighting: Sighting, done: str = "guard.done.stopped") -> None:
        self.stopped = self.stopped or sighting
        self._tell(sighting, "stopped", done)

    # Going back.

    def went_back(self, step: int | None) -> None:
        """The weights are those of a checkpoint's step again; None: there was none, the step was skipped only."""
        sighting, self.going_back = self.going_back, None
        if sighting is None:
            return
        if step is None:
            self._tell(sighting, "skipped", "guard.done.nothing_to_go_back_to")
            return
        self.rollbacks += 1
        self._small = 0
        sighting.params["back"] = step
        self._tell(sighting, "rolled_back", "guard.done.rolled_back")

    # After a step, and beside it.

    def after_step(self, step: int, seconds: float) -> None:
        """How long it took, without the wait for data."""
        usual = self._seconds.usual(NEEDED_FOR_PACE)
        self._seconds.add(seconds)
        if usual is None:
            return
        limit = max(self.config.slow_factor * usual, LEAST_SLOW_S)
        seen = {"seconds": seconds, "usual": usual, "limit": limit}
        self._act(self._sighted("slow_step", seconds > limit, step, {"step": step, **_short(seen)}, seen))

    def look_at_disk(self, step: int) -> None:
        """How much room is left where the run is saved; looked at now and then."""
        if self._folder is None or self.config.disk_filling == "off" or time.monotonic() - self._disk_at < DISK_EVERY_S:
            return
        self._disk_at = time.monotonic()
        try:
            free = shutil.disk_usage(self._folder).free / 1e9
        except OSError:
            return
        limit = self.config.disk_free_gb
        params = {"step": step, "free": f"{free:.1f}", "limit": f"{limit:g}"}
        self._act(self._sighted("disk_filling", free < limit, step, params, {"free": free, "limit": limit}))

    def _act(self, sighting: Sighting | None) -> None:
        if sighting is None:
            return
        if sighting.action == "stop":
            if self.stopped is None:
                self._stop(sighting)
        else:
            self._tell(sighting, "warned", "guard.done.warned")

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Inside, the loop waits for data."""
        with self._lock:
            self._waiting_since, self._stall_told = time.monotonic(), False
        try:
            yield
        finally:
            with self._lock:
                self._waiting_since = None

    @property
    def is_waiting(self) -> bool:
        """The loop waits for data now."""
        return self._waiting_since is not None

    def look_at_data(self) -> bool:
        """From another thread, now and then: True once, when the wait is to be broken off."""
        with self._lock:
            since = self._waiting_since
            if since is None or self._stall_told or self.config.stalled_data == "off":
                return False
            waited = time.monotonic() - since
            if waited < self.config.stalled_seconds:
                return False
            self._stall_told = True
        step = self.step + 1
        seen = {"seconds": waited, "limit": self.config.stalled_seconds}
        params = {"step": step, "seconds": f"{waited:.0f}"}
        self._act(Sighting("stalled_data", step, self.config.stalled_data, "guard.stalled_data", params, seen))
        return self.config.stalled_data == "stop"

    # For a checkpoint.

    def state(self) -> dict[str, Any]:
        """What it goes by, so that a resumed run decides as an uninterrupted one."""
        return {
            "losses": list(self._losses.values),
            "norms": list(self._norms.values),
            "small": self._small,
            "skips": self._skips,
            "rollbacks": self.rollbacks,
            "going_on": sorted(self._going_on - {"slow_step", "disk_filling", "stalled_data"}),
        }

    def load(self, state: dict[str, Any]) -> None:
        """What `state` gave."""
        self._losses.values.extend(state.get("losses", []))
        self._norms.values.extend(state.get("norms", []))
        self._small, self._skips = int(state.get("small", 0)), int(state.get("skips", 0))
        self.rollbacks = int(state.get("rollbacks", 0))
        self._going_on = set(state.get("going_on", []))


def _not_finite_error(step: int, loss: float, norm: float) -> UserError:
    if not math.isfinite(loss):
        return UserError("training.loss_not_finite", step=step, loss=str(loss))
    return UserError("training.gradient_not_finite", step=step, norm=str(norm))


def _short(values: dict[str, float]) -> dict[str, str]:
    """As people read them."""
    return {name: f"{value:.3g}" for name, value in values.items()}
