"""A warm process with the real torch: what it must not have when it is forked, and what its forks can do."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux forks")

FORK = """
import os, sys, time
from engine.compute.worker import __main__ as worker, warm
worker.prepare()
warm.warm_up()
assert warm.thread_count() == 1, warm.thread_count()
assert warm.unfit() == "", warm.unfit()
import torch
assert torch.cuda._cached_device_count is None
pids = []
for _ in range(2):
    pid = os.fork()
    if pid == 0:
        torch.set_num_threads(2)
        torch.manual_seed(1)
        layers = torch.nn.Sequential(torch.nn.Linear(512, 512), torch.nn.Tanh(), torch.nn.Linear(512, 512))
        rows, goal = torch.randn(256, 512), torch.randn(256, 512)
        optimizer = torch.optim.AdamW(layers.parameters())
        for _ in range(5):
            optimizer.zero_grad()
            loss = torch.nn.functional.mse_loss(layers(rows), goal)
            loss.backward()
            optimizer.step()
        from tokenizers import Tokenizer
        tokenizer = Tokenizer.from_file(sys.argv[1])
        assert len(tokenizer.encode_batch(["some words"] * 1000)) == 1000
        os.write(1, f"{float(loss)!r} {warm.thread_count()}\\n".encode())
        os._exit(0)
    pids.append(pid)
codes = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids]
assert codes == [0, 0], codes
assert warm.thread_count() == 1
"""
BUSY = """
import threading, time
from engine.compute.worker import warm
threading.Thread(target=time.sleep, args=(600,), daemon=True).start()
print(warm.unfit())
"""


def run(code: str, *arguments: str) -> str:
    """What a process of its own prints."""
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, timeout=120, check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_that_a_warm_process_has_one_thread_and_its_forks_train_with_several():
    tokenizer = ROOT / "resources" / "demo" / "model" / "tokenizer.json"
    lines = [line.split() for line in run(FORK, str(tokenizer)).splitlines()]
    assert len(lines) == 2
    assert lines[0][0] == lines[1][0]
    assert all(int(threads) >= 2 for _, threads in lines)


def test_that_a_process_with_a_second_thread_says_that_it_must_not_be_forked():
    assert run(BUSY).strip() == "2 threads run."
