"""`forge download`: fetch a run's result, log or config; checked, written aside, then renamed."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from engine.cli.exits import OK
from engine.cli.output import print_json
from engine.cli.session import add_run_argument
from engine.contract.api import ArtifactInfo, RunDetail
from engine.contract.errors import Conflict, NotFound, UserError

RESULTS = ("adapter", "model", "answers")


def register(commands: Any, common: argparse.ArgumentParser) -> None:
    """Add the command."""
    command = commands.add_parser("download", parents=[common], help="fetch a run's result, log or config")
    add_run_argument(command)
    command.add_argument("--what", choices=(*RESULTS, "log", "config"), default="adapter")
    command.add_argument("--to", type=Path, default=Path(), help="a folder; the current one without it")
    command.add_argument("--force", action="store_true", help="replace what is there")
    command.set_defaults(work=work)


def work(options: argparse.Namespace) -> int:
    """Fetch, check, put in place."""
    from engine.cli.session import controller, find_run
    from engine.client.download import aside, target_name

    with controller() as client:
        detail = client.run(find_run(client, options.run).uid)
        artifact = _result(detail, options.what) if options.what in RESULTS else None
        target = options.to / target_name(detail, options.what, artifact)
        if target.exists() and not options.force:
            raise Conflict("download.exists", target=str(target))
        try:
            options.to.mkdir(parents=True, exist_ok=True)
            with aside(target) as place:
                sha256 = _fetch(client, detail.run.uid, options.what, artifact, place)
        except OSError as error:
            raise UserError("file.unwritable", file=str(target), detail=error.strerror or str(error)) from error
    if options.json:
        print_json({"run": detail.run.uid, "what": options.what, "path": str(target.absolute()), "sha256": sha256})
    else:
        print(target)
    return OK


def _result(detail: RunDetail, kind: str) -> ArtifactInfo:
    """The newest result of the kind."""
    found = [artifact for artifact in detail.artifacts if artifact.kind == kind]
    if not found:
        known = ", ".join(sorted({artifact.kind for artifact in detail.artifacts})) or "none yet"
        raise NotFound("run.no_result", run=detail.run.name, kind=kind, known=known)
    return found[-1]


def _fetch(client: Any, uid: str, what: str, artifact: ArtifactInfo | None, place: Path) -> str:
    """Fetch into the place; returns the sha256 of what is there."""
    from engine.client.download import fetch_result, fingerprint, write_log

    if artifact is not None:
        return fetch_result(client, uid, artifact, place)
    if what == "config":
        place.write_text(client.config(uid), encoding="utf-8")
        return fingerprint(place)
    write_log(client, uid, place)
    return fingerprint(place)
