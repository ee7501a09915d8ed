"""A server started by a test: ended, killed, held still and started again by its process id, and by nothing else."""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import socket
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

import psutil

from tests.helpers.waiting import wait_until

OWN_PORTS = range(20_000, 32_000)
"""Below those a system gives out by itself."""


class CannotStart(Exception):
    """A part cannot be started on this machine; the text says why."""


def find_program(*paths: str) -> str:
    """The first of these programs that is there; other programs of the same name on PATH do not count."""
    for path in paths:
        if os.access(path, os.X_OK):
            return path
    raise CannotStart(f"{' and '.join(paths)} not found (installer/setup.sh docker installs it)")


def free_port() -> int:
    """A port of 127.0.0.1 that nobody uses now, and that the system gives to nobody who asks for any.

    A server that is started again finds its port as it left it, whatever other tests do meanwhile.
    """
    while True:
        port = secrets.choice(OWN_PORTS)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


class Server:
    """One server process and its log."""

    def __init__(self, name: str, command: list[str], log: Path, answers: Callable[[], bool]) -> None:
        self.name = name
        self.command = command
        self.log = log
        self.environment: Mapping[str, str] = {**os.environ, "PATH": f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"}
        self._answers = answers
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """Its process id while it lives, also while it is held still."""
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    def start(self, timeout: float = 60) -> None:
        """Start it and wait until it answers."""
        assert self.pid is None, f"{self.name} runs already"
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self.command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env=self.environment, start_new_session=True,
            )  # fmt: skip
        wait_until(self._up, timeout, f"{self.name} answers")

    def _up(self) -> bool:
        if self.pid is None:
            raise CannotStart(f"{self.name} ended at its start: {self.last_words()}")
        return self._answers()

    def stop(self, timeout: float = 30) -> None:
        """Ask it to end (SIGTERM); after the time-out it is killed."""
        if self._process is None or self.pid is None:
            return
        self.resume()
        self._process.terminate()
        try:
            self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """SIGKILL, as a crash."""
        if self._process is not None and self.pid is not None:
            self._process.kill()
            self._process.wait(30)

    def restart(self) -> None:
        """Start it again, whether it lives or not."""
        self.stop()
        self.start()

    def pause(self) -> None:
        """Hold it still (SIGSTOP): connections stay, nobody answers."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        self._signal(signal.SIGCONT)

    def ensure(self) -> None:
        """Whatever a test did to it: it lives and answers afterwards."""
        if self.pid is None:
            self.start()
        self.resume()
        wait_until(self._up, 60, f"{self.name} answers again")

    def last_words(self, size: int = 1500) -> str:
        """The end of its log."""
        return self.log.read_text(errors="replace")[-size:] if self.log.exists() else ""

    def _signal(self, number: int) -> None:
        if self._process is not None and self.pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._process.pid, number)


def children_of(pid: int | None) -> list[psutil.Process]:
    """Everything a process started that still lives."""
    if pid is None:
        return []
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def end_all(processes: list[psutil.Process]) -> None:
    """SIGKILL to each; psutil compares start times, so that a reused number is never hit."""
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(processes, timeout=10)
