"""The demo's recipe with grouping by length and selective logits, against plain transformers and peft, seed by seed.

`python -m tests.bench.quality`, with the worker's Python: the same model, rows, batch, rate and schedule. Held-out
rows are asked of both adapters in the same way, greedily and by peft.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import yaml
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    DataCollatorForSeq2Seq,
    Trainer,
    TrainingArguments,
    set_seed,
)

from engine.contract.paths import resources_folder

ROOT = Path(__file__).parents[2]
SEEDS = range(1, 1 + int(os.environ.get("BENCH_SEEDS", "5")))
MODEL, DATA = resources_folder() / "demo" / "model", resources_folder() / "demo" / "data"
LONGEST_ANSWER = 24


@dataclass(frozen=True)
class Found:
    """What a training came to on rows it has not seen."""

    correct: float
    loss: float
    seconds: float


def rows_of(name: str) -> list[list[dict[str, str]]]:
    """Messages of each row."""
    lines = (DATA / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line)["messages"] for line in lines]


def tokens(tokenizer: Any, messages: list[dict[str, str]]) -> dict[str, list[int]]:
    """A row whose answer is learned."""
    asked = tokenizer.apply_chat_template(messages[:-1], add_generation_prompt=True, return_dict=True)["input_ids"]
    whole = tokenizer.apply_chat_template(messages, return_dict=True)["input_ids"]
    end = len(whole) - whole[::-1].index(tokenizer.eos_token_id)
    whole = whole[:end]  # what the template puts behind the end of the answer is learned by neither
    return {"input_ids": whole, "labels": [-100] * len(asked) + whole[len(asked) :]}


def ours(recipe: dict[str, Any], seed: int, folder: Path) -> Path:
    """A worker as the controller starts it, with the recipe as it is; its adapter."""
    place = folder / "run" / "attempts" / "1"
    place.mkdir(parents=True)
    job = {key: value for key, value in recipe.items() if key not in ("version", "name", "tags")}
    job |= {"kind": "train", "evaluation": {"data": []}, "training": {**recipe["training"], "seed": seed}}
    spec = {"name": "bench", "job": job, "compute": {"gpus": 0}}
    order = {"protocol": 1, "run": "bench", "attempt": 1, "lease": "l", "spec": spec}
    (place / "order.json").write_text(json.dumps(order), encoding="utf-8")
    known = {**os.environ, "PYTHONPATH": str(ROOT), "FORGE_HOME": str(folder), "HF_HUB_OFFLINE": "1"}
    command = [sys.executable, "-m", "engine.compute.worker", str(place)]
    subprocess.run(command, env=known, cwd=place, check=True, capture_output=True)
    return next((place / "outputs").rglob("adapter_config.json")).parent


def plain(recipe: dict[str, Any], seed: int, folder: Path) -> Path:
    """transformers' Trainer with peft: rows in random order, logits of every token."""
    set_seed(seed)
    training, tuner = recipe["training"], recipe["tuner"]
    tokenizer = AutoTokenizer.from_pretrained(MODEL)
    model = AutoModelForCausalLM.from_pretrained(MODEL, dtype=torch.float32)
    lora = LoraConfig(
        task_type="CAUSAL_LM", r=tuner["rank"], lora_alpha=tuner["alpha"], target_modules="all-linear"
    )  # fmt: skip
    trainer = Trainer(
        model=get_peft_model(model, lora),
        args=TrainingArguments(
            output_dir=str(folder), num_train_epochs=training["epochs"], learning_rate=training["learning_rate"],
            per_device_train_batch_size=training["micro_batch_size"], lr_scheduler_type=training["schedule"],
            warmup_steps=training["warmup_share"], seed=seed, save_strategy="no", report_to="none", disable_tqdm=True,
            use_cpu=True, weight_decay=training.get("weight_decay", 0.0), logging_strategy="no",
        ),
        train_dataset=[tokens(tokenizer, row) for row in rows_of("train")],
        data_collator=DataCollatorForSeq2Seq(tokenizer),
    )  # fmt: skip
    trainer.train()
    trainer.model.save_pretrained(folder / "adapter")
    return folder / "adapter"


@torch.no_grad()  # type: ignore[untyped-decorator]
def held_out(adapter: Path, seconds: float) -> Found:
    """Answers to rows not seen, to the letter, and the mean loss of what should have been answered."""
    tokenizer = AutoTokenizer.from_pretrained(MODEL)
    model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(MODEL, dtype=torch.float32), adapter).eval()
    correct, lost, learned = 0, 0.0, 0
    rows = rows_of("held_out")
    for row in rows:
        asked = tokenizer.apply_chat_template(
            row[:-1], add_generation_prompt=True, return_dict=True, return_tensors="pt"
        )
        made = model.generate(**asked, max_new_tokens=LONGEST_ANSWER, do_sample=False)
        answer = tokenizer.decode(made[0, asked["input_ids"].shape[1] :], skip_special_tokens=True)
        correct += answer.strip() == row[-1]["content"].strip()
        whole = {name: torch.tensor([values]) for name, values in tokens(tokenizer, row).items()}
        count = int((whole["labels"][:, 1:] != -100).sum())
        lost += float(model(**whole).loss) * count
        learned += count
    return Found(correct / len(rows), lost / learned, seconds)


def main() -> int:
    """Both with every seed, then the table."""
    recipe = yaml.safe_load((resources_folder() / "presets" / "demo.yaml").read_text(encoding="utf-8"))
    found: dict[str, list[Found]] = {"this program": [], "Trainer + peft": []}
    for seed in SEEDS:
        for name, train in zip(found, (ours, plain), strict=True):
            with tempfile.TemporaryDirectory() as folder:
                begin = time.perf_counter()
                adapter = train(recipe, seed, Path(folder))
                found[name].append(held_out(adapter, time.perf_counter() - begin))
            print(seed, name, found[name][-1], file=sys.stderr, flush=True)
    print("| | held-out rows right, % | their loss | whole training, s |\n|---|---|---|---|")
    for name, runs in found.items():
        cells = (
            spread([100 * run.correct for run in runs], ".1f"),
            spread([run.loss for run in runs], ".4f"),
            spread([run.seconds for run in runs], ".0f"),
        )
        print(f"| {name} | {' | '.join(cells)} |")
    gap = statistics.mean(one.correct for one in found["this program"]) - statistics.mean(
        one.correct for one in found["Trainer + peft"]
    )
    noise = max(statistics.stdev(one.correct for one in runs) for runs in found.values())
    print(f"\nMeans over {len(SEEDS)} seeds differ by {100 * gap:+.2f} points; seeds by {100 * noise:.2f} (deviation).")
    return 0


def spread(values: list[float], form: str) -> str:
    """The mean, and in brackets the deviation between seeds."""
    return f"{statistics.mean(values):{form}} (± {statistics.stdev(values):{form}})"


if __name__ == "__main__":
    sys.exit(main())
