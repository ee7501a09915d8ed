"""`forge instances`: every container and process on every node; stop, kill, remove or adopt some."""

from __future__ import annotations

import argparse
from typing import Any

from engine.cli.exits import FAILED, OK
from engine.cli.output import number, print_json, say, table
from engine.contract.nodes import Instance, Instances

HEAD = ("INSTANCE", "KIND", "STATE", "RUN", "ATTEMPT", "CPU", "MEMORY", "KNOWN")
GB = 1 << 30


def register(commands: Any, common: argparse.ArgumentParser) -> None:
    """Add the commands."""
    command = commands.add_parser("instances", parents=[common], help="every container and process on every node")
    command.set_defaults(work=show)
    verbs = command.add_subparsers(metavar="WHAT")
    for name, sentence in (
        ("list", "all of them"),
        ("stop", "have them save and end"),
        ("kill", "end them at once"),
        ("remove", "take ended containers away"),
        ("adopt", "make runs again of those the history does not know"),
    ):
        verb = verbs.add_parser(name, parents=[common], help=sentence)
        if name != "list":
            verb.add_argument("ids", metavar="INSTANCE", nargs="+", help="as the list names it: node/id")
        if name == "adopt":
            sentence = "also what a controller of another computer made; be sure that it is gone for good"
            verb.add_argument("--force", action="store_true", help=sentence)
        verb.set_defaults(work=show if name == "list" else deed, verb=name)


def show(options: argparse.Namespace) -> int:
    """A table of them; nodes that could not be asked are named."""
    from engine.cli.session import controller

    with controller() as client:
        found: Instances = client.instances()
    if options.json:
        print_json(found)
        return OK
    print(table(HEAD, [_row(one) for one in found.instances]))
    for name, error in found.unreachable.items():
        say(f"{name} could not be asked: {error.what} {error.why} {error.fix}".rstrip())
    return OK


def deed(options: argparse.Namespace) -> int:
    """Do it to each."""
    from engine.cli.session import controller

    with controller() as client:
        result = client.instance_deed(options.ids, options.verb, getattr(options, "force", False))
    if options.json:
        print_json(result)
    else:
        print(f"{options.verb}: {result.done} done")
        for name, error in result.errors.items():
            say(f"{name}: {error.what} {error.why} {error.fix}".rstrip())
    return FAILED if result.errors else OK


def _row(one: Instance) -> tuple[str, ...]:
    return (
        one.id, one.kind, one.state, one.run_name or one.run or "–", str(one.attempt or "–"),
        "–" if one.cpu_percent is None else f"{number(one.cpu_percent)} %",
        "–" if one.memory is None else f"{number(one.memory / GB)} GB", "yes" if one.known else "no: adopt it",
    )  # fmt: skip
