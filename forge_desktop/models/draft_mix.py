"""What each dataset of a draft gives to an epoch: its rows, limited, less those set aside, times its weight."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import ValidationError

from engine.contract.data import DataConfig, DataSource
from engine.contract.forecast import rows_of
from forge_desktop.models.draft_model import DraftModel


@dataclass(frozen=True)
class Share:
    """Rows of an epoch that come from one dataset."""

    rows: int
    at_least: bool
    """It was not counted to its end."""


def share_of(draft: DraftModel, place: int) -> Share | None:
    """Of the dataset at this place; None while its rows, its weight or its limit are not known."""
    look = draft.looks[place] if place < len(draft.looks) else None
    rows = look.facts.get("rows") if look is not None else None
    if look is None or not isinstance(rows, int):
        return None
    aside = 0 if draft.get("data.validation") else draft.get("data.validation_share")
    try:
        source = DataSource.model_validate(draft.get(f"data.train.{place}"))
        data = DataConfig(train=[source], validation_share=aside)
    except ValidationError:
        return None
    taken = rows_of(data, [rows])
    counted = bool(look.facts.get("complete", True)) or (source.limit is not None and source.limit <= rows)
    return None if taken is None else Share(taken, not counted)
