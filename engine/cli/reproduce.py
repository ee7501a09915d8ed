"""`forge reproduce`: do a run again exactly, and tell whether the same came of it."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from engine.cli.exits import FAILED, OK
from engine.cli.output import number, print_json, say
from engine.cli.session import add_run_argument

if TYPE_CHECKING:  # imported by who needs it: a command's first word comes quickly
    from engine.contract.reproduction import Difference, Reproduction

EFFECTS = {
    "other_run": "other losses from the first step on",
    "last_digits": "losses may differ in their last digits",
    "maybe_none": "probably without effect",
}


def register(commands: Any, common: argparse.ArgumentParser) -> None:
    """Add the command."""
    command = commands.add_parser("reproduce", parents=[common], help="do a run again exactly and compare the losses")
    add_run_argument(command)
    command.add_argument("--check", action="store_true", help="only tell what is other today")
    command.add_argument("--force", action="store_true", help="start though something is other")
    command.add_argument("--wait", action="store_true", help="wait for the end, and compare")
    command.add_argument("--compare", action="store_true", help="RUN does another again: how it stands to that one")
    command.set_defaults(work=work)


def work(options: argparse.Namespace) -> int:
    """Check, start, wait, compare."""
    from engine.cli.run import wait
    from engine.cli.session import controller, find_run

    with controller() as client:
        uid = find_run(client, options.run).uid
        if options.compare:
            return _compared(client, uid, options)
        found = client.reproduce_check(uid)
        if not options.json:
            say(_checked(found.differences, found.unchecked, found.error))
        if options.check or (found.differences and not options.force):
            if options.json:
                print_json(found)
            elif found.differences and not options.check:
                say("Nothing was started. Add --force to start it all the same.")
            return OK if options.check or not found.differences else FAILED
        made = client.reproduce(uid)
        if not options.wait:
            print_json(made) if options.json else print(f"{made.uid}  {made.name}: started")
            return OK
        wait(client, made.uid, quiet=options.json)
        return _compared(client, made.uid, options)


def _checked(differences: list[Difference], unchecked: list[str], error: str) -> str:
    said = [f"- {one.name}: {one.was} → {one.now} ({EFFECTS[one.effect]})" for one in differences]
    head = "These are other than they were:" if said else "Everything that can be looked at is as it was."
    later = f"Compared once it runs: {', '.join(unchecked)}." if unchecked else ""
    return "\n".join(filter(None, [head, *said, error, later]))


def _compared(client: Any, uid: str, options: argparse.Namespace) -> int:
    found = client.reproduction(uid)
    if found is None:
        say("This run does no other again.")
        return FAILED
    if options.json:
        print_json(found)
    else:
        print(verdict(found))
        for one in found.differences:
            print(f"- {one.name}: {one.was} → {one.now} ({EFFECTS[one.effect]})")
        if found.verdict == "differs" and found.first_step is not None:
            say(f"`forge rows {uid} --step {found.first_step}` shows the rows of that step.")
    return OK if found.verdict in ("equal", "within", "waiting") else FAILED


def verdict(found: Reproduction) -> str:
    """In a sentence."""
    if found.verdict == "unknown":
        return "Nothing can be compared: one of the runs has no losses, or is not there any more."
    if found.verdict == "waiting":
        return f"Equal so far: {found.steps} steps. The run has not ended."
    if found.verdict == "equal":
        return f"Equal, bit for bit: {found.steps} steps."
    theirs, ours = found.losses or (None, None)
    first = f"step {found.first_step} ({number(theirs, 9)} → {number(ours, 9)})"
    most = f"{number(found.largest, 3)} at step {found.largest_step}"
    if found.verdict == "within":
        return f"Within tolerance ({found.tolerance:g}): largest relative difference {most}; first at {first}."
    return f"Differs: first at {first}; largest relative difference {most}."
