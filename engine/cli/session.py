"""What most commands begin with: a controller to talk to, and the run that was meant."""

from __future__ import annotations

import argparse
import difflib

from engine.client.client import ControllerClient
from engine.client.launch import connect
from engine.contract.api import RunSummary
from engine.contract.errors import Conflict, NotFound
from engine.contract.paths import Home
from engine.contract.search import quoted

SHOWN_CANDIDATES = 5


def controller(start: bool = True) -> ControllerClient:
    """The controller of this home, started if need be."""
    return connect(Home.find(), start=start)


def find_run(client: ControllerClient, named: str) -> RunSummary:
    """The run of this id, of the only id that begins like this, or the only one of this name."""
    try:
        if named.isalnum():
            return client.run(named).run
    except NotFound:
        pass
    page = client.runs(search=quoted(named), limit=1000)
    found = [run for run in page.runs if run.uid.startswith(named) or run.name == named]
    if not found:
        names = {run.name for run in client.runs(limit=1000).runs}
        near = difflib.get_close_matches(named, names, n=1) or sorted(name for name in names if name.startswith(named))
        if near:
            raise NotFound("run.unknown_near", run=named, near=near[0])
        raise NotFound("run.unknown", run=named)
    if len(found) > 1:
        shown = ", ".join(f"{run.uid} ({run.name})" for run in found[:SHOWN_CANDIDATES])
        raise Conflict("run.ambiguous", run=named, found=shown + (" …" if len(found) > SHOWN_CANDIDATES else ""))
    return found[0]


def add_run_argument(command: argparse.ArgumentParser) -> None:
    """The argument RUN."""
    command.add_argument("run", metavar="RUN", help="id, beginning of an id, or name")
