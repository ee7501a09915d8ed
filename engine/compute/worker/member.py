"""`python -m engine.compute.worker.member ATTEMPT_FOLDER NUMBER PARENT`: another member of an attempt.

It learns with the first one and says nothing of its own: no journal, no commands. SIGTERM is the first one's matter;
the system kills it when that one dies, also by SIGKILL.
"""

from __future__ import annotations

import ctypes
import json
import logging
import os
import signal
import sys
import warnings
from pathlib import Path
from typing import Any

from engine.compute.worker.__main__ import prepare
from engine.compute.worker.leaving import leave
from engine.contract import logs
from engine.contract.paths import AttemptFolder

log = logging.getLogger("worker")
_PR_SET_PDEATHSIG = 1


def die_with(parent: int) -> None:
    """Be killed when the process that started this one dies; at once, if it has."""
    if sys.platform.startswith("linux"):
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)


def main(arguments: list[str]) -> int:
    """Learn until the first member says that it is over."""
    root, number, parent = arguments
    die_with(int(parent))
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
    prepare()
    form = "%(asctime)s %(levelname)s %(message)s"
    handlers: list[logging.Handler] = [logging.StreamHandler(sys.stdout)]
    logs.apply(logs.level_from_environment(), logs.json_from_environment(), handlers, form, "%H:%M:%S")
    warnings.filterwarnings("ignore", category=FutureWarning)
    for name in ("transformers", "peft", "accelerate", "torch"):
        logging.getLogger(name).setLevel(logging.ERROR)
    return _guarded(AttemptFolder(Path(root)), int(number))


def _guarded(folder: AttemptFolder, number: int) -> int:
    """The border of the process: a failure is left where the first member finds it."""
    from engine.compute.worker.failures import explain
    from engine.compute.worker.member_session import learn
    from engine.compute.worker.session import read_order

    rows = None
    try:
        order = read_order(folder)
        rows = getattr(getattr(order.spec.job, "training", None), "micro_batch_size", None)
        learn(order, folder, number)
    except Exception as error:
        log.exception("Member %d ended with an exception", number)
        reason, body = explain(error, rows, folder.root)
        said: dict[str, Any] = {"reason": reason.value, "error": body.model_dump(mode="json")}
        folder.member_error(number).write_text(json.dumps(said), encoding="utf-8")
        return 1
    return 0


if __name__ == "__main__":
    leave(main(sys.argv[1:]))
