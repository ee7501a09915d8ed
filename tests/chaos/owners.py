"""One place owns a run: who works at what, asked of engines, processes and the history while faults go on."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections import defaultdict
from pathlib import Path

from engine.contract.nodes import LOCAL
from engine.control.executors import identity
from engine.control.executors.docker import names
from tests.chaos.arena import Arena
from tests.chaos.nodes import HURT, until_reachable
from tests.helpers.waiting import wait_until

PATIENCE_S = 60.0
"""A node that was away ends an attempt that was given up meanwhile as soon as it answers."""


def owners(arena: Arena) -> dict[str, set[str]]:
    """Run by run, where a worker of it lives."""
    found: dict[str, set[str]] = defaultdict(set)
    for path in arena.home.runs.glob("*/attempts/*/monitor.json"):
        with contextlib.suppress(OSError, ValueError):
            worker = json.loads(path.read_bytes()).get("worker")
            if worker and identity.alive(worker):
                found[path.parents[2].name].add(f"{LOCAL} attempt {path.parent.name}")
    nodes = arena.nodes
    for name in nodes.answering() if nodes is not None else []:
        for row in nodes.containers(name) if nodes is not None else []:
            labels = row["Labels"]
            found[labels[names.RUN]].add(f"{name} attempt {labels[names.ATTEMPT]}")
    return found


def disputed(arena: Arena) -> list[str]:
    """Runs that more than one place works at, or that the history has at two; everything is mended for it."""
    arena.mend(everything=True)
    arena.ready()
    until_reachable(arena.client)

    def two() -> list[str]:
        try:
            found = owners(arena).items()
        except HURT as error:
            return [f"an engine does not answer: {error}"]
        return [f"run {uid} is at work at {sorted(where)}" for uid, where in found if len(where) > 1]

    with contextlib.suppress(AssertionError):
        wait_until(lambda: not two(), PATIENCE_S, "one place owns each run")
    return two() + _twice_open(arena.home.database)


def _twice_open(database: Path) -> list[str]:
    sql = (
        "SELECT uid, count(*) FROM attempt JOIN run ON run.id = run_id WHERE ended IS NULL GROUP BY run_id "
        "HAVING count(*) > 1"
    )
    with contextlib.closing(sqlite3.connect(database)) as connection:
        return [f"run {uid} has {count} open attempts" for uid, count in connection.execute(sql)]
