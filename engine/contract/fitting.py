"""Settings with which a run fits into so much memory, without changing what is learned. Pure arithmetic, no torch.

Rows of a step stay together in number: fewer pass through the model at once, and are gathered more often. Where even
one row does not fit, activations are computed again in the backward pass. Lengths, ranks and number forms are left to
the person: they change what is learned.
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict

from engine.contract.estimate import estimate
from engine.contract.ladder import Known, changed
from engine.contract.load import load_of
from engine.contract.run_spec import TrainJob

SPARE = 0.08
"""Share of the memory that is left free: our forecasts are off by about as much."""

MOST = 65536
"""Largest micro batch and accumulation."""


class Fitted(BaseModel):
    """What was found."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    changes: dict[str, Any]
    """Setting of the job to its new value; of the nearest that can be had where nothing fits."""
    total: int
    """Bytes it then takes by the estimate."""
    fits: bool


def fit(job: TrainJob, known: Known, budget: int) -> Fitted:
    """The quickest settings of this job that fit into so many bytes; `known.shape` must be known."""
    assert known.shape is not None
    together = job.training.micro_batch_size * job.training.accumulation
    least: tuple[int, dict[str, Any]] | None = None
    for again in (False, True):
        for rows in _divisors(together):
            changes = {
                "training.micro_batch_size": rows,
                "training.accumulation": together // rows,
                "training.micro_batch_parts": 1,
                "training.gradient_checkpointing": again,
            }
            load = load_of(changed(job, changes), known.device, known.width, known.trained, known.teacher, known.place)
            total = estimate(known.shape, load).total
            if total <= budget * (1 - SPARE):
                return Fitted(changes=changes, total=total, fits=True)
            if least is None or total < least[0]:
                least = total, changes
    assert least is not None
    return Fitted(changes=least[1], total=least[0], fits=False)


def _divisors(number: int) -> list[int]:
    """Those that can be a micro batch, with an accumulation for the rest; the largest first."""
    return [part for part in range(min(number, MOST), 0, -1) if number % part == 0 and number // part <= MOST]
