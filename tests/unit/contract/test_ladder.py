"""What is lowered when memory runs out: always something that lowers the estimate, and there is an end to it."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as some

from engine.contract.calibration import Calibration
from engine.contract.compute import Placement
from engine.contract.estimate import estimate
from engine.contract.ladder import Known, changed, lowered, rungs
from engine.contract.load import load_of
from engine.contract.model_shape import shape_of
from engine.contract.run_spec import RunSpec, TrainJob
from tests.unit.contract.test_estimate import QWEN_05B

SHAPE = shape_of(QWEN_05B)


def job(training: dict[str, Any] | None = None, tuner: dict[str, Any] | None = None, length: int = 1024) -> TrainJob:
    return TrainJob.model_validate({
        "model": {"path": "m"}, "data": {"train": [{"path": "d"}], "max_length": length},
        "training": training or {}, "tuner": tuner or {},
    })  # fmt: skip


JOBS = some.builds(
    job,
    some.fixed_dictionaries({
        "micro_batch_size": some.integers(1, 64), "micro_batch_parts": some.integers(1, 64),
        "accumulation": some.integers(1, 4), "gradient_checkpointing": some.booleans(),
        "precision": some.sampled_from(["fp32", "bf16"]),
    }),
    some.fixed_dictionaries({"kind": some.sampled_from(["lora", "full"]), "rank": some.integers(1, 128)}),
    some.integers(8, 8192),
)  # fmt: skip
KNOWN = some.builds(
    Known,
    shape=some.just(SHAPE),
    device=some.sampled_from(["cpu", "cuda"]),
    width=some.none() | some.integers(1, 8192),
    trained=some.none() | some.floats(0, 1),
    factor=some.floats(0.2, 5),
)


def reckoned(found: TrainJob, known: Known) -> int:
    load = load_of(found, known.device, known.width, known.trained)
    return estimate(SHAPE, load, Calibration(factor=known.factor)).tensors


@settings(max_examples=300, deadline=None)
@given(JOBS, KNOWN)
def test_that_advice_always_lowers_the_estimate(found: TrainJob, known: Known):
    for rung in rungs(found, known):
        assert rung.saved == reckoned(found, known) - reckoned(changed(found, rung.changes), known)
        assert rung.saved > 0


@settings(max_examples=100, deadline=None)
@given(JOBS, KNOWN | some.just(Known()))
def test_that_the_ladder_ends(found: TrainJob, known: Known):
    taken = []
    while offered := rungs(found, known):
        taken.append(offered[0])
        found = changed(found, offered[0].changes)
        assert len(taken) < 40
    if known.shape is None:  # then everything that there is was taken
        assert found.training.micro_batch_parts >= found.training.micro_batch_size
        assert found.training.gradient_checkpointing


def test_that_the_mathematics_stays_the_same_as_long_as_it_can():
    found, names = job({"micro_batch_size": 4}, length=64), []
    while offered := rungs(found, Known()):
        names.append((offered[0].name, offered[0].same))
        found = changed(found, offered[0].changes)
    assert names == [("parts", True), ("parts", True), ("checkpointing", True), ("length", False), ("length", False),
                     ("4bit", False)]  # fmt: skip


def test_that_what_cannot_be_run_is_not_offered():
    def names(**tuner: Any) -> set[str]:
        return {rung.name for rung in rungs(job({"gradient_checkpointing": True}, tuner), Known())}

    assert "4bit" in names(kind="lora")
    for tuner in ({"kind": "full"}, {"kind": "lokr"}, {"kind": "qlora"}, {"kind": "lora", "init": "pissa"}):
        assert "4bit" not in names(**tuner)


def test_that_checkpointing_is_not_offered_to_prefix_tuning():
    offered = {
        kind: {rung.name for rung in rungs(job({}, {"kind": kind}), Known())} for kind in ("lora", "prefix_tuning")
    }
    assert "checkpointing" in offered["lora"]
    assert "checkpointing" not in offered["prefix_tuning"]


def test_that_rungs_change_the_order_of_an_attempt_and_nothing_else():
    spec = RunSpec(name="r", job=job({"micro_batch_size": 8}))
    (parts, *_rest) = rungs(spec.job, Known())
    after = lowered(spec, [parts])
    assert after.job.training.micro_batch_parts == 2
    assert lowered(after, []) == after
    back = changed(after.job, {"training.micro_batch_parts": 1})
    assert spec.model_copy(update={"job": back}) == spec


def test_that_a_state_of_8_bits_is_offered_where_the_worker_can_hold_it():
    whole = job({}, {"kind": "full"})
    known = Known(shape=SHAPE, optimizers=("adamw_torch_8bit",))
    rung = next(one for one in rungs(whole, known) if one.name == "8bit")
    assert rung.changes == {"training.optimizer": "adamw_torch_8bit"}
    assert SHAPE is not None
    assert abs(rung.saved - (8.0 - 2.1) * SHAPE.parameters) < 1e6
    assert (rung.same, rung.slower > 1) == (False, True)
    assert [one.name for one in rungs(whole, known)][:3] == ["parts", "checkpointing", "8bit"]
    after = changed(whole, rung.changes)
    assert "8bit" not in {one.name for one in rungs(after, known)}  # once is enough
    both = known.model_copy(update={"device": "cuda", "optimizers": ("adamw_8bit", "adamw_torch_8bit")})
    assert next(one for one in rungs(whole, both) if one.name == "8bit").changes["training.optimizer"] == "adamw_8bit"


def test_that_no_state_of_8_bits_is_offered_where_nothing_holds_it():
    def names(known: Known, **training: Any) -> set[str]:
        return {rung.name for rung in rungs(job(training, {"kind": "full"}), known)}

    able = Known(shape=SHAPE, optimizers=("adamw_torch_8bit",))
    assert "8bit" not in names(Known(shape=SHAPE))
    assert "8bit" not in names(able, optimizer="adafactor")
    parted = Placement(gpus=0, processes=2, strategy="fsdp2")
    assert "8bit" not in names(able.model_copy(update={"place": parted}))
