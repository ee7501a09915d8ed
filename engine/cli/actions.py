"""`forge start`, `stop`, `copy` and `delete`."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from engine.cli.exits import OK, USAGE
from engine.cli.many import add_runs_argument, bulk, single
from engine.cli.output import print_json, say
from engine.cli.session import add_run_argument
from engine.contract.api import RunSummary


def register(commands: Any, common: argparse.ArgumentParser) -> None:
    """Add the commands."""
    for name, work, sentence in (
        ("start", start, "start a draft, or go on with a run that is paused, failed or was stopped"),
        ("stop", stop, "end a run, keeping what it learned so far"),
        ("copy", copy, "make a draft with the same config"),
        ("delete", delete, "remove a run with its files"),
    ):
        command = commands.add_parser(name, parents=[common], help=sentence)
        (add_run_argument if name == "copy" else add_runs_argument)(command)
        command.set_defaults(work=work)
        if name == "stop":
            command.add_argument("--no-save", action="store_true", help="throw away what was not saved yet")
        if name == "delete":
            command.add_argument("--yes", action="store_true", help="do not ask")


def start(options: argparse.Namespace) -> int:
    """Queue it."""
    return change_all(options, "start", "start", "queued")


def stop(options: argparse.Namespace) -> int:
    """End it."""
    deed = "stop_without_saving" if options.no_save else "stop"
    return change_all(options, "stop", deed, "stopped, or asked to", asked="asked to stop", save=not options.no_save)


def copy(options: argparse.Namespace) -> int:
    """Make a draft like it."""
    return change(options, "copy")


def change_all(options: argparse.Namespace, verb: str, deed: str, done: str, **more: Any) -> int:
    """`change` for one run, or the deed for all that were meant; `done` is said of each."""
    if not single(options):
        return bulk(options, deed, done)
    options.run = options.run[0]
    return change(options, verb, **more)


def change(options: argparse.Namespace, verb: str, *, said: str = "", asked: str = "", **arguments: Any) -> int:
    """Ask the controller for it and print what the run is now; `asked` is printed while a worker is still at it."""
    from engine.cli.session import controller, find_run

    with controller() as client:
        run: RunSummary = getattr(client, verb)(find_run(client, options.run).uid, **arguments)
    if options.json:
        print_json(run)
    else:
        print(f"{run.uid}  {run.name}: {(asked if run.state.live else '') or said or run.state}")
    return OK


def delete(options: argparse.Namespace) -> int:
    """Remove it, after asking."""
    from engine.cli.session import controller, find_run

    if not single(options):
        return bulk(options, "delete", "deleted")
    with controller() as client:
        run = find_run(client, options.run[0])
        if not options.yes:
            if not sys.stdin.isatty():
                say("Add --yes to delete without being asked.")
                return USAGE
            if input(f"Delete run '{run.name}' ({run.uid}) with all its files? [y/N] ").strip().lower() not in (
                "y",
                "yes",
            ):
                return OK
        client.delete(run.uid)
    if options.json:
        print_json({"deleted": run.uid})
    else:
        print(f"{run.uid}  {run.name}: deleted")
    return OK
