"""What a person asks of the list of runs beyond one page of it: bulk deeds, the queue, every run as a point."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from engine.contract.api import RunSummary
from engine.contract.errors import ErrorBody

BulkDeed = Literal[
    "start", "stop", "stop_without_saving", "pause", "delete", "tag", "untag", "pin", "unpin", "priority"
]
MAX_BULK = 1000
MAX_POINTS = 20_000


class _Body(BaseModel):
    model_config = ConfigDict(extra="ignore", ser_json_inf_nan="strings")


class BulkRequest(_Body):
    """One deed for many runs. Each is done or refused by itself; the answer says which and why."""

    uids: list[str] = Field(min_length=1, max_length=MAX_BULK)
    deed: BulkDeed
    tags: list[str] = []
    """For tag and untag."""
    priority: int = 0
    """For priority."""


class BulkRefusal(_Body):
    """A run the deed was not done to, and why."""

    uid: str
    name: str = ""
    error: ErrorBody


class BulkResult(_Body):
    """What became of a bulk deed, in the order the runs were named."""

    done: list[str] = []
    refused: list[BulkRefusal] = []


class QueueEntry(_Body):
    """A waiting run, as the queue shows it."""

    run: RunSummary
    position: int
    """From 1, within its lane; runs that wait for a retry come last."""
    starts_in_seconds: float | None = None
    """When a slot is likely to be free for it; None where nothing is known of the runs before it."""


class Queue(_Body):
    """All waiting runs in the order they will start."""

    entries: list[QueueEntry] = []


class MoveInQueue(_Body):
    """Let a waiting run start before another, or last of all; it takes over the priority of the place it moves to."""

    before: str | None = None


class RunPoint(_Body):
    """A run in a picture of all runs: what it took, and what came of it."""

    uid: str
    name: str
    created: float
    seconds: float
    """Time its attempts ran, together."""
    cost: float | None = None
    steps: int | None = None
    loss: float | None = None
    validation_loss: float | None = None
    """The best."""
    score: float | None = None
    """Share of exact matches after training."""
    n: int = 1
    """So many runs lie so near that this one stands for them."""


Quality = Literal["score", "validation_loss", "loss"]
Price = Literal["seconds", "cost"]


class RunPoints(_Body):
    """Ended runs, newest first, at most MAX_POINTS; of a picture, those of which both values are known."""

    points: list[RunPoint] = []
    total: int
    """Of ended runs."""
    known: int | None = None
    """Of a picture: runs of which both values are known, of which `points` are what can be told apart."""
    best: list[str] = []
    """Of a picture: runs that beat every run that took no more, by what they took."""
    currency: str = ""
