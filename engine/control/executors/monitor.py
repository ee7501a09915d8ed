"""The worker's parent: starts it, waits for it, and writes durably how it ended. Outlives the controller.

    python -m engine.control.executors.monitor FOLDER -- WORKER COMMAND…

`monitor.json` is made by linking, so that only one monitor ever works in a folder: a controller that gives up
on a start that it cannot see puts its own there first. The worker leads a process group of its own; what it
leaves behind is ended while its process id cannot have been given to anybody else.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from engine.contract.durable import sync_folder, write_json
from engine.contract.faults import fault
from engine.control.executors import identity

WRITE_ATTEMPTS = 600


def claim(folder: Path, content: dict[str, Any]) -> bool:
    """Write monitor.json if nobody did before."""
    aside = folder / f".monitor.json.{os.getpid()}"
    aside.write_text(json.dumps(content))
    try:
        os.link(aside, folder / "monitor.json")
    except FileExistsError:
        return False
    finally:
        aside.unlink()
    sync_folder(folder)
    return True


def main(arguments: list[str]) -> int:
    """Start the worker, wait, write exit.json."""
    folder, command = Path(arguments[0]), arguments[2:]
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    me = identity.of(os.getpid())
    if not claim(folder, {"monitor": me, "worker": None}):
        return 1
    fault("monitor.after_claim")
    with (folder / "worker.log").open("ab", buffering=0) as log:
        try:
            worker = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, process_group=0, env=_environment()
            )  # fmt: skip
        except OSError as error:
            log.write(f"The worker could not be started: {error}\n".encode())
            _write(folder / "exit.json", {"code": 127, "signal": None, "t": time.time()})
            return 0
    fault("monitor.after_start")
    signal.signal(signal.SIGTERM, lambda *_: worker.terminate())
    _write(
        folder / "monitor.json",
        {"monitor": me, "worker": identity.of(worker.pid) or {"pid": worker.pid, "started": 0.0}},
    )
    code = _wait(worker)
    ended = {"code": code if code >= 0 else None, "signal": -code if code < 0 else None, "t": time.time()}
    fault("monitor.before_exit")
    _write(folder / "exit.json", ended)
    return 0


def _environment() -> dict[str, str]:
    """Our own, but with the worker's code in place of the controller's."""
    environment = dict(os.environ)
    path = environment.pop("FORGE_WORKER_PATH", None)
    return {**environment, "PYTHONPATH": path} if path else environment


def _wait(worker: subprocess.Popen[bytes]) -> int:
    """Wait for the worker, end what is left of its group, and only then give its process id free."""
    os.waitid(os.P_PID, worker.pid, os.WEXITED | os.WNOWAIT)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(worker.pid, signal.SIGKILL)
    return worker.wait()


def _write(path: Path, content: dict[str, Any]) -> None:
    """Write durably; on a full disk, try again for a while."""
    for _ in range(WRITE_ATTEMPTS):
        try:
            write_json(path, content)
        except OSError:
            time.sleep(1)
        else:
            return


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
