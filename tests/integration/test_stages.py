"""A stage of preferences through a real controller: trained, in the history, with its curves and score."""

from __future__ import annotations

import math

import pytest

from engine.contract.errors import Conflict, Refused
from engine.contract.run_spec import RunSpec, TrainJob
from tests.helpers.controller import ControllerProcess
from tests.helpers.real_worker import needs_worker

pytestmark = needs_worker


def order(**job) -> RunSpec:
    wanted = {
        "kind": "train", "model": {"path": "demo", "hub": "bundled"}, "stage": "dpo",
        "data": {"train": [{"hub": "bundled", "path": "demo/preferences", "limit": 60}], "max_length": 128},
        "training": {"max_steps": 6, "micro_batch_size": 4, "learning_rate": 0.002, "threads": 1},
        "evaluation": {"data": [{"hub": "bundled", "path": "demo/preferences_held_out", "limit": 20}]},
    }  # fmt: skip
    return RunSpec.model_validate({"name": "prefers", "job": {**wanted, **job}})


def test_that_preferences_are_learned_and_kept_in_the_history(real: ControllerProcess) -> None:
    run = real.client.create(order())
    assert real.until(run.uid, "completed", "failed", timeout=300).run.state == "completed"
    curves = real.client.series(run.uid)
    assert {"loss", "rewards/chosen", "rewards/rejected", "rewards/margins", "rewards/accuracies"} <= set(curves)
    assert curves["rewards/margins"].x.tolist() == [1, 2, 3, 4, 5, 6]
    margins = real.client.series(run.uid, ["rewards/margins"])["rewards/margins"].value
    assert margins[0] == 0
    assert all(margins[2:] != 0)
    assert real.client.run(run.uid).run.score is not None
    wrong = order(objective={"loss": "kto"}, data={"train": [{"hub": "bundled", "path": "demo", "format": "messages"}]})
    with pytest.raises(Refused) as caught:
        real.client.create(wrong)
    assert {problem.code for problem in caught.value.problems} >= {"config.stage_loss"}


def test_that_a_model_learns_from_rewards_for_its_own_answers(real: ControllerProcess) -> None:
    rewards = [{"kind": "accuracy"}, {"kind": "format", "options": {"pattern": ".*[0-9].*"}}]
    dates = {"hub": "bundled", "path": "demo", "limit": 24}
    asked = order(
        stage="grpo", data={"train": [dates], "max_length": 96},
        rollouts={"rewards": rewards, "answers": 4, "max_tokens": 12},
        training={"max_steps": 3, "micro_batch_size": 2, "threads": 1},
        evaluation={"data": [{"hub": "bundled", "path": "demo/held_out", "limit": 6}], "max_new_tokens": 12},
    )  # fmt: skip
    run = real.client.create(asked)
    assert real.until(run.uid, "completed", "failed", timeout=300).run.state == "completed"
    curves = real.client.series(run.uid)
    assert {"loss", "reward", "rewards/accuracy", "rewards/format", "entropy", "answer_length"} <= set(curves)
    assert curves["reward"].x.tolist() == [1, 2, 3]
    assert real.client.run(run.uid).run.score is not None
    with pytest.raises(Refused) as caught:
        real.client.create(order(stage="rloo", data={"train": [dates]}, rollouts={"rewards": [{"kind": "file"}]}))
    assert {problem.code for problem in caught.value.problems} >= {"rewards.file_needed"}


def test_that_a_run_goes_on_with_the_adapter_of_another(real: ControllerProcess) -> None:
    answers = {"train": [{"hub": "bundled", "path": "demo", "limit": 60}], "max_length": 128}
    first = real.client.create(order(stage="sft", data=answers, tuner={"rank": 4, "init": "pissa"}))
    with pytest.raises(Conflict, match="no adapter"):
        real.client.copy(first.uid, goes_on=True)
    assert real.until(first.uid, "completed", "failed", timeout=300).run.state == "completed"
    draft = real.client.copy(first.uid, goes_on=True)
    job = real.client.run(draft.uid).spec.job
    assert isinstance(job, TrainJob)
    assert (job.tuner.rank, job.tuner.init) == (8, "default")  # PiSSA leaves an adapter of twice the rank
    assert job.tuner.adapter.endswith(f"{first.uid}/attempts/1/outputs/adapter")
    second = real.client.create(order(tuner=job.tuner.model_dump(mode="json")))
    assert real.until(second.uid, "completed", "failed", timeout=300).run.state == "completed"
    losses = real.client.series(second.uid, ["loss"])["loss"].value
    assert losses[0] == pytest.approx(math.log(2))
    wrong = order(tuner={**job.tuner.model_dump(mode="json"), "rank": 16})
    with pytest.raises(Refused) as caught:
        real.client.create(wrong)
    assert [problem.code for problem in caught.value.problems] == ["tuner.adapter_differs"]
