"""Whole runs of other stages against their forecasts before anything was measured: held out, as the last table.

Each is an attempt of a worker in a process of its own on the demo model; its journal tells forecast, measurement and
peak. `python -m tests.bench.memory_stages`.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import statistics
import tempfile
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

os.environ.update({"HF_HUB_OFFLINE": "1", "TRANSFORMERS_VERBOSITY": "error", "OMP_NUM_THREADS": "1"} | os.environ)

from engine.compute.worker.commands import StopFlag
from engine.compute.worker.session import run_attempt
from engine.contract.bundled import locate
from engine.contract.model import ModelConfig

TEXT = "It depends on what was ordered and when; write to us and we shall look at it together. " * 3
REWARD = {"rewards": [{"kind": "length", "options": {"target": 8}}], "answers": 4, "max_tokens": 24}


@dataclass(frozen=True)
class Stage:
    """A short run of a stage."""

    name: str
    training: dict[str, Any] = field(default_factory=dict)
    job: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        more = ", ".join(f"{key} {value}" for key, value in self.training.items())
        return f"{self.name}, {self.job.get('tuner', {}).get('kind', 'lora')}" + (f", {more}" if more else "")


@dataclass(frozen=True)
class Told:
    """Bytes by forecast, and as they were."""

    tensors: int
    measured: int
    total: int
    peak: int

    @property
    def error(self) -> float:
        """Of the tensors, as a share."""
        return self.tensors / self.measured - 1

    @property
    def process_error(self) -> float:
        """Of the process."""
        return self.total / self.peak - 1


def stages() -> list[Stage]:
    """All of them."""
    full = {"tuner": {"kind": "full"}}
    return [
        Stage("dpo"), Stage("dpo", {"micro_batch_size": 3}, full), Stage("orpo", {"micro_batch_size": 6}),
        Stage("kto", {"micro_batch_size": 5}), Stage("reward", {"optimizer": "adafactor"}, full),
        Stage("gkd", {"micro_batch_size": 3}),
        Stage("gkd", {"micro_batch_size": 7, "gradient_checkpointing": True}, full),
        Stage("grpo", {"micro_batch_size": 3}, {"rollouts": {**REWARD, "max_tokens": 40}}),
        Stage("ppo", {"micro_batch_size": 2}, {"rollouts": REWARD}),
        Stage("ppo", {}, {"rollouts": {**REWARD, "max_tokens": 60}, **full}),
    ]  # fmt: skip


def rows(stage: str) -> list[dict[str, Any]]:
    """Of the sort the stage learns from, all of one length."""
    found = []
    for number in range(10, 60):
        ask = f"Where is parcel {number}?"
        if stage in ("dpo", "orpo", "reward"):
            found.append({"prompt": ask, "chosen": TEXT, "rejected": TEXT})
        elif stage == "kto":
            found.append({"prompt": ask, "completion": TEXT, "label": bool(number % 2)})
        else:
            turns = [{"role": "user", "content": ask}, {"role": "assistant", "content": TEXT}]
            found.append({"messages": turns})
    return found


def measure(stage: Stage) -> Told:
    """Run it."""
    demo = locate(ModelConfig(path="demo", hub="bundled"))
    assert demo is not None
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "attempts" / "1"
        folder.mkdir(parents=True)
        data = Path(place) / "rows.jsonl"
        data.write_text("".join(json.dumps(row) + "\n" for row in rows(stage.name)), encoding="utf-8")
        teacher = {"teacher": {"path": str(demo), "lmbda": 0.0}} if stage.name == "gkd" else {}
        job = {
            "kind": "train", "model": {"path": "demo", "hub": "bundled"}, "stage": stage.name, **teacher,
            "data": {"train": [{"path": str(data)}], "max_length": 256, "validation_share": 0}, **stage.job,
            "training": {"max_steps": 2, "micro_batch_size": 4, "learning_rate": 1e-5, **stage.training},
        }  # fmt: skip
        order = {"protocol": 1, "run": "r", "attempt": 1, "lease": "l", "spec": {"name": "bench", "job": job}}
        (folder / "order.json").write_text(json.dumps(order), encoding="utf-8")
        run_attempt(folder, StopFlag())
        lines = [json.loads(line) for line in (folder / "journal.jsonl").read_bytes().splitlines()]
    if lines[-1].get("error"):
        raise RuntimeError(f"{stage}: {lines[-1]['error']}")
    said, measured = [line for line in lines if line["kind"] == "memory_forecast"][:2]
    (fact,) = [line for line in lines if line["kind"] == "memory"]
    return Told(said["tensors"], measured["measured"], said["total"], fact["peak"])


def alone(stage: Stage) -> Told:
    """In a process of its own."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("fork")) as pool:
        return pool.submit(measure, stage).result()


def main() -> int:
    """Print the table."""
    print("| stage | forecast MB | tensors MB | error | forecast of the process MB | process MB | error |")
    print("|---|---|---|---|---|---|---|")
    errors, processes = [], []
    for stage in stages():
        found = alone(stage)
        errors.append(abs(found.error))
        processes.append(abs(found.process_error))
        print(
            f"| {stage} | {found.tensors / 1e6:.1f} | {found.measured / 1e6:.1f} | {found.error:+.1%} | "
            f"{found.total / 1e6:.0f} | {found.peak / 1e6:.0f} | {found.process_error:+.1%} |"
        )
    print(
        f"\n{len(errors)} runs held out. Error of the tensors: median {statistics.median(errors):.1%}, largest "
        f"{max(errors):.1%}; of the process: median {statistics.median(processes):.1%}, largest {max(processes):.1%}."
    )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
