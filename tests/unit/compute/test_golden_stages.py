"""Each stage's losses are those of trl's own trainer with peft: the demo model, the same rows in the same order."""

import json
import logging
import os
import warnings
from pathlib import Path

import pytest
import torch
from datasets import Dataset
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification, AutoTokenizer, TrainerCallback

from engine.compute.data.formats import convert
from engine.compute.data.pool import RowPool
from engine.compute.data.rows import Record
from engine.compute.data.templates import choose_template
from engine.compute.training.batches import BatchLoader, collate
from engine.compute.training.callbacks import Watch
from engine.compute.training.precision import Precision
from engine.compute.training.stages import STAGES
from engine.compute.training.trainer import ForgeTrainer, arguments, train
from engine.compute.training.tuners import apply_tuner
from engine.contract.run_spec import TrainJob

os.environ["TRL_EXPERIMENTAL_SILENCE"] = "1"
warnings.filterwarnings("ignore", module="trl")
DEMO = Path(__file__).parents[3] / "resources" / "demo"
STEPS, ROWS, SIZE = 20, 40, 2
RATES = {"lora": 2e-3, "full": 1e-4}
TUNER = {"kind": "lora", "rank": 4, "alpha": 8}


def demo_rows() -> list[dict]:
    """Questions of the demo with their answers, and answers that are wrong."""
    lines = (DEMO / "data" / "train.jsonl").read_text(encoding="utf-8").splitlines()[:ROWS]
    found = []
    for number, line in enumerate(lines):
        asked, answer = json.loads(line)["messages"]
        wrong = answer["content"][:5] + f"{number % 12 + 1:02d}-{number % 28 + 1:02d}"
        found.append({"prompt": asked["content"], "chosen": answer["content"], "rejected": wrong, "good": number % 3})
    return found


def said(text: str, role: str = "assistant") -> list[dict]:
    return [{"role": role, "content": text}]


def our_row(stage: str, row: dict) -> tuple[str, dict]:
    if stage == "sft":
        return "messages", {"messages": [*said(row["prompt"], "user"), *said(row["chosen"])]}
    if stage == "kto":
        good = bool(row["good"])
        answer = row["chosen"] if good else row["rejected"]
        return "kto", {"prompt": row["prompt"], "completion": answer, "label": good}
    return "preference", {name: row[name] for name in ("prompt", "chosen", "rejected")} | (
        {"margin": row["margin"]} if "margin" in row else {}
    )


def their_row(stage: str, row: dict) -> dict:
    asked = said(row["prompt"], "user")
    form, ours = our_row(stage, row)
    if form == "messages":
        return ours
    if form == "kto":
        return {"prompt": asked, "completion": said(ours["completion"]), "label": ours["label"]}
    more = {"margin": row["margin"]} if "margin" in row else {}
    return {"prompt": asked, "chosen": said(row["chosen"]), "rejected": said(row["rejected"]), **more}


def demo_model(stage: str, kind: str = "lora"):
    """With the same adapter each time, and the same head."""
    torch.manual_seed(5)
    scores = stage == "reward"
    loader = AutoModelForSequenceClassification if scores else AutoModelForCausalLM
    more = {"num_labels": 1} if scores else {}
    model = loader.from_pretrained(DEMO / "model", dtype=torch.float32, **more)
    if scores:
        model.config.pad_token_id = 0
    torch.manual_seed(7)
    return apply_tuner(model, job_of(stage, kind=kind).tuner, "SEQ_CLS" if scores else "CAUSAL_LM")


def job_of(stage: str, kind: str = "lora", **objective) -> TrainJob:
    return TrainJob.model_validate(
        {
            "model": {"path": "demo", "hub": "bundled"},
            "data": {"train": [{"path": "demo", "hub": "bundled"}], "order": "kept"},
            "stage": stage,
            "objective": objective,
            "tuner": {**TUNER, "kind": kind},
            "training": {
                "micro_batch_size": SIZE, "max_steps": STEPS, "learning_rate": RATES[kind], "schedule": "constant",
                "warmup_share": 0, "group_by_length": False, "accumulation": 1,
            },
        }
    )  # fmt: skip


