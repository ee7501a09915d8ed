"""The forecast of memory against what training takes: by counted tensors, with the process beside it; prints a table.

Each configuration trains a few real steps in this process on the demo model or a small one with random weights,
all rows as long as each other. `--held-out` takes configurations that no constant of the estimate was fitted to: other
lengths, batches, ranks, tuners, stages and optimisers. `python -m tests.bench.memory_forecast [--few | --held-out]`.
"""

from __future__ import annotations

import multiprocessing
import os
import statistics
import sys
import tempfile
from array import array
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ.update({"HF_HUB_OFFLINE": "1", "TRANSFORMERS_VERBOSITY": "error", "OMP_NUM_THREADS": "1"} | os.environ)

import numpy as np
import torch
import transformers

from engine.compute.data.tokenise import Encoded
from engine.compute.inference.base import load_model
from engine.compute.training.batches import BatchLoader
from engine.compute.training.callbacks import Watch
from engine.compute.training.ledger import TensorLedger
from engine.compute.training.precision import DTYPES, Precision
from engine.compute.training.trainer import ForgeTrainer, arguments, train
from engine.compute.training.tuners import apply_tuner
from engine.contract.bundled import locate
from engine.contract.calibration import Calibration
from engine.contract.estimate import Estimate, estimate
from engine.contract.load import Load
from engine.contract.model import ModelConfig
from engine.contract.model_shape import ModelShape, shape_of
from engine.contract.training import TrainingConfig
from engine.contract.tuner import TunerConfig

CPU = torch.device("cpu")
SIZES = {
    "demo": {},
    "wide": {"hidden_size": 512, "intermediate_size": 1408, "num_hidden_layers": 2, "num_attention_heads": 8,
             "num_key_value_heads": 8, "head_dim": 64, "vocab_size": 2048, "tie_word_embeddings": False},
    "words": {"hidden_size": 128, "intermediate_size": 384, "num_hidden_layers": 3, "num_attention_heads": 4,
              "num_key_value_heads": 1, "head_dim": 32, "vocab_size": 16384, "tie_word_embeddings": True},
}  # fmt: skip
"""`demo` is the bundled model, `wide` a Llama, `words` a Qwen3 with many words."""


@dataclass(frozen=True)
class Case:
    """One configuration."""

    model: str = "demo"
    full: bool = False
    rank: int = 16
    targets: tuple[str, ...] = ("all-linear",)
    dropout: float = 0.0
    rows: int = 8
    width: int = 96
    trained: float = 0.5
    accumulation: int = 1
    checkpointing: bool = False
    arithmetic: str = "fp32"
    attention: str = "sdpa"
    weights: str = ""
    optimizer: str = "adamw_torch_fused"
    stage: str = "sft"
    freeze: int | None = None
    """So many layers learn, of a model that is frozen."""
    modules: tuple[str, ...] = ()

    @property
    def held(self) -> str:
        """As `precision.decide` holds them."""
        return self.weights or ("fp32" if self.full else self.arithmetic)

    def load(self) -> Load:
        """In the words of the estimate."""
        return Load(
            full=self.full, rank=self.rank, targets=self.targets, dropout=self.dropout, rows=self.rows,
            width=self.width, trained=self.trained, accumulation=self.accumulation, checkpointing=self.checkpointing,
            arithmetic=self.arithmetic, weights=self.held, attention=self.attention, optimiser=self.optimizer,
            taught=self.freeze, modules=self.modules, copies=int(self.stage == "dpo" and self.full),
        )  # fmt: skip

    def tuner(self) -> TunerConfig:
        """In the words of a config."""
        kind = "freeze" if self.freeze is not None else "full" if self.full else "lora"
        return TunerConfig(kind=kind, rank=self.rank, targets=list(self.targets), dropout=self.dropout,
                           layers=self.freeze or 2, modules_to_save=list(self.modules))  # fmt: skip

    def __str__(self) -> str:
        kind = "full" if self.full else f"LoRA {self.rank} {','.join(self.targets)}"
        if self.freeze is not None:
            kind = f"freeze {self.freeze} {','.join(self.modules)}".strip()
        more = [self.stage * (self.stage != "sft"), self.optimizer * (self.optimizer != "adamw_torch_fused"),
                f"dropout {self.dropout}" if self.dropout else "", f"× {self.accumulation}" * (self.accumulation > 1),
                "checkpointing" * self.checkpointing, self.attention * (self.attention != "sdpa"),
                f"weights {self.held}" * (self.held != self.arithmetic)]  # fmt: skip
        size = f"{self.rows} × {self.width}, {self.trained:.0%} learned"
        return ", ".join([self.model, kind, size, self.arithmetic, *filter(None, more)])


