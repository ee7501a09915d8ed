"""How much memory an order will take where it would go now, and how far our forecasts were off."""

from __future__ import annotations

import asyncio
import statistics
from typing import Literal, Protocol

from engine.contract.calibration import Calibration
from engine.contract.estimate import estimate
from engine.contract.forecast import AskForecast, MemoryForecast
from engine.contract.load import load_of
from engine.contract.nodes import NodeView
from engine.contract.run_spec import TrainJob
from engine.contract.scratch_shape import shape_of_job
from engine.contract.stages import stage_of
from engine.control.jobs.need import Needs
from engine.control.store import memory, runs
from engine.control.store.database import Database


class Desk(Protocol):
    """What is asked of the controller."""

    database: Database
    needs: Needs


async def forecast(
    desk: Desk, asked: AskForecast, job: TrainJob, node: NodeView | None, gpus: int
) -> MemoryForecast | None:
    """By the model's shape and what runs like it told; None where the shape is not known."""
    shape = asked.shape or await asyncio.to_thread(shape_of_job, job)
    shape = shape or await asyncio.to_thread(desk.needs.shape, job.model)
    if shape is None:
        return None
    device: Literal["cpu", "cuda"] = "cuda" if gpus else "cpu"
    (model, dataset, method), plain = runs.described(asked.spec), job.model_dump(mode="json")
    name = node.profile.name if node is not None else ""
    known, errors = await desk.database.read(
        lambda c: (memory.calibration(c, model, method, dataset, name, device, plain), memory.errors(c))
    )
    width, trained, source = _width(asked, known, job.data.max_length)
    taught, teacher = job.teacher.source if stage_of(job.stage).teacher else None, asked.teacher
    if teacher is None and taught is not None:
        teacher = await asyncio.to_thread(desk.needs.shape, taught)
    place = asked.spec.compute
    load = load_of(job, device, width, trained, teacher, place)
    found = estimate(shape, load, known)
    capacity, free = _room(node, gpus)
    together = 1 if gpus else place.members  # each has a GPU of its own; the processor's memory is everybody's
    parts = {str(part): size * together for part, size in found.parts.items()}
    return MemoryForecast(
        parts=parts, device=device, capacity=capacity, free=free, rows=load.rows, width=load.width,
        width_from=source, measured=known.factor != 1.0, error=statistics.median(errors) if errors else None,
        runs=len(errors),
    )  # fmt: skip


def _width(
    asked: AskForecast, known: Calibration, limit: int
) -> tuple[int, float | None, Literal["limit", "rows", "runs"]]:
    """How long the longest row is taken to be: as it was in a run with the same rows, as measured, as it may be."""
    if known.width is not None:
        return known.width, known.trained, "runs"
    if asked.width is not None:
        return min(asked.width, limit), asked.trained, "rows"
    return limit, asked.trained, "limit"


def _room(node: NodeView | None, gpus: int) -> tuple[int | None, int | None]:
    """Bytes of the device, and those that are free: of the roomiest GPU, or of the computer."""
    if node is None:
        return None, None
    values = node.values
    if not gpus:
        total = node.facts.memory or int(values.get("ram.total", 0)) or None
        used = values.get("ram.used")
        return total, round(total - used) if total and used is not None else None
    totals = [value for key, value in values.items() if key.startswith("gpu") and key.endswith(".memory_total")]
    free = [values[f"{key}.memory_total"] - values.get(f"{key}.memory_used", 0.0)
            for key in (f"gpu{n}" for n in range(16)) if f"{key}.memory_total" in values]  # fmt: skip
    largest = max([*totals, *(float(gpu.memory) for gpu in node.facts.gpus)], default=0.0)
    return round(largest) or None, round(max(free)) if free else None
