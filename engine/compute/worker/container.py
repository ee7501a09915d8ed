"""The worker's parent in a container: starts it, keeps its log, tells of both on its own stdout, writes how it ended.

    python -m engine.compute.worker.container ATTEMPT_FOLDER

The files in the folder are the truth. What goes to stdout is a hint for a controller on another computer: journal
lines as they are, and what the worker prints as `{"log": OFFSET, "text": …}` (`"b64"` where it is no text). Nobody
may hear it for hours (the Docker engine was ended and containers live on): then whole lines are dropped, and nothing
waits. Standard library only, but for files that do not import more.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import FrameType
from typing import Any

from engine.contract import logfile
from engine.contract.durable import write_json

LIVE_VARIABLE = "FORGE_JOURNAL_FD"
MAX_LINE_BYTES = 16_000
"""Docker cuts longer lines in two."""
PIECE_BYTES = 8_000
"""Of what the worker prints, in one line."""
WAITING_BYTES = 1 << 20
"""Of lines that wait for stdout; what comes on top of them is dropped."""
PACKET_BYTES = 65_536
ROUNDS = 16
"""Packets of print in a row before journal lines have their turn."""
WRITE_ATTEMPTS = 600


class Outlet:
    """Our stdout: takes whole lines, and waits for nobody."""

    def __init__(self, descriptor: int) -> None:
        os.set_blocking(descriptor, False)
        self._descriptor = descriptor
        self._waiting = bytearray()
        self._gone = False

    @property
    def waits(self) -> bool:
        """Something is to be written once there is room."""
        return bool(self._waiting)

    def put(self, line: bytes) -> None:
        """Tell a line, unless too many wait already."""
        if self._gone or len(self._waiting) + len(line) > WAITING_BYTES:
            return
        self._waiting += line
        self.flush()

    def flush(self) -> None:
        """Write what there is room for."""
        while self._waiting:
            try:
                written = os.write(self._descriptor, self._waiting[:PACKET_BYTES])
            except BlockingIOError:
                return
            except OSError:
                self._gone = True
                self._waiting.clear()
                return
            del self._waiting[:written]


class Log:
    """`worker.log`, cut into pieces as it grows; offsets count the whole text."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.size = logfile.size(path)
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)

    def write(self, data: bytes) -> int:
        """Append; how much of it. A full disk costs the text, not the run."""
        try:
            written = os.write(self._descriptor, data)
        except OSError:
            return 0
        self.size += written
        with contextlib.suppress(OSError):
            logfile.rotate(self.path, (self._descriptor,))
        return written


def log_lines(offset: int, data: bytes) -> list[bytes]:
    """What was printed, as lines for stdout, each below the limit."""
    lines = []
    for start in range(0, len(data), PIECE_BYTES):
        piece = data[start : start + PIECE_BYTES]
        lines.append(_log_line(offset + start, piece))
    return lines


def _log_line(offset: int, piece: bytes) -> bytes:
    try:
        line = json.dumps({"log": offset, "text": piece.decode()}, ensure_ascii=False).encode() + b"\n"
    except UnicodeDecodeError:
        line = b""
    if not line or len(line) >= MAX_LINE_BYTES:
        line = json.dumps({"log": offset, "b64": base64.b64encode(piece).decode()}).encode() + b"\n"
    return line


