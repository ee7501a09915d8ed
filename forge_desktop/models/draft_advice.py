"""What others recommend for the settings of a draft, and which of them are unusual, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.contract.recommended import MEASURED, recommended
from engine.contract.unusual import Known, unusual
from forge_desktop.theme.language import note_text, tr

if TYPE_CHECKING:
    from forge_desktop.models.draft_model import DraftModel

ADVISED = (
    "tuner.rank", "tuner.alpha", "training.epochs", "training.micro_batch_size", "training.accumulation",
    "training.warmup_share", "training.weight_decay", "data.max_length",
)  # fmt: skip
"""Settings that say below what is recommended; the learning rate says so in its own way."""
_LOOKED_AT = (
    *ADVISED, "stage", "tuner.kind", "training.max_steps", "objective.beta",
)  # fmt: skip


def advice(draft: DraftModel, path: str) -> str:
    """The recommended value and who says so; empty where nobody does."""
    found = recommended(path, _settings(draft), draft.seen_rows.get("lengths") or ())
    if found is None or path not in ADVISED:
        return ""
    source = tr("the measured rows") if found.source == MEASURED else found.source
    return tr("Recommended: {value} ({source}).", value=f"{found.value:g}", source=source)


def warning(draft: DraftModel, path: str) -> str:
    """What is unusual about the present value; empty where nothing is."""
    if path not in _LOOKED_AT:
        return ""
    share, lengths = draft.fitting(), draft.seen_rows.get("lengths") or ()
    shape = draft.model_facts.get("shape")
    hidden = shape.get("hidden") if isinstance(shape, dict) else None
    known = Known(hidden if isinstance(hidden, int) else None, None if share is None else 1 - share, len(lengths))
    found = unusual(path, _settings(draft), known)
    return note_text(found.code, found.params) if found is not None else ""


def _settings(draft: DraftModel) -> dict[str, object]:
    return {path: draft.get(path) for path in _LOOKED_AT}
