"""From `POST /runs` to the first training step, cold and warm in the same run; prints a table.

The worker's own imports are measured beside them: they are what a cold start cannot do without.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from engine.client.client import ControllerClient
from engine.client.launch import connect
from engine.contract.api import Settings
from engine.contract.paths import Home
from engine.contract.run_spec import RunSpec
from engine.contract.states import RunState

ROUNDS = 5
LIMIT_S = 120.0
DEMO = {"path": "demo", "hub": "bundled"}
SPEC = RunSpec.model_validate(
    {
        "name": "bench",
        "job": {
            "kind": "train",
            "model": DEMO,
            "data": {"train": [DEMO], "max_length": 128},
            "training": {"max_steps": 3, "micro_batch_size": 16},
            "evaluation": {"data": []},
        },
    }
)


def imports(worker: str) -> float:
    """What importing torch, transformers and peft alone costs."""
    begin = time.perf_counter()
    subprocess.run([worker, "-c", "import torch, transformers, peft; from peft import LoraConfig"], check=True)
    return time.perf_counter() - begin


def looks() -> Iterator[None]:
    """Look again and again, but not for ever."""
    deadline = time.monotonic() + LIMIT_S
    while time.monotonic() < deadline:
        yield
        time.sleep(0.1)
    raise TimeoutError


def spares(client: ControllerClient, count: int) -> None:
    """Have that many, ready."""
    client.change_settings(Settings(spare_workers=count))
    for _ in looks():
        if client.health().spare == ("ready" if count else "off"):
            return


def submit(client: ControllerClient) -> float:
    """Seconds as the controller measured them: from the run's creation to the worker's first `step` line."""
    uid = client.create(SPEC).uid
    for _ in looks():
        detail = client.run(uid)
        if detail.run.state is RunState.COMPLETED:
            assert detail.submit_to_first_step_s is not None
            return detail.submit_to_first_step_s
        assert detail.run.state is not RunState.FAILED, detail.run.error
    raise AssertionError


def measure(client: ControllerClient, worker: str) -> list[tuple[float, float, float]]:
    """Interleaved rounds: cold, warm, imports."""
    spares(client, 0)
    submit(client)  # warms the disk
    rounds = []
    for _ in range(ROUNDS):
        spares(client, 0)
        cold = submit(client)
        spares(client, 1)
        rounds.append((cold, submit(client), imports(worker)))
    return rounds


def main() -> None:
    """Medians and ratios."""
    worker = os.environ.setdefault("FORGE_WORKER_PYTHON", str(Path(".venv-worker/bin/python").absolute()))
    with tempfile.TemporaryDirectory() as folder:
        os.environ["FORGE_HOME"] = folder
        with connect(Home.find()) as client:
            rounds = measure(client, worker)
            held = client.health().spare_bytes
        subprocess.run([sys.executable, "-m", "engine.cli", "controller", "stop"], capture_output=True, check=True)
    cold, warm, bare = (statistics.median(part) for part in zip(*rounds, strict=True))
    print("| submit → first step | s | by importing torch, transformers, peft alone | by cold |\n|---|---|---|---|")
    print(f"| importing alone | {bare:.2f} | 1.00 | {bare / cold:.2f} |")
    print(f"| cold worker | {cold:.2f} | {cold / bare:.2f} | 1.00 |")
    print(f"| warm worker (a spare holds {held >> 20} MB) | {warm:.2f} | {warm / bare:.2f} | {warm / cold:.2f} |")


if __name__ == "__main__":
    main()
