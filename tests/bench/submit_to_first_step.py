"""From `forge run` to the first training step, against the worker's own imports in the same run; prints a table."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROUNDS = 3
CONFIG = """
name: bench
model: {path: demo, hub: bundled}
data: {train: [{path: demo, hub: bundled}], max_length: 128}
training: {max_steps: 3, micro_batch_size: 16}
evaluation: {data: []}
"""


def imports(worker: str) -> float:
    """What importing torch, transformers and peft alone costs."""
    begin = time.perf_counter()
    subprocess.run([worker, "-c", "import torch, transformers, peft; from peft import LoraConfig"], check=True)
    return time.perf_counter() - begin


def submit(home: str, file: Path) -> float:
    """Seconds as the controller measured them."""
    environment = {**os.environ, "FORGE_HOME": home}
    command = [sys.executable, "-m", "engine.cli", "--json", "run", str(file), "--wait"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    return float(json.loads(done.stdout)["submit_to_first_step_s"])


def main() -> None:
    """Interleaved rounds, medians, ratio."""
    worker = os.environ.get("FORGE_WORKER_PYTHON", str(Path(".venv-worker/bin/python").absolute()))
    with tempfile.TemporaryDirectory() as home:
        file = Path(home) / "bench.yaml"
        file.write_text(CONFIG)
        submit(home, file)  # starts the controller and warms the disk
        rounds = [(submit(home, file), imports(worker)) for _ in range(ROUNDS)]
        environment = {**os.environ, "FORGE_HOME": home}
        subprocess.run([sys.executable, "-m", "engine.cli", "controller", "stop"], env=environment, capture_output=True)
    ours, bare = (statistics.median(part) for part in zip(*rounds, strict=True))
    print("| what | the run | importing torch, transformers, peft | ratio |\n|---|---|---|---|")
    print(f"| submit → first step, s | {ours:.2f} | {bare:.2f} | {ours / bare:.2f} |")


if __name__ == "__main__":
    main()
