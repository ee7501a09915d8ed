"""Every worker's process of this computer that belongs to a home, and the controller's spare workers."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, get_args

import psutil

from engine.contract.clock import now
from engine.contract.errors import UserError
from engine.contract.nodes import InstanceKind
from engine.contract.paths import HOME_VARIABLE, AttemptFolder, Home, expanded, usual_home
from engine.control.executors import group, identity
from engine.control.executors.docker.names import known_id
from engine.control.executors.seen import Seen

MONITOR = "engine.control.executors.monitor"
SPARE = "engine.compute.worker.warm"
CONTROLLER = "engine.control"


class Processes:
    """Finds them by what they were started with, not by what the history knows."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self._took: dict[int, tuple[float, float]] = {}
        self._guard = threading.Lock()

    def listed(self) -> Sequence[Seen]:
        """Workers of this home, and spares of this controller."""
        found = [seen for folder, monitor in self._monitors() if (seen := self._worker(folder, monitor)) is not None]
        return found + [self._spare(process) for process in _spares()]

    def end(self, seen: Seen, save: bool) -> None:
        """SIGTERM to the worker, or SIGKILL to its group."""
        noted = _noted(self._folder(seen))
        if save:
            group.tell(noted.get("worker") or {}, signal.SIGTERM)
        else:
            group.end(noted.get("worker"), noted.get("monitor"))

    def remove(self, seen: Seen) -> None:
        """A process leaves nothing but the run's files, and those are not a node's."""
        raise UserError("instances.process", id=seen.handle)

    def order(self, seen: Seen) -> bytes | None:
        """As it lies in the attempt's folder."""
        try:
            return self._folder(seen).order.read_bytes()
        except OSError:
            return None

    def _folder(self, seen: Seen) -> AttemptFolder:
        return self._home.attempt(seen.run, seen.attempt)

    def _monitors(self) -> Iterator[tuple[AttemptFolder, psutil.Process]]:
        runs = self._home.runs
        for process in psutil.process_iter(["cmdline"]):
            words = process.info["cmdline"] or []
            if MONITOR not in words:
                continue
            for word in words[words.index(MONITOR) + 1 :]:
                path = Path(word)
                if path.is_absolute() and path.is_relative_to(runs) and path.parent.name == "attempts":
                    yield AttemptFolder(path), process
                    break

    def _worker(self, folder: AttemptFolder, monitor: psutil.Process) -> Seen | None:
        noted = _noted(folder)
        order = _read(folder.order)
        who = noted.get("worker") or noted.get("monitor")
        if not who or not identity.alive(who) or not folder.root.name.isdecimal():
            return None
        spec = order.get("spec") or {}
        started = None
        with contextlib.suppress(psutil.Error):
            started = monitor.create_time()
        percent, memory = self._usage(int(who["pid"]))
        return Seen(
            str(who["pid"]), folder.run.name, int(folder.root.name), _kind(spec),
            "paused" if identity.stopped(noted.get("worker")) else "running", str(order.get("lease") or ""),
            "", str(spec.get("owner") or ""), created=started, started=started, cpu_percent=percent, memory=memory,
        )  # fmt: skip

    def _spare(self, process: psutil.Process) -> Seen:
        percent, memory = self._usage(process.pid)
        started = None
        with contextlib.suppress(psutil.Error):
            started = process.create_time()
        return Seen(
            str(process.pid), kind="spare", created=started, started=started, cpu_percent=percent, memory=memory
        )  # fmt: skip

    def _usage(self, pid: int) -> tuple[float | None, int | None]:
        """Percent of one core since the last look (at the first: since its start), and bytes."""
        try:
            process, at = psutil.Process(pid), now()
            spent = process.cpu_times()
            used, memory, born = spent.user + spent.system, process.memory_info().rss, process.create_time()
        except psutil.Error:
            return None, None
        with self._guard:
            before_at, before = self._took.get(pid, (born, 0.0))
            self._took[pid] = (at, used)
        if before > used or at <= before_at:  # another process has its number now
            return None, memory
        return round((used - before) / (at - before_at) * 100, 1), memory


def _kind(spec: Any) -> InstanceKind:
    """What a worker is for, by its order."""
    job = spec.get("job") if isinstance(spec, dict) else None
    said = job.get("kind") if isinstance(job, dict) else None
    return next((known for known in get_args(InstanceKind) if known == said), "train")


def living_controllers() -> set[str]:
    """Ids of the homes that a controller of this computer works on now."""
    found = set()
    for process in psutil.process_iter(["cmdline"]):
        if CONTROLLER in (process.info["cmdline"] or []):
            with contextlib.suppress(psutil.Error):
                named = process.environ().get(HOME_VARIABLE)
                root = expanded(named) if named else usual_home()
                if (known := known_id(Home(root.absolute()))) is not None:
                    found.add(known)
    return found


def _spares() -> list[psutil.Process]:
    found = []
    with contextlib.suppress(psutil.Error):
        for process in psutil.Process(os.getpid()).children(recursive=True):
            with contextlib.suppress(psutil.Error):
                words = process.cmdline()
                if SPARE in words and MONITOR not in words:
                    found.append(process)
    return found


def _noted(folder: AttemptFolder) -> dict[str, Any]:
    return _read(folder.monitor)


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
