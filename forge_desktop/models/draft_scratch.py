"""What is known of a draft's model that begins with fresh weights, by its form alone."""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError

from engine.contract.scratch import HUB, ScratchConfig, contradictions
from engine.contract.scratch_shape import ARCHITECTURES, Parameters, parameters_of, shape_from
from forge_desktop.models.draft_document import Document

NEW_MODEL = "new-model"
"""What it is called until somebody names it."""


def counted(form: ScratchConfig) -> Parameters | None:
    """Its parameters; None where a file would have to be read for its vocabulary."""
    return parameters_of(form, form.vocabulary) if form.tokenizer == "trained" else None


def form_of(document: Document) -> ScratchConfig | None:
    """The form of a draft, where it is whole and does not contradict itself."""
    try:
        form = ScratchConfig.model_validate(document["scratch"])
    except ValidationError:
        return None
    wrong = [one for one in contradictions(document) if one.field.startswith(HUB)]
    return None if wrong else form


def facts_of(document: Document) -> dict[str, Any]:
    """The same facts a helper tells of a model's files; empty where they are not known."""
    form = form_of(document) if document["model"]["hub"] == HUB else None
    made = counted(form) if form is not None else None
    shape = shape_from(form) if form is not None and made is not None else None
    if form is None or made is None or shape is None:
        return {}
    return {
        "architecture": ARCHITECTURES[form.family], "model_type": form.family, "parameters": made.total,
        "bytes": 4 * made.total, "dtype": "fp32", "context_length": form.context, "targets": [],
        "template": {"choice": "chatml"}, "type": {"value": "base"}, "shape": shape.model_dump(),
    }  # fmt: skip
