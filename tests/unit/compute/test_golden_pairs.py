"""Online DPO against trl's own trainer: the same two answers with the same rewards give the same loss."""

import os
import warnings

import pytest
import torch
from datasets import Dataset
from test_golden_online import DEMO, Given, Moved, job_of, learned, new_policy
from transformers import AutoTokenizer

from engine.compute.data.formats import convert
from engine.compute.data.rows import Record
from engine.compute.data.templates import choose_template
from engine.compute.training.own_pairs import best_and_worst
from engine.compute.training.stages import STAGES

os.environ["TRL_EXPERIMENTAL_SILENCE"] = "1"
warnings.filterwarnings("ignore", module="trl")
QUESTIONS = ("When is it?", "And where?", "Why?")
REWARDS = [0.5, 0.25, -1.0, 2.0, 1.0, 0.75]
"""Of the first answer to each question, then of the second."""


@pytest.fixture(scope="module")
def answers() -> list[list[int]]:
    """Two to each question, the second ones behind; one is cut."""
    end, chance = AutoTokenizer.from_pretrained(DEMO / "model").eos_token_id, torch.Generator().manual_seed(3)
    made = [torch.randint(20, 400, (4 + n,), generator=chance).tolist() for n in range(6)]
    return [ids if n == 3 else [*ids, end] for n, ids in enumerate(made)]


class Both(Given):
    """Answers and rewards that were written down, in our order: both answers to a question side by side."""

    def __init__(self, answers, eos):
        places = [place for n in range(3) for place in (n, n + 3)]
        super().__init__([answers[place] for place in places], eos)
        self.rewards = [REWARDS[place] for place in places]

    def score(self, *_rest):
        return {"length": self.rewards}

    def total(self, _scores):
        return list(self.rewards)


def ours(answers, loss, penalty):
    job, tokenizer = (
        job_of("online_dpo", loss, answers=2, missing_eos_penalty=penalty),
        AutoTokenizer.from_pretrained(DEMO / "model"),
    )
    asked = (
        STAGES["online_dpo"]
        .tokeniser(choose_template(tokenizer, "auto"), 256, True, rollouts=job.rollouts)
        .encode([convert(Record(n, {"prompt": text}), "prompt_only") for n, text in enumerate(QUESTIONS, 1)])
    )
    policy = learned(new_policy())
    made = STAGES["online_dpo"].objective(job, policy)
    made.sampler = made.judge = Both(answers, tokenizer.eos_token_id)
    filled = made.fill(policy, [{"asked": asked}], 0)
    (batch,) = filled.batches
    with Moved(policy, 0.4), torch.no_grad():
        found, told = made.loss(policy, batch, selective=True)
    return float(found) / made.count(batch), {name: float(values.mean()) for name, values in told.items()}


def theirs(tmp_path, answers, loss, penalty):
    from trl.experimental.online_dpo import OnlineDPOConfig, OnlineDPOTrainer

    tokenizer = AutoTokenizer.from_pretrained(DEMO / "model")
    rows = [{"prompt": [{"role": "user", "content": text}]} for text in QUESTIONS]
    args = OnlineDPOConfig(
        output_dir=str(tmp_path), loss_type=loss, beta=0.1, missing_eos_penalty=penalty, use_cpu=True, bf16=False,
        report_to="none", gradient_checkpointing=False, disable_tqdm=True, max_new_tokens=12,
    )  # fmt: skip
    trainer = OnlineDPOTrainer(
        model=new_policy(), reward_funcs=lambda completions, **_rest: REWARDS, args=args,
        train_dataset=Dataset.from_list(rows), processing_class=tokenizer,
    )  # fmt: skip
    policy = learned(trainer.accelerator.unwrap_model(trainer.model))
    texts = [tokenizer.apply_chat_template(row["prompt"], tokenize=False, add_generation_prompt=True) for row in rows]
    prompts = [tokenizer(text, add_special_tokens=False)["input_ids"] for text in texts] * 2
    wide, long = max(map(len, prompts)), max(map(len, answers))
    ids, mask = torch.zeros(6, wide, dtype=torch.long), torch.zeros(6, wide, dtype=torch.long)
    said, kept = torch.zeros(6, long, dtype=torch.long), torch.zeros(6, long, dtype=torch.long)
    for n, (prompt, answer) in enumerate(zip(prompts, answers, strict=True)):
        ids[n, wide - len(prompt) :], mask[n, wide - len(prompt) :] = torch.tensor(prompt), 1
        said[n, : len(answer)], kept[n, : len(answer)] = torch.tensor(answer), 1
    trainer._generate = lambda *_rest, **_named: (ids, mask, said, kept, None)
    with Moved(policy, 0.4):
        found = trainer.training_step(trainer.model, {"prompt": [row["prompt"] for row in rows]})
    return float(found), {name: values[-1] for name, values in trainer.stats.items() if values}


@pytest.mark.parametrize(("loss", "penalty"), [("sigmoid", None), ("ipo", None), ("sigmoid", 4.0)])
def test_that_the_loss_of_given_pairs_is_that_of_trl(tmp_path, answers, loss, penalty):
    mine, told = ours(answers, loss, penalty)
    other, stats = theirs(tmp_path, answers, loss, penalty)
    assert mine == pytest.approx(other, rel=1e-4)
    for name in ("rewards/chosen", "rewards/rejected", "rewards/margins", "rewards/accuracies", "logps/chosen"):
        assert told[name] == pytest.approx(stats[name], rel=1e-3, abs=1e-5), name


def test_that_the_penalty_changes_which_answer_is_better(answers):
    assert ours(answers, "sigmoid", None)[1]["logps/chosen"] != ours(answers, "sigmoid", 4.0)[1]["logps/chosen"]


def test_that_the_best_is_put_against_the_worst():
    assert best_and_worst([0.0, 2.0, 1.0, -1.0]) == (1, 3)
    assert best_and_worst([1.0, 1.0]) == (0, 1)
    assert best_and_worst([float("nan"), 1.0, 0.5]) == (1, 2)
    assert best_and_worst([float("nan")] * 2) == (0, 0)
