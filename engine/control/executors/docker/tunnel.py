"""A supervised `ssh -L`: started when it is first wanted, started again when it ends, ended with us."""

from __future__ import annotations

import logging
import os
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

from engine.contract.errors import Unreachable, UserError
from engine.control.executors.docker.link_folder import LinkFolder

log = logging.getLogger(__name__)
START_S = 20.0
"""From the start of ssh until its tunnel is open: connecting, keys, login."""
LOOK_S = 0.02
SETTLE_S = 0.3
CLOSE_S = 3.0
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 30.0
STEADY_S = 10.0
"""A tunnel that lived that long was no failure: it is opened again at once."""
LONGEST_WORDS, LARGEST_FILE = 64 * 1024, 1 << 20


class Tunnel:
    """One tunnel to a far socket. `command` gives ssh's arguments for a folder; it may ask the network itself."""

    def __init__(
        self, node: str, command: Callable[[LinkFolder], list[str]], explain: Callable[[str, float], UserError]
    ) -> None:
        self._node = node
        self._command = command
        self._explain = explain
        self._change = threading.Condition()
        self._thread: threading.Thread | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._folder: LinkFolder | None = None
        self._open = False
        self._error: UserError | None = None
        self._hurry = False
        self._resting = False
        self._closed = False

    @property
    def pid(self) -> int | None:
        """The process id of ssh while it lives."""
        process = self._process
        return process.pid if process is not None and process.poll() is None else None

    def socket(self, seconds: float) -> Path:
        """The near end, once it is open; raises why it is not. During a pause after a failure it does not wait."""
        until = time.monotonic() + seconds
        with self._change:
            self._begin()
            while not self._closed:
                if self._open and self.pid is not None and self._folder is not None:
                    return self._folder.path / "engine.sock"
                if self._error is not None and not self._hurry:
                    raise Unreachable.from_body(self._error.body())
                self._wake()
                if (left := until - time.monotonic()) <= 0:
                    raise self._explain("", seconds)
                self._change.wait(min(left, 0.1))
        raise Unreachable("node.link_closed", node=self._node)

    def again(self) -> None:
        """Try now, whatever went before."""
        with self._change:
            self._wake()

    def settle(self) -> None:
        """A connection broke: an ssh that is dying is soon gone, and one that takes no connections is no use."""
        process, folder = self._process, self._folder
        if process is None or folder is None or not self._open:
            return
        try:
            process.wait(SETTLE_S)
        except subprocess.TimeoutExpired:
            if not _listens(folder.path / "engine.sock"):
                end(process)

    def words(self, since: int = 0) -> str:
        """What ssh said since its start, or from a byte on; of very much the end."""
        try:
            with self._words.open("rb") as file:
                size = file.seek(0, os.SEEK_END)
                file.seek(max(since if since <= size else 0, size - LONGEST_WORDS))
                text = file.read().decode(errors="replace")
            if size > LARGEST_FILE:
                os.truncate(self._words, 0)
            return text
        except OSError:
            return ""

    @property
    def said(self) -> int:
        """How many bytes it has said."""
        try:
            return self._words.stat().st_size
        except OSError:
            return 0

    @property
    def _words(self) -> Path:
        return self._folder.path / "words" if self._folder is not None else Path(os.devnull)

    def close(self) -> None:
        """End it, and leave nothing."""
        with self._change:
            self._closed = True
            thread, process = self._thread, self._process
            if process is not None and process.poll() is None:
                process.terminate()
            self._change.notify_all()
        if thread is not None:
            thread.join(CLOSE_S)
            if thread.is_alive() and process is not None and process.poll() is None:
                process.kill()  # held still, or deaf
            thread.join(START_S)

    def _wake(self) -> None:
        """Somebody wants it: no more rest."""
        if self._resting:
            self._hurry = True
            self._change.notify_all()

    def _begin(self) -> None:
        if self._thread is None and not self._closed:
            # ssh dies with the thread that started it (PDEATHSIG), so this one lives as long as the tunnel may.
            self._thread = threading.Thread(target=self._supervise, name=f"forge-tunnel-{self._node}", daemon=True)
            self._thread.start()

    def _supervise(self) -> None:
        self._folder = folder = LinkFolder()
        failures = 0
        try:
            while not self._closed:
                if not folder.path.is_dir():  # a system that tidies up took it
                    self._folder = folder = LinkFolder()
                began = time.monotonic()
                error = self._once(folder)
                steady = error is None and time.monotonic() - began >= STEADY_S
                failures = 0 if steady else failures + 1
                self._rest(error, 0.0 if error is None and failures < 2 else _pause(failures))
        finally:
            folder.remove()

    def _rest(self, error: UserError | None, seconds: float) -> None:
        """Wait before the next try, unless somebody is in a hurry."""
        until = time.monotonic() + seconds
        with self._change:
            self._error, self._resting = error, True
            self._change.notify_all()
            while not self._closed and not self._hurry and (left := until - time.monotonic()) > 0:
                self._change.wait(left)
            self._hurry = self._resting = False
            self._error = None

    def _once(self, folder: LinkFolder) -> UserError | None:
        """One ssh from its start to its end; an error if its tunnel never opened."""
        (folder.path / "engine.sock").unlink(missing_ok=True)
        try:
            process = self._start(folder, self._command(folder))
        except UserError as error:
            return error
        except OSError as error:
            return Unreachable("node.ssh_failed", node=self._node, detail=error.strerror or str(error))
        try:
            opened = self._wait_open(process, folder)
        finally:
            (folder.path / "key").unlink(missing_ok=True)
        if opened:
            with self._change:
                self._open, self._error = True, None
                self._change.notify_all()
            process.wait()
        else:
            end(process)
        with self._change:
            self._open = False
            self._change.notify_all()
        if opened:
            log.info("the tunnel to node %s ended (%s)", self._node, process.returncode)
        return None if opened else self._explain(self.words(), START_S)

    def _start(self, folder: LinkFolder, command: list[str]) -> subprocess.Popen[bytes]:
        with self._change:
            if self._closed:
                raise Unreachable("node.link_closed", node=self._node)
            self._process = start_ssh(command, folder.path / "words")
        folder.own(self._process.pid)
        return self._process

    def _wait_open(self, process: subprocess.Popen[bytes], folder: LinkFolder) -> bool:
        near, until = folder.path / "engine.sock", time.monotonic() + START_S
        while process.poll() is None and not self._closed and time.monotonic() < until:
            if near.exists() and _listens(near):
                return True
            time.sleep(LOOK_S)
        return False


def start_ssh(command: list[str], words: Path) -> subprocess.Popen[bytes]:
    """Start ssh so that it cannot ask anybody, speaks English, and ends when we do."""
    ties = shutil.which("setpriv")
    tied = [ties, "--pdeathsig", "TERM", "--", *command] if ties else command
    environment = {name: value for name, value in os.environ.items() if name not in ("SSH_ASKPASS", "DISPLAY")}
    words.unlink(missing_ok=True)
    with words.open("ab") as file:
        return subprocess.Popen(
            tied, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=file, start_new_session=True,
            env={**environment, "LC_ALL": "C", "SSH_ASKPASS_REQUIRE": "never"},
        )  # fmt: skip


def end(process: subprocess.Popen[bytes]) -> None:
    """End it, and see it gone."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(2)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _listens(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(2)
        try:
            probe.connect(str(path))
        except OSError:
            return False
    return True


def _pause(failures: int) -> float:
    return min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2.0 ** min(failures - 1, 10))
