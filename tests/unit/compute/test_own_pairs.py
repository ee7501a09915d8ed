"""Online DPO through the worker: what it tells and keeps, that reward rises, that it goes on exactly."""

import json

import numpy as np
import pytest
from helpers import assert_goes_on
from test_online import job

PAIRED = {"reward", "rewards/chosen", "rewards/rejected", "rewards/margins", "rewards/accuracies", "kl", "groups_alike"}


def pairs_job(tmp_path, **more) -> dict:
    return job(tmp_path, "online_dpo", **more)


@pytest.mark.parametrize("loss", ["sigmoid", "ipo"])
def test_that_it_trains_and_tells_of_it(attempt, tmp_path, loss):
    more = {"training": {"memory_probe": True}, "rollouts": {"missing_eos_penalty": 0.5, "iterations": 3}}
    made = attempt(**pairs_job(tmp_path, objective={"loss": loss}, **more))
    assert made.run() == 0, made.end
    steps = [line.values for line in made.of("step")]
    assert len(steps) == 4
    assert set(steps[0]) >= PAIRED
    assert steps[0]["rewards/margins"] == pytest.approx(0, abs=1e-5)  # the reference is the model itself at first
    assert any(values["grad_norm"] > 0 for values in steps)
    (validation,) = made.of("validation")
    assert validation.values["validation_loss"] == -validation.values["validation_reward"]
    kept = [json.loads(line) for line in (made.outputs / "rollouts.jsonl").read_text().splitlines()]
    assert [one["step"] for one in kept] == [1, 1, 1, 3, 3, 3]
    assert {one["advantage"] for one in kept} <= {-1.0, 0.0, 1.0}
    plain = [one["rewards"]["length"] + 0.5 * one["rewards"]["accuracy"] for one in kept]
    assert [one["reward"] for one in kept] == pytest.approx(
        [value - 0.5 * (not one["ended"]) for value, one in zip(plain, kept, strict=True)]
    )
    (measured,) = [line for line in made.of("memory_forecast") if line.measured]
    assert measured.rows == 4  # two answers to each of two questions, of the four that are sampled
    assert 0.2 < measured.factor < 5


def test_that_reward_rises(attempt, tmp_path):
    """Answers without letters are wanted; a quarter of those of a model that knows nothing are so by chance."""
    training = {"max_steps": 32, "micro_batch_size": 4, "learning_rate": 6e-3, "schedule": "constant"}
    rewards = {"rewards": [{"kind": "format", "options": {"pattern": "[^a-zA-Z]*"}}], "answers": 8, "max_tokens": 6}
    more = {"data": {"validation_share": 0}, "tuner": {"kind": "full"}, "evaluation": {"data": []}}
    made = attempt(**pairs_job(tmp_path, rollouts=rewards, training=training, **more))
    assert made.run() == 0, made.end
    found = [line.values["reward"] for line in made.of("step")]
    assert np.mean(found[-5:]) > np.mean(found[:5]) + 0.2, found


def test_that_it_goes_on_bit_for_bit(attempt, tmp_path):
    checkpoints = {"checkpoints": {"every_steps": 3, "at_end": False}, "evaluation": {"data": []}}
    whole = attempt(**pairs_job(tmp_path, training={"max_steps": 5, "accumulation": 2}, **checkpoints))
    assert whole.run() == 0, whole.end
    assert_goes_on(whole, 3, ("loss", "grad_norm", "reward", "kl", "rewards/margins"))


def test_that_answers_that_are_worth_alike_teach_nothing_and_stop_nothing(attempt, tmp_path):
    rewards = {"rewards": [{"kind": "format", "options": {"pattern": "nothing says this"}}]}
    made = attempt(**pairs_job(tmp_path, rollouts=rewards, training={"max_steps": 2}, evaluation={"data": []}))
    assert made.run() == 0, made.end
    assert [line.values["loss"] for line in made.of("step")] == [0.0, 0.0]
    assert all(line.values["groups_alike"] == 1 for line in made.of("step"))
    assert made.of("guard") == []


def test_that_parts_and_the_whole_are_the_same(attempt, tmp_path):
    losses = []
    for parts in (1, 2):
        more = {"training": {"max_steps": 2, "micro_batch_parts": parts}, "evaluation": {"data": []}}
        made = attempt(**pairs_job(tmp_path, **more), name=f"p{parts}")
        assert made.run() == 0, made.end
        losses.append([line.values["loss"] for line in made.of("step")])
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)
