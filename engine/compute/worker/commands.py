"""Commands to this worker: files in the control folder, and SIGTERM, which always means save and stop."""

from __future__ import annotations

import signal
import stat
import threading
from collections.abc import Callable
from pathlib import Path
from types import FrameType

from engine.contract.commands import WorkerCommand
from engine.contract.errors import ErrorBody, UserError
from engine.contract.states import EndReason, RunState

MAX_COMMAND_BYTES = 256 << 10
Acknowledge = Callable[[str, ErrorBody | None], None]


class StopRequest(Exception):
    """Raised at a boundary where nothing needs saving any more, to unwind to the session."""


class StopFlag:
    """Whether a person wants the worker to end, and whether it should save first."""

    def __init__(self) -> None:
        self._asked = False  # a plain flag: a signal handler must take no lock
        self.save = True
        self.pause = False
        self.move = False
        """A pause, to go on elsewhere."""
        self.by_person = False
        """A command asked for it, not only a signal."""

    def ask(self, save: bool = True, pause: bool = False, by_person: bool = True) -> None:
        """Ask for the end; not saving wins over saving, and stopping over pausing."""
        self.pause = pause and (self.pause or not self.by_person)
        self.by_person = self.by_person or by_person
        self.save = self.save and save
        self._asked = True

    @property
    def ending(self) -> tuple[RunState, EndReason]:
        """What the worker's last word says of an end that was asked for."""
        if self.pause:
            return RunState.PAUSED, EndReason.PAUSED_BY_PERSON
        return RunState.STOPPED, EndReason.STOPPED_BY_PERSON if self.by_person else EndReason.INTERRUPTED

    def __bool__(self) -> bool:
        return self._asked

    def raise_if_set(self) -> None:
        """Unwind to the session if the end was asked for."""
        if self:
            raise StopRequest

    def listen(self) -> None:
        """Take SIGTERM as "save and stop", also one that came before."""

        def handle(number: int, frame: FrameType | None) -> None:
            del number, frame
            self._asked = True

        signal.signal(signal.SIGTERM, handle)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})  # held back until somebody listens

    @staticmethod
    def listen_no_more() -> None:
        """The last word is said. Python gives handlers up on its way out, and the signal would be deadly then."""
        signal.signal(signal.SIGTERM, signal.SIG_IGN)


def _read(path: Path) -> bytes:
    """The content of a command's file; what is no small file (a pipe, a folder, a gigabyte) is no command."""
    found = path.lstat()
    if not stat.S_ISREG(found.st_mode) or found.st_size > MAX_COMMAND_BYTES:
        raise ValueError(path.name)
    return path.read_bytes()


class Commands:
    """Reads the control folder; each command is carried out and acknowledged once."""

    def __init__(self, folder: Path, stop: StopFlag, acknowledge: Acknowledge) -> None:
        self._folder = folder
        self._stop = stop
        self._acknowledge = acknowledge
        self._seen: set[str] = set()
        self.waiting: list[WorkerCommand] = []
        """Commands for the next step boundary; who carries one out acknowledges it."""
        self._stamp: int | None = None
        self._lock = threading.Lock()

    def poll(self) -> None:
        """Carry out what is new; costs one `stat` when nothing is."""
        with self._lock:
            try:
                stamp = self._folder.stat().st_mtime_ns
            except FileNotFoundError:
                return
            if stamp == self._stamp:
                return
            for path in sorted(self._folder.glob("*.json")):
                if path.name not in self._seen:
                    self._seen.add(path.name)
                    self._obey(path)
            self._stamp = stamp

    def _obey(self, path: Path) -> None:
        try:
            command = WorkerCommand.model_validate_json(_read(path))
        except FileNotFoundError:
            return
        except (OSError, ValueError):  # pydantic's ValidationError is one
            name = path.name.encode(errors="replace").decode()  # a name need not be a text
            self._acknowledge(name.removesuffix(".json"), UserError("worker.bad_command", file=name).body())
            return
        if command.verb in ("save", "sample", "log_every", "keys"):
            self.waiting.append(command)
            return
        pause = command.verb == "pause"
        self._stop.ask(save=command.verb != "stop_without_saving", pause=pause)
        self._stop.move = pause and command.params.get("cause") == "move"
        self._acknowledge(command.id, None)

    def take(self) -> list[WorkerCommand]:
        """What is to be done at this step boundary."""
        with self._lock:
            waiting, self.waiting = self.waiting, []
        return waiting

    def acknowledge(self, command: WorkerCommand, error: ErrorBody | None = None) -> None:
        """It was carried out, or why not."""
        self._acknowledge(command.id, error)

    def refuse_waiting(self) -> None:
        """Nothing is trained any more: say so to whoever still waits."""
        for command in self.take():
            self._acknowledge(command.id, UserError("worker.not_training").body())
