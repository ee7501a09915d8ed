"""What to lower when memory runs out, rung by rung: first what leaves the mathematics as it is. Pure.

    parts          half of the rows at once, twice as often: the same sums
    checkpointing  activations are computed again in the backward pass: the same sums
    8bit           the optimiser's state is held in 8 bits, where the worker has what it takes: coarser steps
    length         rows are cut at half their length: something else is learned
    4bit           the frozen base weights are held in 4 bits: something else is learned

A rung is offered where this version can run it and, as far as the model's shape is known, the estimate falls by it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from engine.contract.calibration import Calibration
from engine.contract.compute import Placement
from engine.contract.estimate import estimate
from engine.contract.load import load_of
from engine.contract.members import PARTING
from engine.contract.model_shape import ModelShape
from engine.contract.optimizers import in_eight_bits
from engine.contract.run_spec import RunSpec, TrainJob
from engine.contract.stages import WHOLE_BATCH, loss_of, stage_of
from engine.contract.tuners import SPLITTING, TUNERS

RungName = Literal["parts", "checkpointing", "8bit", "length", "4bit"]
SLOWER = {"parts": 1.1, "checkpointing": 1.33, "8bit": 1.05, "length": 0.6, "4bit": 1.4}
"""Time of a step, of what it was. Checkpointing repeats the forward pass, a third of a step's work (Chen et al.,
arXiv:1604.06174); the others are rules of thumb."""
SAME = frozenset({"parts", "checkpointing"})
"""Rungs that leave the mathematics as it is."""
SHORTEST = 16


class Rung(BaseModel):
    """One thing that can be lowered."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    name: RungName
    changes: dict[str, Any]
    """Setting of the job to its new value."""
    saved: int | None = None
    """Bytes it saves by the estimate; None: the model's shape is not known."""
    slower: float = 1.0
    same: bool = False
    """The mathematics stays the same."""


class Known(BaseModel):
    """What is known of a run whose memory ran out."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    shape: ModelShape | None = None
    device: Literal["cpu", "cuda"] = "cpu"
    width: int | None = None
    trained: float | None = None
    process: int | None = None
    teacher: ModelShape | None = None
    beside: int = 0
    """Bytes of other frozen models, such as a teacher, as a worker found them."""
    place: Placement = Placement()
    optimizers: tuple[str, ...] = ()
    """Those with a state of 8 bits whose package and device the worker has."""
    factor: float = 1.0


def rungs(job: TrainJob, known: Known) -> list[Rung]:
    """Those that are left, in the order in which they are taken."""
    found = []
    for name, changes in _possible(job, known):
        after = changed(job, changes)
        saved = _saved(job, after, known)
        if saved is None or saved > 0:
            rung = Rung(name=name, changes=changes, saved=saved, slower=SLOWER[name], same=name in SAME)
            found.append(rung)
    return found


def _possible(job: TrainJob, known: Known) -> Iterator[tuple[RungName, dict[str, Any]]]:
    training = job.training
    most = training.micro_batch_size * (job.sequences if stage_of(job.stage).grouped else 1)
    most = -(-most // known.place.members)
    rows = -(-most // training.micro_batch_parts)
    if rows > 1 and loss_of(stage_of(job.stage), job.objective.loss) not in WHOLE_BATCH:
        parts = min(most, training.micro_batch_parts * 2)
        yield "parts", {"training.micro_batch_parts": parts}
    if not training.gradient_checkpointing and job.tuner.kind != "prefix_tuning":
        yield "checkpointing", {"training.gradient_checkpointing": True}
    smaller = in_eight_bits(training.optimizer, known.optimizers)
    if smaller and known.place.strategy not in PARTING:
        yield "8bit", {"training.optimizer": smaller}
    length = min(known.width or job.data.max_length, job.data.max_length) // 2
    if length >= SHORTEST:
        yield "length", {"data.max_length": length}
    if TUNERS[job.tuner.kind].quantised and job.quantisation == "none" and job.tuner.init not in SPLITTING:
        yield "4bit", {"model.quantisation": "4bit"}


def _saved(before: TrainJob, after: TrainJob, known: Known) -> int | None:
    if known.shape is None:
        return None
    told = Calibration(factor=known.factor, process=known.process)
    return _total(before, known, told) - _total(after, known, told)


def _total(job: TrainJob, known: Known, told: Calibration) -> int:
    assert known.shape is not None
    load = load_of(job, known.device, known.width, known.trained, known.teacher, known.place)
    found = estimate(known.shape, load.model_copy(update={"beside": load.beside or known.beside}), told)
    # On a processor what the allocator keeps in vain is left aside: it differs from way to way, and is no gain.
    return found.tensors


def changed(job: TrainJob, changes: dict[str, Any]) -> TrainJob:
    """The job with other values for some settings."""
    plain = job.model_dump(mode="json")
    for path, value in changes.items():
        *groups, name = path.split(".")
        place = plain
        for group in groups:
            place = place[group]
        place[name] = value
    return TrainJob.model_validate(plain)


def lowered(spec: RunSpec, taken: Sequence[Rung]) -> RunSpec:
    """The order as an attempt carries it out that went down these rungs."""
    job = spec.job
    if not isinstance(job, TrainJob) or not taken:
        return spec
    for rung in taken:
        job = changed(job, rung.changes)
    return spec.model_copy(update={"job": job})