@dataclass(frozen=True)
class Result:
    """What was forecast, and what was."""

    case: Case
    forecast: Estimate
    peak: int
    """Bytes of tensors at most."""
    rss: int
    """Bytes of the process at most while it trained."""
    idle: int
    """Bytes of the process before."""

    @property
    def error(self) -> float:
        """Of the tensors, as a share."""
        return self.forecast.tensors / self.peak - 1

    @property
    def rss_error(self) -> float:
        """Of the process, which held the weights already."""
        return (self.idle + self.forecast.total - self.forecast.parts["weights"]) / self.rss - 1

    @property
    def held(self) -> float:
        """Bytes the process grew by for a byte of tensors."""
        return (self.rss - self.idle) / (self.peak - self.forecast.parts["weights"])


class Rows:
    """A pool whose rows are all of one length."""

    lazy = False

    def __init__(self, count: int, width: int, trained: float, vocab: int) -> None:
        rng = np.random.default_rng(0)
        self.groups = [_Group(count)]
        self.lengths = np.full(count, width)
        learned = np.zeros(width, dtype=np.int8)
        learned[width - round(width * trained) :] = 1
        self._rows = [
            Encoded(array("i", rng.integers(0, vocab, width).tolist()), array("b", learned.tolist()))
            for _ in range(count)
        ]

    def __len__(self) -> int:
        return len(self._rows)

    def fetch(self, indices: Any) -> list[Encoded]:
        """By number."""
        return [self._rows[index] for index in indices]


@dataclass(frozen=True)
class _Group:
    rows: int
    weight: float = 1.0


def cases() -> list[Case]:
    """All of them."""
    found = [Case(rank=rank) for rank in (4, 16, 64)]
    found += [Case(targets=("q_proj", "v_proj")), Case(targets=("down_proj",)), Case(dropout=0.1)]
    found += [Case(rows=rows, width=width) for rows, width in ((1, 96), (4, 256), (16, 96), (2, 768), (32, 48))]
    found += [Case(trained=share) for share in (0.1, 1.0)]
    found += [Case(checkpointing=True, rows=rows, width=width) for rows, width in ((8, 96), (2, 768), (16, 192))]
    found += [Case(accumulation=4), Case(accumulation=4, full=True), Case(attention="eager", width=256)]
    found += [Case(full=True), Case(full=True, rows=32), Case(full=True, checkpointing=True, rows=16)]
    found += [Case(arithmetic="bf16"), Case(arithmetic="bf16", rows=32), Case(arithmetic="bf16", checkpointing=True)]
    found += [Case(arithmetic="bf16", full=True), Case(arithmetic="bf16", full=True, rows=32)]
    found += [Case(arithmetic="bf16", weights="fp32"), Case(arithmetic="bf16", dropout=0.1, rows=16)]
    for model in ("wide", "words"):
        found += [Case(model), Case(model, rows=16, width=128), Case(model, full=True), Case(model, rank=64)]
        found += [Case(model, checkpointing=True, rows=16), Case(model, arithmetic="bf16", rows=16)]
        found += [Case(model, targets=("q_proj", "v_proj"), rows=16), Case(model, trained=1.0)]
    return found


def held_out() -> list[Case]:
    """Of which nothing was known when the constants were fitted."""
    found = [Case(rank=8, rows=6, width=160), Case(rank=128, rows=3, width=320, trained=0.8), Case(rows=12, width=224)]
    found += [Case(targets=("gate_proj", "up_proj"), rows=10), Case(targets=("v_proj", "o_proj"), dropout=0.05)]
    found += [Case(full=True, optimizer="adafactor"), Case(full=True, optimizer="sgd", rows=5, width=200)]
    found += [Case(full=True, optimizer="muon", rows=4), Case(rank=32, optimizer="adagrad", rows=20, width=64)]
    found += [Case(full=True, freeze=1), Case(full=True, freeze=-2, rows=12), Case(full=True, freeze=2, rows=6)]
    found += [Case(full=True, freeze=1, modules=("embed_tokens",)), Case(full=True, freeze=2, checkpointing=True)]
    found += [Case(full=True, freeze=2, arithmetic="bf16", rows=16)]
    found += [Case("wide", rank=24, rows=5, width=288), Case("words", rank=2, rows=3, width=400, trained=0.3)]
    found += [Case("wide", full=True, rows=12, width=80, optimizer="adamw_torch"), Case("words", full=True, rows=4)]
    found += [Case("wide", full=True, freeze=1, rows=10), Case("words", checkpointing=True, rows=5, width=250)]
    found += [Case("wide", accumulation=3, rows=7, width=112, arithmetic="bf16")]
    return found