def our_points(tmp_path, stage: str, rows: list[dict], kind: str = "lora", **objective) -> tuple[list[dict], RowPool]:
    """What our own loop tells of each step."""
    job = job_of(stage, kind, **objective)
    tokenizer = AutoTokenizer.from_pretrained(DEMO / "model")
    examples = [convert(Record(n, our_row(stage, row)[1]), our_row(stage, row)[0]) for n, row in enumerate(rows, 1)]
    STAGES[stage].check(examples)
    tokeniser = STAGES[stage].tokeniser(choose_template(tokenizer, "auto"), 256, True, job.objective)
    pool = RowPool(tokeniser, [(examples, 1.0)], 1)
    pool.prepare(lambda _done: None)
    loader = BatchLoader(pool, pad=tokenizer.pad_token_id, size=SIZE, seed=1, by_length=False, multiple=1, kept=True)
    model, points = demo_model(stage, kind), list[dict]()
    objective_made = STAGES[stage].objective(job, model)
    precision = Precision("fp32", "fp32", "training.precision_given")
    args = arguments(job.training, STEPS, precision, torch.device("cpu"), tmp_path, validates=False)
    watch = Watch(lambda step, epoch, values: points.append(values), lambda step, values: None, lambda: False)
    train(ForgeTrainer(model=model, args=args, loader=loader, validation=[], watch=watch, objective=objective_made))
    return points, pool


class Recorder(TrainerCallback):
    def __init__(self):
        self.points = []

    def on_log(self, args, state, control, logs=None, **rest):
        if "loss" in logs:
            self.points.append(dict(logs))


def trainer_of(stage: str):
    """trl's trainer of a stage and its settings."""
    if stage in ("orpo", "cpo", "simpo"):
        from trl.experimental import cpo, orpo

        return (orpo.ORPOTrainer, orpo.ORPOConfig) if stage == "orpo" else (cpo.CPOTrainer, cpo.CPOConfig)
    import trl

    names = {"sft": "SFT", "dpo": "DPO", "kto": "KTO", "reward": "Reward"}
    return getattr(trl, f"{names[stage]}Trainer"), getattr(trl, f"{names[stage]}Config")


def their_points(tmp_path, stage: str, rows: list[dict], pool: RowPool, kind: str = "lora", **settings) -> list[dict]:
    """What trl's own trainer tells of each step."""
    logging.getLogger("trl").setLevel(logging.ERROR)
    made, config = trainer_of(stage)
    args = config(
        output_dir=str(tmp_path), max_steps=STEPS, per_device_train_batch_size=SIZE, learning_rate=RATES[kind],
        lr_scheduler_type="constant_with_warmup", warmup_steps=0, logging_steps=1, save_strategy="no",
        report_to="none", disable_tqdm=True, use_cpu=True, bf16=False, gradient_checkpointing=False,
        train_sampling_strategy="sequential", max_length=256, **settings,
    )  # fmt: skip
    tokenizer, recorder = AutoTokenizer.from_pretrained(DEMO / "model"), Recorder()
    if kind == "full" and stage in ("dpo", "kto"):
        settings = {"ref_model": demo_model(stage, kind)}
    else:
        settings = {}
    dataset = Dataset.from_list([their_row(stage, row) for row in rows])
    trainer = made(
        model=demo_model(stage, kind), args=args, train_dataset=dataset, processing_class=tokenizer,
        callbacks=[recorder], **settings,
    )  # fmt: skip
    if stage in ("orpo", "cpo", "simpo"):
        trainer.train_dataset = our_tokens(pool)
    trainer.train()
    return recorder.points


def our_tokens(pool: RowPool) -> Dataset:
    """The rows for the trainers of trl that are experimental: they add a second end-of-turn token to each answer."""
    rows = []
    for pair in pool.fetch(range(len(pool))):
        row = {}
        for name, side in pair.sides:
            ids, learned = list(side.ids), list(side.trained)
            begin = learned.index(1)
            row |= {
                f"{name}_input_ids": ids, f"{name}_attention_mask": [1] * len(ids),
                f"{name}_labels": [-100] * begin + ids[begin:], "prompt_input_ids": ids[:begin],
                "prompt_attention_mask": [1] * begin,
            }  # fmt: skip
        rows.append(row)
    return Dataset.from_list(rows)


def assert_alike(ours: list[dict], theirs: list[dict], *also: str) -> None:
    assert len(ours) == len(theirs) == STEPS
    for name in ("loss", *also):
        mine, other = ([point[name] for point in points] for points in (ours, theirs))
        assert mine == pytest.approx(other, rel=1e-4, abs=2e-5 if name != "loss" else 1e-9), name
    losses = [point["loss"] for point in ours]
    assert len({round(loss, 6) for loss in losses}) > STEPS // 2  # something is learned at all


REWARDS = ("rewards/chosen", "rewards/rejected", "rewards/margins", "rewards/accuracies")


@pytest.mark.parametrize("loss", ["nll", "dft"])
def test_that_sft_is_that_of_trl(tmp_path, loss):
    rows = demo_rows()
    ours, pool = our_points(tmp_path, "sft", rows, loss=loss)
    theirs = their_points(tmp_path, "sft", rows, pool, loss_type=loss, assistant_only_loss=True)
    assert_alike(ours, theirs)


