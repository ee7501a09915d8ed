"""A warm process for helper queries that need a tokenizer: started by the first, it ends when none comes for long.

Each query is answered by a process of its own, forked from it, with pipes of its own: one that breaks, hangs or takes
too much memory is ended alone. Where there is no warm process to be had, a query is answered by a cold one.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import socket
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from engine.control.executors.memory import Memory, read_memory

log = logging.getLogger(__name__)
IDLE_S = 300.0
LEAST_MEMORY = 1 << 30
"""With less left on the computer nothing is kept warm."""
UNFIT = 3
"""Exit code of a process that must not be forked."""
MODULE = "engine.compute.worker.query_spare"
WARM_KINDS = frozenset(("xray", "data_statistics", "render_template", "preview_row", "token_losses"))
"""Queries that load a tokenizer; importing what that needs takes seconds, the rest much less."""


class Warm:
    """One warm process and the socket to it."""

    def __init__(self, process: asyncio.subprocess.Process, orders: socket.socket, key: tuple[object, ...]) -> None:
        self.process, self.key, self._orders = process, key, orders
        self.ready = asyncio.ensure_future(self._get_ready())
        self.running = set[int]()
        """Queries that are being answered."""

    async def _get_ready(self) -> bool:
        assert self.process.stdout is not None
        return await self.process.stdout.readline() == b"ready\n"

    @property
    def alive(self) -> bool:
        """It has not ended, as far as is known."""
        return self.process.returncode is None

    def say(self, order: dict[str, int], files: Sequence[int] = ()) -> bool:
        """Hand an order over; false where it is gone."""
        try:
            socket.send_fds(self._orders, [json.dumps(order).encode()], files)
        except OSError:
            return False
        return True

    async def end(self) -> None:
        """End it, and what it forked."""
        self._orders.close()
        with contextlib.suppress(ProcessLookupError):
            try:
                await asyncio.wait_for(self.process.wait(), 2.0)
            except TimeoutError:
                self.process.kill()  # what it forked ends with it
                await self.process.wait()
        self.ready.cancel()


@dataclass
class Forked:
    """A process that answers one query."""

    number: int
    warm: Warm
    pipes: list[tuple[asyncio.StreamReader, asyncio.BaseTransport]]
    over: Callable[[], None]

    async def answer(self) -> tuple[bytes, bytes]:
        """All it says."""
        output, errors = await asyncio.gather(*(reader.read() for reader, _ in self.pipes))
        return output, errors

    def end(self) -> bool:
        """It is not needed any more, whether it ended or not; false where the warm process is gone with it."""
        for _, transport in self.pipes:
            transport.close()
        lived = self.warm.say({"done": self.number})
        self.warm.running.discard(self.number)
        self.over()
        return lived


class QuerySpare:
    """Keeps at most one warm process."""

    def __init__(self, memory: Callable[[], Memory] = read_memory, idle_s: float = IDLE_S) -> None:
        self._memory, self._idle_s = memory, idle_s
        self._warm: Warm | None = None
        self._retired = set[Warm]()
        """Out of date, but still answering."""
        self._lock = asyncio.Lock()
        self._numbers, self._closed = count(1), False
        self._timer: asyncio.TimerHandle | None = None
        self._ends = set[asyncio.Task[None]]()
        self._unfit: tuple[object, ...] | None = None

    @property
    def pid(self) -> int | None:
        """Of the warm process, where there is one."""
        return self._warm.process.pid if self._warm is not None and self._warm.alive else None

    async def fork(self, command: str, folder: Path, environment: Mapping[str, str], order: bytes) -> Forked | None:
        """A process for one query, as soon as the spare is warm; None where it must be a cold one."""
        key = (command, environment.get("PYTHONPATH"), str(folder))
        if self._closed or not sys.platform.startswith("linux") or key == self._unfit:
            return None
        memory = await asyncio.to_thread(self._memory)
        if memory.available < LEAST_MEMORY or memory.stalled:
            self._retire()
            return None
        try:
            warm = await asyncio.shield(asyncio.ensure_future(self._get(key, command, folder, environment)))
            if not await asyncio.shield(warm.ready):
                self._unfit = key if await warm.process.wait() == UNFIT else None
                return None
            return await self._forked(warm, order)
        except OSError as error:
            log.warning("no warm helper: %s", error)
            return None
        finally:
            self._look()

    async def _get(self, key: tuple[object, ...], command: str, folder: Path, environment: Mapping[str, str]) -> Warm:
        async with self._lock:
            if self._warm is not None and self._warm.alive and self._warm.key == key:
                return self._warm
            self._retire()
            ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            try:
                process = await asyncio.create_subprocess_exec(
                    *(command, "-m", MODULE, str(theirs.fileno())),
                    stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
                    cwd=folder, env=dict(environment), start_new_session=True, pass_fds=(theirs.fileno(),),
                )  # fmt: skip
            except OSError:
                ours.close()
                raise
            finally:
                theirs.close()
            warm = self._warm = Warm(process, ours, key)
            if self._closed:
                self._retire()
            return warm

    async def _forked(self, warm: Warm, order: bytes) -> Forked | None:
        stdin = os.memfd_create("query")
        with os.fdopen(os.dup(stdin), "wb") as file:
            file.write(order)
        os.lseek(stdin, 0, os.SEEK_SET)
        (output, say), (errors, complain) = os.pipe(), os.pipe()
        number = next(self._numbers)
        warm.running.add(number)
        sent = warm.say({"query": number}, (stdin, say, complain))
        for given in (stdin, say, complain):
            os.close(given)
        pipes = [await _reader(output), await _reader(errors)]
        forked = Forked(number, warm, pipes, self._look)
        if sent:
            return forked
        forked.end()
        return None

    def _look(self) -> None:
        """End what is retired and done; begin to count the time without a query."""
        for warm in [warm for warm in self._retired if not warm.running]:
            self._retired.discard(warm)
            self._end(warm)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._warm is not None and not self._warm.running:
            self._timer = asyncio.get_running_loop().call_later(self._idle_s, self._retire)

    def _retire(self) -> None:
        """No query goes to the warm process any more; it ends when those it has are answered."""
        if self._warm is not None:
            self._retired.add(self._warm)
            self._warm = None
        self._look()

    def _end(self, warm: Warm) -> None:
        task = asyncio.ensure_future(warm.end())
        self._ends.add(task)
        task.add_done_callback(self._ends.discard)

    async def close(self) -> None:
        """End the warm process and all it forked, for good."""
        self._closed = True
        for warm in (*self._retired, *([self._warm] if self._warm else [])):
            warm.running.clear()
        self._retire()
        await asyncio.gather(*self._ends)


async def _reader(file: int) -> tuple[asyncio.StreamReader, asyncio.BaseTransport]:
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    pipe = os.fdopen(file, "rb", 0)
    transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), pipe)
    return reader, transport
