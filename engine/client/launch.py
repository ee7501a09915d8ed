"""Finding the controller of a home, and starting one where none runs."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

from engine.client.address import check_protocol, gone, read_address
from engine.client.client import ControllerClient
from engine.contract.errors import Unreachable, UserError
from engine.contract.paths import Home, code_root

WAIT_S = 30.0
LOOK_S = 0.05
RETRY_S = 1.0
HEALTH_S = 5.0
"""A controller says who it is at once; who does not is another program on the port of one that is gone."""
EXIT_HOME_TAKEN = 9
"""What a controller ends with when its home has one already."""
_started: list[subprocess.Popen[bytes]] = []
"""Kept, so that Python waits for those that end while we live."""


def connect(home: Home, start: bool = True, wait_s: float = WAIT_S) -> ControllerClient:
    """A client of the controller that runs, or of one that is started now.

    Two who start at once are no trouble: the home's lock lets one controller live, and both find it.
    """
    client = ControllerClient(home)
    try:
        if not answers(client):
            if not start:
                raise Unreachable("controller.unreachable", detail="None is running.", log=str(home.controller_log))
            _start_and_wait(home, client, wait_s)
    except BaseException:
        client.close()
        raise
    return client


def answers(client: ControllerClient) -> bool:
    """Whether a controller of this home answers; one of another version is refused in plain words."""
    client.forget()
    address = read_address(client.home)
    if address is None or gone(address.pid):  # the token is for a controller, not for who took its port
        return False
    try:
        health = client.health(HEALTH_S)
    except Unreachable:
        return False
    except UserError:  # something else listens on the port of a controller that is gone
        check_protocol(address.protocol)
        return False
    check_protocol(health.protocol)
    return True


def _start_and_wait(home: Home, client: ControllerClient, wait_s: float) -> None:
    """Start one and wait until some controller answers.

    Ours may find the home taken: by one that starts at the same moment, or by one that is about to end. In the
    second case the lock falls soon, so another start is tried now and then.
    """
    deadline = time.monotonic() + wait_s
    process, again_at = start_controller(home), time.monotonic() + RETRY_S
    while time.monotonic() < deadline:
        if answers(client):
            return
        code = process.poll()
        if code not in (None, 0, EXIT_HOME_TAKEN):
            raise Unreachable("controller.not_started", detail=_last_words(home, code), log=str(home.controller_log))
        if code is not None and time.monotonic() > again_at:
            process, again_at = start_controller(home), time.monotonic() + RETRY_S
        time.sleep(LOOK_S)
    detail = f"It did not answer within {wait_s:.0f} s."
    raise Unreachable("controller.not_started", detail=detail, log=str(home.controller_log))


def start_controller(home: Home) -> subprocess.Popen[bytes]:
    """Start one that lives on after us, in a session of its own."""
    environment = {**os.environ, "FORGE_HOME": str(home.root), "PYTHONSAFEPATH": "1"}
    paths = [str(code_root()), environment.get("PYTHONPATH", "")]
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, paths))
    try:
        home.controller_log.parent.mkdir(parents=True, exist_ok=True)
        with _start_log(home).open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "engine.cli", "controller"],
                stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                cwd=home.root, env=environment, start_new_session=True,
            )  # fmt: skip
    except OSError as error:
        raise Unreachable("controller.not_started", detail=str(error), log=str(home.controller_log)) from error
    _started.append(process)
    return process


def _start_log(home: Home) -> Path:
    """What a controller says before it has a log."""
    return home.controller_log.with_name("controller-start.log")


def _last_words(home: Home, code: int | None) -> str:
    try:
        text = _start_log(home).read_text(errors="replace").strip()
    except OSError:
        text = ""
    return text[-2000:] or f"It ended with code {code}."
