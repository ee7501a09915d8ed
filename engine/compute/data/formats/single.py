"""Rows that are no conversations: plain text, prompts alone, pairs of texts, texts with a class."""

from __future__ import annotations

import math
from typing import Any

from engine.compute.data.formats.base import BadRow, Columns
from engine.compute.data.formats.conversations import Parts, holds_turns, with_system
from engine.compute.data.formats.turns import check_order, read_turns
from engine.compute.data.formats.values import unpacked


def from_text(columns: Columns, _media: list[str]) -> Parts:
    """A text."""
    return {"text": columns.text("text")}


def from_prompt_only(columns: Columns, media: list[str]) -> Parts:
    """What is asked, and every other column for whoever judges the answers."""
    column = columns.name("prompt")
    value = columns.content.get(column)
    if holds_turns(value if column == "prompt" else unpacked(value)):
        turns = read_turns(columns.content[column], column, columns.mapping, media)
    else:
        turns = [{"role": "user", "content": columns.text("prompt")}]
    turns = with_system(columns, turns)
    check_order(turns, column)
    used = columns.used()
    extra = {name: value for name, value in columns.content.items() if name not in used and value is not None}
    return {"turns": tuple(turns), "extra": extra}


def from_pairs(columns: Columns, _media: list[str]) -> Parts:
    """Texts that belong together, and those that don't; or two texts and how alike they are."""
    positives = _texts(columns, "positive")
    texts = [columns.text("anchor"), *positives]
    if columns.value("negative") is not None:
        texts += _texts(columns, "negative")
    several = {"extra": {"positives": len(positives)}} if len(positives) > 1 else {}
    return {"texts": tuple(texts), "label": _score(columns), **several}


def _texts(columns: Columns, part: str) -> list[str]:
    """One text or several."""
    value, column = columns.value(part), columns.name(part)
    if not isinstance(value, list):
        return [columns.text(part)]
    if not value:
        raise BadRow("data.empty_column", column, column=column)
    for number, text in enumerate(value):
        if not isinstance(text, str):
            raise BadRow("data.not_text", f"{column}[{number}]", column=column, found=type(text).__name__)
        if not text.strip():
            raise BadRow("data.empty_column", f"{column}[{number}]", column=column)
    return list(value)


def _score(columns: Columns) -> float | None:
    value, column = columns.value("score"), columns.name("score")
    if value is None or value == "":
        return None
    try:
        score = float(value)
    except (TypeError, ValueError):
        score = math.nan
    if not math.isfinite(score):
        raise BadRow("data.bad_score", column, column=column, value=str(value)[:40])
    return score


def from_classification(columns: Columns, media: list[str]) -> Parts:
    """A text, or a conversation, and the class or classes it belongs to."""
    column = columns.name("label")
    label = columns.content.get(column)
    if label is None or label in ("", []):
        raise columns.missing("label")
    if not _is_class(label) and not (isinstance(label, list) and all(map(_is_class, label))):
        raise BadRow("data.bad_label", column, column=column, found=type(label).__name__)
    messages = unpacked(columns.value("messages"))
    if holds_turns(messages):
        return {"turns": tuple(read_turns(messages, columns.name("messages"), columns.mapping, media)), "label": label}
    return {"text": columns.text("text"), "label": label}


def _is_class(value: Any) -> bool:
    """A name or a number."""
    return isinstance(value, str | bool | int) or (isinstance(value, float) and math.isfinite(value))
