"""An instance that runs: its port is bound before it answers, keys change while it does, its end waits for answers."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import torch
import uvicorn

from engine.compute.passing import in_passing
from engine.compute.serving.app import create_app
from engine.compute.serving.audit import tell
from engine.compute.serving.counts import open_storage
from engine.compute.serving.desk import Desk
from engine.compute.serving.door import malformed
from engine.compute.serving.keys import Keyring
from engine.compute.serving.patient import PatientProtocol
from engine.compute.serving.sentences import check_sentences
from engine.compute.serving.served import Served
from engine.compute.serving.tracing import Tracer
from engine.contract.errors import Problem, Refused, UserError
from engine.contract.held_adapters import AdapterChange, HeldAdapter
from engine.contract.paths import expanded
from engine.contract.serving import ServeJob, ServeKey

BACKLOG = 4096
GRACE_S = 30.0
MOST_FILES = 65_536
LOOK_EVERY_S = 2.0
LINGER_S = 20
"""Seconds a connection that asks nothing stays open: longer than clients keep one for their next request (httpx and
openai 5, aiohttp 15), or that would now and then meet a closed door."""


class Server:
    """A model's server in a thread of its own; `stop` ends it."""

    def __init__(self, desk: Desk, door: socket.socket) -> None:
        self.desk, self._door = desk, door
        self.app = create_app(desk)
        protocol = PatientProtocol.refusing(lambda why, request: malformed(desk, why, request))
        config = uvicorn.Config(
            self.app, log_config=None, access_log=False, lifespan="off", ws="none", http=protocol,
            loop="asyncio", timeout_keep_alive=LINGER_S, backlog=BACKLOG, server_header=False,
            h11_max_incomplete_event_size=32 << 10,
        )  # fmt: skip
        logging.getLogger("uvicorn.access").disabled = True  # the door tells of requests, redacted
        self._uvicorn = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._run, name="server", daemon=True)
        self._over = threading.Event()

    @classmethod
    def open(
        cls,
        folder: Path,
        job: ServeJob,
        keys: Iterable[ServeKey] = (),
        own_key: str = "",
        audit: Path | None = None,
        device: torch.device | None = None,
        dtype: torch.dtype | None = None,
        check: Callable[[], None] = lambda: None,
        dropped: Sequence[str] = (),
    ) -> Server:
        """Load everything and bind the port; everything that is wrong is told at once. It answers after `start`.

        `folder`: of the model; `audit`: where audit.jsonl is written; `check` is called between the steps, and may
        raise to end it; `dropped`: adapters of the job that were let go while it served before.
        """
        problems, door = _around(job)
        served: Served | None = None
        usable = job
        if any(problem.field == "route_model" for problem in problems):  # what else is wrong is told too
            usable = job.model_copy(update={"route_model": ""})
        try:
            check()
            served = in_passing(lambda: Served.load(folder, usable, device, dtype))
            check()
            problems += served.add_adapters(dropped)
            check()
            _refuse(problems)
            assert door is not None
            return cls(Desk.of(served, Keyring(keys, own_key, job.open), audit), door)
        except BaseException:
            if served is not None:
                served.close()
            if door is not None:
                door.close()
            raise

    @property
    def host(self) -> str:
        """The address it listens on."""
        return str(self._door.getsockname()[0])

    @property
    def port(self) -> int:
        """The port, also where any was asked for."""
        return int(self._door.getsockname()[1])

    @property
    def models(self) -> list[str]:
        """Names requests may have as their model."""
        return self.desk.served.models

    def take_up(self, held: Sequence[HeldAdapter]) -> dict[str, UserError]:
        """Load again what was loaded while it served before; what is wrong with any is told and stays away."""
        return self.desk.served.take_up(held)

    def when_changed(self, tell: Callable[[AdapterChange], None]) -> None:
        """Be told of each adapter that is loaded or let go from now on, before who asked for it has the answer."""
        self.desk.served.book.tell = tell

    def changed(self, names: Iterable[str]) -> None:
        """Tell what has these names now."""
        self.desk.served.book.changed(*names)

    @property
    def idle_since(self) -> float | None:
        """Since when nobody asks, in seconds since the epoch; None: somebody does."""
        return self.desk.idle_since

    @property
    def alive(self) -> bool:
        """It answers, or may again."""
        return self._thread.is_alive()

    def start(self) -> tuple[str, int]:
        """Answer from now on; where."""
        _more_files()
        self._thread.start()
        while not self._uvicorn.started and self._thread.is_alive():
            self._over.wait(0.01)
        if not self._thread.is_alive():
            raise UserError("serve.broken", trace="start")
        tell("serves", host=self.host, port=self.port, model=self.desk.served.name)
        return self.host, self.port

    def set_keys(self, keys: Sequence[ServeKey]) -> None:
        """From the next request on these keys; no restart."""
        self.desk.keys.set(keys)

    def drain(self) -> None:
        """New requests are refused, those at work go on."""
        self.desk.draining = True

    def stop(self, grace: float = GRACE_S) -> None:
        """Drain for so many seconds at most, then end; what is still at work is cancelled."""
        self.drain()
        until = time.monotonic() + grace
        while self.desk.busy and time.monotonic() < until and self._thread.is_alive():
            self._over.wait(0.05)
        self.desk.served.close()  # what is left hears that it was broken off
        if self._thread.ident is not None:  # it was started
            self._uvicorn.should_exit = True
            self._thread.join(5.0)
            self._uvicorn.force_exit = True
            self._thread.join(10.0)
        self._door.close()
        self.desk.close()

    def _run(self) -> None:
        with contextlib.suppress(asyncio.CancelledError):
            asyncio.run(self._serve())
        self._over.set()

    async def _serve(self) -> None:
        looking = asyncio.create_task(self._look())
        try:
            await self._uvicorn.serve(sockets=[self._door])
        finally:
            looking.cancel()

    async def _look(self) -> None:
        """Alerts are told also while nobody looks."""
        while True:
            self.desk.look()
            await asyncio.sleep(LOOK_EVERY_S)


