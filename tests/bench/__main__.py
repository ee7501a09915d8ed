"""Runs every benchmark and writes bench/results.md."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import time
from pathlib import Path

WORKER = str(Path(".venv-worker/bin/python").absolute())
BENCHES = (
    ("First paint of the window", sys.executable, "tests.bench.first_paint"),
    ("Memory of the idle program", sys.executable, "tests.bench.idle_memory"),
    ("Step in a worker to pixel", sys.executable, "tests.bench.step_to_pixel"),
    ("Submit to first step", sys.executable, "tests.bench.submit_to_first_step"),
    ("Answers while runs stream", sys.executable, "tests.bench.live_latency"),
    ("A page of 100,000 runs", sys.executable, "tests.bench.history"),
    ("Deeds for many runs", sys.executable, "tests.bench.many_runs"),
    ("The list of 100,000 runs in the window", sys.executable, "tests.bench.runs_page"),
    ("Pages, steps and dialogs as they open", sys.executable, "tests.bench.open_pages"),
    ("Stalls of the window", sys.executable, "tests.bench.stalls"),
    ("A million points in and out", sys.executable, "tests.bench.ingest"),
    ("Charts of a million points", sys.executable, "tests.bench.charts"),
    ("Questions to Docker engines", sys.executable, "tests.bench.links"),
    ("Ways to Docker engines", sys.executable, "tests.bench.docker_transport"),
    ("Moves between nodes", sys.executable, "tests.bench.docker_moves"),
    ("Importing a dataset", WORKER, "tests.bench.data_import"),
    ("Rows to tokens", WORKER, "tests.bench.data_tokens"),
    ("Memory of learning from a million rows", WORKER, "tests.bench.data_train"),
    ("Memory forecast and fact", WORKER, "tests.bench.memory_forecast"),
    ("Training speed", WORKER, "tests.bench.worker_speed"),
    ("Adapters", WORKER, "tests.bench.adapters"),
    ("The engine", WORKER, "tests.bench.engine"),
    ("Adapters under load", WORKER, "tests.bench.switching"),
    ("Routing among many adapters", WORKER, "tests.bench.routing"),
    ("An instance beside transformers serve", sys.executable, "tests.bench.servers"),
)


def main() -> int:
    """All of them, one after another."""
    parts = [f"# Benchmarks\n\n{time.strftime('%Y-%m-%d')}, {os.cpu_count()} cores, {platform.platform()}\n"]
    failed = 0
    for title, python, module in BENCHES:
        done = subprocess.run([python, "-m", module], capture_output=True, text=True)
        failed += done.returncode != 0
        text = done.stdout.strip()
        if done.returncode:  # 1 after a table: something took longer than it may
            text += f"\n\nfailed ({done.returncode}):\n\n```\n{done.stderr[-2000:]}\n```"
        parts.append(f"## {title}\n\n{text}\n")
        print(parts[-1], flush=True)
    Path("bench").mkdir(exist_ok=True)
    Path("bench/results.md").write_text("\n".join(parts), encoding="utf-8")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
