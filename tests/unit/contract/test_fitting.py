"""Fitting a run into memory: as quick as fits, as many rows a step as before, nothing else touched."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as some

from engine.contract.estimate import estimate
from engine.contract.fitting import SPARE, fit
from engine.contract.ladder import Known, changed
from engine.contract.load import load_of
from engine.contract.run_spec import TrainJob
from tests.unit.contract.test_ladder import JOBS, KNOWN, SHAPE, job

GB = 1 << 30


def reckoned(found: TrainJob, known: Known) -> int:
    return estimate(SHAPE, load_of(found, known.device, known.width, known.trained)).total


@settings(max_examples=200, deadline=None)
@given(JOBS, KNOWN, some.integers(1, 80))
def test_that_it_fits_or_nothing_does_and_learning_stays_the_same(found: TrainJob, known: Known, size: int):
    fitted = fit(found, known, size * GB)
    after = changed(found, fitted.changes)
    before = found.training
    together = after.training.micro_batch_size * after.training.accumulation
    assert together == before.micro_batch_size * before.accumulation
    assert reckoned(after, known) == fitted.total
    assert fitted.fits == (fitted.total <= size * GB * (1 - SPARE))
    untouched = {"micro_batch_size", "accumulation", "micro_batch_parts", "gradient_checkpointing"}
    assert after.training.model_dump(exclude=untouched) == before.model_dump(exclude=untouched)
    assert after.model_dump(exclude={"training"}) == found.model_dump(exclude={"training"})
    if not fitted.fits:
        smallest = {"micro_batch_size": 1, "accumulation": together, "micro_batch_parts": 1}
        least = changed(found, {f"training.{k}": v for k, v in (smallest | {"gradient_checkpointing": True}).items()})
        assert reckoned(least, known) > size * GB * (1 - SPARE)


def test_that_more_memory_means_more_rows_at_once_and_no_second_computing():
    wide = job({"micro_batch_size": 16, "accumulation": 2}, length=2048)
    known = Known(shape=SHAPE, device="cuda")
    chosen = [fit(wide, known, size * GB).changes for size in (6, 12, 24, 80)]
    rows = [
        changes["training.micro_batch_size"] for changes in chosen if not changes["training.gradient_checkpointing"]
    ]
    assert rows == sorted(rows)
    assert chosen[-1]["training.micro_batch_size"] > chosen[0]["training.micro_batch_size"]
    assert not chosen[-1]["training.gradient_checkpointing"]
