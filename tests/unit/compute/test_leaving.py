"""A worker that has said everything ends at once, and nothing it said is lost."""

from __future__ import annotations

import subprocess
import sys

SCRIPT = """
import atexit, logging, sys
from engine.compute.worker.leaving import leave
atexit.register(lambda: print("taken apart"))
logging.basicConfig(stream=sys.stdout, format="%(message)s")
logging.warning("logged")
print("printed", end="")
leave(77)
"""


def test_that_what_was_printed_comes_out_and_nothing_is_taken_apart():
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (77, "logged\nprinted", "")


def test_that_a_worker_keeps_its_exit_code():
    done = subprocess.run([sys.executable, "-m", "engine.compute.worker"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert "usage" in done.stderr
