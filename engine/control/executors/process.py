"""Workers as processes of this computer, each below a monitor that outlives the controller."""

from __future__ import annotations

import json
import logging
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from engine.contract.commands import WorkerCommand
from engine.contract.durable import write_durably
from engine.contract.paths import AttemptFolder
from engine.control.executors import group, identity
from engine.control.executors.base import Exit, Launch, SparePlan, SpareStatus
from engine.control.executors.monitor import claim
from engine.control.executors.spares import Spares
from engine.control.executors.spawn import monitor_command, monitor_environment, sigterm_held

log = logging.getLogger(__name__)

START_GRACE_S = 10.0
"""How long a monitor may take to show itself."""
GIVEN_UP: dict[str, Any] = {"monitor": None, "worker": None}
"""What stands in monitor.json when a controller took the monitor's place."""
EXIT_GRACE_S = 5.0
"""How long after its worker's end a monitor may take to write exit.json."""


class ProcessExecutor:
    """The executor of the node "local"."""

    name = "process"

    def __init__(self, spares: Spares | None = None) -> None:
        self._monitors: list[subprocess.Popen[bytes]] = []
        self._gone_since: dict[Path, float] = {}
        self._lock = threading.Lock()
        self._spares = spares or Spares()

    def start(self, launch: Launch) -> str:
        """Let a spare worker have it, or start the monitor, which starts the worker."""
        if _is_of_another_start(launch):  # that was cut off and given up; the new order is there by now
            launch.folder.monitor.unlink()
        warm = self._spares.start(launch)
        if warm is not None:
            if warm.process is not None:
                self._keep(warm.process)
            return warm.handle
        folder = launch.folder.root
        command = [*monitor_command(), str(folder), "--", *launch.command]
        with launch.folder.log.open("ab") as log, sigterm_held():
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                cwd=folder, env=monitor_environment(launch.environment), start_new_session=True,
            )  # fmt: skip
        self._keep(process)
        return json.dumps(identity.of(process.pid) or {"pid": process.pid, "started": 0.0})

    def adopt(self, folder: AttemptFolder, handle: str, lease: str = "") -> bool:
        """Find the monitor by its file; if there is none and none can come any more, take its place for good."""
        deadline = time.monotonic() + START_GRACE_S
        while not folder.monitor.exists() and handle and identity.alive(json.loads(handle)):
            if time.monotonic() > deadline:
                break
            time.sleep(0.05)
        if not folder.root.is_dir():
            return False
        theirs = (_read(folder.order) or {}).get("lease", lease)
        if lease and theirs != lease:
            log.error("%s belongs to lease %s, not to %s: left alone", folder.root, theirs, lease)
            return False
        if claim(folder.root, {**GIVEN_UP, **({"lease": lease} if lease else {})}):
            return False
        return not _is_given_up(_monitor_file(folder))

    def poll(self, folder: AttemptFolder, handle: str) -> Exit | None:
        """Proof of the end is exit.json, or that neither worker nor monitor lives any more."""
        self._reap()
        found = read_exit(folder)
        if found is not None:
            return found
        processes = _monitor_file(folder)
        if processes is None:
            return None if handle and identity.alive(json.loads(handle)) else self._after_grace(folder)
        if identity.alive(processes["worker"]) or (
            processes["worker"] is None and identity.alive(processes["monitor"])
        ):
            self._gone_since.pop(folder.root, None)
            return None
        return self._after_grace(folder)

    def stop(self, folder: AttemptFolder, handle: str) -> None:  # noqa: ARG002 - the file says more
        """SIGTERM to the worker; to its monitor, which passes it on, in the moment before that noted the worker."""
        processes = _monitor_file(folder) or {}
        listener = processes.get("worker") or processes.get("monitor")
        if listener:
            group.tell(listener, signal.SIGTERM)

    def send(self, folder: AttemptFolder, handle: str, command: WorkerCommand) -> None:  # noqa: ARG002 - a file does
        """A file in its control folder."""
        write_durably(folder.control / f"{command.id}.json", command.model_dump_json().encode())

    def frozen(self, folder: AttemptFolder, handle: str) -> bool:  # noqa: ARG002 - the file says more
        """The worker is stopped by a signal."""
        return identity.stopped((_monitor_file(folder) or {}).get("worker"))

    def kill(self, folder: AttemptFolder, handle: str) -> None:
        """SIGKILL to the worker's group, its leader dead or alive; to the monitor only when there is no worker yet."""
        processes = _monitor_file(folder) or {}
        monitor = processes.get("monitor") or (json.loads(handle) if handle else None)
        group.end(processes.get("worker"), monitor)

    def keep_spares(self, plan: Callable[[], SparePlan | None]) -> None:
        """Have workers ready that imported everything already."""
        self._spares.keep(plan)

    def spare(self) -> SpareStatus:
        """How it stands with them."""
        return self._spares.status()

    def close(self) -> None:
        """End them."""
        self._spares.close()

    def _after_grace(self, folder: AttemptFolder) -> Exit | None:
        since = self._gone_since.setdefault(folder.root, time.monotonic())
        if time.monotonic() - since < EXIT_GRACE_S and not _monitor_gone(folder):
            return None
        self._gone_since.pop(folder.root, None)
        processes = _monitor_file(folder) or {}
        if processes.get("monitor") and not identity.alive(processes["monitor"]):
            group.end(processes.get("worker"), processes["monitor"])  # what its monitor can end no more
        return read_exit(folder) or Exit(at=_last_sign(folder))

    def _keep(self, process: subprocess.Popen[bytes]) -> None:
        with self._lock:
            self._monitors.append(process)

    def _reap(self) -> None:
        """Wait for monitors that ended, so that they do not linger as zombies."""
        with self._lock:
            self._monitors = [process for process in self._monitors if process.poll() is None]


def _is_given_up(found: dict[str, Any] | None) -> bool:
    return found is not None and {name: found.get(name) for name in GIVEN_UP} == GIVEN_UP


def _is_of_another_start(launch: Launch) -> bool:
    """A controller took the monitor's place for good, under another lease than this start has."""
    found = _monitor_file(launch.folder)
    if found is None or launch.order is None or not _is_given_up(found):
        return False
    return bool(found.get("lease")) and found["lease"] != launch.order.lease


def read_exit(folder: AttemptFolder) -> Exit | None:
    """What the monitor wrote about the end."""
    content = _read(folder.exit)
    if content is None:
        return None
    at = content.get("t")
    at = at if isinstance(at, int | float) else None
    return Exit(content.get("code"), content.get("signal"), at, bool(content.get("out_of_memory")))


def _last_sign(folder: AttemptFolder) -> float | None:
    """When a worker whose end nobody saw wrote last."""
    try:
        return folder.journal.stat().st_mtime
    except OSError:
        return None


def _monitor_file(folder: AttemptFolder) -> dict[str, Any] | None:
    return _read(folder.monitor)


def _monitor_gone(folder: AttemptFolder) -> bool:
    processes = _monitor_file(folder)
    return processes is not None and not identity.alive(processes["monitor"]) and read_exit(folder) is None


def _read(path: Path) -> dict[str, Any] | None:
    try:
        content = json.loads(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return None
    return content if isinstance(content, dict) else None
