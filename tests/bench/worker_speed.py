"""Training speed: the worker's loop against plain transformers Trainer with peft; prints a table.

Same model, rows, steps and recipe, in turns, so that a busy computer slows both. Tokens count without filling.
Plain means what a person writes first: Trainer, LoRA, batches in random order filled to their longest row, loss over
all logits (with assistant-only labels, as here).
"""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.compute.worker.__main__ import WAITING

os.environ.update({"HF_HUB_OFFLINE": "1", "TRANSFORMERS_VERBOSITY": "error", **WAITING} | os.environ)

import torch
from peft import LoraConfig, get_peft_model
from transformers import PrinterCallback, Trainer, TrainingArguments

from engine.compute.data.loading import load_sources
from engine.compute.data.pool import RowPool
from engine.compute.data.templates import choose_template
from engine.compute.data.tokenise import Tokeniser
from engine.compute.inference.base import load_model, load_tokenizer
from engine.compute.training.batches import BatchLoader, collate, filling_multiple
from engine.compute.training.callbacks import Watch
from engine.compute.training.precision import Precision
from engine.compute.training.trainer import ForgeTrainer, arguments, train
from engine.compute.training.tuners import apply_tuner
from engine.contract.bundled import locate
from engine.contract.data import DataSource
from engine.contract.model import ModelConfig
from engine.contract.training import TrainingConfig
from engine.contract.tuner import TunerConfig

ROUNDS, STEPS, SIZE = int(os.environ.get("BENCH_ROUNDS", "3")), int(os.environ.get("BENCH_STEPS", "40")), 16
CPU = torch.device("cpu")


@dataclass
class Speed:
    """Tokens a second, by the clock and by processor time."""

    wall: float
    processor: float


def timed(work: Callable[[], float]) -> Speed:
    """How fast `work` gets through the number of tokens it returns."""
    wall, processor = time.perf_counter(), time.process_time()
    tokens = work()
    return Speed(tokens / (time.perf_counter() - wall), tokens / (time.process_time() - processor))


class Bench:
    """Both loops over the bundled demo."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.model_folder = locate(ModelConfig(path="demo", hub="bundled"))
        tokenizer = load_tokenizer(self.model_folder)
        self.pad = tokenizer.pad_token_id
        (loaded,) = load_sources([DataSource(path="demo", hub="bundled")], seed=1)
        tokeniser = Tokeniser(choose_template(tokenizer, "auto"), 128)
        self.pool = RowPool(tokeniser, [(loaded.examples, 1.0)], seed=1)
        self.pool.prepare(lambda done: None)
        self.rows = self.pool.fetch(range(len(self.pool)))

    def model(self) -> Any:
        """The demo model, fresh."""
        torch.manual_seed(1)
        return load_model(self.model_folder, torch.float32, "auto", CPU)

    def ours(self) -> Speed:
        """The worker's loop."""
        config = TrainingConfig(micro_batch_size=SIZE, max_steps=STEPS, learning_rate=1e-3)
        loader = BatchLoader(self.pool, pad=self.pad, size=SIZE, seed=1, by_length=True, multiple=filling_multiple(CPU))
        precision = Precision("fp32", "fp32", "training.precision_given")
        args = arguments(config, STEPS, precision, CPU, self.folder, validates=False)
        watch = Watch(lambda *point: None, lambda *point: None, lambda: False)
        model = apply_tuner(self.model(), TunerConfig())
        trainer = ForgeTrainer(model=model, args=args, loader=loader, validation=[], watch=watch)

        def work() -> float:
            train(trainer)
            return float(loader.tokens)

        return timed(work)

    def plain(self) -> Speed:
        """transformers' own."""
        seen = 0

        def gather(items: list[dict[str, Any]]) -> dict[str, torch.Tensor]:
            nonlocal seen
            rows = [item["row"] for item in items]
            seen += sum(len(row) for row in rows)
            batch = collate(rows, self.pad, multiple=1)
            widths = torch.tensor([[len(row)] for row in rows])
            return {**batch, "attention_mask": (torch.arange(batch["input_ids"].shape[1])[None] < widths).long()}

        args = TrainingArguments(
            output_dir=str(self.folder),
            max_steps=STEPS,
            per_device_train_batch_size=SIZE,
            learning_rate=1e-3,
            lr_scheduler_type="cosine",
            logging_steps=1,
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
            use_cpu=True,
            remove_unused_columns=False,
        )
        lora = LoraConfig(task_type="CAUSAL_LM", r=16, lora_alpha=32, target_modules="all-linear")
        data = [{"row": row} for row in self.rows]
        trainer = Trainer(model=get_peft_model(self.model(), lora), args=args, train_dataset=data, data_collator=gather)
        trainer.remove_callback(PrinterCallback)

        def work() -> float:
            trainer.train()
            return float(seen)

        return timed(work)


def main() -> None:
    """Warm up, then take turns."""
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder))
        bench.ours(), bench.plain()
        pairs = [(bench.plain(), bench.ours()) for _ in range(ROUNDS)]
    print(
        f"Bundled demo model and rows, LoRA rank 16, batch {SIZE}, {STEPS} steps, {torch.get_num_threads()} threads.\n"
    )
    print("| loop | tokens a second | tokens a CPU-second | ratio by clock | ratio by CPU |")
    print("|---|---:|---:|---:|---:|")
    for name, place in (("plain Trainer + peft", 0), ("this worker", 1)):
        wall = statistics.median(pair[place].wall for pair in pairs)
        processor = statistics.median(pair[place].processor for pair in pairs)
        by_clock = statistics.median(pair[place].wall / pair[0].wall for pair in pairs)
        by_cpu = statistics.median(pair[place].processor / pair[0].processor for pair in pairs)
        print(f"| {name} | {wall:.0f} | {processor:.0f} | {by_clock:.2f} | {by_cpu:.2f} |")


if __name__ == "__main__":
    main()
