"""Rows that are conversations: messages, ShareGPT, Alpaca, query and response, prompt and completion."""

from __future__ import annotations

from typing import Any

from engine.compute.data.formats.base import BadRow, Columns
from engine.compute.data.formats.roles import meaning
from engine.compute.data.formats.tools import definitions
from engine.compute.data.formats.turns import check_answered, check_order, read_turns
from engine.compute.data.formats.values import unpacked
from engine.compute.data.rows import Turn

Parts = dict[str, Any]
"""Fields of the example a row becomes."""


def from_messages(columns: Columns, media: list[str]) -> Parts:
    """A list of messages; OpenAI's keys, ShareGPT's, or any others."""
    column = columns.name("messages")
    if column not in columns.content:
        raise columns.missing("messages")
    turns = read_turns(columns.content[column], column, columns.mapping, media)
    check_answered(turns, column)
    turns = with_system(columns, turns)
    check_order(turns, column)
    return with_tools(columns, {"turns": tuple(turns)})


def from_alpaca(columns: Columns, media: list[str]) -> Parts:
    """Instruction, input and output, with what was said before."""
    asked = question(columns, "instruction", "input")
    answer: Turn = {"role": "assistant", "content": columns.text("output")}
    turns = [*history(columns, media), {"role": "user", "content": asked}, answer]
    return {"turns": tuple(with_system(columns, turns))}


def from_query_response(columns: Columns, media: list[str]) -> Parts:
    """A question and its answer under one of many names; of several answers the first."""
    column = columns.name("response")
    value = columns.content.get(column)
    if isinstance(value, list):
        value = next((text for text in value if isinstance(text, str) and text.strip()), None)
        if value is None:
            raise BadRow("data.empty_column", column, column=column)
        answer = value
    else:
        answer = columns.text("response")
    turns = [*history(columns, media), {"role": "user", "content": columns.text("query")},
             {"role": "assistant", "content": answer}]  # fmt: skip
    return {"turns": tuple(with_system(columns, turns))}


def from_prompt_completion(columns: Columns, media: list[str]) -> Parts:
    """A prompt and what completes it, each a text or a list of messages."""
    turns = [*prompt_turns(columns, media), *answer_turns(columns, "completion", media)]
    check_answered(turns, columns.name("completion"))
    turns = with_system(columns, turns)
    check_order(turns, columns.name("prompt"))
    return with_tools(columns, {"turns": tuple(turns)})


def prompt_turns(columns: Columns, media: list[str]) -> list[Turn]:
    """What is asked: a text is one message of the user."""
    column = columns.name("prompt")
    if holds_turns(columns.content.get(column)):
        return read_turns(columns.content[column], column, columns.mapping, media)
    return [{"role": "user", "content": columns.text("prompt")}]


def answer_turns(columns: Columns, part: str, media: list[str]) -> list[Turn]:
    """What is answered: a text is one message of the assistant."""
    column = columns.name(part)
    if holds_turns(columns.content.get(column)):
        return read_turns(columns.content[column], column, columns.mapping, media)
    return [{"role": "assistant", "content": columns.text(part)}]


def holds_turns(value: Any) -> bool:
    """Whether a value is a list of messages, or one message.

    A text counts only if every object in it names a known role and says something: answers and prompts are often JSON
    of another sort.
    """
    if isinstance(value, str):
        if value.lstrip()[:1] not in ("[", "{"):
            return False  # the usual case, without trying to read it
        items = unpacked(value)
        items = items if isinstance(items, list) else [items]
        return bool(items) and all(map(_is_message, items))
    if isinstance(value, dict):
        return isinstance(value.get("messages"), list) or any(key in value for key in ("role", "from"))
    return isinstance(value, list) and bool(value) and isinstance(value[0], dict)


def _is_message(item: Any) -> bool:
    if not isinstance(item, dict):
        return False
    if "role" in item:
        return meaning(item["role"]) is not None and ("content" in item or "tool_calls" in item)
    return meaning(item.get("from")) is not None and "value" in item


def question(columns: Columns, first: str, second: str) -> str:
    """Instruction and input in one text; one of the two may be empty."""
    more = columns.text(second, required=False)
    if not more.strip():
        return columns.text(first)
    asked = columns.text(first, required=False)
    return f"{asked}\n{more}" if asked.strip() else more


def history(columns: Columns, media: list[str]) -> list[Turn]:
    """What was said before: pairs of question and answer, or messages."""
    column = columns.name("history")
    value = columns.content.get(column) if column else None
    if value is None:
        return []
    value = unpacked(value)
    if value in ("", [], ()) or (isinstance(value, str) and not value.strip()):
        return []
    if not isinstance(value, list | tuple):
        raise BadRow("data.bad_history", column, column=column)
    if all(isinstance(pair, dict) for pair in value):
        return read_turns(list(value), column, columns.mapping, media)
    turns = list[Turn]()
    for number, pair in enumerate(value):
        texts = isinstance(pair, list | tuple) and len(pair) == 2 and all(isinstance(text, str) for text in pair)
        if not texts or not pair[1].strip():
            raise BadRow("data.bad_history", f"{column}[{number}]", column=column)
        turns += [{"role": "user", "content": pair[0]}, {"role": "assistant", "content": pair[1]}]
    return turns


def with_system(columns: Columns, turns: list[Turn]) -> list[Turn]:
    """The system prompt of a column of its own goes before, unless the turns have one."""
    system = columns.text("system", required=False)
    if system.strip() and not (turns and turns[0]["role"] == "system"):
        return [{"role": "system", "content": system}, *turns]
    return turns


def with_tools(columns: Columns, parts: Parts) -> Parts:
    """The tools of the row beside its turns."""
    column = columns.name("tools")
    if column and columns.content.get(column) is not None:
        parts["tools"] = definitions(columns.content[column], column)
    return parts
