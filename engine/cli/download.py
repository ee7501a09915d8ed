"""`forge download`: fetch a run's result, checkpoint, log or config; continued after a break, checked, then renamed."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.cli.exits import OK
from engine.cli.output import print_json
from engine.cli.session import add_run_argument
from engine.contract.api import RunDetail
from engine.contract.errors import NotFound

if TYPE_CHECKING:
    from engine.client.download import Item

RESULTS = ("adapter", "model", "answers")


def register(commands: Any, common: argparse.ArgumentParser) -> None:
    """Add the command."""
    command = commands.add_parser("download", parents=[common], help="fetch a run's result, checkpoint, log or config")
    add_run_argument(command)
    command.add_argument("--what", choices=(*RESULTS, "checkpoint", "log", "config"), default="adapter")
    command.add_argument("--step", type=int, help="the result or checkpoint of this step; the newest without it")
    command.add_argument("--to", type=Path, default=Path(), help="a folder; the current one without it")
    command.add_argument("--force", action="store_true", help="replace what is there")
    command.set_defaults(work=work)


def work(options: argparse.Namespace) -> int:
    """Fetch, check, put in place."""
    from engine.cli.session import controller, find_run
    from engine.client.download import download, fingerprint

    with controller() as client:
        detail = client.run(find_run(client, options.run).uid)
        target = download(
            client,
            detail,
            _item(detail, options.what, options.step),
            options.to,
            exists="replace" if options.force else "refuse",
            tell=_progress(),
        )
    if options.json:
        sha256 = fingerprint(target)
        print_json({"run": detail.run.uid, "what": options.what, "path": str(target.absolute()), "sha256": sha256})
    else:
        print(target)
    return OK


def _item(detail: RunDetail, what: str, step: int | None) -> Item:
    """What is meant: the newest of its kind, or the one of a step."""
    from engine.client.download import Item

    if what == "log":
        return Item("log")
    if what == "config":
        return Item("config")
    if what == "checkpoint":
        ids = [known.id for known in detail.checkpoints if step in (None, known.step)]
        steps = ", ".join(str(known.step) for known in detail.checkpoints)
        if not ids:
            raise NotFound("run.no_result", run=detail.run.name, kind=what, known=steps or "none yet")
        return Item("checkpoint", ids[-1])
    found = [result for result in detail.artifacts if result.kind == what and step in (None, result.step)]
    if not found:
        kinds = ", ".join(sorted({result.kind for result in detail.artifacts})) or "none yet"
        raise NotFound("run.no_result", run=detail.run.name, kind=what, known=kinds)
    return Item("artifact", found[-1].id)


def _progress() -> Callable[[int, int | None], None]:
    """Shows how far it is, to a person at a terminal only."""
    shown = -1

    def tell(done: int, total: int | None) -> None:
        nonlocal shown
        percent = 100 * done // total if total else shown
        if percent != shown and sys.stderr.isatty():
            shown = percent
            print(f"\r{percent:3d} %", end="\r" if percent < 100 else "\n", file=sys.stderr, flush=True)

    return tell
