"""Worker environments: which there are, making one by a process that outlives the controller, deleting one."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from engine.contract import environments as contract
from engine.contract.api import Settings
from engine.contract.durable import write_json
from engine.contract.environments import (
    DISK_BYTES,
    DOWNLOAD_BYTES,
    Environment,
    Environments,
    MakeEnvironment,
    Progress,
)
from engine.contract.errors import Conflict, ErrorBody, NotFound, Refused, UserError
from engine.contract.paths import Home, code_root
from engine.control.executors import identity
from engine.control.executors.installer import READY, folder_bytes
from engine.control.jobs import settings as controller_settings
from engine.control.jobs.interpreters import Interpreters

MAKING, OLD, GOING = ".making-", ".old-", ".going-"
LOG_TAIL = 4000
WHEEL_FACTOR = 4
"""What wheels take on the disk when they are unpacked, at most."""
END_S = 10.0
ENDED = ("failed", "cancelled")
"""What a making says last."""
VARIABLE = "FORGE_WORKER_PYTHON"


class Keeper:
    """Keeps the environments of a home. Its methods wait for the disk: call them on a thread."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self._lock = threading.Lock()
        self._interpreters = Interpreters()
        self._children: list[subprocess.Popen[bytes]] = []

    def recover(self) -> None:
        """Put right what a kill left half done; the making of one that goes on is left alone."""
        for old in self._home.environments.glob(f"{OLD}*"):
            place = old.with_name(old.name[len(OLD) :])
            if place.exists():
                shutil.rmtree(old, ignore_errors=True)
            elif not _alive(old.with_name(f"{MAKING}{place.name}")):
                old.rename(place)
        for gone in self._home.environments.glob(f"{GOING}*"):
            shutil.rmtree(gone, ignore_errors=True)

    def close(self) -> None:
        """Ask interpreters no more; makings go on."""
        self._interpreters.close()

    def list_all(self, settings: Settings, again: bool = False) -> Environments:
        """All of them, as they stand now."""
        self._children = [child for child in self._children if child.poll() is None]
        used = controller_settings.worker_python(self._home, settings)
        found = [self._seen(one, again) for one in self._candidates(settings)]
        for one in found:
            one.in_use = used is not None and one.python == used
        making = [self._half_made(folder) for folder in sorted(self._home.environments.glob(f"{MAKING}*"))]
        free = shutil.disk_usage(self._home.root).free
        return Environments(
            environments=_apart([*making, *found]), fixed_by=VARIABLE if os.environ.get(VARIABLE) else "",
            free_bytes=free, download_bytes={**DOWNLOAD_BYTES}, disk_bytes={**DISK_BYTES},
        )  # fmt: skip

    def make(self, wish: MakeEnvironment) -> None:
        """Begin, or go on with what was fetched before."""
        if not contract.NAME.fullmatch(wish.name):
            raise Refused("worker.bad_name", name=wish.name)
        place, folder = self._home.environments / wish.name, self._home.environments / f"{MAKING}{wish.name}"
        with self._lock:
            for other in self._home.environments.glob(f"{MAKING}*"):
                if _at_work(other):
                    raise Conflict("environment.busy", name=other.name[len(MAKING) :])
            if (place / READY).exists() and not wish.replace:
                raise Conflict("worker.exists", name=wish.name, folder=str(place))
            self._refuse_without_room(wish)
            folder.mkdir(parents=True, exist_ok=True)
            for name in ("state.json", "process.json", "log.txt"):
                (folder / name).unlink(missing_ok=True)
            write_json(folder / "order.json", wish.model_dump())
            self._start(folder)

    def cancel(self, name: str) -> None:
        """End the making of one; what was fetched is kept for another try."""
        folder = self._home.environments / f"{MAKING}{name}"
        who = _read(folder / "process.json") if contract.NAME.fullmatch(name) else None
        if who is None or not folder.is_dir():
            raise NotFound("environment.unknown", name=name)
        with contextlib.suppress(ProcessLookupError):
            if identity.alive(who):
                os.kill(int(who["pid"]), signal.SIGTERM)
        deadline = time.monotonic() + END_S
        while identity.alive(who) and time.monotonic() < deadline:
            time.sleep(0.05)
        if identity.alive(who):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(int(who["pid"]), signal.SIGKILL)

    def delete(self, name: str, settings: Settings, busy: bool) -> None:
        """Delete one, or what is left of one that was not finished."""
        place, folder = self._home.environments / name, self._home.environments / f"{MAKING}{name}"
        if not contract.NAME.fullmatch(name) or not (place.is_dir() or folder.is_dir()):
            raise NotFound("environment.unknown", name=name)
        if folder.is_dir():
            if _at_work(folder):
                raise Conflict("environment.busy", name=name)
            self._remove(folder)
            return
        used = controller_settings.worker_python(self._home, settings)
        if busy and used is not None and Path(used).is_relative_to(place):
            raise Conflict("environment.in_use", name=name)
        self._remove(place)

    def _remove(self, folder: Path) -> None:
        going = folder.with_name(f"{GOING}{folder.name.lstrip('.')}")
        shutil.rmtree(going, ignore_errors=True)
        folder.rename(going)
        shutil.rmtree(going, ignore_errors=True)

    def _start(self, folder: Path) -> None:
        environment = {**os.environ, "PYTHONPATH": str(code_root()), "PYTHONSAFEPATH": "1"}
        with (folder / "log.txt").open("ab") as log:
            child = subprocess.Popen(
                [sys.executable, "-m", "engine.control.executors.installer", str(folder)], stdin=subprocess.DEVNULL,
                stdout=log, stderr=log, env=environment, cwd=folder, start_new_session=True,
            )  # fmt: skip
        self._children.append(child)
        write_json(folder / "process.json", identity.of(child.pid) or {"pid": child.pid, "started": 0.0})

    def _refuse_without_room(self, wish: MakeEnvironment) -> None:
        needed = DISK_BYTES[wish.build]
        if wish.find_links:
            wheels = list(Path(wish.find_links).glob("*.whl")) if Path(wish.find_links).is_dir() else []
            if not wheels:
                raise Refused("environment.no_folder", folder=wish.find_links)
            needed = WHEEL_FACTOR * sum(wheel.stat().st_size for wheel in wheels)
        self._home.environments.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(self._home.environments).free
        if free < needed:
            raise Conflict("environment.no_space", folder=str(self._home.environments),
                           needed=f"{needed / 1e9:.1f} GB", free=f"{free / 1e9:.1f} GB")  # fmt: skip

    def _candidates(self, settings: Settings) -> list[Environment]:
        """Interpreters that are whole, each once."""
        found: dict[str, Environment] = {}

        def add(python: str, origin: contract.Origin, name: str, **more: Any) -> None:
            found.setdefault(python, Environment(name=name, python=python, origin=origin, **more))

        for folder in sorted(self._home.environments.glob("*")):
            if not folder.name.startswith(".") and (folder / READY).exists():
                ready = _read(folder / READY) or {}
                build = ready.get("build") or ("cpu" if ready.get("cpu") else "cuda")
                add(str(folder / "bin" / "python"), "made", folder.name, build=build, made=ready.get("made"))
        if os.environ.get(VARIABLE):
            add(os.environ[VARIABLE], "variable", _name_of(os.environ[VARIABLE]))
        if settings.worker_python:
            add(settings.worker_python, "setting", _name_of(settings.worker_python))
        beside = Path(sys.prefix).parent / ".venv-worker" / "bin" / "python"
        if beside.is_file():
            add(str(beside), "beside", _name_of(str(beside)))
        return list(found.values())

    def _seen(self, one: Environment, again: bool) -> Environment:
        known = self._interpreters.look(one.python, again)
        if known is None:
            return one
        one.holds, one.error, one.bytes = known.holds, known.error, known.bytes
        one.state = "works" if known.works else "broken"
        return one

    def _half_made(self, folder: Path) -> Environment:
        """One that is being made, or whose making broke off."""
        name, order, said = folder.name[len(MAKING) :], _read(folder / "order.json") or {}, _read(folder / "state.json")
        python = str(self._home.environments / name / "bin" / "python")
        one = Environment(name=name, python=python, origin="made", state="making", build=order.get("build"))
        one.log = _tail(folder / "log.txt")
        with contextlib.suppress(ValidationError):
            one.progress = Progress.model_validate((said or {}).get("progress") or {})
            error = (said or {}).get("error")
            one.error = ErrorBody.model_validate(error) if error else None
        state = (said or {}).get("state")
        if state in ENDED:
            one.state, one.bytes = state, folder_bytes(folder)
        elif not _alive(folder):
            one.state, one.bytes = "interrupted", folder_bytes(folder)
            one.error = UserError("environment.interrupted").body()
        return one


def _alive(folder: Path) -> bool:
    return identity.alive(_read(folder / "process.json"))


def _at_work(folder: Path) -> bool:
    """Whether a making goes on there; one that has said how it ended is waited for: it ends in a moment."""
    deadline = time.monotonic() + END_S
    while _alive(folder):
        said = (_read(folder / "state.json") or {}).get("state")
        if said not in ENDED or time.monotonic() > deadline:
            return True
        time.sleep(0.05)
    return False


def _read(file: Path) -> dict[str, Any] | None:
    try:
        content = json.loads(file.read_bytes())
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) else None


def _tail(file: Path) -> str:
    try:
        with file.open("rb") as opened:
            opened.seek(max(0, file.stat().st_size - LOG_TAIL))
            return opened.read().decode(errors="replace")
    except OSError:
        return ""


def _name_of(python: str) -> str:
    path = Path(python)
    return path.parents[1].name if len(path.parents) > 1 and path.parents[1].name else path.name


def _apart(environments: list[Environment]) -> list[Environment]:
    """No two of one name, since people and requests go by it."""
    taken: set[str] = set()
    for one in environments:
        if one.name in taken:
            one.name = f"{one.name} ({one.origin}, {one.state})"
        taken.add(one.name)
    return environments
