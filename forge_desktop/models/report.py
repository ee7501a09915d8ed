"""A text about a failed run that can be handed to somebody who helps: nothing in it tells who and where somebody is."""

from __future__ import annotations

import getpass
import json
import socket
from pathlib import Path

from engine.contract.anonymous import Anonymous
from engine.contract.api import RunDetail
from engine.contract.run_spec import RunConfig, TrainJob

LINES = 40


def report(detail: RunDetail, log_tail: str, version: str = "", home: Path | None = None) -> str:
    """Error, diagnosis with the lines that matter, config, versions, device, and the last lines of the log."""
    run, parts = detail.run, []
    parts.append(f"LoRAForge Desktop {version}".strip())
    reason = f" ({run.reason})" if run.reason else ""
    parts.append(f"Run: {run.name} [{run.uid}]\nState: {run.state}{reason}, attempt {run.attempt}, step {run.step}")
    parts.append(f"Model: {run.model}\nDataset: {run.dataset}\nMethod: {run.method}")
    if run.error is not None:
        found = (run.error.what, run.error.why, run.error.fix)
        problems = [f"- {problem.field}: {problem}" for problem in run.error.problems]
        parts.append("\n".join([f"Error [{run.error.code}]:", *filter(None, found), *problems]))
    if detail.diagnosis is not None:
        found = (detail.diagnosis.what, detail.diagnosis.why, detail.diagnosis.fix)
        parts.append(
            "\n".join([f"Diagnosis [{detail.diagnosis.rule}]:", *filter(None, found), *detail.diagnosis.lines])
        )
    if isinstance(detail.spec.job, TrainJob):
        config = RunConfig.from_spec(detail.spec).model_dump(mode="json", exclude_defaults=True, exclude={"name"})
        parts.append("Config (what differs from the usual):\n" + json.dumps(config, ensure_ascii=False, indent=1))
    if detail.attempts:
        facts = {**detail.attempts[-1].environment, **detail.attempts[-1].plan}
        parts.append("\n".join(["Environment:", *(f"{key}: {value}" for key, value in facts.items())]))
    lines = log_tail.splitlines()[-LINES:]
    parts.append("\n".join(["Log:", *lines]))
    return cleaned("\n\n".join(parts) + "\n", home or Path.home())


def cleaned(text: str, home: Path) -> str:
    """The text made anonymous as diagnostics are: no keys, addresses, names of this person and computer."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = ""
    paths = {str(home): "~"} if len(str(home)) > 1 else {}
    return Anonymous(paths=paths, user=user, host=socket.gethostname()).clean(text)
