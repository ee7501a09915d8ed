"""What the training loop tells its surroundings, and the clock it measures its pace with."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

from transformers import TrainerCallback, TrainerControl

from engine.compute.training.allocation import Allocation
from engine.compute.training.batches import Batch, BatchLoader
from engine.compute.training.guards import Guards


@dataclass(frozen=True)
class Watch:
    """Whom the loop reports to, and whom it asks whether to go on."""

    step: Callable[[int, float, dict[str, float]], None]
    """(step, epoch, values) of each point."""
    validation: Callable[[int, dict[str, float]], None]
    should_stop: Callable[[], bool]
    """Asked at every step boundary."""
    boundary: Callable[[int], None] = lambda _step: None
    """Called once a step, after it was reported and measured: the place to save or to ask the model something."""
    go_back: Callable[[], int | None] = lambda: None
    """Put the weights of the last good checkpoint back; its step, or None where there is none."""
    ready: Callable[[Any], None] = lambda _model: None
    """Called with the wrapped model when everything stands, before the first batch."""


class Pace:
    """Time, tokens and rows between two points of the curve."""

    def __init__(self, loader: BatchLoader) -> None:
        self._loader = loader
        self.rows = 0
        self._waited = 0.0
        self._steps = 0
        self._tokens = 0
        self._spent = 0.0
        self._waited_before = 0.0
        self._since = time.perf_counter()

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Time inside counts as waiting for data."""
        begin = time.perf_counter()
        yield
        self._waited += time.perf_counter() - begin

    def stepped(self) -> float:
        """A step is over; how long it took without the wait for data."""
        now = time.perf_counter()
        worked = now - self._since - (self._waited - self._waited_before)
        self._waited_before = self._waited
        self._spent += now - self._since
        self._since = now
        self._steps += 1
        return worked

    def begin_at(self, tokens: int) -> None:
        """Tokens that an earlier attempt took are no work of this one."""
        self._tokens = tokens

    def restart(self) -> None:
        """What was done since the last step is not training."""
        self._since = time.perf_counter()

    def lap(self) -> dict[str, float]:
        """The means since the last lap."""
        spent, steps = max(self._spent, 1e-9), max(self._steps, 1)
        tokens = self._loader.tokens - self._tokens
        values = {
            "tokens_per_second": tokens / spent,
            "samples_per_second": self.rows / spent,
            "step_seconds": spent / steps,
            "data_wait_seconds": self._waited / steps,
            "tokens_seen": float(self._loader.tokens),
        }
        self._tokens = self._loader.tokens
        self.rows, self._waited, self._steps, self._spent = 0, 0.0, 0, 0.0
        self._waited_before = 0.0
        self._since = time.perf_counter()
        return values


class StopWatch(TrainerCallback):  # type: ignore[misc]
    """Keeps the pace, and stops the loop at a step boundary when that is asked for."""

    def __init__(self, pace: Pace, watch: Watch, guards: Guards, ranks: Allocation | None = None) -> None:
        self._pace = pace
        self._watch = watch
        self._guards = guards
        self._ranks = ranks

    def on_train_begin(self, args: Any, state: Any, control: TrainerControl, **rest: Any) -> None:
        """The clock starts with the first batch, not with the preparations."""
        del args, state, control, rest
        self._pace.restart()

    def on_optimizer_step(self, args: Any, state: Any, control: TrainerControl, **rest: Any) -> None:
        """The weights are new, and their gradients still there."""
        del args, control, rest
        if self._ranks is not None:
            self._ranks.after_update(state.global_step + 1)

    def on_step_end(self, args: Any, state: Any, control: TrainerControl, **rest: Any) -> TrainerControl:
        """A step boundary."""
        del args, rest
        self._guards.after_step(state.global_step, self._pace.stepped())
        self._guards.look_at_disk(state.global_step)
        last = state.global_step >= state.max_steps or self._guards.fatal is not None
        if self._watch.should_stop():
            control.should_training_stop = True
            last = True
        control.should_log = control.should_log or last
        return control


class Keeps(Protocol):
    """What else goes into a checkpoint's progress."""

    def state(self) -> dict[str, Any]:
        """As plain data."""

    def load(self, state: dict[str, Any]) -> None:
        """What `state` gave."""


class Looks(Protocol):
    """Looks at passes of a step."""

    def at(self, model: Any, batch: Batch, place: int, parts: int) -> AbstractContextManager[None]:
        """Around the pass of a part: `place` of so many."""
