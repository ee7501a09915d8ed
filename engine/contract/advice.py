"""A diagnosis's changes applied to an order: "New run with this change"."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from engine.contract.api import ConfigChange
from engine.contract.run_spec import RunConfig, RunSpec


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
