"""The controller as a service: one per home, on loopback, alive while anything runs, waits or listens."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import errno
import fcntl
import importlib.metadata
import json
import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Generator
from logging.handlers import RotatingFileHandler
from pathlib import Path

import uvicorn

from engine.contract import PROTOCOL_VERSION, logs
from engine.contract.clock import now
from engine.contract.durable import sweep, write_json
from engine.contract.errors import UserError
from engine.contract.paths import Home
from engine.control.api.app import make_app
from engine.control.api.auth import make_token
from engine.control.api.context import Context
from engine.control.executors.base import Executor
from engine.control.executors.process import ProcessExecutor
from engine.control.jobs.controller import Controller
from engine.control.store.database import Database

log = logging.getLogger(__name__)
ALREADY_RUNS = 9
"""Exit code when this home has a controller already."""
CANNOT_START = 1
FAREWELL_S = 1
IDLE_LOOK_S = 1.0


class _Server(uvicorn.Server):
    """uvicorn, except that signals are not its matter."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield

    def leave(self) -> None:
        """End soon."""
        self.should_exit = True


def main(arguments: list[str] | None = None) -> int:
    """Run until told to stop or idle for long."""
    parser = argparse.ArgumentParser(prog="engine.control", description="The job controller.")
    parser.add_argument("--foreground", action="store_true", help="also log to the terminal")
    options = parser.parse_args(arguments)
    try:
        home = Home.find()
    except UserError as error:
        print(error.text, file=sys.stderr)  # noqa: T201 - nobody else hears it
        return CANNOT_START
    logging.raiseExceptions = False  # a log that cannot be written, on a full disk say, is not what matters then
    try:
        home.root.mkdir(parents=True, exist_ok=True, mode=0o700)
        _set_up_log(home.controller_log, options.foreground)
        with _one_per_home(home.controller_lock) as alone:
            if not alone:
                log.info("another controller serves %s", home.root)
                return ALREADY_RUNS
            for folder in (home.root, home.nodes):
                sweep(folder)
            asyncio.run(serve(home))
    except UserError as error:
        log.error("%s", error.text, extra={"error": error.body()})
        print(error.text, file=sys.stderr)  # noqa: T201 - nobody else hears it
        return CANNOT_START
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        code, detail = "home.disk_full" if full else "home.unusable", str(error)
        print(UserError(code, home=str(home.root), detail=detail).text, file=sys.stderr)  # noqa: T201
        return CANNOT_START
    return 0


async def serve(home: Home, executor: Executor | None = None) -> None:
    """Open everything, serve, and close it again in the opposite order."""
    began = now()
    listener = _listen()
    database = Database(home.database)
    try:
        controller = Controller(home, database, executor or ProcessExecutor())
        if logs.LEVEL_VARIABLE not in os.environ:  # the environment overrides the settings
            logs.apply(controller.settings.log_level, controller.settings.log_json)
        version = importlib.metadata.version("loraforge-desktop") if _installed() else "0"
        context = Context(controller, home, version, began)
        server = _Server(_config(make_app(context, make_token(home.token_file))))
        context.shut_down = server.leave
        for number in (signal.SIGINT, signal.SIGTERM):  # before anybody can know of this process: it ends in good order
            asyncio.get_running_loop().add_signal_handler(number, server.leave)
        await controller.begin()
        _announce(home, listener, began, version)
        idle = asyncio.create_task(_leave_when_idle(context, controller))
        farewell = asyncio.create_task(_close_streams(server, controller))
        try:
            await server.serve(sockets=[listener])
        finally:
            for task in (idle, farewell):
                task.cancel()
            await context.query_spare.close()
            await controller.end()
    finally:
        await asyncio.to_thread(database.close)
        if await asyncio.to_thread(_is_ours, home):
            home.controller_file.unlink(missing_ok=True)
        log.info("ended")


def _listen() -> socket.socket:
    """A port of the system's choice. Naming the protocol makes asyncio send small answers at once (TCP_NODELAY)."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", 0))
    listener.listen(128)
    return listener


def _config(app: object) -> uvicorn.Config:
    return uvicorn.Config(
        app,  # type: ignore[arg-type]
        log_config=None,
        access_log=False,
        lifespan="off",
        server_header=False,
        timeout_graceful_shutdown=FAREWELL_S,
        timeout_keep_alive=60,  # longer than any client keeps an unused connection
        ws_ping_interval=20,
        ws_ping_timeout=20,
        ws_per_message_deflate=False,  # it never leaves this computer
    )


def _announce(home: Home, listener: socket.socket, began: float, version: str) -> None:
    """Tell clients where to find this controller."""
    port = listener.getsockname()[1]
    content = {
        "pid": os.getpid(), "port": port, "started": began, "version": version, "protocol": PROTOCOL_VERSION
    }  # fmt: skip
    write_json(home.controller_file, content, 0o600)
    log.info("listening on 127.0.0.1:%d after %.2f s, home %s", port, now() - began, home.root)


async def _close_streams(server: _Server, controller: Controller) -> None:
    """End the streams as soon as the server is to leave, so that it need not wait for them."""
    while not server.should_exit:
        await asyncio.sleep(0.05)
    controller.hub.close()


async def _leave_when_idle(context: Context, controller: Controller) -> None:
    """End the service when for long nobody listened, asked, ran or waited, or when nobody can find it any more."""
    quiet_since = time.monotonic()
    while True:
        await asyncio.sleep(IDLE_LOOK_S)
        if not await asyncio.to_thread(_is_ours, context.home):
            log.warning("%s is gone: nobody can find this controller", context.home.controller_file)
            context.shut_down()
            return
        if context.clients or await controller.busy():
            quiet_since = time.monotonic()
        quiet = time.monotonic() - max(quiet_since, context.last_client)
        if quiet > controller.settings.idle_minutes * 60:
            log.info("nothing to do for %.0f s", quiet)
            context.shut_down()
            return


def _is_ours(home: Home) -> bool:
    """Whether the home still names this process as its controller."""
    try:
        return bool(json.loads(home.controller_file.read_bytes())["pid"] == os.getpid())
    except (OSError, ValueError, KeyError, TypeError):
        return False


@contextlib.contextmanager
def _one_per_home(path: Path) -> Generator[bool, None, None]:
    """Hold the home's lock; it falls with the process, however that ends."""
    with path.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True


def _set_up_log(path: Path, foreground: bool) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    handlers: list[logging.Handler] = [RotatingFileHandler(path, maxBytes=5_000_000, backupCount=3, encoding="utf-8")]
    if foreground:
        handlers.append(logging.StreamHandler())
    logs.apply(logs.level_from_environment(), logs.json_from_environment(), handlers)


def _installed() -> bool:
    with contextlib.suppress(importlib.metadata.PackageNotFoundError):
        return bool(importlib.metadata.version("loraforge-desktop"))
    return False
