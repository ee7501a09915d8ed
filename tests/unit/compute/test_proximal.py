"""PPO: its arithmetic against the formulas written out, and through the worker; trl has no PPO to compare with."""

import numpy as np
import pytest
import torch
from helpers import assert_goes_on
from test_golden_online import DEMO, Given, Moved, answers, job_of, learned, new_policy, questions  # noqa: F401
from test_online import job
from torch.nn import functional as F  # noqa: N812 - torch's own usual name
from transformers import AutoTokenizer

from engine.compute.data.formats import convert
from engine.compute.data.rows import Record
from engine.compute.data.templates import choose_template
from engine.compute.training.advantages import whitened
from engine.compute.training.proximal import generalised_advantages, token_rewards, value_losses
from engine.compute.training.stages import STAGES

REWARDS = [0.25, 1.0, -0.5, 2.0, 0.0, 0.0, 1.5, None]
BETA, GAMMA, LAMBDA, CLIP, COEF, VALUE_CLIP = 0.3, 0.98, 0.9, 0.05, 0.4, 0.02


def test_that_advantages_are_the_sums_of_what_came_unexpectedly():
    chance = torch.Generator().manual_seed(0)
    rewards, values = (torch.randn(3, 6, generator=chance) for _ in range(2))
    mask = torch.tensor([[0, 1, 1, 1, 1, 0], [1, 1, 1, 1, 1, 1], [0, 0, 1, 0, 0, 0]]).float()
    found = generalised_advantages(rewards, values, mask, GAMMA, LAMBDA)
    for row in range(3):
        places = mask[row].nonzero()[:, 0].tolist()
        deltas = [
            rewards[row, p] + (GAMMA * values[row, p + 1] if p + 1 in places else 0) - values[row, p] for p in places
        ]
        for n, place in enumerate(places):
            wanted = sum((GAMMA * LAMBDA) ** k * delta for k, delta in enumerate(deltas[n:]))
            assert float(found[row, place]) == pytest.approx(float(wanted), rel=1e-5, abs=1e-6)
    assert (found[mask == 0] == 0).all()


def test_that_the_reward_stands_at_the_last_token_and_drift_at_each():
    mask, drift = torch.tensor([[0, 1, 1, 0], [0, 0, 0, 0]]).float(), torch.full((2, 4), 0.5)
    found = token_rewards(torch.tensor([2.0, 3.0]), drift, mask, 0.1)
    assert torch.allclose(found, torch.tensor([[0, -0.05, 1.95, 0], [0, 0, 0, 0]]))


def test_that_the_critic_is_clipped_and_numbers_are_whitened():
    before, returns = torch.zeros(3), torch.tensor([1.0, 1.0, -1.0])
    values = torch.tensor([0.1, 0.9, 0.9])
    assert value_losses(values, before, returns, 0.2).tolist() == pytest.approx([0.405, 0.32, 1.805])
    numbers = torch.tensor([1.0, 2.0, 6.0])
    assert float(whitened(numbers).mean()) == pytest.approx(0, abs=1e-6)
    assert float(whitened(numbers).std()) == pytest.approx(1, rel=1e-5)
    assert float(whitened(numbers, keep_mean=True).mean()) == pytest.approx(3)
    assert whitened(numbers[:1]).tolist() == [1.0]


def written_out(policy, head, asked, said, drift):
    """The loss by the formulas of InstructGPT, row by row and without any of our code."""

    def look(row, answer):
        ids = torch.tensor([[*row.ids, *answer]])
        given = policy(input_ids=ids, output_hidden_states=True)
        begin = len(row.ids) - 1
        likely = F.log_softmax(given.logits[0, begin:-1] / 0.8, -1)
        hidden = given.hidden_states[-1][0, begin:-1]
        values = hidden @ head[:-1] + head[-1]
        return likely.gather(1, ids[0, begin + 1 :, None])[:, 0], values

    rows = [row for row in asked for _ in range(4)]
    told = []
    with torch.no_grad():
        for row, answer, reward in zip(rows, said, REWARDS, strict=True):
            if reward is None:
                continue
            old, values = look(row, answer)
            with policy.disable_adapter():
                ref, _ = look(row, answer)
            earned = -BETA * (old - ref)
            earned[-1] += reward
            gains, later = torch.zeros_like(earned), 0.0
            for place in reversed(range(len(earned))):
                ahead = values[place + 1] if place + 1 < len(values) else 0.0
                later = earned[place] + GAMMA * ahead - values[place] + GAMMA * LAMBDA * later
                gains[place] = later
            told.append((row, answer, old, values, gains, gains + values))
        everything = torch.cat([one[4] for one in told])
        mean, spread = everything.mean(), everything.std()
        total, count = 0.0, 0
        with Moved(policy, drift):
            for row, answer, old, values, gains, returns in told:
                new, now = look(row, answer)
                ratio, worth = (new - old).exp(), (gains - mean) / spread
                policy_loss = torch.max(-worth * ratio, -worth * ratio.clamp(1 - CLIP, 1 + CLIP))
                near = torch.clamp(now, values - VALUE_CLIP, values + VALUE_CLIP)
                critic_loss = 0.5 * torch.max((now - returns) ** 2, (near - returns) ** 2)
                total += float((policy_loss + COEF * critic_loss).sum())
                count += len(new)
    return total / count