def few() -> list[Case]:
    """A handful, for the tests."""
    found = [Case(), Case(checkpointing=True, rows=16), Case(full=True), Case("wide", arithmetic="bf16", rows=16)]
    return [
        *found,
        Case(full=True, freeze=1),
        Case(full=True, freeze=-2),
        Case(full=True, freeze=2, modules=("embed_tokens",)),
    ]


def make(name: str, dtype: torch.dtype, attention: str) -> tuple[Any, ModelShape]:
    """A model and its shape."""
    if name == "demo":
        folder = locate(ModelConfig(path="demo", hub="bundled"))
        assert folder is not None
        model = load_model(folder, dtype, attention, CPU)
    else:
        kind = transformers.LlamaConfig if name == "wide" else transformers.Qwen3Config
        model = transformers.AutoModelForCausalLM.from_config(
            kind(**SIZES[name], max_position_embeddings=2048), attn_implementation=attention
        ).to(dtype)
    shape = shape_of(model.config.to_dict(), [(key, tuple(value.shape)) for key, value in model.named_parameters()])
    assert shape is not None
    return model, shape


def measure(case: Case, steps: int = 2) -> Result:
    """Train it."""
    torch.manual_seed(0)
    model, shape = make(case.model, DTYPES[case.held], case.attention)
    model = apply_tuner(model, case.tuner())
    recipe = TrainingConfig(
        micro_batch_size=case.rows, accumulation=case.accumulation, max_steps=steps,
        gradient_checkpointing=case.checkpointing, optimizer=case.optimizer,
    )  # fmt: skip
    rows = Rows(case.rows * case.accumulation * steps, case.width, case.trained, shape.vocab)
    loader = BatchLoader(rows, pad=0, size=case.rows, seed=0, by_length=False, multiple=1)
    watch = Watch(lambda *_: None, lambda *_: None, lambda: False)
    with tempfile.TemporaryDirectory() as folder:
        precision = Precision(case.arithmetic, case.held, "")
        args = arguments(recipe, steps, precision, CPU, Path(folder), False)
        trainer = ForgeTrainer(model=model, args=args, loader=loader, validation=[], watch=watch)
        idle = forget_peak()
        with TensorLedger([*model.parameters(), *model.buffers()]) as ledger:
            train(trainer)
    return Result(case, estimate(shape, case.load(), Calibration(process=0)), ledger.peak, peak_rss(), idle)


def alone(case: Case) -> Result:
    """Measure it in a process of its own, which has imported everything already."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("fork")) as pool:
        return pool.submit(measure, case).result()


def forget_peak() -> int:
    """Begin to look for the peak anew; bytes of the process now."""
    Path("/proc/self/clear_refs").write_text("5")
    return status("VmRSS")


def peak_rss() -> int:
    """The most the process took."""
    return status("VmHWM")


def status(name: str) -> int:
    """A line of the process's own status."""
    text = Path("/proc/self/status").read_text()
    return next(int(line.split()[1]) << 10 for line in text.splitlines() if line.startswith(name))


def table(results: list[Result]) -> str:
    """For people."""
    lines = ["| configuration | forecast MB | tensors MB | error | process MB | its error | held for a byte |"]
    lines.append("|---|---|---|---|---|---|---|")
    for one in results:
        lines.append(
            f"| {one.case} | {one.forecast.tensors / 1e6:.1f} | {one.peak / 1e6:.1f} | {one.error:+.1%} | "
            f"{one.rss / 1e6:.0f} | {one.rss_error:+.1%} | {one.held:.2f} |"
        )
    errors, processes = ([abs(value) for value in found] for found in (
        [one.error for one in results], [one.rss_error for one in results]))  # fmt: skip
    lines.append(
        f"\n{len(results)} configurations. Error of the tensors: median {statistics.median(errors):.1%}, largest "
        f"{max(errors):.1%}; of the process: median {statistics.median(processes):.1%}, largest {max(processes):.1%}."
    )
    return "\n".join(lines)


def main() -> int:
    """Print the table."""
    chosen = few() if "--few" in sys.argv else held_out() if "--held-out" in sys.argv else cases()
    print(table([alone(case) for case in chosen]))
    if "--held-out" in sys.argv:
        print("held out: no constant was fitted to these.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
