"""A row as people read it: who says what, and the columns that play no part."""

from __future__ import annotations

import json
from typing import Any, Literal

from engine.compute.data.formats import Columns
from engine.compute.data.rows import Example, Record
from engine.compute.data.rows import Turn as Said
from engine.contract.data_format import Mapping
from engine.contract.dataset_queries import ShownRow, Turn

MAX_TEXT, MAX_EXTRA = 2_000, 300
MAX_COLUMNS = 50
Part = Literal["", "chosen", "rejected", "extra"]


def shown_row(number: int, record: Record, example: Example, mapping: Mapping) -> ShownRow:
    """The row with long texts cut."""
    turns = [_turn(turn) for turn in example.turns]
    turns += [_turn(turn, "chosen") for turn in example.chosen] + [_turn(turn, "rejected") for turn in example.rejected]
    if example.text:
        turns.append(Turn(role="text", text=example.text[:MAX_TEXT]))
    for place, text in enumerate(example.texts):
        turns.append(Turn(role=("anchor", "positive")[place] if place < 2 else "negative", text=text[:MAX_TEXT]))
    return ShownRow(row=number, line=record.line, turns=turns, extra=_extra(record, example, mapping))


def _turn(turn: Said, part: Part = "") -> Turn:
    text = turn["content"]
    if turn.get("reasoning_content"):
        text = f"{turn['reasoning_content']}\n\n{text}"
    if turn.get("tool_calls"):
        calls = json.dumps([call["function"] for call in turn["tool_calls"]], ensure_ascii=False, default=str)
        text = f"{text}\n{calls}".strip()
    return Turn(role=turn["role"], text=text[:MAX_TEXT], part=part, trained=turn.get("train"))


def _extra(record: Record, example: Example, mapping: Mapping) -> dict[str, str]:
    """Columns that play no part, and those that are no turn."""
    used = Columns(record.content, example.form, mapping).used()
    extra = {name: as_text(value) for name, value in record.content.items() if name not in used and value is not None}
    for name in ("label", "tools"):
        column = Columns(record.content, example.form, mapping).name(name)
        if column and record.content.get(column) is not None:
            extra[column] = as_text(record.content[column])
    return dict(list(extra.items())[:MAX_COLUMNS])


def as_text(value: Any) -> str:
    """A value of any kind in a few words."""
    if isinstance(value, str):
        return value[:MAX_EXTRA]
    return json.dumps(value, ensure_ascii=False, default=str)[:MAX_EXTRA]