@pytest.mark.parametrize("drift", [0.0, 0.4])
def test_that_the_loss_is_that_of_the_formulas(questions, answers, drift):  # noqa: F811
    config = job_of(
        "ppo", beta=BETA, gamma=GAMMA, gae_lambda=LAMBDA, epsilon=CLIP, value_coef=COEF, value_clip=VALUE_CLIP,
        iterations=2,
    )  # fmt: skip
    tokenizer = AutoTokenizer.from_pretrained(DEMO / "model")
    asked = (
        STAGES["ppo"]
        .tokeniser(choose_template(tokenizer, "auto"), 256, True, rollouts=config.rollouts)
        .encode([convert(Record(n, {"prompt": text}), "prompt_only") for n, text in enumerate(questions, 1)])
    )
    policy = learned(new_policy())
    made = STAGES["ppo"].objective(config, policy)
    chance = torch.Generator().manual_seed(2)
    made.critic.weight.data = 0.05 * torch.randn(made.critic.weight.shape, generator=chance)
    made.sampler = made.judge = Given(answers, tokenizer.eos_token_id)
    filled = made.fill(policy, [{"asked": asked[:1]}, {"asked": asked[1:]}], 0)
    with Moved(policy, drift):
        ways = zip(filled.batches, (True, False), strict=True)
        found = [made.loss(policy, batch, selective)[0] for batch, selective in ways]
        sum(found).backward()
    count = sum(made.count(batch) for batch in filled.batches)
    wanted = written_out(policy, made.critic.weight.detach()[0], asked, answers, drift)
    assert float(sum(found).detach()) / count == pytest.approx(wanted, rel=1e-4, abs=1e-5)
    assert float(made.critic.weight.grad.abs().max()) > 0
    assert max(float(one.grad.abs().max()) for one in policy.parameters() if one.grad is not None) > 0
    assert filled.told["kl"].numel() == 8


def ppo_job(tmp_path, **more) -> dict:
    return job(tmp_path, "ppo", **more)


def test_that_it_trains_and_tells_of_it(attempt, tmp_path):
    more = {"training": {"memory_probe": True}, "rollouts": {"beta": 0.1, "iterations": 2, "whiten_rewards": True}}
    made = attempt(**ppo_job(tmp_path, **more))
    assert made.run() == 0, made.end
    steps = [line.values for line in made.of("step")]
    assert {"reward", "value_loss", "kl", "clip_ratio", "entropy"} <= set(steps[0])
    assert all(values["value_loss"] > 0 for values in steps)
    assert any(values["grad_norm"] > 0 for values in steps)
    (measured,) = [line for line in made.of("memory_forecast") if line.measured]
    assert 0.2 < measured.factor < 5
    weights = (made.outputs / "adapter" / "adapter_model.safetensors").read_bytes()
    assert b"critic" not in weights


def test_that_reward_rises_and_the_critic_learns_to_foresee_it(attempt, tmp_path):
    """Answers without letters are wanted; a quarter of those of a model that knows nothing are so by chance."""
    training = {"max_steps": 24, "micro_batch_size": 4, "learning_rate": 6e-3, "schedule": "constant"}
    rewards = {"rewards": [{"kind": "format", "options": {"pattern": "[^a-zA-Z]*"}}], "answers": 8, "max_tokens": 6}
    more = {"data": {"validation_share": 0}, "tuner": {"kind": "full"}, "evaluation": {"data": []}}
    made = attempt(**ppo_job(tmp_path, rollouts=rewards, training=training, **more))
    assert made.run() == 0, made.end
    found = [line.values["reward"] for line in made.of("step")]
    assert np.mean(found[-5:]) > np.mean(found[:5]) + 0.2, found
    errors = [line.values["value_loss"] for line in made.of("step")]
    assert np.mean(errors[-5:]) < np.mean(errors[:5])


def test_that_going_back_brings_the_critic_back_and_spoilt_steps_leave_it(tmp_path):
    policy = new_policy()
    made = STAGES["ppo"].objective(job_of("ppo"), policy)
    assert made.parameters() == [made.critic.weight]
    made.critic.weight.data += 3
    made.save(tmp_path)
    made.critic.weight.data.fill_(float("nan"))
    made.go_back(tmp_path)
    assert (made.critic.weight == 3).all()
    made.critic.weight.grad = torch.ones_like(made.critic.weight)
    made.fill(policy, [], 0)
    assert made.critic.weight.grad is None


@pytest.mark.parametrize("rollouts", [{}, {"iterations": 2, "beta": 0.1}])
def test_that_it_goes_on_bit_for_bit(attempt, tmp_path, rollouts):
    """The critic too, and in the middle of several steps on the same answers."""
    checkpoints = {"checkpoints": {"every_steps": 3, "at_end": False}, "evaluation": {"data": []}}
    wanted = ppo_job(tmp_path, rollouts=rollouts, training={"max_steps": 5, "accumulation": 2}, **checkpoints)
    whole = attempt(**wanted)
    assert whole.run() == 0, whole.end
    assert_goes_on(whole, 3, ("loss", "grad_norm", "reward", "value_loss", "kl"))


def test_that_parts_and_the_whole_are_the_same(attempt, tmp_path):
    losses = []
    for parts in (1, 3):
        more = {"training": {"max_steps": 2, "micro_batch_parts": parts}, "evaluation": {"data": []}}
        made = attempt(**ppo_job(tmp_path, **more), name=f"p{parts}")
        assert made.run() == 0, made.end
        losses.append([line.values["loss"] for line in made.of("step")])
    assert losses[0] == pytest.approx(losses[1], rel=1e-3, abs=1e-6)
