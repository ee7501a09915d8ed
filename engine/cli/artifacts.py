"""`forge artifacts`: whether checkpoints and results lie at their second place, and whether that can be used."""

from __future__ import annotations

import argparse
from typing import Any

from engine.cli.exits import FAILED, OK
from engine.cli.output import print_json

WORDS = {
    "off": "Checkpoints and results lie on this computer only. `forge settings --artifact-place` names a second place.",
    "whole": "Everything lies at {place} too.",
    "copying": "{place}: of {waiting} run(s) something is on its way.",
    "failing": "{place}: {error} {waiting} run(s) wait; it is tried again by itself.",
}


def register(commands: Any, common: argparse.ArgumentParser) -> None:
    """Add the command."""
    sentence = "whether checkpoints and results lie at their second place (a folder, or S3)"
    command = commands.add_parser("artifacts", parents=[common], help=sentence)
    command.add_argument("--check", action="store_true", help="try it: put a small file there, read it, remove it")
    command.set_defaults(work=work)


def work(options: argparse.Namespace) -> int:
    """Say how it stands."""
    from engine.cli.session import controller

    with controller() as client:
        found = client.artifacts(options.check)
    if options.json:
        print_json(found)
    else:
        error = f"{found.error.what} {found.error.why} {found.error.fix}" if found.error else ""
        print(WORDS[found.state].format(place=found.place, waiting=found.waiting, error=error))
    return FAILED if found.state == "failing" else OK
