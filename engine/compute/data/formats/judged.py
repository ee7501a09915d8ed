"""Rows with a judgement: two answers of which one is better, or one answer and whether it is good."""

from __future__ import annotations

from typing import Any

from engine.compute.data.formats.base import BadRow, Columns
from engine.compute.data.formats.conversations import (
    Parts,
    answer_turns,
    history,
    holds_turns,
    prompt_turns,
    question,
    with_system,
    with_tools,
)
from engine.compute.data.formats.turns import check_answered, check_order, read_turns
from engine.compute.data.formats.values import as_truth, unpacked
from engine.compute.data.rows import Turn

HUMAN, ANSWER = "\n\nHuman:", "\n\nAssistant:"
"""How a whole dialogue is written in one text in Anthropic/hh-rlhf."""


def from_preference(columns: Columns, media: list[str]) -> Parts:
    """A context and two answers, however the three are spread over columns."""
    if columns.value("rejected") is None:
        raise columns.missing("rejected")
    context = _context(columns, media)
    rejected = _side(columns, "rejected", media)
    if columns.value("chosen") is not None:
        chosen = _side(columns, "chosen", media)
    elif context and context[-1]["role"] == "assistant":  # ms-swift: the last answer of the messages is the better one
        context, chosen = _split_answer(context)
    else:
        raise BadRow("data.no_chosen", columns.name("chosen") or "chosen", column=columns.name("rejected"))
    if _whole(chosen) and _whole(rejected):
        context, chosen, rejected = _common_beginning(chosen, rejected)
    elif _whole(rejected):  # ms-swift's rejected_messages: a whole conversation beside `messages`
        context, chosen, rejected = _common_beginning([*context, *chosen], rejected)
    for part, side in (("chosen", chosen), ("rejected", rejected)):
        check_answered(side, columns.name(part) or columns.name("messages"))
    context = with_system(columns, context)
    check_order([*context, *chosen], columns.name("messages") or columns.name("prompt"))
    parts: Parts = {"turns": tuple(context), "chosen": tuple(chosen), "rejected": tuple(rejected)}
    margin = columns.content.get("margin")  # how much better the one is, for reward models
    if isinstance(margin, int | float) and not isinstance(margin, bool):
        parts["extra"] = {"margin": float(margin)}
    return with_tools(columns, parts)


def from_kto(columns: Columns, media: list[str]) -> Parts:
    """An answer in its context, and whether it is good."""
    column = columns.name("label")
    value = columns.content.get(column)
    if value is None:
        raise columns.missing("label")
    good = as_truth(value)
    if good is None:
        raise BadRow("data.bad_verdict", column, column=column, value=str(value)[:40])
    turns = _context(columns, media)
    if columns.value("completion") is not None:
        turns = [*turns, *answer_turns(columns, "completion", media)]
    elif not turns:
        raise columns.missing("completion")
    check_answered(turns, columns.name("completion") or columns.name("messages"))
    turns = with_system(columns, turns)
    check_order(turns, columns.name("messages") or columns.name("prompt"))
    return with_tools(columns, {"turns": tuple(turns), "label": good})


def _context(columns: Columns, media: list[str]) -> list[Turn]:
    """What comes before the answers: messages, or a prompt with its history; nothing where answers are whole."""
    column = columns.name("messages")
    if column and columns.content.get(column) is not None and holds_turns(unpacked(columns.content[column])):
        return read_turns(columns.content[column], column, columns.mapping, media)
    more = columns.value("input")
    if holds_turns(more):  # OpenAI: {"input": {"messages": […]}, "preferred_output": …}
        return read_turns(more, columns.name("input"), columns.mapping, media)
    column = columns.name("prompt")
    if not column or columns.content.get(column) is None:
        return []
    if holds_turns(columns.content[column]):
        return [*history(columns, media), *prompt_turns(columns, media)]
    return [*history(columns, media), {"role": "user", "content": question(columns, "prompt", "input")}]


def _side(columns: Columns, part: str, media: list[str]) -> list[Turn]:
    """One answer as turns; a dialogue in one text comes apart into its turns."""
    value = columns.value(part)
    if isinstance(value, str) and value.startswith(HUMAN):
        return _dialogue(value)
    return answer_turns(columns, part, media)


def _dialogue(text: str) -> list[Turn]:
    turns = list[Turn]()
    for piece in text.split(HUMAN)[1:]:
        asked, *answers = piece.split(ANSWER)
        turns.append({"role": "user", "content": asked.strip()})
        turns += [{"role": "assistant", "content": answer.strip()} for answer in answers if answer.strip()]
    return turns


def _whole(turns: list[Turn]) -> bool:
    """Whether a side repeats what was asked."""
    return bool(turns) and turns[0]["role"] != "assistant"


def _split_answer(turns: list[Turn]) -> tuple[list[Turn], list[Turn]]:
    """What is before the last answer, and the answer with the calls that led to it."""
    at = len(turns)
    while at and turns[at - 1]["role"] in ("assistant", "tool"):
        at -= 1
    return turns[:at], turns[at:]


def _common_beginning(chosen: list[Turn], rejected: list[Turn]) -> tuple[list[Turn], list[Turn], list[Turn]]:
    """What both begin with, and how each goes on; the last answer always belongs to what goes on."""
    at = 0
    while at < min(len(chosen), len(rejected)) - 1 and _alike(chosen[at], rejected[at]):
        at += 1
    return chosen[:at], chosen[at:], rejected[at:]


def _alike(one: dict[str, Any], other: dict[str, Any]) -> bool:
    return one == other
