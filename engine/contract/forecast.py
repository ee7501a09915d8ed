"""How long a planned run will take and what it will cost, by what finished runs like it took. Pure arithmetic."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from engine.contract.data import DataConfig
from engine.contract.model_shape import ModelShape
from engine.contract.run_spec import RunSpec
from engine.contract.training import TrainingConfig

TIGHT = 0.9
"""More of a device's memory than this leaves too little for what nobody can foresee."""
MOST_RUNS = 20
"""The newest of those that are alike: machines and programs change."""
Likeness = Literal["alike", "device", "model"]


class _Body(BaseModel):
    model_config = ConfigDict(extra="ignore")


class AskForecast(_Body):
    """An order, and how many steps it comes to as far as its rows were counted."""

    spec: RunSpec
    steps: int | None = Field(default=None, ge=1)
    shape: ModelShape | None = None
    """Of its model, where somebody looked; else the controller does, if its files lie here."""
    teacher: ModelShape | None = None
    """The same of the model it learns from."""
    width: int | None = Field(default=None, ge=1)
    """Tokens of the longest row, where rows were measured."""
    trained: float | None = Field(default=None, ge=0, le=1)
    """Share of their tokens that is learned."""


class MemoryForecast(_Body):
    """What a run will take of its device, part by part, and how far such forecasts were off."""

    parts: dict[str, int]
    """Bytes by `contract.estimate.PARTS`."""
    device: Literal["cpu", "cuda"] = "cpu"
    """`cpu`: the worker's process in the memory of the computer."""
    capacity: int | None = None
    """Bytes of the device, where they are known."""
    free: int | None = None
    rows: int = 0
    """That pass through the model at once."""
    width: int = 0
    """Tokens of the longest row."""
    width_from: Literal["limit", "rows", "runs"] = "limit"
    """Whether rows are taken to be as long as they may be, or as measured ones, or as in earlier runs."""
    measured: bool = False
    """Corrected by what earlier runs measured."""
    error: float | None = None
    """Median of how far the forecasts of the last runs were off, as a share."""
    runs: int = 0
    """How many those are."""

    @property
    def total(self) -> int:
        """All of it."""
        return sum(self.parts.values())

    @property
    def fit(self) -> Literal["fits", "tight", "busy", "too_large", "unknown"]:
        """Whether the device can hold it: barely, or not beside what is there now, or not at all."""
        if not self.capacity:
            return "unknown"
        if self.total > self.capacity:
            return "too_large"
        if self.free is not None and self.total > self.free:
            return "busy"
        return "tight" if self.total > TIGHT * self.capacity else "fits"


class Spread(_Body):
    """A figure with its quartiles: half of the runs lie between them."""

    low: float
    middle: float
    high: float


class Forecast(_Body):
    """What is to be expected; without `seconds` nothing is, and `why_not` says why."""

    steps: int | None = None
    node: str = ""
    """Where it would go now; empty where that is not known."""
    gpus: int = 0
    runs: int = 0
    """Finished runs that it is taken from."""
    likeness: Likeness | None = None
    """In what they are like it: all that decides the pace; model and device; the model only."""
    scaled: bool = False
    """Steps of some had another number of rows: counted by rows."""
    seconds: Spread | None = None
    cost: Spread | None = None
    """None: no price is known."""
    tokens: Spread | None = None
    """That pass through the model; None: no such run has told how many."""
    energy: Spread | None = None
    """Watt hours its GPUs draw; None: no such run has readings of them."""
    currency: str = ""
    price: float | None = None
    """Of an hour."""
    budget_left: float | None = None
    """In `currency`; None: no budget is watched, or it counts in another currency."""
    why_not: Literal["", "no_runs", "no_steps"] = ""
    memory: MemoryForecast | None = None
    """None: the shape of the model is not known."""

    @property
    def exceeds(self) -> Literal["", "likely", "perhaps"]:
        """Whether it would pass what is left of the budget."""
        if self.cost is None or self.budget_left is None:
            return ""
        if self.cost.middle > self.budget_left:
            return "likely"
        return "perhaps" if self.cost.high > self.budget_left else ""


@dataclass(frozen=True)
class Shape:
    """What decides how long a step takes."""

    model: str
    method: str
    node: str
    device: str
    """Name of its GPUs; empty for a processor, which is alike only on the same node."""
    gpus: int
    rows: int
    """Of a step."""
    length: int
    """The longest row, in tokens."""

    def same_device(self, other: Shape) -> bool:
        """The same kind of GPU and as many of them, or the same computer's processor."""
        if bool(self.gpus) != bool(other.gpus):
            return False
        same_kind = bool(self.gpus and self.device) and (self.device, self.gpus) == (other.device, other.gpus)
        return same_kind or (self.node == other.node and self.gpus == other.gpus)

    def like(self, other: Shape) -> Likeness | None:
        """How much alike; None: another model says nothing."""
        if self.model != other.model:
            return None
        if not self.same_device(other):
            return "model"
        same = (self.method, self.rows, self.length) == (other.method, other.rows, other.length)
        return "alike" if same else "device"


