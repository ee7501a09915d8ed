"""`forge queue`: who waits, and in which order; `forge queue move` changes it."""

from __future__ import annotations

import argparse
from typing import Any

from engine.cli.exits import OK
from engine.cli.output import moment, print_json, span, table


def register(commands: Any, common: argparse.ArgumentParser) -> None:
    """Add the command."""
    command = commands.add_parser("queue", parents=[common], help="runs that wait, in the order they will start")
    command.set_defaults(work=show)
    parts = command.add_subparsers(metavar="move")
    to = parts.add_parser("move", parents=[common], help="let a run start before another, or last of all")
    to.add_argument("run", metavar="RUN", help="id, beginning of an id, or name")
    place = to.add_mutually_exclusive_group(required=True)
    place.add_argument("--before", metavar="RUN", help="the run that is to start after it")
    place.add_argument("--last", action="store_true", help="after all others")
    to.set_defaults(work=move)


def show(options: argparse.Namespace) -> int:
    """A table of the queue."""
    from engine.cli.session import controller

    with controller() as client:
        queue = client.queue()
    if options.json:
        print_json(queue)
        return OK
    rows = [
        [
            *(entry.run.lane, str(entry.position), entry.run.uid, entry.run.name[:40], str(entry.run.priority)),
            span(entry.starts_in_seconds),
            f"retry {moment(entry.run.retry_at)}" if entry.run.retry_at else moment(entry.run.created),
        ]
        for entry in queue.entries
    ]
    print(
        table(("lane", "place", "id", "name", "priority", "starts in", "created"), rows) if rows else "Nothing waits."
    )
    return OK


def move(options: argparse.Namespace) -> int:
    """Put a run in another place."""
    from engine.cli.session import controller, find_run

    with controller() as client:
        run = find_run(client, options.run)
        before = find_run(client, options.before).uid if options.before else None
        moved = client.move_in_queue(run.uid, before)
        place = next((entry.position for entry in client.queue().entries if entry.run.uid == moved.uid), None)
    if options.json:
        print_json(moved)
    else:
        where = "no longer waits" if place is None else f"place {place}, priority {moved.priority}"
        print(f"{moved.uid}  {moved.name}: {where}")
    return OK
