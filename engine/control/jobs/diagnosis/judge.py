"""The first rule that finds something speaks; applied when somebody looks, so that old runs profit from new rules."""

from __future__ import annotations

from engine.contract.advice import STATED, UNKNOWN
from engine.contract.api import Diagnosis
from engine.contract.errors import UserError
from engine.control.jobs.diagnosis.evidence import Evidence
from engine.control.jobs.diagnosis.excerpt import telling_lines
from engine.control.jobs.diagnosis.registry import RULES
from engine.control.jobs.diagnosis.rule import Finding


def diagnose(evidence: Evidence) -> Diagnosis:
    """What the first rule that finds something says, with the lines of the log that matter."""
    for rule in RULES:
        found = rule.find(evidence)
        if found is not None:
            return _told(rule.name, found, evidence)
    if evidence.error is not None and not evidence.is_raw:  # the worker knew what was wrong, and said it
        error = evidence.error
        return Diagnosis(
            rule=STATED, what=error.what, why=error.why, fix=error.fix, params=error.params,
            lines=telling_lines(evidence.log),
        )  # fmt: skip
    return _told(UNKNOWN, Finding(), evidence)


def _told(name: str, found: Finding, evidence: Evidence) -> Diagnosis:
    text = UserError(f"diagnosis.{name}", **found.params)
    return Diagnosis(
        rule=name,
        what=text.what,
        why=text.why,
        fix=text.fix,
        params=found.params,
        lines=telling_lines(evidence.log),
        changes=list(found.changes),
    )
