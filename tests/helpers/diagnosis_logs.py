"""The logs the diagnosis is tested on: recorded here, or quoted from public threads; with what is known beside them."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.contract.errors import ErrorBody, UserError
from engine.contract.paths import code_root
from engine.contract.run_spec import RunConfig, RunSpec
from engine.contract.states import EndReason
from engine.control.jobs.diagnosis import Evidence

FOLDER = code_root() / "tests" / "unit" / "control" / "diagnosis_logs"
LAST = re.compile(r"^\s{0,2}(?:[\w.]{1,80}\.)?(\w{1,60}(?:Error|Exception): [^\n]{1,2000})$", re.MULTILINE)


@dataclass(frozen=True)
class Case:
    """A log, the rule that knows it, and the evidence it makes."""

    name: str
    rule: str
    source: str
    how: str
    evidence: Evidence


def cases() -> list[Case]:
    """All of them."""
    return [case for index in ("recorded", "quoted", "varied") for case in _of(index)]


def _of(index: str) -> list[Case]:
    entries: dict[str, Any] = json.loads((FOLDER / f"{index}.json").read_text(encoding="utf-8"))
    return [_case(name, entry) for name, entry in entries.items()]


def _case(name: str, entry: dict[str, Any]) -> Case:
    if "of" in entry:  # the log of another case, with something else known beside it
        other = json.loads((FOLDER / "recorded.json").read_text(encoding="utf-8"))[entry["of"]]
        entry = {**other, **entry, "config": {**other.get("config", {}), **entry.get("config", {})}}
    log = (FOLDER / f"{entry.get('of', name)}.log").read_text(encoding="utf-8")
    reason = EndReason(entry.get("reason", EndReason.WORKER_ERROR))
    error = _error(entry.get("error"), log)
    if error.code.startswith("docker."):
        log = ""  # no worker came of it: the engine's words are in the error
    evidence = Evidence(spec_with(entry.get("config", {})), reason, error, log, entry.get("readings", {}))
    return Case(name, entry["rule"], entry["source"], entry.get("how", "quoted"), evidence)


def _error(given: dict[str, Any] | None, log: str) -> ErrorBody:
    """The error as it was, or as the worker would have made it of the last exception."""
    if given is not None and "what" in given:
        return ErrorBody.model_validate(given)
    if given is not None:
        detail = {"detail": log.strip()} if given["code"].startswith("docker.") else {}
        return UserError(given["code"], **{**detail, **given.get("params", {})}).body()
    said = LAST.findall(log)
    if not said:
        return UserError("worker.vanished", code=1).body()
    return UserError("worker.bug", detail=said[-1]).body()


def spec_with(changes: dict[str, Any]) -> RunSpec:
    """The demo's order with some settings changed."""
    document: dict[str, Any] = {
        "name": "a run",
        "model": {"path": "demo", "hub": "bundled"},
        "data": {"train": [{"path": "demo", "hub": "bundled"}], "max_length": 128},
        "training": {"micro_batch_size": 8},
    }
    for group, values in changes.items():
        document[group] = document.get(group, {}) | values if isinstance(values, dict) else values
    return RunConfig.model_validate(document).to_spec()


def healthy() -> str:
    """The log of a run that completed."""
    return Path(FOLDER, "healthy.log").read_text(encoding="utf-8")
