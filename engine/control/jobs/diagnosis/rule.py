"""What a rule is, and how one is made of signs that stand in a log."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from engine.contract.api import ConfigChange
from engine.control.jobs.diagnosis.evidence import Evidence

RECORDED = "recorded"
"""The source of a rule whose failure was provoked here."""
PARAM_LETTERS = 160


@dataclass(frozen=True)
class Finding:
    """What a rule found: parameters of its texts, and settings that help."""

    params: dict[str, Any] = field(default_factory=dict)
    changes: tuple[ConfigChange, ...] = ()


@dataclass(frozen=True)
class Rule:
    """One sort of failure. Its texts stand under `diagnosis.<name>` in the messages."""

    name: str
    area: str
    find: Callable[[Evidence], Finding | None]
    looks_for: str
    """What it recognises, for the docs."""
    source: str = RECORDED
    """Where its log comes from: "recorded", or the public thread it is quoted from."""
    settings: tuple[str, ...] = ()
    """Settings its advice may change, by their path in the run config."""
    over: tuple[str, ...] = ()
    """Rules that may find something in the same log, and speak only if this one does not."""


Advice = Callable[[Evidence], tuple[ConfigChange, ...]]


def signs(
    name: str,
    area: str,
    patterns: str | Iterable[str],
    looks_for: str,
    source: str = RECORDED,
    advice: Advice | None = None,
    settings: tuple[str, ...] = (),
    over: tuple[str, ...] = (),
    codes: tuple[str, ...] = (),
    params: dict[str, Any] | None = None,
    at_end: bool = False,
) -> Rule:
    """A rule that fires on one of these patterns, or on one of these codes of our own.

    `at_end`: only in the last words, for what a harmless warning says too. Named groups of the pattern become
    parameters of the texts; `params` stand in where a pattern has none.
    """
    compiled = [re.compile(one) for one in ([patterns] if isinstance(patterns, str) else patterns)]

    def find(evidence: Evidence) -> Finding | None:
        text = evidence.ending if at_end else evidence.text
        match = next((found for one in compiled if (found := one.search(text))), None)
        if match is None and evidence.code not in codes:
            return None
        groups = match.groupdict() if match else {}
        named = {name: value.strip()[:PARAM_LETTERS] for name, value in groups.items() if value}
        told = evidence.error.params if evidence.error is not None and evidence.code in codes else {}
        return Finding({**(params or {}), **told, **named}, advice(evidence) if advice else ())

    return Rule(name, area, find, looks_for, source, settings, over)
