"""A mixture of experts against a dense model of as many active parameters: the same rows, tokenizer and tokens.

`python -m tests.bench.moe_against_dense` trains each from scratch with a few seeds, every run as a worker process of
its own, and writes docs/moe-against-dense.md.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.contract.events import journal_line
from engine.contract.scratch import ScratchConfig
from engine.contract.scratch_shape import Parameters, parameters_of

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "moe-against-dense.md"
STEPS, SEEDS, FROM = 150, (1, 2, 3), 20
"""Speed is told of the steps after the first so many."""
SHARED = {"hidden": 128, "layers": 4, "heads": 4, "kv_heads": 2, "intermediate": 384, "context": 128, "vocabulary": 600}
EXPERTS = {"experts": 8, "experts_per_token": 2, "expert_size": 192}
FORMS: dict[str, dict[str, Any]] = {
    "dense": {"family": "qwen3", **SHARED},
    "8 experts, 2 work": {"family": "qwen3_moe", **SHARED, **EXPERTS, "balance": 0.01},
    "the same, not balanced": {"family": "qwen3_moe", **SHARED, **EXPERTS, "balance": 0.0},
}
HEAD = """# A mixture of experts against a dense model

Written by `python -m tests.bench.moe_against_dense`. Both begin with fresh weights and learn the bundled rows, the
dates in words and as numbers, for {steps} steps of 16 rows: the same tokenizer ({vocabulary} tokens, trained on them),
the same rows in the same order for a seed, so the same tokens. As many parameters work on a token in either, but for
the routers of the mixture. fp32 on a processor with {threads} thread; middle of {seeds} seeds, least and most in
brackets. *Held-out loss* is of rows that were not learned, without the loss of balance. *Busiest expert*: how much it
does of what it would do if all did alike, mean over layers, in the last {last} steps. *Memory* is the process's peak.

| model | parameters | active | held-out loss | tokens/s | memory, MB | busiest expert |
|---|---:|---:|---|---|---|---|
"""


@dataclass(frozen=True)
class Found:
    """What one run came to."""

    loss: float
    speed: float
    peak: float
    busiest: float | None
    tokens: float


def job_of(form: Mapping[str, Any], seed: int) -> dict[str, Any]:
    """The order's job."""
    return {
        "kind": "train", "stage": "pretrain", "model": {"path": "bench", "hub": "scratch"}, "tuner": {"kind": "full"},
        "scratch": dict(form),
        "data": {
            "train": [{"path": "demo", "hub": "bundled"}],
            "validation": [{"path": "demo/validation", "hub": "bundled"}],
            "max_length": 128,
        },
        "training": {
            "max_steps": STEPS, "micro_batch_size": 16, "learning_rate": 2e-3, "precision": "fp32", "seed": seed,
            "memory_probe": False, "threads": 1,
        },
        "checkpoints": {"every_minutes": None, "at_end": False}, "evaluation": {"before": False},
        "forensics": {"row_losses": False},
    }  # fmt: skip


def run(form: Mapping[str, Any], seed: int) -> Found:
    """Train one in a process of its own."""
    with tempfile.TemporaryDirectory() as home:
        folder = Path(home) / "run" / "attempts" / "1"
        folder.mkdir(parents=True)
        spec = {"name": "bench", "job": job_of(form, seed), "compute": {"gpus": 0}}
        order = {"protocol": 1, "run": "bench", "attempt": 1, "lease": "l", "spec": spec}
        (folder / "order.json").write_text(json.dumps(order), encoding="utf-8")
        known = {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "FORGE_HOME": home,
            "HF_HUB_OFFLINE": "1",
            "OMP_NUM_THREADS": "1",
        }
        command = [sys.executable, "-m", "engine.compute.worker", str(folder)]
        subprocess.run(command, env=known, cwd=folder, check=True, capture_output=True)
        lines = [journal_line.validate_json(line) for line in (folder / "journal.jsonl").read_bytes().splitlines()]
    steps = [line.values for line in lines if line.kind == "step"]
    busiest = [values["expert_load/most"] for values in steps[-FROM:] if "expert_load/most" in values]
    return Found(
        loss=[line.values["validation_loss"] for line in lines if line.kind == "validation"][-1],
        speed=statistics.median(values["tokens_per_second"] for values in steps[FROM:]),
        peak=max(line.peak for line in lines if line.kind == "memory") / 1e6,
        busiest=statistics.mean(busiest) if busiest else None,
        tokens=steps[-1]["tokens_seen"],
    )


def spread(values: list[float], form: str) -> str:
    """The middle, and in brackets least and most."""
    return f"{statistics.median(values):{form}} ({min(values):{form}}–{max(values):{form}})"


def line(name: str, made: Parameters, runs: list[Found]) -> str:
    """A row of the table."""
    busiest = [one.busiest for one in runs if one.busiest is not None]
    return (
        f"| {name} | {made.total:,} | {made.active:,} | {spread([one.loss for one in runs], '.4f')} | "
        f"{spread([one.speed for one in runs], ',.0f')} | {spread([one.peak for one in runs], ',.0f')} | "
        f"{spread(busiest, '.2f') if busiest else '—'} |"
    )


def main() -> int:
    """Train all of them, seed by seed, and write the page; what is read out of it stands below the table by hand."""
    found: dict[str, list[Found]] = {name: [] for name in FORMS}
    for seed in SEEDS:
        for name, form in FORMS.items():
            found[name].append(run(form, seed))
            print(seed, name, found[name][-1], flush=True)
    tokens = {one.tokens for runs in found.values() for one in runs}
    rows = [
        line(name, parameters_of(ScratchConfig(**form), form["vocabulary"]), found[name])
        for name, form in FORMS.items()
    ]
    head = HEAD.format(steps=STEPS, vocabulary=SHARED["vocabulary"], threads=1, seeds=len(SEEDS), last=FROM)
    kept = PAGE.read_text(encoding="utf-8").partition("\n## ")[2] if PAGE.exists() else ""
    reading = f"\n## {kept}" if kept else ""
    said = f"\nEach run saw {', '.join(f'{count:,.0f}' for count in sorted(tokens))} tokens.\n"
    PAGE.write_text(head + "\n".join(rows) + "\n" + said + reading, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
