"""`forge advice`: why a run failed, and a new run with what would help."""

from __future__ import annotations

import argparse
from typing import Any

from engine.cli.exits import OK, USAGE
from engine.cli.output import print_json, say
from engine.cli.session import add_run_argument


def register(commands: Any, common: argparse.ArgumentParser) -> None:
    """Add the command."""
    command = commands.add_parser("advice", parents=[common], help="why a run failed, and what would help")
    add_run_argument(command)
    command.add_argument("--draft", action="store_true", help="make a draft with the changes that would help")
    command.add_argument("--start", action="store_true", help="the same, and start it")
    command.set_defaults(work=advise)


def advise(options: argparse.Namespace) -> int:
    """Show the diagnosis; make the new run if that was asked for."""
    from engine.cli.session import controller, find_run
    from engine.contract.advice import with_changes

    with controller() as client:
        detail = client.run(find_run(client, options.run).uid)
        found = detail.diagnosis
        if found is None:
            say(f"'{detail.run.name}' has not failed.")
            return USAGE
        made = None
        if options.draft or options.start:
            if not found.changes:
                say("Nothing in the config would help here.")
                return USAGE
            made = client.create(with_changes(detail.spec, found.changes), options.start)
    if options.json:
        print_json({"diagnosis": found.model_dump(mode="json"), "run": made.uid if made else None})
        return OK
    print("\n".join(part for part in (found.what, found.why, found.fix) if part))
    for change in found.changes:
        print(f"  {change.field}: {change.was} → {change.value}")
    for line in found.lines:
        print(f"  | {line}")
    if made is not None:
        print(f"{made.uid}  {made.name}: {made.state}")
    return OK
