"""Distillation against trl's GKD: the same batch gives the same loss."""

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
from engine.compute.data.rows import Record
from engine.compute.data.templates import choose_template
from engine.compute.training.batches import collate
from engine.compute.training.distillation import Teacher, prompts_of
from engine.compute.training.divergence import summed_divergence
from engine.compute.training.stages import STAGES
from engine.contract.run_spec import TrainJob
from engine.contract.teacher import TeacherConfig

os.environ["TRL_EXPERIMENTAL_SILENCE"] = "1"
warnings.filterwarnings("ignore", module="trl")
DEMO = Path(__file__).parents[3] / "resources" / "demo"
ROWS = 4


def model(seed: int = 0):
    """The demo model; with a seed another one, as a teacher is."""
    made = AutoModelForCausalLM.from_pretrained(DEMO / "model", dtype=torch.float32)
    generator = torch.Generator().manual_seed(seed)
    for parameter in made.parameters() if seed else ():
        parameter.data.add_(0.02 * torch.randn(parameter.shape, generator=generator))
    return made


@pytest.fixture(scope="module")
def batch():
    lines = (DEMO / "data" / "train.jsonl").read_text(encoding="utf-8").splitlines()[:ROWS]
    template = choose_template(AutoTokenizer.from_pretrained(DEMO / "model"), "auto")
    rows = [convert(Record(n, json.loads(line)), "messages") for n, line in enumerate(lines, 1)]
    return collate(STAGES["gkd"].tokeniser(template, 128, True).encode(rows), 0, 1)


def ours(batch, loss: str, beta: float) -> float:
    job = TrainJob.model_validate(
        {
            "model": {"path": "demo", "hub": "bundled"}, "stage": "gkd", "objective": {"loss": loss},
            "data": {"train": [{"path": "demo", "hub": "bundled"}]},
        }
    )  # fmt: skip
    student = model()
    made = STAGES["gkd"].objective(job, student)
    made.settings, made.teacher = TeacherConfig(path="x", beta=beta), Teacher(model(7), student.config.vocab_size)
    with torch.no_grad():
        found, told = made.loss(student, batch, selective=True)
    assert 0 < float(told["agreement"].mean()) < 1
    return float(found) / made.count(batch)


@pytest.mark.parametrize(
    ("loss", "beta", "theirs"),
    [("jsd", 0.5, 0.5), ("jsd", 0.1, 0.1), ("jsd", 0.0, 0.0), ("forward_kl", 0.5, 0.0), ("reverse_kl", 0.5, 1.0)],
)
def test_that_the_first_loss_is_that_of_trls_trainer(tmp_path, batch, loss, beta, theirs):
    from trl.experimental.gkd import GKDConfig, GKDTrainer

    logging.getLogger("trl").setLevel(logging.ERROR)
    args = GKDConfig(
        output_dir=str(tmp_path), beta=theirs, lmbda=0.0, use_cpu=True, bf16=False, report_to="none",
        gradient_checkpointing=False, disable_tqdm=True,
    )  # fmt: skip
    rows = Dataset.from_list([{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}])
    trainer = GKDTrainer(
        model=model(), teacher_model=model(7), args=args, train_dataset=rows,
        processing_class=AutoTokenizer.from_pretrained(DEMO / "model"),
    )  # fmt: skip
    inputs = {**batch, "attention_mask": torch.ones_like(batch["input_ids"])}
    with torch.no_grad():
        found = float(trainer.compute_loss(trainer.model.eval(), inputs))
    assert found > 1e-3
    assert ours(batch, loss, beta) == pytest.approx(found, rel=1e-4)


@pytest.mark.parametrize("beta", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("temperature", [0.7, 2.0])
def test_that_the_divergence_and_its_gradient_are_trls_at_any_temperature(beta, temperature):
    from trl.experimental.gkd import GKDTrainer

    generator = torch.Generator().manual_seed(1)
    student, teacher = (torch.randn(1, 700, 50, generator=generator) * 3 for _ in range(2))
    mine, other = (student.clone().requires_grad_() for _ in range(2))
    found = summed_divergence(mine[0], teacher[0], beta, temperature)
    theirs = GKDTrainer.generalized_jsd_loss(other, teacher, None, beta, temperature, reduction="sum")
    assert float(found.detach()) == pytest.approx(float(theirs.detach()), rel=1e-5)
    found.backward()
    theirs.backward()
    assert torch.allclose(mine.grad, other.grad, atol=1e-6)


def test_that_a_question_is_what_stands_before_the_last_answer(batch):
    tokenizer = AutoTokenizer.from_pretrained(DEMO / "model")
    template = choose_template(tokenizer, "auto")
    said = [{"role": "user", "content": "when?"}, {"role": "assistant", "content": "now"}]
    talk = convert(Record(1, {"messages": [*said, {"role": "user", "content": "why?"}, said[1]]}), "messages")
    made = collate(STAGES["gkd"].tokeniser(template, 128, True).encode([talk]), 0, 1)
    (prompt,) = prompts_of(made["labels"], made["input_ids"])
    assert tokenizer.decode(prompt) == template.render(talk.turns[:-1], True)
    nothing = torch.full((1, 4), -100)
    assert prompts_of(nothing, torch.ones(1, 4, dtype=torch.long)) == [None]
    assert prompts_of(torch.ones(1, 4, dtype=torch.long), torch.ones(1, 4, dtype=torch.long)) == [None]
