"""A text about a failed run that can be handed to somebody who helps: no secrets, no name of the home folder."""

from __future__ import annotations

import re
from pathlib import Path

from engine.contract.api import RunDetail

LINES = 40
_HIDDEN = r"\1***"
SECRETS = (
    (re.compile(r"\b(hf_|sk-|ghp_|gho_|github_pat_|xox[abp]-)[\w-]{8,}"), _HIDDEN),
    (re.compile(r"(?i)\b(bearer\s+)[\w.~+/=-]{8,}"), _HIDDEN),
    (
        re.compile(
            r"(?i)\b((?:\w+[_-])?(?:token|secret|password|passwd|api[_-]?key)[\"']?\s*[=:]\s*[\"']?)[^\s\"',;&]{6,}"
        ),
        _HIDDEN,
    ),
    (re.compile(r"(\w+://)[^/\s:@]+:[^/\s@]+@"), r"\1***@"),
)  # fmt: skip
"""What looks like a key, and what stands in its place."""


def report(detail: RunDetail, log_tail: str, version: str = "", home: Path | None = None) -> str:
    """Error, diagnosis, environment and the last lines of the log."""
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
    if detail.attempts:
        facts = {**detail.attempts[-1].environment, **detail.attempts[-1].plan}
        parts.append("\n".join(["Environment:", *(f"{key}: {value}" for key, value in facts.items())]))
    lines = log_tail.splitlines()[-LINES:]
    parts.append("\n".join(["Log:", *lines]))
    return cleaned("\n\n".join(parts) + "\n", home or Path.home())


def cleaned(text: str, home: Path) -> str:
    """The text without keys and without the name of the home folder."""
    for pattern, instead in SECRETS:
        text = pattern.sub(instead, text)
    return re.sub(re.escape(str(home)) + r"(?![\w-])", "~", text) if len(str(home)) > 1 else text
