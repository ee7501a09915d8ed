"""`forge worker`: make, list, check and remove the environments that workers run in."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

from engine.cli.exits import FAILED, OK
from engine.cli.output import print_json, say, table
from engine.client.client import ControllerClient
from engine.contract.environments import NAME, Environment, Environments, MakeEnvironment
from engine.contract.errors import NotFound, UserError

LOOK_S = 0.5


def register(commands: Any, common: argparse.ArgumentParser) -> None:
    """Add the commands."""
    group = commands.add_parser("worker", parents=[common], help="environments that workers run in")
    inner = group.add_subparsers(metavar="WHAT", required=True)
    make = inner.add_parser("install", parents=[common], help="make an environment with PyTorch and its kin")
    make.add_argument("--name", default="default")
    make.add_argument("--cpu", action="store_true", help="PyTorch for the processor only, a much smaller download")
    make.add_argument("--force", action="store_true", help="make it anew if it is there")
    make.add_argument("--find-links", metavar="FOLDER", default="", help="install from a folder of wheels, no network")
    make.set_defaults(work=install)
    several = inner.add_parser("list", parents=[common], help="list the environments and the one in use")
    several.set_defaults(work=list_environments)
    remove = inner.add_parser("remove", parents=[common], help="delete an environment")
    remove.add_argument("name", metavar="NAME")
    remove.set_defaults(work=delete)
    check = inner.add_parser("check", parents=[common], help="look whether the one in use can train")
    check.set_defaults(work=look)


def install(options: argparse.Namespace) -> int:
    """Have one made, and wait for it; it goes on without us, and Ctrl+C cancels it."""
    if not NAME.fullmatch(options.name):
        raise UserError("worker.bad_name", name=options.name)
    wish = MakeEnvironment(
        name=options.name, build="cpu" if options.cpu else "cuda", find_links=options.find_links, replace=options.force
    )
    began = time.monotonic()
    with _controller() as client:
        client.make_environment(wish)
        try:
            made = _wait(client, lambda known: _made(known, options.name), options.json)
        except KeyboardInterrupt:
            client.end_environment(options.name, "cancel")
            raise
    if options.json:
        print_json({"python": made.python, "seconds": time.monotonic() - began})
    else:
        print(f"Workers can run with {made.python} now.")
    return OK


def _made(known: Environments, name: str) -> Environment | None:
    """The environment once it is whole; its error where it cannot be made."""
    one = next((one for one in known.environments if one.name == name), None)
    half = next((other for other in known.environments if other.name.startswith(name) and other.progress), one)
    if half is None:
        raise NotFound("environment.unknown", name=name)
    if half.state in ("failed", "interrupted", "cancelled"):
        raise UserError.from_body(half.error) if half.error else UserError("environment.interrupted")
    return one if half.state in ("works", "broken", "looking") else None


def _wait(client: ControllerClient, done: Callable[[Environments], Environment | None], quiet: bool) -> Environment:
    """Ask until it is done, saying what is new."""
    said = ""
    while True:
        known = client.environments()
        for one in known.environments:
            if one.state == "making" and one.progress is not None and not quiet:
                step = one.progress
                text = f"{step.step}" + (f" {step.done} of {step.total} packages" if step.total else "")
                if step.bytes_total:
                    text += f", {step.bytes / 1e6:.0f} of {step.bytes_total / 1e6:.0f} MB"
                if text != said:
                    said = text
                    say(text)
        found = done(known)
        if found is not None:
            return found
        time.sleep(LOOK_S)


def delete(options: argparse.Namespace) -> int:
    """Delete one that this program made."""
    with _controller() as client:
        known = client.end_environment(options.name, "delete")
    if options.json:
        print_json(known)
    return OK


def list_environments(options: argparse.Namespace) -> int:
    """All that workers could use, each started and asked, and the one they would use now."""
    with _controller() as client:
        known = _settled(client)
    used = next((one.python for one in known.environments if one.in_use), None)
    if options.json:
        rows = [{**one.model_dump(mode="json"), "ready": one.state == "works"} for one in known.environments]
        print_json({"environments": rows, "in_use": used})
        return OK
    shown = [[one.name, one.state, _holds(one), one.python] for one in known.environments]
    if shown:
        print(table(("name", "state", "holds", "interpreter"), shown))
    print(f"In use: {used or 'none'}")
    return OK


def _settled(client: ControllerClient, again: bool = False) -> Environments:
    """What is known once every interpreter has answered."""
    known = client.environments(again)
    while any(one.state == "looking" for one in known.environments):
        time.sleep(LOOK_S)
        known = client.environments()
    return known


def _holds(one: Environment) -> str:
    if one.holds is None:
        return "–"
    return " ".join(f"{name} {version}" for name, version in one.holds.versions.items() if version) or "–"


def look(options: argparse.Namespace) -> int:
    """Ask the interpreter in use what it has."""
    with _controller() as client:
        used = next((one for one in _settled(client, again=True).environments if one.in_use), None)
    if used is None:
        raise NotFound("worker.no_environment")
    if used.holds is None:
        raise UserError.from_body(used.error) if used.error else NotFound("worker.no_environment")
    found: dict[str, Any] = {"python": used.holds.python, **used.holds.versions, "cuda": used.holds.cuda}
    if options.json:
        print_json({"interpreter": used.python, **found})
    else:
        print(used.python)
        print("\n".join(f"  {name:13} {value or 'missing'}" for name, value in found.items()))
    return OK if used.holds.complete else FAILED


def _controller() -> ControllerClient:
    from engine.cli.session import controller

    return controller()