class Parent:
    """One worker and its two voices."""

    def __init__(self, folder: Path, command: list[str]) -> None:
        self.folder = folder
        self.command = command
        self._asked = False
        self._worker: subprocess.Popen[bytes] | None = None

    def run(self) -> int:
        """Until the worker has ended; its exit code, 128 + n for signal n."""
        signal.signal(signal.SIGTERM, self._pass_on)
        log, out = Log(self.folder / "worker.log"), Outlet(1)
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, WAITING_BYTES)
        theirs.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, WAITING_BYTES)
        try:
            self._worker = subprocess.Popen(
                self.command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                cwd=self.folder, pass_fds=[theirs.fileno()],
                env={**os.environ, LIVE_VARIABLE: str(theirs.fileno())}, process_group=0,
            )  # fmt: skip
        except OSError as error:
            log.write(f"The worker could not be started: {error}\n".encode())
            return self._ended({"code": 127, "signal": None})
        theirs.close()
        if self._asked:
            self._pass_on(signal.SIGTERM, None)
        self._relay(self._worker, ours, log, out)
        code = self._worker.wait()
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._worker.pid, signal.SIGKILL)  # what it left behind
        ended = {"code": code if code >= 0 else None, "signal": -code if code < 0 else None}
        return self._ended(ended)

    def _pass_on(self, number: int, _frame: FrameType | None) -> None:
        self._asked = True
        if self._worker is not None and self._worker.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._worker.pid, number)

    def _relay(self, worker: subprocess.Popen[bytes], lines: socket.socket, log: Log, out: Outlet) -> None:
        """Pass everything on until the worker has gone and nothing is left to read."""
        assert worker.stdout is not None
        printed = worker.stdout.fileno()
        os.set_blocking(printed, False)
        lines.setblocking(False)
        with selectors.DefaultSelector() as ready:
            ready.register(printed, selectors.EVENT_READ)
            ready.register(lines, selectors.EVENT_READ)
            gone = False
            while not gone:
                gone = worker.poll() is not None or not ready.get_map()  # looked at before the last round of reading
                self._wait(ready, out, 0.0 if gone else 0.5)
                self._read_lines(lines, out, ready)
                self._read_print(printed, log, out, ready)
            out.flush()

    def _wait(self, ready: selectors.BaseSelector, out: Outlet, seconds: float) -> None:
        """Until something can be read, or written if something waits to be."""
        if out.waits:
            with contextlib.suppress(KeyError, ValueError, OSError):
                ready.register(1, selectors.EVENT_WRITE)
        ready.select(seconds)
        with contextlib.suppress(KeyError, ValueError):
            ready.unregister(1)
        out.flush()

    def _read_lines(self, lines: socket.socket, out: Outlet, ready: selectors.BaseSelector) -> None:
        while True:
            try:
                packet = lines.recv(PACKET_BYTES)
            except BlockingIOError:
                return
            except OSError:
                packet = b""
            if not packet:
                _forget(ready, lines)
                return
            out.put(packet)

    def _read_print(self, printed: int, log: Log, out: Outlet, ready: selectors.BaseSelector) -> None:
        for _ in range(ROUNDS):
            try:
                data = os.read(printed, PACKET_BYTES)
            except BlockingIOError:
                return
            except OSError:
                data = b""
            if not data:
                _forget(ready, printed)
                return
            offset = log.size
            for line in log_lines(offset, data[: log.write(data)]):
                out.put(line)

    def _ended(self, ended: dict[str, Any]) -> int:
        """Write it down, and end the same way."""
        content = {**ended, "t": time.time()}
        for _ in range(WRITE_ATTEMPTS):
            try:
                write_json(self.folder / "exit.json", content)
            except OSError:
                time.sleep(1)
            else:
                break
        return int(content["code"]) if content["code"] is not None else 128 + int(content["signal"])


def _forget(ready: selectors.BaseSelector, what: Any) -> None:
    with contextlib.suppress(KeyError, ValueError):
        ready.unregister(what)


def main(arguments: list[str] | None = None) -> int:
    """Be the parent of the worker of this folder."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if not arguments:
        sys.stderr.write("usage: python -m engine.compute.worker.container ATTEMPT_FOLDER [-- COMMAND…]\n")
        return 2
    folder = Path(arguments[0])
    command = arguments[2:] or [sys.executable, "-m", "engine.compute.worker", str(folder)]
    return Parent(folder, command).run()


if __name__ == "__main__":
    sys.exit(main())
