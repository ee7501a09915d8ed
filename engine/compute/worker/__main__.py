"""`python -m engine.compute.worker ATTEMPT_FOLDER`: carry out one attempt of a run."""

from __future__ import annotations

import logging
import os
import sys
import warnings
from pathlib import Path

from engine.compute.worker.commands import StopFlag
from engine.compute.worker.leaving import leave
from engine.contract import logs
from engine.contract.hubs import KEPT_OFFLINE, OFFLINE

QUIET = {
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "HF_DATASETS_OFFLINE": "1",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "TRANSFORMERS_VERBOSITY": "error",
    "TOKENIZERS_PARALLELISM": "true",
}
WAITING = {"GOMP_SPINCOUNT": "10000", "KMP_BLOCKTIME": "1"}
"""A thread with nothing to do spins for a fraction of a millisecond, then sleeps (GNU's OpenMP; Intel's counts ms).
Spinning for long, as both do by themselves, it takes the core another thread of the same step waits for: on a busy
computer a step of the demo took 0.38 s instead of 0.25. Sleeping at once, it is woken thousands of times a second:
with nothing beside it the same step took 0.16 s instead of 0.10."""
ALONE = {"OPENBLAS_NUM_THREADS": "1"}
"""numpy would start threads when it is imported; nothing here needs them, and a process to be forked must have none."""
UNUSED = ("datasets", "pandas", "deepspeed")
"""Packages transformers and accelerate would import in every run though it does not use them."""


def prepare() -> None:
    """What must be so before torch, transformers and numpy are imported; in a spare worker and in any other."""
    os.environ.setdefault(KEPT_OFFLINE, os.environ.get(OFFLINE) or "0")
    os.environ.update(QUIET)
    asked = "OMP_WAIT_POLICY" in os.environ  # how threads wait is chosen already
    os.environ.update({**({} if asked else WAITING), **ALONE, **os.environ})
    for package in UNUSED:
        sys.modules.setdefault(package, None)  # type: ignore[arg-type]


def main(arguments: list[str] | None = None, stop: StopFlag | None = None) -> int:
    """Run the attempt in the folder named; returns the exit code. `stop` listens already where it is given."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if len(arguments) != 1:
        sys.stderr.write("usage: python -m engine.compute.worker ATTEMPT_FOLDER\n")
        return 2
    if stop is None:
        stop = StopFlag()
        stop.listen()  # before the heavy imports: an early SIGTERM must not kill half a start
    prepare()
    level, as_json = logs.level_from_environment(), logs.json_from_environment()
    logs.apply(level, as_json, [logging.StreamHandler(sys.stdout)], "%(asctime)s %(levelname)s %(message)s", "%H:%M:%S")
    warnings.filterwarnings("ignore", category=FutureWarning)
    for name in ("transformers", "peft", "accelerate", "torch", "httpx", "httpx2", "httpcore2"):
        logging.getLogger(name).setLevel(logging.ERROR)
    from engine.compute.worker.session import run_attempt

    try:
        return run_attempt(Path(arguments[0]), stop)
    finally:
        stop.listen_no_more()


if __name__ == "__main__":
    leave(main())
