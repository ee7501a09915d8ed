"""The worker's parent: starts it, waits for it, and writes durably how it ended. Outlives the controller.

    python -m engine.control.executors.monitor FOLDER -- WORKER COMMAND…
    python -m engine.control.executors.monitor --spare -- SPARE COMMAND…
    python -m engine.control.executors.monitor FOLDER --child PID GATE

The second form has a spare worker for its child, which imports everything already, and learns its folder from a line
on stdin; no line, no work. The third was a fork of a spare worker: its child is forked already, and begins once
"go" is written to the descriptor GATE.

`monitor.json` is made by linking, so that only one monitor ever works in a folder: a controller that gives up
on a start that it cannot see puts its own there first. The worker leads a process group of its own; what it
leaves behind is ended while its process id cannot have been given to anybody else.

SIGTERM is held back from before a worker is started until it listens: the worker inherits the mask and lifts it
itself. So it is told at every moment, and dies of it at none.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from engine.contract.durable import sync_folder, write_json
from engine.contract.faults import fault
from engine.control.executors import cgroup, identity

WRITE_ATTEMPTS = 600
SPARE_ANSWER_S = 5.0


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
    """Have a worker for a child, wait, write exit.json."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if arguments[0] == "--spare":
        return keep_spare(arguments[2:])
    _hold_sigterm()
    folder = Path(arguments[0])
    if arguments[1] == "--child":
        return take_child(folder, int(arguments[2]), int(arguments[3]))
    return start(folder, arguments[2:])


def start(folder: Path, command: list[str]) -> int:
    """Start the worker, and stay with it."""
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
    _pass_on_sigterm(worker.pid)
    _write(folder / "monitor.json", {"monitor": me, "worker": _known(worker.pid)})
    worker.returncode = _stay(folder, worker.pid)
    return 0


def take_child(folder: Path, worker: int, gate: int) -> int:
    """Claim the attempt for a worker that was forked already, and let it begin."""
    _pass_on_sigterm(worker)
    if not claim(folder, {"monitor": identity.of(os.getpid()), "worker": _known(worker)}):
        return _give_up(worker)
    with contextlib.suppress(BrokenPipeError):  # it was killed while it waited
        os.write(gate, b"go")
    os.close(gate)
    _stay(folder, worker)
    return 0


def keep_spare(command: list[str]) -> int:
    """Start a spare worker; once a line on stdin names the attempt, claim that and let the spare begin."""
    spare = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, process_group=0, env=_environment(), bufsize=0
    )  # fmt: skip
    assert spare.stdin is not None
    line = _line_for(spare)
    _hold_sigterm()  # until now it may end both: there is no worker yet
    if not line or not _taken(spare, line):
        spare.returncode = _give_up(spare.pid)
        return 1
    folder = Path(json.loads(line)["folder"])
    _into(folder)
    _pass_on_sigterm(spare.pid)
    if not claim(folder, {"monitor": identity.of(os.getpid()), "worker": _known(spare.pid)}):
        spare.returncode = _give_up(spare.pid)
        return 1
    with contextlib.suppress(BrokenPipeError):
        spare.stdin.write(b"go")
        spare.stdin.close()
    spare.returncode = _stay(folder, spare.pid)
    return 0


def _line_for(spare: subprocess.Popen[bytes]) -> bytes:
    """The line from the controller; empty if that has gone, or the spare worker has. What that says is passed on."""
    assert spare.stdout is not None
    line, told = b"", spare.stdout.fileno()
    while not line.endswith(b"\n"):
        for ready in select.select([0, told], [], [])[0]:
            data = os.read(ready, 65536)
            if not data:
                return b""
            if ready == 0:
                line += data
            else:
                os.write(1, data)
    return line


def _taken(spare: subprocess.Popen[bytes], line: bytes) -> bool:
    """Hand the line on; whether the spare worker heard it, and so is alive."""
    assert spare.stdin is not None
    assert spare.stdout is not None
    try:
        spare.stdin.write(line)
        return bool(select.select([spare.stdout], [], [], SPARE_ANSWER_S)[0] and spare.stdout.read(1))
    except BrokenPipeError:
        return False


def _into(folder: Path) -> None:
    """The attempt's folder, its log for output, and nothing more from the controller."""
    os.chdir(folder)
    log = os.open("worker.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    for number, file in ((0, os.open(os.devnull, os.O_RDONLY)), (1, log), (2, log)):
        os.dup2(file, number)


def _hold_sigterm() -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})


def _pass_on_sigterm(worker: int) -> None:
    """To the worker, also what came before there was one."""

    def handle(*_: object) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(worker, signal.SIGTERM)

    signal.signal(signal.SIGTERM, handle)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})


def _known(worker: int) -> dict[str, Any]:
    return identity.of(worker) or {"pid": worker, "started": 0.0}


def _stay(folder: Path, worker: int) -> int:
    """Wait for the end, and write it down."""
    before = cgroup.oom_kills()
    code = _wait(worker)
    ended: dict[str, Any] = {
        "code": code if code >= 0 else None,
        "signal": -code if code < 0 else None,
        "t": time.time(),
    }
    if code == -signal.SIGKILL and (cgroup.oom_kills() or 0) > (before or 0):
        ended["out_of_memory"] = True  # the group we share with it has a cap
    fault("monitor.before_exit")
    _write(folder / "exit.json", ended)
    return code


def _give_up(worker: int) -> int:
    """End a worker that never began."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(worker, signal.SIGKILL)
    with contextlib.suppress(ProcessLookupError):
        os.kill(worker, signal.SIGKILL)  # it may not lead its group yet
    os.waitpid(worker, 0)
    return 1


def _environment() -> dict[str, str]:
    """Our own, but with the worker's code in place of the controller's."""
    environment = dict(os.environ)
    path = environment.pop("FORGE_WORKER_PATH", None)
    return {**environment, "PYTHONPATH": path} if path else environment


def _wait(worker: int) -> int:
    """Wait for the worker, end what is left of its group, and only then give its process id free."""
    os.waitid(os.P_PID, worker, os.WEXITED | os.WNOWAIT)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # the id may soon belong to another
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(worker, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(worker, 0)[1])


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
