"""The parent of the process in which a reward file works: asks it, waits so long and no longer, and ends it."""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

CHILD = Path(__file__).with_name("apart.py")
MOST_PRINTED = 1_000_000
"""Bytes a file may print for the answers to one question."""
MOST_SAID = 8 << 20
LOADING_SECONDS = 60.0
"""A file may import libraries; one that loops there ends no later than this."""


class Failed(Exception):
    """Why there is no answer."""

    def __init__(self, why: Literal["load", "raised", "slow", "prints", "gone"], detail: str) -> None:
        super().__init__(detail)
        self.why, self.detail = why, detail


class Apart:
    """One process; begun at the first question."""

    def __init__(
        self,
        order: dict[str, Any],
        seconds: float,
        check: Callable[[], None] = lambda: None,
        loading: float = LOADING_SECONDS,
    ) -> None:
        """`check` is called while waiting, and may raise; `loading`: seconds the file may take to be loaded."""
        self._order, self._seconds, self._check, self._loading = order, seconds, check, loading
        self._process: subprocess.Popen[bytes] | None = None
        self._said = self._printed_in = -1
        self._printed = 0
        """Bytes, of the present question."""

    def ask(self, question: dict[str, Any]) -> dict[str, Any]:
        """Its answer; raises Failed, and the process is gone then."""
        try:
            if self._process is None:
                self._begin()
            return self._exchange(question, self._seconds)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """End the process and what it began in its session."""
        process, self._process = self._process, None
        if process is None:
            return
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        process.kill()
        process.wait()
        assert process.stdin is not None
        with contextlib.suppress(OSError):
            process.stdin.close()
        for number in (self._said, self._printed_in):
            os.close(number)

    def _begin(self) -> None:
        self._said, says = os.pipe()
        self._printed_in, prints = os.pipe()
        usual = {"PATH": os.defpath, "LANG": "C.UTF-8", "PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": "1",
                 "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}  # fmt: skip
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-s", str(CHILD), str(says)], stdin=subprocess.PIPE, stdout=prints,
                stderr=prints, pass_fds=(says,), start_new_session=True, env=usual, cwd="/",
            )  # fmt: skip
        finally:
            os.close(says)
            os.close(prints)
        assert self._process.stdin is not None
        for number in (self._process.stdin.fileno(), self._said, self._printed_in):
            os.set_blocking(number, False)
        try:
            found = self._exchange(self._order, self._loading)
        except Failed as error:
            said = {"slow": f"not loaded after {error.detail} s", "prints": f"{error.detail} bytes were printed"}
            raise Failed("load", said.get(error.why, error.detail)) from error
        if "ready" not in found:
            raise Failed("load", "it said something else")

    def _exchange(self, message: dict[str, Any], seconds: float) -> dict[str, Any]:
        """Write a line and read one; whatever is printed meanwhile is counted and thrown away."""
        process, until = self._process, time.monotonic() + seconds
        assert process is not None
        assert process.stdin is not None
        left, said, self._printed = json.dumps(message).encode() + b"\n", bytearray(), 0
        with selectors.DefaultSelector() as waiting:
            waiting.register(self._said, selectors.EVENT_READ)
            waiting.register(self._printed_in, selectors.EVENT_READ)
            waiting.register(process.stdin, selectors.EVENT_WRITE)
            while True:
                rest = until - time.monotonic()
                if rest <= 0:
                    raise Failed("slow", f"{seconds:g}")
                self._check()
                for key, _ in waiting.select(min(rest, 0.2)):
                    if key.fileobj is process.stdin:
                        left = self._write(process.stdin.fileno(), left)
                        if not left:
                            waiting.unregister(process.stdin)
                    elif key.fd == self._printed_in:
                        self._count(waiting)
                    elif self._read(said):
                        return self._answer(bytes(said))

    def _write(self, number: int, left: bytes) -> bytes:
        try:
            return left[os.write(number, left[:65536]) :]
        except BlockingIOError:
            return left
        except BrokenPipeError:
            return b""  # what it said before it went is read

    def _count(self, waiting: selectors.BaseSelector) -> None:
        piece = os.read(self._printed_in, 65536)
        if not piece:
            waiting.unregister(self._printed_in)
        self._printed += len(piece)
        if self._printed > MOST_PRINTED:
            raise Failed("prints", str(self._printed))

    def _read(self, said: bytearray) -> bool:
        """Whether a whole line is there."""
        piece = os.read(self._said, 65536)
        said += piece
        if not piece:
            process = self._process
            assert process is not None
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(1.0)
            raise Failed("gone", f"the process ended ({process.returncode})")
        if len(said) > MOST_SAID:
            raise Failed("prints", str(len(said)))
        return said.endswith(b"\n")

    def _answer(self, line: bytes) -> dict[str, Any]:
        try:
            found = json.loads(line)
        except ValueError:
            raise Failed("gone", "it wrote where only answers belong") from None
        if not isinstance(found, dict):
            raise Failed("gone", "it wrote where only answers belong")
        if "failed" in found:
            raise Failed("raised", str(found["failed"]))
        return found
