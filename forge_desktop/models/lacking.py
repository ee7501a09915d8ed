"""Choices that need a package which is not where the work would be done."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from engine.contract.errors import Problem
from engine.contract.packages import NEEDS
from forge_desktop.theme.language import problem_text, word


def reasons(path: str, missing: Collection[str]) -> Iterator[tuple[str, str]]:
    """Each value of a setting that needs a package, and why it cannot be chosen; empty where it can."""
    for value, (module, install) in NEEDS.get(path, {}).items():
        params = {"used_for": word("choice", value), "package": module, "install": install, "field": path}
        yield value, problem_text(Problem(code="package.missing", params=params)) if module in missing else ""
