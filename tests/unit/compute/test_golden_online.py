"""GRPO and RLOO against trl's own trainers: the same answers with the same rewards give the same worth and loss."""

import json
import logging
import os
import warnings
from pathlib import Path

import pytest
import torch
from datasets import Dataset
from transformers import AutoModelForCausalLM, AutoTokenizer

from engine.compute.data.formats import convert
from engine.compute.data.questions import Answer
from engine.compute.data.rows import Record
from engine.compute.data.templates import choose_template
from engine.compute.training.stages import STAGES
from engine.compute.training.tuners import apply_tuner
from engine.contract.run_spec import TrainJob

os.environ["TRL_EXPERIMENTAL_SILENCE"] = "1"
warnings.filterwarnings("ignore", module="trl")
DEMO = Path(__file__).parents[3] / "resources" / "demo"
EACH, LONGEST, QUESTIONS = 4, 12, 2
REWARDS = [0.25, 1.0, -0.5, 2.0, 0.0, 0.0, 1.5, None]
"""Of each answer; the last is not judged."""


def new_policy():
    """With an adapter as it begins: what trl takes for the reference."""
    torch.manual_seed(5)
    model = AutoModelForCausalLM.from_pretrained(DEMO / "model", dtype=torch.float32)
    return apply_tuner(model, job_of("grpo").tuner, "CAUSAL_LM")


def learned(policy):
    """With an adapter that is no longer that of the beginning."""
    torch.manual_seed(6)
    for name, parameter in policy.named_parameters():
        if ".lora_B.default." in name:
            torch.nn.init.normal_(parameter, std=0.02)
    return policy


@pytest.fixture(scope="module")
def questions() -> list[str]:
    lines = (DEMO / "data" / "train.jsonl").read_text(encoding="utf-8").splitlines()[:QUESTIONS]
    return [json.loads(line)["messages"][0]["content"] for line in lines]


@pytest.fixture(scope="module")
def answers() -> list[list[int]]:
    """Of different lengths; the third and sixth are cut, the others ended."""
    tokenizer = AutoTokenizer.from_pretrained(DEMO / "model")
    generator = torch.Generator().manual_seed(3)
    found = []
    for number in range(QUESTIONS * EACH):
        cut = number in (2, 5)
        length = LONGEST if cut else 4 + number
        ids = torch.randint(20, 400, (length - (not cut),), generator=generator).tolist()
        found.append(ids if cut else [*ids, tokenizer.eos_token_id])
    return found


def job_of(stage: str, loss: str = "auto", **rollouts) -> TrainJob:
    usual = {"answers": EACH, "max_tokens": LONGEST, "rewards": [{"kind": "length"}], "temperature": 0.8}
    return TrainJob.model_validate(
        {
            "model": {"path": "demo", "hub": "bundled"}, "stage": stage, "objective": {"loss": loss},
            "data": {"train": [{"path": "demo", "hub": "bundled"}]}, "rollouts": {**usual, **rollouts},
            "tuner": {"kind": "lora", "rank": 4, "alpha": 8, "dropout": 0},
        }
    )  # fmt: skip


class Given:
    """In place of a sampler and a judge: answers and rewards that were written down."""

    names, held_bytes = ["length"], 0

    def __init__(self, answers, eos):
        self.answers, self.eos = answers, eos

    def sample(self, *_rest, **_named):
        return [Answer(ids, "", ids[-1] == self.eos) for ids in self.answers]

    def score(self, *_rest):
        return {"length": REWARDS}

    def total(self, _scores):
        return [float("nan") if value is None else value for value in REWARDS]


def ours(stage, questions, answers, loss="auto", drift=0.0, **rollouts):
    """What our objective makes of them, after the adapter has moved by `drift`."""
    job, tokenizer = job_of(stage, loss, **rollouts), AutoTokenizer.from_pretrained(DEMO / "model")
    asked = (
        STAGES[stage]
        .tokeniser(choose_template(tokenizer, "auto"), 256, True, rollouts=job.rollouts)
        .encode([convert(Record(n, {"prompt": text}), "prompt_only") for n, text in enumerate(questions, 1)])
    )
    policy = learned(new_policy())
    made = STAGES[stage].objective(job, policy)
    made.sampler = made.judge = Given(answers, tokenizer.eos_token_id)
    (batch,) = made.fill(policy, [{"asked": asked}], 0).batches
    with Moved(policy, drift), torch.no_grad():
        found, told = made.loss(policy, batch, selective=True)
    means = {name: float(values.mean()) for name, values in told.items() if values.numel()}
    return float(found) / made.count(batch), batch["advantages"].tolist(), means


class Moved:
    """Inside, the adapter is another one than the one that answered."""

    def __init__(self, model, drift):
        self.weights, self.drift = [p for n, p in model.named_parameters() if ".lora_B.default." in n], drift

    def __enter__(self):
        for weight in self.weights:
            weight.data.mul_(1 + self.drift)

    def __exit__(self, *_rest):
        for weight in self.weights:
            weight.data.div_(1 + self.drift)


