"""`forge history`: look the run history through, and save what can be saved of a damaged one."""

from __future__ import annotations

import argparse
from typing import Any

from engine.cli.exits import FAILED, OK
from engine.cli.output import print_json
from engine.client.history import ask_care
from engine.contract.paths import Home


def register(commands: Any, common: argparse.ArgumentParser) -> None:
    """Add the commands."""
    group = commands.add_parser("history", parents=[common], help="check the run history, or save a damaged one")
    inner = group.add_subparsers(metavar="WHAT", required=True)
    check = inner.add_parser("check", parents=[common], help="say everything that is wrong with the history")
    check.set_defaults(work=look)
    salvage = inner.add_parser("salvage", parents=[common], help="copy what can be read into a new file beside it")
    salvage.set_defaults(work=save)


def look(options: argparse.Namespace) -> int:
    """Pages, references, and the journals beside it."""
    found = ask_care(Home.find(), "check")
    wrong = sum(len(found[part]) for part in ("pages", "references", "journals"))
    if options.json:
        print_json(found)
    else:
        for part in ("pages", "references", "journals"):
            print(f"{part}: {'sound' if not found[part] else ''}")
            for one in found[part]:
                print(f"  {one}")
    return FAILED if wrong else OK


def save(options: argparse.Namespace) -> int:
    """A new file beside the old one, which is kept as it is."""
    found = ask_care(Home.find(), "salvage")
    if options.json:
        print_json(found)
        return OK
    print(f"Saved {sum(found['rows'].values())} rows ({found['rows'].get('run', 0)} runs) to {found['file']}.")
    print(f"To use it, stop the controller, move {Home.find().database} away and give the new file its name.")
    return OK
