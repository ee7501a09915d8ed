"""A model from scratch through a real controller: forecast, made, taught, done again, and a base model afterwards."""

from __future__ import annotations

from typing import Any

import pytest

from engine.contract.errors import Refused
from engine.contract.run_spec import RunSpec
from engine.contract.scratch import ScratchConfig
from engine.contract.scratch_shape import parameters_of
from forge_desktop.models.phases import stages_of
from tests.helpers.controller import ControllerProcess
from tests.helpers.real_worker import needs_worker

pytestmark = needs_worker
FORM = {
    "family": "qwen3_moe", "hidden": 32, "layers": 2, "heads": 4, "kv_heads": 2, "intermediate": 64, "experts": 4,
    "expert_size": 32, "context": 128, "vocabulary": 400,
}  # fmt: skip


def order(**job: Any) -> RunSpec:
    wanted = {
        "kind": "train", "model": {"path": "my-first", "hub": "scratch"}, "stage": "pretrain",
        "tuner": {"kind": "full"}, "scratch": FORM,
        "data": {"train": [{"hub": "bundled", "path": "demo", "limit": 300}], "max_length": 64},
        "training": {"max_steps": 6, "micro_batch_size": 4, "learning_rate": 0.002, "threads": 1},
        "watching": {"prompts": ["2020"], "prompt_tokens": 4},
    }  # fmt: skip
    return RunSpec.model_validate({"name": "anew", "job": {**wanted, **job}})


def test_that_a_model_is_made_taught_done_again_and_tuned(real: ControllerProcess) -> None:
    spec = order()
    memory = real.client.forecast(spec).memory
    assert memory is not None
    assert memory.parts["weights"] == 4 * parameters_of(ScratchConfig(**FORM), 400).total
    run = real.client.create(spec)
    assert real.until(run.uid, "completed", "failed", timeout=300).run.state == "completed"
    detail = real.client.run(run.uid)
    assert detail.run.model == "my-first"
    shown = [stage.key for stage in stages_of(detail)]
    assert shown.index("making_model") < shown.index("loading")
    assert "downloading" not in shown
    assert {"scratch.trained", "scratch.made"} <= {one.body.get("code") for one in detail.events}
    assert [sample.prompt for sample in detail.samples if sample.when == "checkpoint"] == ["2020"]
    curves = real.client.series(run.uid)
    assert {"loss", "balance_loss", "expert_load/most", "expert_load/idle"} <= set(curves)
    assert (real.client.reproduce_check(run.uid).differences, real.client.reproduce_check(run.uid).error) == ([], "")

    made = real.client.reproduce(run.uid)
    assert real.until(made.uid, "completed", "failed", timeout=300).run.state == "completed"
    outcome = real.client.reproduction(made.uid)
    assert outcome is not None
    assert (outcome.verdict, outcome.steps, outcome.differences) == ("equal", 6, [])

    result = real.home.attempt(run.uid, 1).outputs / "model"
    tuned = real.client.create(
        order(model={"path": str(result)}, stage="sft", tuner={"kind": "lora", "rank": 2, "targets": ["q_proj"]})
    )
    assert real.until(tuned.uid, "completed", "failed", timeout=300).run.state == "completed"


def test_that_what_cannot_begin_from_scratch_is_refused_by_the_controller(real: ControllerProcess) -> None:
    with pytest.raises(Refused) as caught:
        real.client.create(order(stage="sft", tuner={"kind": "lora"}, scratch={**FORM, "experts_per_token": 9}))
    codes = {"scratch.stage", "scratch.tuner", "scratch.experts"}
    assert {problem.code for problem in caught.value.problems} == codes