def theirs(tmp_path, stage, questions, answers, drift=0.0, **settings):
    """What trl's trainer makes of them."""
    import trl

    logging.getLogger("trl").setLevel(logging.ERROR)
    made, config = (getattr(trl, f"{stage.upper()}{name}") for name in ("Trainer", "Config"))
    tokenizer = AutoTokenizer.from_pretrained(DEMO / "model")
    rows = [{"prompt": [{"role": "user", "content": text}]} for text in questions]
    args = config(
        output_dir=str(tmp_path), per_device_train_batch_size=QUESTIONS * EACH, num_generations=EACH,
        max_completion_length=LONGEST, temperature=0.8, use_cpu=True, bf16=False, report_to="none",
        gradient_checkpointing=False, disable_tqdm=True, **settings,
    )  # fmt: skip
    trainer = made(
        model=new_policy(), reward_funcs=lambda completions, **_rest: REWARDS, args=args,
        train_dataset=Dataset.from_list(rows), processing_class=tokenizer,
    )  # fmt: skip
    trainer._generate_single_turn = lambda *_rest, **_named: (answers, None) if stage == "grpo" else answers
    policy = learned(trainer.accelerator.unwrap_model(trainer.model))
    trainer.model.train()
    trainer.current_gradient_accumulation_steps = 1
    inputs = trainer._generate_and_score_completions([row for row in rows for _ in range(EACH)])
    with Moved(policy, drift), torch.no_grad():
        found = trainer._compute_loss(trainer.model, inputs)
    told = {name: values[-1] for name, values in trainer._metrics["train"].items()}
    return float(found), inputs["advantages"].tolist(), told


def assert_alike(mine, other, kl: bool = False, near: float = 2e-6) -> None:
    assert mine[1] == pytest.approx(other[1], rel=1e-4, abs=1e-5)
    assert mine[0] == pytest.approx(other[0], rel=1e-4, abs=near)
    assert mine[2]["entropy"] == pytest.approx(other[2]["entropy"], rel=1e-4)
    if "clip_ratio/region_mean" in other[2]:
        assert mine[2]["clip_ratio"] == pytest.approx(other[2]["clip_ratio/region_mean"], rel=1e-4, abs=1e-6)
    if kl:
        assert mine[2]["kl"] == pytest.approx(other[2]["kl"], rel=1e-3, abs=1e-6)


MOVED = {"iterations": 2, "beta": 0.3, "epsilon": 0.05}
THEIRS = {"num_iterations": 2, "beta": 0.3, "epsilon": 0.05}


@pytest.mark.parametrize("loss", ["grpo", "bnpo", "dr_grpo", "dapo", "sapo", "luspo"])
def test_that_every_loss_of_grpo_is_that_of_trl(tmp_path, questions, answers, loss):
    mine = ours("grpo", questions, answers, loss, 0.4, **MOVED)
    other = theirs(tmp_path, "grpo", questions, answers, 0.4, loss_type=loss, **THEIRS)
    assert_alike(mine, other, kl=True)
    assert abs(mine[0]) > 1e-4


@pytest.mark.parametrize(
    ("ours_", "theirs_"),
    [
        ({"loss": "cispo", "epsilon_high": 1.2}, {"loss_type": "cispo", "epsilon_high": 1.2}),
        ({"importance": "sequence"}, {"importance_sampling_level": "sequence", "loss_type": "dapo"}),
        (
            {"loss": "grpo", "mask_truncated": True, "scale_rewards": "batch", "epsilon_high": 0.28},
            {"loss_type": "grpo", "mask_truncated_completions": True, "scale_rewards": "batch", "epsilon_high": 0.28},
        ),
        ({"scale_rewards": "none"}, {"scale_rewards": "none"}),
    ],
)
def test_that_its_settings_mean_what_they_mean_in_trl(tmp_path, questions, answers, ours_, theirs_):
    mine = ours("grpo", questions, answers, drift=0.4, **{**MOVED, **ours_})
    other = theirs(tmp_path, "grpo", questions, answers, 0.4, **{**THEIRS, **theirs_})
    assert_alike(mine, other, kl=True)


@pytest.mark.parametrize("normalised", [False, True])
def test_that_rloo_is_that_of_trl(tmp_path, questions, answers, normalised):
    mine = ours("rloo", questions, answers, drift=0.05, normalize_advantages=normalised, **MOVED)
    other = theirs(
        tmp_path, "rloo", questions, answers, 0.05, normalize_advantages=normalised, **THEIRS
    )  # fmt: skip
    assert_alike(mine, other, near=1e-4)  # a sum over whole answers, in another order on another processor


def test_that_the_first_step_on_new_answers_pushes_as_trl_does(questions, answers):
    """The ratio is 1 everywhere, so the loss is minus the mean worth; what counts is that there is a gradient."""
    job, policy = job_of("grpo", "grpo"), learned(new_policy())
    tokenizer = AutoTokenizer.from_pretrained(DEMO / "model")
    made = STAGES["grpo"].objective(job, policy)
    made.sampler = made.judge = Given(answers, tokenizer.eos_token_id)
    asked = (
        STAGES["grpo"]
        .tokeniser(choose_template(tokenizer, "auto"), 256, True, rollouts=job.rollouts)
        .encode([convert(Record(n, {"prompt": text}), "prompt_only") for n, text in enumerate(questions, 1)])
    )
    (batch,) = made.fill(policy, [{"asked": asked}], 0).batches
    found, told = made.loss(policy, batch, selective=True)
    assert float(found.detach()) == pytest.approx(-sum(batch["advantages"].tolist()), abs=1e-4)
    found.backward()
    assert max(float(p.grad.abs().max()) for p in policy.parameters() if p.grad is not None) > 0
    policy.zero_grad()
    assert float(told["clip_ratio"].sum()) == 0