@pytest.mark.parametrize(
    ("kind", "ours", "theirs"),
    [
        ("lora", {}, {}),
        ("full", {"beta": 0.3}, {"beta": 0.3}),
        (
            "lora",
            {"rpo_alpha": 0.7, "ld_alpha": 0.5},
            {"loss_type": ["sigmoid", "sft"], "loss_weights": [1.0, 0.7], "ld_alpha": 0.5},
        ),
    ],
)  # fmt: skip
def test_that_dpo_is_that_of_trl(tmp_path, kind, ours, theirs):
    rows = demo_rows()
    mine, pool = our_points(tmp_path, "dpo", rows, kind, **ours)
    found = their_points(tmp_path, "dpo", rows, pool, kind, **theirs)
    assert_alike(mine, found, *REWARDS, "logps/chosen", "logps/rejected")


def test_that_every_loss_of_dpo_is_that_of_trl(tmp_path):
    """On a batch and an adapter that is no longer that of the beginning."""
    from trl import DPOConfig, DPOTrainer

    rows, stage = demo_rows()[:8], STAGES["dpo"]
    tokenizer, model = AutoTokenizer.from_pretrained(DEMO / "model"), demo_model("dpo")
    examples = [convert(Record(1, our_row("dpo", row)[1]), "preference") for row in rows]
    made = stage.tokeniser(choose_template(tokenizer, "auto"), 256, True).encode(examples)
    batch = collate(made, tokenizer.pad_token_id, 1)
    args = DPOConfig(
        output_dir=str(tmp_path), beta=0.3, label_smoothing=0.1, per_device_train_batch_size=8, max_length=256,
        use_cpu=True, bf16=False, gradient_checkpointing=False, report_to="none", disable_tqdm=True,
    )  # fmt: skip
    dataset = Dataset.from_list([their_row("dpo", row) for row in rows])
    trainer = DPOTrainer(model=model, args=args, train_dataset=dataset, processing_class=tokenizer)
    for name, parameter in model.named_parameters():
        if ".lora_B.default." in name:
            torch.nn.init.normal_(parameter, std=0.02)
    theirs = trainer.data_collator(list(trainer.train_dataset))
    assert torch.equal(theirs["input_ids"], batch["input_ids"])
    values = []
    for loss in stage.declared.losses:
        smoothing = 0.1 if loss in ("exo_pair", "robust", "aot", "aot_unpaired") else 0.0
        job = job_of("dpo", loss=loss, beta=0.3, label_smoothing=smoothing)
        trainer.loss_types, trainer.label_smoothing = [loss], smoothing
        with torch.no_grad():
            ours, _told = stage.objective(job, model).loss(model, batch, selective=True)
            wanted = float(trainer.compute_loss(model, dict(theirs)))
        values.append(float(ours) / len(rows))
        assert values[-1] == pytest.approx(wanted, rel=1e-4), loss
    assert len({round(value, 5) for value in values}) == len(values)


def test_that_kto_is_that_of_trl(tmp_path):
    rows, objective = demo_rows(), {"desirable_weight": 1.3, "undesirable_weight": 0.6}
    ours, pool = our_points(tmp_path, "kto", rows, **objective)
    assert_alike(ours, their_points(tmp_path, "kto", rows, pool, **objective), "rewards/chosen", "kl")


@pytest.mark.parametrize(
    ("stage", "ours", "theirs"),
    [
        ("orpo", {}, {"beta": 0.1}),
        ("cpo", {}, {"beta": 0.1, "cpo_alpha": 1.0}),
        ("simpo", {}, {"loss_type": "simpo", "beta": 2.0, "simpo_gamma": 0.5, "cpo_alpha": 0.0}),
    ],
)
def test_that_stages_without_a_reference_are_those_of_trl(tmp_path, stage, ours, theirs):
    rows = demo_rows()
    mine, pool = our_points(tmp_path, stage, rows, **ours)
    assert_alike(mine, their_points(tmp_path, stage, rows, pool, **theirs), *REWARDS)


def test_that_a_reward_model_is_that_of_trl(tmp_path):
    rows = [{**row, "margin": 0.1 * (number % 4)} for number, row in enumerate(demo_rows())]
    ours, pool = our_points(tmp_path, "reward", rows, center_rewards=0.01)
    theirs = their_points(tmp_path, "reward", rows, pool, center_rewards_coefficient=0.01)
    assert_alike(ours, theirs)
    assert [p["rewards/margins"] for p in ours] == pytest.approx([p["margin"] for p in theirs], rel=1e-3, abs=1e-5)
