"""A result goes to a hub because somebody asks for it: which result, where to, and what the process is told."""

from __future__ import annotations

import sqlite3
from typing import Any

from engine.contract.errors import Conflict, Problem, Refused
from engine.contract.hubs import HUBS, HubAccess
from engine.contract.paths import Home
from engine.contract.push import PushAsked, PushConfig, is_repo
from engine.contract.run_spec import RunSpec, TrainJob
from engine.contract.secrets import GivenSecrets
from engine.control.jobs.commands import existing
from engine.control.jobs.controller import Controller

RESULTS = ("model", "adapter")


def target(spec: RunSpec, asked: PushAsked) -> PushConfig:
    """Where the result goes: as is asked now, else as the config says; raises where neither says it."""
    job = spec.job
    config = job.outputs.push if isinstance(job, TrainJob) else PushConfig()
    hub, repo = asked.hub or config.hub, asked.repo or config.repo
    if hub == "none":
        raise Conflict("push.not_asked")
    problems = []
    if hub not in HUBS:
        problems.append(Problem(code="config.choice", field="hub", params={"value": hub, "choices": ", ".join(HUBS)}))
    if not is_repo(repo):
        problems.append(Problem(code="config.push_repo", field="repo", params={"value": repo[:80]}))
    if problems:
        raise Refused("config.refused", count=len(problems), problems=problems)
    private = config.private if asked.private is None else asked.private
    return PushConfig.model_validate({"hub": hub, "repo": repo, "private": private, "licence": config.licence})


def found(connection: sqlite3.Connection, home: Home, uid: str) -> tuple[RunSpec, str]:
    """A run's order, and the folder of its last attempt that left a result."""
    row = existing(connection, uid)
    spec = RunSpec.model_validate_json(row["spec"])
    count = connection.execute("SELECT MAX(n) FROM attempt WHERE run_id = ?", (row["id"],)).fetchone()[0] or 0
    for n in range(count, 0, -1):
        folder = home.attempt(uid, n)
        if any((folder.outputs / name).is_dir() for name in RESULTS):
            return spec, str(folder.root)
    raise Conflict("push.no_result")


def told(controller: Controller, hub: str) -> dict[str, Any]:
    """How the process reaches the hub, and its token; told on its stdin, no other way."""
    given = controller.secrets.given(hub)
    plain = {name: value for name in GivenSecrets.model_fields if (value := given.plain(name))}
    return {"access": HubAccess.of(controller.settings).model_dump(), "secrets": plain}
