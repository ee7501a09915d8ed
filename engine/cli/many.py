"""Which runs a command is for: some that were named, or all that a search finds; and doing one deed to all of them."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import Any

from engine.cli.exits import CONFLICT, OK, USAGE
from engine.cli.output import print_json, say
from engine.client.client import ControllerClient
from engine.contract.api import RunSummary
from engine.contract.errors import NotFound, Refused
from engine.contract.listing import MAX_BULK, BulkRequest

SHOWN = 10


def add_runs_argument(command: argparse.ArgumentParser) -> None:
    """The arguments RUN … and --search."""
    command.add_argument("run", metavar="RUN", nargs="*", help="id, beginning of an id, or name")
    command.add_argument("--search", help="all runs that it finds: 'state:queued tag:x'; see `forge runs --search`")


def single(options: argparse.Namespace) -> bool:
    """Whether one run was named, and nothing searched for."""
    return options.search is None and len(options.run) == 1


def meant(client: ControllerClient, options: argparse.Namespace) -> list[RunSummary]:
    """The runs that were named, then those that were searched for, each once."""
    from engine.cli.session import find_run

    found = {run.uid: run for run in (find_run(client, named) for named in options.run)}
    if options.search is not None:
        page = client.runs(search=options.search, limit=MAX_BULK)
        if page.total > MAX_BULK:
            raise Refused("bulk.too_many", count=page.total, most=MAX_BULK)
        if not page.runs and not found:
            raise NotFound("bulk.none_found", search=options.search)
        found |= {run.uid: run for run in page.runs}
    if not found:
        raise Refused("bulk.no_runs")
    if len(found) > MAX_BULK:
        raise Refused("bulk.too_many", count=len(found), most=MAX_BULK)
    return list(found.values())


def bulk(options: argparse.Namespace, deed: str, said: str, **arguments: Any) -> int:
    """Do it to all of them, and say which were refused."""
    from engine.cli.session import controller

    with controller() as client:
        runs = meant(client, options)
        if deed == "delete" and not options.yes and not _agreed(runs):
            return USAGE if not sys.stdin.isatty() else OK
        body = {"uids": [run.uid for run in runs], "deed": deed, **arguments}
        result = client.bulk(BulkRequest.model_validate(body))
    names = {run.uid: run.name for run in runs}
    if options.json:
        print_json(result)
    else:
        for uid in result.done:
            print(f"{uid}  {names[uid]}: {said}")
        for one in result.refused:
            say(f"{one.uid}  {one.name}: {' '.join(filter(None, (one.error.what, one.error.why, one.error.fix)))}")
        if result.refused:
            say(f"{len(result.done)} done, {len(result.refused)} refused.")
    return CONFLICT if result.refused else OK


def _agreed(runs: Sequence[RunSummary]) -> bool:
    if not sys.stdin.isatty():
        say("Add --yes to delete without being asked.")
        return False
    for run in runs[:SHOWN]:
        say(f"{run.uid}  {run.name}")
    if len(runs) > SHOWN:
        say(f"… and {len(runs) - SHOWN} more")
    return input(f"Delete {len(runs)} runs with all their files? [y/N] ").strip().lower() in ("y", "yes")
