"""Which rows a run learns from and which it only measures: the split, and what the model says about itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from engine.compute.data.loading import Loaded
from engine.compute.data.row_set import HeldRows, RowSet
from engine.compute.data.self_cognition import self_cognition_rows
from engine.compute.data.split import split
from engine.compute.data.unpaired import UnpairedRows, as_verdicts
from engine.contract.data import SelfCognition
from engine.contract.errors import UserError
from engine.contract.run_spec import TrainJob
from engine.contract.stages import stage_of


def training_rows(
    job: TrainJob, train: Sequence[Loaded], measured: Sequence[Loaded], note: Callable[..., None]
) -> tuple[list[tuple[RowSet, float]], list[RowSet]]:
    """Training rows by source with their weights, and validation rows."""
    data, system = job.data, job.model.system
    share = 0.0 if measured else data.validation_share
    apart = as_verdicts if stage_of(job.stage).unpairs else _as_it_is
    groups, validation = list[tuple[RowSet, float]](), list[RowSet]()
    for loaded, source in zip(train, data.train, strict=True):
        kept, aside = split(loaded.content.with_system(system), share, job.training.seed)
        groups.append((apart(kept), source.weight))
        validation.append(apart(aside))
    rows = sum(len(loaded.content) for loaded in train)
    if not any(len(kept) for kept, _ in groups):
        raise UserError("data.all_set_aside", rows=rows)
    if share and not any(map(len, validation)):
        note("data.none_set_aside", "warning", rows=rows, share=share)
    validation += [apart(loaded.content.with_system(system)) for loaded in measured]
    taken_apart = [rows for rows in (*(rows for rows, _ in groups), *validation) if isinstance(rows, UnpairedRows)]
    if taken_apart:
        note("data.unpaired", rows=sum(map(len, taken_apart)), pairs=sum(map(len, taken_apart)) // 2)
    if data.self_cognition.name:
        groups.append(_myself(data.self_cognition, system, note))
    return groups, [rows for rows in validation if len(rows)]


def _as_it_is(rows: RowSet) -> RowSet:
    return rows


def _myself(asked: SelfCognition, system: str | None, note: Callable[..., None]) -> tuple[RowSet, float]:
    """The rows in which the model says who it is; their weight gives as many as were asked for."""
    rows = HeldRows(self_cognition_rows(asked)).with_system(system)
    note("data.self_cognition", rows=asked.rows, name=asked.name, author=asked.author)
    return rows, asked.rows / len(rows)
