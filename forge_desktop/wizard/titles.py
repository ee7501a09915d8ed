"""What a setting is called, by its path."""

from __future__ import annotations

from engine.contract.data import DataSource
from forge_desktop.models.draft_model import groups
from forge_desktop.theme.language import setting_label


def title_of(path: str) -> str:
    """A setting's label; the label of its group for something inside a list."""
    known = groups()
    parts = path.split(".")
    for end in range(len(parts), 0, -1):
        group, name = ".".join(parts[: end - 1]), parts[end - 1]
        model = known.get(group)
        if model is not None and name in model.model_fields:
            inner = parts[-1]
            listed = end < len(parts) and inner in DataSource.model_fields and inner not in ("path", "hub")
            return setting_label(DataSource, inner) if listed else setting_label(model, name)
    return path
