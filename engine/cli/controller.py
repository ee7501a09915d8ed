"""`forge controller`: run the job controller, look at it, end it."""

from __future__ import annotations

import argparse
import time
from typing import Any

from engine.cli.exits import OK, UNREACHABLE
from engine.cli.output import moment, print_json
from engine.cli.rooms import become_controller
from engine.contract.errors import Conflict, Unreachable

STOP_WAIT_S = 15.0


def register(commands: Any, common: argparse.ArgumentParser) -> None:
    """Add the command."""
    command = commands.add_parser("controller", parents=[common], help="run the job controller, look at it or end it")
    command.add_argument("what", nargs="?", choices=("start", "status", "stop"), default="start")
    command.add_argument("--foreground", action="store_true", help="also log to the terminal")
    command.set_defaults(work=work)


def work(options: argparse.Namespace) -> int:
    """Do what was asked."""
    if options.what == "start":
        become_controller(["controller", *(["--foreground"] if options.foreground else [])])
    return stop(options) if options.what == "stop" else status(options)


def status(options: argparse.Namespace) -> int:
    """Who answers, and what it is doing."""
    from engine.cli.session import controller

    with controller(start=False) as client:
        health, resources = client.health(), client.resources()
    if options.json:
        print_json(
            {**health.model_dump(), "slots": resources.slots, "used": resources.used, "waiting": resources.waiting}
        )
        return OK
    print(
        f"Running since {moment(health.started)} (process {health.pid}, version {health.version}), home {health.home}"
    )
    lanes = ", ".join(f"{lane} {resources.used[lane]} of {count}" for lane, count in resources.slots.items())
    print(f"Slots in use: {lanes}; waiting: {resources.waiting}")
    print(f"Workers run with {health.worker_python or 'nothing yet: see forge worker install'}")
    return OK


def stop(options: argparse.Namespace) -> int:
    """End the controller. Runs go on in their processes and are taken up again by the next one."""
    from engine.client.address import read_address
    from engine.client.client import ControllerClient
    from engine.contract.paths import Home

    home = Home.find()
    with ControllerClient(home) as client:
        try:
            client.shutdown()
        except Unreachable:
            return _say(options, stopped=False, text="No controller is running.")
        deadline = time.monotonic() + STOP_WAIT_S
        while read_address(home) is not None:
            if time.monotonic() > deadline:
                raise Conflict("controller.still_running", seconds=round(STOP_WAIT_S), log=str(home.controller_log))
            time.sleep(0.05)
    return _say(options, stopped=True, text="The controller has ended; runs go on.")


def _say(options: argparse.Namespace, *, stopped: bool, text: str) -> int:
    if options.json:
        print_json({"stopped": stopped})
    else:
        print(text)
    return OK if stopped else UNREACHABLE