def _more_files() -> None:
    """Each connection is a file: as many as the system allows this process."""
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource

        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, MOST_FILES)
        if soft != resource.RLIM_INFINITY and soft < wanted:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _around(job: ServeJob) -> tuple[list[Problem], socket.socket | None]:
    """What is wrong beside the model, and the port."""
    problems, door = list[Problem](), None
    tries: list[tuple[str, Callable[[], Any]]] = [
        ("limits_in", lambda: open_storage(job.limits_in)), ("tracing", lambda: Tracer.to(job.tracing).close()),
        ("route_model", lambda: check_sentences(expanded(job.route_model)) if job.route_model else None),
    ]  # fmt: skip
    for field, attempt in tries:
        try:
            attempt()
        except UserError as error:
            problems.append(Problem(code=error.code, field=field, params=error.body().params))
    try:
        door = bind(job.host, job.port)
    except UserError as error:
        field = "port" if error.code == "serve.port_taken" else "host"
        problems.append(Problem(code=error.code, field=field, params=error.body().params))
    return problems, door


def _refuse(problems: list[Problem]) -> None:
    if problems:
        raise Refused("serve.refused", count=len(problems), problems=problems)


def bind(host: str, port: int) -> socket.socket:
    """A socket that listens there; refuses, in words, where it cannot."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except (OSError, UnicodeError):
        raise UserError("serve.host_not_here", host=host) from None
    made = socket.socket(family, kind, protocol)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind(address)
        made.listen(BACKLOG)
    except OSError as error:
        made.close()
        if error.errno in (98, 48, 10048) or isinstance(error, PermissionError):  # taken: Linux, macOS, Windows
            raise UserError("serve.port_taken", port=port, host=host) from None
        raise UserError("serve.host_not_here", host=host) from None
    made.set_inheritable(False)
    return made
