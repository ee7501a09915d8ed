"""Learning from own answers through the worker: what it tells and keeps, that reward rises, that it goes on exactly."""

import json

import numpy as np
import pytest
import tiny
from helpers import assert_goes_on

from engine.compute.training.order import repeated

TOLD = {"reward", "reward_std", "entropy", "clip_ratio", "answer_length", "answers_cut", "groups_alike"}


def job(tmp_path, stage: str = "grpo", **more) -> dict:
    rows = [{"prompt": f"say {n}", "answer": str(n % 7)} for n in range(24)]
    path = tiny.write_jsonl(tmp_path / "asked.jsonl", rows)
    held = tiny.write_jsonl(tmp_path / "held.jsonl", tiny.make_rows(6, 100))
    usual = {
        "stage": stage, "data": {"train": [{"path": str(path)}], "max_length": 64, "validation_share": 0.2},
        "evaluation": {"data": [{"path": str(held)}], "max_new_tokens": 8},
        "rollouts": {
            "rewards": [{"kind": "length", "options": {"target": 4}}, {"kind": "accuracy", "weight": 0.5}],
            "answers": 4, "max_tokens": 8, "keep_every": 2, "keep_answers": 3,
        },
        "training": {"max_steps": 4, "micro_batch_size": 2, "learning_rate": 1e-2, "memory_probe": False},
    }  # fmt: skip
    return {
        name: {**value, **more.pop(name, {})} if isinstance(value, dict) else value for name, value in usual.items()
    } | more


@pytest.mark.parametrize("stage", ["grpo", "rloo"])
def test_that_it_trains_and_tells_of_it(attempt, tmp_path, stage):
    made = attempt(**job(tmp_path, stage, rollouts={"beta": 0.1}, training={"memory_probe": True}))
    assert made.run() == 0, made.end
    steps = [line.values for line in made.of("step")]
    assert len(steps) == 4
    assert {*TOLD, "kl", "rewards/length", "rewards/accuracy"} <= set(steps[0])
    assert any(values["grad_norm"] > 0 for values in steps)
    assert 0 < steps[0]["answer_length"] <= 8
    (validation,) = made.of("validation")
    assert validation.values["validation_loss"] == -validation.values["validation_reward"]
    assert [(one.when, one.metric, one.rows) for one in made.of("score")] == [
        ("before", "mean_reward", 6), ("before", "exact_match", 6), ("after", "mean_reward", 6),
        ("after", "exact_match", 6),
    ]  # fmt: skip
    kept = [json.loads(line) for line in (made.outputs / "rollouts.jsonl").read_text().splitlines()]
    assert [one["step"] for one in kept] == [1, 1, 1, 3, 3, 3]
    assert set(kept[0]["rewards"]) == {"length", "accuracy"}
    assert kept[0]["reward"] == pytest.approx(kept[0]["rewards"]["length"] + 0.5 * kept[0]["rewards"]["accuracy"])
    (measured,) = [line for line in made.of("memory_forecast") if line.measured]
    assert 0.2 < measured.factor < 5
    assert {"outputs/rollouts.jsonl", "outputs/rewards_before.jsonl"} <= {one.path for one in made.of("artifact")}


@pytest.mark.parametrize("stage", ["grpo", "rloo"])
def test_that_reward_rises(attempt, tmp_path, stage):
    """Answers without letters are wanted; a quarter of those of a model that knows nothing are so by chance."""
    training = {"max_steps": 22, "micro_batch_size": 4, "learning_rate": 6e-3, "schedule": "constant"}
    rewards = {"rewards": [{"kind": "format", "options": {"pattern": "[^a-zA-Z]*"}}], "answers": 8, "max_tokens": 6}
    more = {"data": {"validation_share": 0}, "tuner": {"kind": "full"}}
    made = attempt(**job(tmp_path, stage, rollouts=rewards, training=training, **more))
    assert made.run() == 0, made.end
    found = [line.values["reward"] for line in made.of("step")]
    assert np.mean(found[-5:]) > np.mean(found[:5]) + 0.2, found
    before, after = (one.value for one in made.of("score") if one.metric == "mean_reward")
    assert after >= before


@pytest.mark.parametrize(
    ("stage", "rollouts"), [("grpo", {"iterations": 2, "beta": 0.1}), ("grpo", {}), ("rloo", {"beta": 0.1})]
)
def test_that_it_goes_on_bit_for_bit(attempt, tmp_path, stage, rollouts):
    """Also in the middle of several steps on the same answers."""
    checkpoints = {"checkpoints": {"every_steps": 3, "at_end": False}, "evaluation": {"data": []}}
    wanted = job(tmp_path, stage, rollouts=rollouts, training={"max_steps": 5, "accumulation": 2}, **checkpoints)
    whole = attempt(**wanted)
    assert whole.run() == 0, whole.end
    again = assert_goes_on(whole, 3, ("loss", "grad_norm", "reward", "kl", "entropy"))
    ours, theirs = ((made.outputs / "adapter" / "adapter_model.safetensors").read_bytes() for made in (whole, again))
    assert ours == theirs


def test_that_parts_and_the_whole_are_the_same(attempt, tmp_path):
    whole = attempt(**job(tmp_path), name="whole")
    parts = attempt(**job(tmp_path, training={"micro_batch_parts": 4}), name="parts")
    assert whole.run() == parts.run() == 0
    first, second = ([line.values["loss"] for line in made.of("step")] for made in (whole, parts))
    assert first == pytest.approx(second, rel=1e-3, abs=1e-5)


def test_that_a_file_that_breaks_ends_the_run_with_its_row(attempt, tmp_path):
    path = tmp_path / "judge.py"
    path.write_text("def reward(completions, prompts):\n    return [1 / 0 for _ in completions]\n")
    made = attempt(**job(tmp_path, rollouts={"rewards": [{"kind": "file", "path": str(path)}]}))
    assert made.run() != 0
    assert made.end.error.code == "rewards.file_raised"
    assert "ZeroDivisionError" in made.end.error.why


def test_that_a_reward_model_judges(attempt, tmp_path):
    pairs = [{"prompt": f"say {n}", "chosen": "yes yes", "rejected": f"no {n}"} for n in range(8)]
    rows = tiny.write_jsonl(tmp_path / "pairs.jsonl", pairs)
    training = {"max_steps": 1, "micro_batch_size": 2, "memory_probe": False}
    judge = attempt(stage="reward", data={"train": [{"path": str(rows)}]}, training=training, name="judge")
    assert judge.run() == 0, judge.end
    reward = {"kind": "model", "path": str(judge.outputs / "adapter")}
    made = attempt(**job(tmp_path, rollouts={"rewards": [reward]}, training={"max_steps": 1}, evaluation={"data": []}))
    assert made.run() == 0, made.end
    (step,) = made.of("step")
    assert step.values["reward"] == step.values["rewards/model"] != 0
    text = attempt(
        **job(tmp_path, rollouts={"rewards": [{"kind": "model", "path": str(made.outputs / "adapter")}]}), name="no"
    )
    assert text.run() != 0
    assert text.end.error.code == "rewards.model_failed"


def test_that_batches_come_again_as_often_as_steps_are_taken_on_them():
    assert repeated(5, 2, 2).tolist() == [0, 1, 0, 1, 2, 3, 2, 3]
    assert repeated(3, 1, 1).tolist() == [0, 1, 2]
    assert repeated(1, 2, 3).tolist() == [0]