@dataclass(frozen=True)
class Past:
    """What a finished run took."""

    shape: Shape
    steps: int
    training: float
    """Seconds from the first step's beginning to the last one's end."""
    around: float
    """Seconds before and after: start, loading, evaluating, saving."""
    tokens: int | None = None
    """Of its steps."""
    watts: float | None = None
    """Mean of all its GPUs together, from start to end."""

    def seconds_for(self, steps: int, rows: int) -> float:
        """What so many steps of so many rows would have taken it."""
        return self.around + steps * (self.training / self.steps) * (rows / self.shape.rows)

    def tokens_for(self, steps: int, rows: int) -> float | None:
        """Tokens of so many steps of so many rows, were they as long as its own."""
        return None if self.tokens is None else self.tokens / self.steps * steps * rows / self.shape.rows

    def energy_for(self, steps: int, rows: int) -> float | None:
        """Watt hours of them at its pace."""
        return None if self.watts is None else self.watts * self.seconds_for(steps, rows) / 3600


def steps_of(training: TrainingConfig, rows: int | None, iterations: int = 1) -> int | None:
    """Optimiser steps there will be, so many on the same rows; the limit in steps wins over epochs."""
    if training.max_steps:
        return training.max_steps
    if not rows or training.packing == "packed":  # how many sequences rows come to is known once they are tokens
        return None
    batches = math.ceil(rows / training.micro_batch_size) / training.accumulation
    per_epoch = int(batches) * iterations if iterations > 1 and batches >= 1 else math.ceil(batches)
    return max(1, math.ceil(per_epoch * training.epochs))


def rows_of(data: DataConfig, counts: Sequence[int | None]) -> int | None:
    """Training rows of an epoch, by how many each dataset has; None while one of them is not counted."""
    if len(counts) < len(data.train):
        return None
    total = 0.0
    for source, rows in zip(data.train, counts, strict=False):
        if rows is None:
            return None
        total += min(rows, source.limit or rows) * source.weight
    about_itself = data.self_cognition.rows if data.self_cognition.name else 0
    return round(total * (1 - (0 if data.validation else data.validation_share))) + about_itself


def step_rows(training: TrainingConfig) -> int:
    """Rows of an optimiser step."""
    return training.micro_batch_size * training.accumulation


def most_alike(planned: Shape, past: Sequence[Past]) -> tuple[Likeness | None, list[Past]]:
    """The runs most like it, the newest first as they came, and in what they are like it."""
    found: dict[Likeness | None, list[Past]] = {}
    for one in past:
        found.setdefault(planned.like(one.shape), []).append(one)
    order: tuple[Likeness, ...] = ("alike", "device", "model")
    best = next((level for level in order if found.get(level)), None)
    return best, found.get(best, [])[:MOST_RUNS] if best is not None else []


def spread(values: Sequence[float]) -> Spread:
    """Median and quartiles; of a single value, that value."""
    if len(values) == 1:
        return Spread(low=values[0], middle=values[0], high=values[0])
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    return Spread(low=low, middle=middle, high=high)


def forecast(planned: Shape, steps: int | None, past: Sequence[Past], price: float | None, currency: str) -> Forecast:
    """By the runs most like it; `price`: of an hour of all it would use."""
    known = Forecast(steps=steps, node=planned.node, gpus=planned.gpus, price=price, currency=currency)
    if steps is None:
        return known.model_copy(update={"why_not": "no_steps"})
    usable = [one for one in past if one.steps > 0 and one.training > 0 and one.shape.rows > 0]
    likeness, alike = most_alike(planned, usable)
    if not alike:
        return known.model_copy(update={"why_not": "no_runs"})
    seconds = spread([one.seconds_for(steps, planned.rows) for one in alike])
    cost = None if price is None else _each(seconds, lambda value: value / 3600.0 * price)
    scaled = any(one.shape.rows != planned.rows for one in alike)
    found = {
        "runs": len(alike), "likeness": likeness, "scaled": scaled, "seconds": seconds, "cost": cost,
        "tokens": _of_those([one.tokens_for(steps, planned.rows) for one in alike]),
        "energy": _of_those([one.energy_for(steps, planned.rows) for one in alike]) if likeness != "model" else None,
    }  # fmt: skip
    return known.model_copy(update=found)


def _of_those(values: Sequence[float | None]) -> Spread | None:
    told = [value for value in values if value is not None]
    return spread(told) if told else None


def _each(figures: Spread, change: Callable[[float], float]) -> Spread:
    return Spread(low=change(figures.low), middle=change(figures.middle), high=change(figures.high))
