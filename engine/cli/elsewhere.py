"""`forge elsewhere`: let a run whose node does not answer go on at another, from its last checkpoint here."""

from __future__ import annotations

import argparse
from typing import Any

from engine.cli.exits import OK
from engine.cli.output import print_json
from engine.cli.session import add_run_argument


def register(commands: Any, common: argparse.ArgumentParser) -> None:
    """Add the command."""
    sentence = "let a run whose node does not answer go on at another, from its last checkpoint here"
    command = commands.add_parser("elsewhere", parents=[common], help=sentence)
    add_run_argument(command)
    command.add_argument("--node", default="", help="where; without it the scheduler's choice")
    command.set_defaults(work=work)


def work(options: argparse.Namespace) -> int:
    """Give the lost attempt up."""
    from engine.cli.session import controller, find_run

    with controller() as client:
        run = client.start_elsewhere(find_run(client, options.run).uid, options.node)
    if options.json:
        print_json(run)
    else:
        print(f"{run.name} waits for {options.node or 'a node'}; the old worker is ended should its node come back.")
        print("What it has left there, and what deleted runs have, goes once that node answers and its time has come.")
    return OK
