"""The other members of an attempt, as processes that the first one starts, watches and ends.

They belong to the first one's process group, so that whatever ends that ends them; and the system kills each of them
when the first one dies (`member.py`). Each has a log of its own beside the worker's.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from engine.compute.training.members import MemberLost, Members
from engine.compute.worker.commands import StopRequest
from engine.compute.worker.failures import MemberFailed
from engine.compute.worker.gpus import DEVICES
from engine.compute.worker.resume import Start
from engine.contract.errors import ErrorBody, UserError
from engine.contract.faults import MEMBER_VARIABLE
from engine.contract.paths import AttemptFolder, code_root
from engine.contract.run_spec import AttemptOrder
from engine.contract.states import EndReason

log = logging.getLogger("worker")
DEATH_S = 3.0
"""How long after its connection broke a member may take to be dead."""
TAIL_LINES = 20


class Team:
    """Nothing at all where a run has one member."""

    def __init__(self, order: AttemptOrder, folder: AttemptFolder, devices: list[str]) -> None:
        self._folder, self._devices = folder, devices
        place = order.spec.compute
        self.count = place.members
        self._minutes, self._strategy = place.wait_minutes, place.strategy
        self._processes: list[subprocess.Popen[bytes]] = []
        self.members: Members | None = None

    def start(self, start: Start | None) -> None:
        """Start the others; they load while this one does."""
        if self.count < 2:
            return
        meeting = self._folder.meeting
        with contextlib.suppress(FileNotFoundError):
            meeting.unlink()
        self.members = Members(0, self.count, meeting, 60 * self._minutes, self._strategy)
        point = {"path": start.point.path, "attempt": start.point.attempt} if start is not None else None
        self.members.store.set("start", json.dumps(point))
        for number in range(1, self.count):
            self._processes.append(self._start_one(number))
        log.info("Members: %d processes, this is the first", self.count)

    def _start_one(self, number: int) -> subprocess.Popen[bytes]:
        environment = {**os.environ, MEMBER_VARIABLE: str(number), "PYTHONPATH": str(code_root())}
        if self._devices:
            environment[DEVICES] = self._devices[number]
        command = [sys.executable, "-m", "engine.compute.worker.member", str(self._folder.root), str(number)]
        with self._folder.member_log(number).open("ab") as file:
            return subprocess.Popen(
                [*command, str(os.getpid())], stdin=subprocess.DEVNULL, stdout=file, stderr=file, env=environment
            )  # fmt: skip

    def tell_model(self, folder: Path) -> None:
        """The model's files are there."""
        if self.members is not None:
            self.members.store.set("model", str(folder))

    @property
    def processes(self) -> list[int]:
        """Their process ids."""
        return [process.pid for process in self._processes]

    def finish(self) -> None:
        """Training is over, and everything saved that takes all of them."""
        if self.members is not None:
            self.members.dismiss()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if isinstance(error, Exception) and not isinstance(error, StopRequest | UserError) and self._processes:
                found = self._explained(error)
                if found is not None:
                    raise found from error
        finally:
            self.close()

    def close(self) -> None:
        """End them, and wait until they are gone."""
        for process in self._processes:
            if process.poll() is None:
                process.kill()
        for process in self._processes:
            process.wait()
        self._processes.clear()
        if self.members is not None:
            self.members.leave()

    def _explained(self, error: Exception) -> Exception | None:
        """What became of a member, where that is why this one failed."""
        late = isinstance(error, MemberLost) and not error.in_time
        dead = None if late else self._dead(DEATH_S if isinstance(error, MemberLost) else 0.0)
        if dead is not None:
            return self._last_words(*dead)
        if isinstance(error, MemberLost):
            number = error.number or self._others
            return UserError("worker.member_hung", member=number, minutes=f"{self._minutes:g}")
        return None

    @property
    def _others(self) -> int | str:
        """Where only the wait for all of them was over: the other member, or one of them."""
        count = len(self._processes)
        return 1 if count == 1 else f"1–{count}"

    def _dead(self, patience: float) -> tuple[int, int] | None:
        """The first member that has gone, and its exit code; a negative one is a signal."""
        until = time.monotonic() + patience
        while True:
            for number, process in enumerate(self._processes, 1):
                code = process.poll()
                if code:
                    return number, code
            if time.monotonic() >= until:
                return None
            time.sleep(0.05)

    def _last_words(self, number: int, code: int) -> Exception:
        for line in self._tail(number):
            log.error("member %d: %s", number, line)
        try:
            said = json.loads(self._folder.member_error(number).read_bytes())
            return MemberFailed(EndReason(said["reason"]), ErrorBody.model_validate(said["error"]))
        except (OSError, ValueError, KeyError):
            how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
            return UserError("worker.member_lost", member=number, how=how, log=self._folder.member_log(number).name)

    def _tail(self, number: int) -> list[str]:
        with contextlib.suppress(OSError):
            return self._folder.member_log(number).read_text(errors="replace").splitlines()[-TAIL_LINES:]
        return []
