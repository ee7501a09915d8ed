"""What a diagnosis says, in the form of an error; its changes applied to an order: "New run with this change"."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from engine.contract.api import ConfigChange, Diagnosis
from engine.contract.errors import ErrorBody
from engine.contract.run_spec import RunConfig, RunSpec

UNKNOWN = "unknown"
"""The rule of a failure that no rule knows."""
STATED = "stated"
"""The rule of a failure whose error says already what is wrong and what to do."""


def told(found: Diagnosis, error: ErrorBody | None) -> ErrorBody | None:
    """A diagnosis in the form in which errors are shown; its rule is its code."""
    if found.rule == STATED:
        return error
    return ErrorBody(
        code=f"diagnosis.{found.rule}", what=found.what, why=found.why, fix=found.fix, params=found.params
    )  # fmt: skip


def with_changes(spec: RunSpec, changes: Iterable[ConfigChange]) -> RunSpec:
    """The same training order with some settings changed, checked as any config; raises ValueError for a bad one."""
    document = RunConfig.from_spec(spec).document()
    for change in changes:
        *path, name = change.field.split(".")
        group: Any = document
        for part in path:
            group = group[int(part)] if isinstance(group, list) else group[part]
        if name not in group:
            raise ValueError(f"there is no setting '{change.field}'")
        group[name] = change.value
    return RunConfig.model_validate(document).to_spec(spec.owner)
