"""The losses of classification are those of plain transformers with peft: the demo model, the same rows in order."""

import json
from pathlib import Path

import pytest
import torch
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    Trainer,
    TrainerCallback,
    TrainingArguments,
)

from engine.compute.data.formats import convert
from engine.compute.data.labels import Labels
from engine.compute.data.pool import RowPool
from engine.compute.data.rows import Record
from engine.compute.data.templates import choose_template
from engine.compute.training.batches import BatchLoader
from engine.compute.training.callbacks import Watch
from engine.compute.training.precision import Precision
from engine.compute.training.stages import STAGES
from engine.compute.training.trainer import ForgeTrainer, arguments, train
from engine.contract.run_spec import TrainJob

DEMO = Path(__file__).parents[3] / "resources" / "demo"
STEPS, SIZE = 20, 2
PROBLEMS = ("single_label", "multi_label", "regression")


def demo_rows(problem: str) -> tuple[list[dict], tuple[str, ...]]:
    """Questions of the demo with their month, as a class, as two classes, or as a number."""
    lines = (DEMO / "data" / "months.jsonl").read_text(encoding="utf-8").splitlines()[: STEPS * SIZE]
    found = [json.loads(line) for line in lines]
    names = tuple(sorted({row["label"] for row in found}))
    if problem == "multi_label":
        found = [{**row, "label": [row["label"], names[0]]} for row in found]
    elif problem == "regression":
        found = [{**row, "label": names.index(row["label"]) / 10} for row in found]
        names = ()
    return found, names


def demo_model(problem: str, names: tuple[str, ...]):
    """With the same adapter and head each time."""
    from peft import LoraConfig, get_peft_model

    kinds = {"single_label": "single_label_classification", "multi_label": "multi_label_classification"}
    torch.manual_seed(5)
    model = AutoModelForSequenceClassification.from_pretrained(
        DEMO / "model", dtype=torch.float32, num_labels=len(names) or 1, problem_type=kinds.get(problem, "regression")
    )
    model.config.pad_token_id = 0
    torch.manual_seed(7)
    return get_peft_model(model, LoraConfig(task_type="SEQ_CLS", r=4, lora_alpha=8, target_modules="all-linear"))


def our_losses(tmp_path, problem: str, content: list[dict], names: tuple[str, ...]) -> list[float]:
    wanted = {
        "model": {"path": "demo", "hub": "bundled"}, "data": {"train": [{"path": "x"}], "order": "kept"},
        "stage": "classification", "head": {"problem": problem},
        "training": {
            "micro_batch_size": SIZE, "max_steps": STEPS, "learning_rate": 2e-3, "schedule": "constant",
            "warmup_share": 0, "group_by_length": False,
        },
    }  # fmt: skip
    job = TrainJob.model_validate(wanted)
    tokenizer = AutoTokenizer.from_pretrained(DEMO / "model")
    stage, labels = STAGES["classification"], Labels(job.head.problem, names)
    tokeniser = stage.tokeniser(choose_template(tokenizer, "auto"), 256, False, job.objective, job.head, labels)
    examples = [convert(Record(n, row), "classification") for n, row in enumerate(content, 1)]
    pool = RowPool(tokeniser, [(examples, 1.0)], 1)
    pool.prepare(lambda _done: None)
    loader = BatchLoader(pool, pad=0, size=SIZE, seed=1, by_length=False, multiple=1, kept=True)
    model, losses = demo_model(problem, names), list[float]()
    args = arguments(
        job.training, STEPS, Precision("fp32", "fp32", "x"), torch.device("cpu"), tmp_path, validates=False
    )
    watch = Watch(lambda step, epoch, values: losses.append(values["loss"]), lambda *_: None, lambda: False)
    objective = stage.objective(job, model)
    train(ForgeTrainer(model=model, args=args, loader=loader, validation=[], watch=watch, objective=objective))
    return losses


class Recorder(TrainerCallback):
    def __init__(self):
        self.losses = []

    def on_log(self, args, state, control, logs=None, **rest):
        if "loss" in logs:
            self.losses.append(logs["loss"])


def their_losses(tmp_path, problem: str, content: list[dict], names: tuple[str, ...]) -> list[float]:
    tokenizer = AutoTokenizer.from_pretrained(DEMO / "model")

    def target(label):
        if problem == "single_label":
            return names.index(label)
        return label if problem == "regression" else [float(name in label) for name in names]

    def together(found: list[dict]) -> dict:
        batch = tokenizer([row["text"] for row in found], padding=True, return_tensors="pt", padding_side="right")
        return {**batch, "labels": torch.tensor([target(row["label"]) for row in found])}

    args = TrainingArguments(
        output_dir=str(tmp_path), max_steps=STEPS, per_device_train_batch_size=SIZE, learning_rate=2e-3,
        lr_scheduler_type="constant", logging_steps=1, save_strategy="no", report_to="none", disable_tqdm=True,
        use_cpu=True, train_sampling_strategy="sequential", remove_unused_columns=False,
    )  # fmt: skip
    recorder = Recorder()
    Trainer(
        model=demo_model(problem, names), args=args, train_dataset=content, data_collator=together,
        callbacks=[recorder],
    ).train()  # fmt: skip
    return recorder.losses


@pytest.mark.parametrize("problem", PROBLEMS)
def test_that_classification_is_that_of_transformers(tmp_path, problem):
    content, names = demo_rows(problem)
    ours, theirs = (losses(tmp_path, problem, content, names) for losses in (our_losses, their_losses))
    assert len(ours) == len(theirs) == STEPS
    assert ours == pytest.approx(theirs, rel=1e-4, abs=1e-5)
    assert len({round(loss, 4) for loss in ours}) > STEPS // 2
