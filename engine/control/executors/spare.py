"""One spare worker, as the controller sees it: a process that is warm, and the pipes to it."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import select
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from engine.control.executors import identity
from engine.control.executors.base import Launch, SparePlan
from engine.control.executors.code import WORKER_PATH, fingerprint
from engine.control.executors.memory import held_by
from engine.control.executors.spawn import early, monitor_command, monitor_environment, worker_environment

ANSWER_S = 5.0
CLAIM_S = 10.0
WORKER = ["-m", "engine.compute.worker"]
WARM = ["-m", "engine.compute.worker.warm"]


@dataclass(frozen=True)
class Plan:
    """What a spare is bound to."""

    python: str
    method: Literal["fork", "wait"]
    root: str
    """Of interpreter, packages, code and environment; another one needs another spare."""

    @property
    def key(self) -> str:
        """The same, with the method."""
        return f"{self.method} {self.root}"


@dataclass(frozen=True)
class Taken:
    """A start that worked: the handle, and the monitor where it is the controller's own child."""

    handle: str
    process: subprocess.Popen[bytes] | None = None


def resolve(wanted: SparePlan, unfit: set[str]) -> Plan:
    """The plan as things are now."""
    root = _root(wanted.python, wanted.environment)
    forks = sys.platform.startswith("linux") and wanted.method == "auto" and root not in unfit
    return Plan(wanted.python, "fork" if forks else "wait", root)


def _root(python: str, environment: dict[str, str]) -> str:
    facts = [python, _stamp(Path(python))]
    facts += [_stamp(path) for path in sorted(Path(python).absolute().parent.parent.glob("lib/python3*/site-packages"))]
    code = environment.get(WORKER_PATH)
    facts.append(f"{code} {fingerprint(Path(code))}" if code else "")
    facts += sorted(f"{name}={value}" for name, value in early(worker_environment(environment)).items())
    return hashlib.sha256("\n".join(facts).encode()).hexdigest()[:16]


def _devices(environment: dict[str, str]) -> str | None:
    return {**os.environ, **environment}.get("CUDA_VISIBLE_DEVICES")


def _stamp(path: Path) -> str:
    try:
        return f"{path} {path.stat().st_mtime_ns}"
    except OSError:
        return f"{path} -"


class Spare:
    """Starts one; `listen` tells when it is ready, `take` lets it have an attempt."""

    def __init__(self, plan: Plan, wanted: SparePlan) -> None:
        self.plan, self.log = plan, wanted.log
        self.ready, self.why, self.pid = False, "", 0
        self._settled = False
        """Its imports have asked a GPU's driver: another choice of devices comes too late for it."""
        self._devices = _devices(wanted.environment)
        self._began = self._ready_since = time.monotonic()
        self._buffer = b""
        command = [wanted.python, *WARM, plan.method]
        if plan.method == "fork":
            environment = worker_environment(wanted.environment) | {"FORGE_SPARE_PARENT": str(os.getpid())}
        else:
            command, environment = [*monitor_command(), "--spare", "--", *command], monitor_environment(
                wanted.environment
            )  # fmt: skip
        wanted.log.parent.mkdir(parents=True, exist_ok=True)
        with wanted.log.open("wb") as log:
            self.process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, bufsize=0,
                cwd=wanted.log.parent, env=environment, start_new_session=True,
            )  # fmt: skip
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self._orders, self._stdout = self.process.stdin, self.process.stdout
        self.answers = self._stdout.fileno()

    @property
    def age(self) -> float:
        """Seconds since it was started."""
        return time.monotonic() - self._began

    @property
    def ready_for(self) -> float:
        """Seconds since it got ready."""
        return time.monotonic() - self._ready_since

    def bytes(self) -> int:
        """The memory it holds."""
        return held_by(self.pid or self.process.pid)

    def listen(self) -> Literal["", "ready", "unfit", "dead"]:
        """What is new; waits for nothing."""
        if not self.ready:
            answer = self._hear(0)
            if "unfit" in answer:
                self.why = str(answer["unfit"])
                return "unfit"
            if "ready" in answer:
                self.ready, self.pid, self._ready_since = True, int(answer["pid"]), time.monotonic()
                self._settled = bool(answer.get("settled"))
                return "ready"
        return "dead" if self.process.poll() is not None else ""

    def fits(self, launch: Launch) -> bool:
        """Whether this worker would be what the launch asks for: interpreter, code, packages, variables."""
        if launch.command[:-1] != [self.plan.python, *WORKER] or launch.command[-1] != str(launch.folder.root):
            return False
        if self._settled and _devices(launch.environment) != self._devices:
            return False
        return _root(self.plan.python, launch.environment) == self.plan.root

    def take(self, launch: Launch) -> Taken | None:
        """Become this worker; None if it did not."""
        order = {"folder": str(launch.folder.root), "environment": worker_environment(launch.environment)}
        own = self.plan.method == "wait"
        if not own:
            order |= {"monitor": monitor_command(), "monitor_environment": monitor_environment(launch.environment)}
        try:
            _write_whole(self._orders.fileno(), json.dumps(order).encode() + b"\n")
            pid = self.process.pid if own else int(self._hear(ANSWER_S).get("monitor", 0))
        except (OSError, ValueError):
            return None
        if not pid:
            return None
        handle = self._claimed(launch, pid)
        if handle is None or not own:
            return Taken(handle) if handle else None
        self._orders.close()
        self._stdout.close()
        return Taken(handle, self.process)

    def _claimed(self, launch: Launch, pid: int) -> str | None:
        """The monitor's identity once it shows itself; None if it ended before."""
        who, deadline = identity.of(pid), time.monotonic() + CLAIM_S
        while time.monotonic() < deadline:
            alive = identity.alive(who)  # looked at first: it may claim and end in between
            with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
                content: dict[str, Any] = json.loads(launch.folder.monitor.read_bytes())
                return json.dumps(content["monitor"] or who)
            if not alive:
                return None
            time.sleep(0.005)
        return json.dumps(who)

    def _hear(self, timeout: float) -> dict[str, Any]:
        """One answer; empty if none comes, or none can come any more."""
        deadline = time.monotonic() + timeout
        while b"\n" not in self._buffer:
            if not select.select([self.answers], [], [], max(0.0, deadline - time.monotonic()))[0]:
                return {}
            data = os.read(self.answers, 65536)
            if not data:
                return {}
            self._buffer += data
        line, _, self._buffer = self._buffer.partition(b"\n")
        answer = json.loads(line)
        return answer if isinstance(answer, dict) else {}

    def end(self) -> None:
        """It is not needed any more. Workers that came of it go on."""
        if self._orders.closed:
            return
        with contextlib.suppress(OSError):
            self._orders.close()
        if self.plan.method == "fork":
            self.process.kill()
        try:
            self.process.wait(5)  # a monitor sees its stdin end, and ends the spare worker below it
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self._stdout.close()


def _write_whole(number: int, data: bytes) -> None:
    while data:
        data = data[os.write(number, data) :]
