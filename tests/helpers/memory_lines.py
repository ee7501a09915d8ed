"""Journal lines of a run whose memory ran out."""

from __future__ import annotations

from engine.contract.bundled import locate
from engine.contract.errors import UserError
from engine.contract.estimate import estimate
from engine.contract.events import Ended, JournalLine, MemoryForecast
from engine.contract.load import load_of
from engine.contract.model import ModelConfig
from engine.contract.model_shape import ModelShape, read_shape
from engine.contract.run_spec import RunSpec, TrainJob
from engine.contract.states import EndReason, RunState
from tests.helpers.journals import Recording


def demo_shape() -> ModelShape:
    """Of the bundled model."""
    folder = locate(ModelConfig(path="demo", hub="bundled"))
    found = read_shape(folder) if folder is not None else None
    assert found is not None
    return found


def forecast_line(spec: RunSpec) -> list[JournalLine]:
    """What the worker expects."""
    assert isinstance(spec.job, TrainJob)
    shape = demo_shape()
    found = estimate(shape, load_of(spec.job))
    rec = Recording(1_790_000_090.0)
    rec.add(
        MemoryForecast, parts={str(part): size for part, size in found.parts.items()}, total=found.total,
        tensors=found.tensors, rows=found.rows, width=found.width, trained=0.5, process=480_000_000,
        corrected=round(1.04 * found.total), shape=shape.model_dump(),
    )  # fmt: skip
    return rec.lines


def ran_out(step: int) -> list[JournalLine]:
    """The last word."""
    rec = Recording(1_790_002_000.0)
    error = UserError("memory.exhausted", size=8, smaller=4).body()
    rec.add(Ended, state=RunState.FAILED, reason=EndReason.OUT_OF_MEMORY, step=step, error=error)
    return rec.lines
