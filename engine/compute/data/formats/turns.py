"""Turns of a conversation, whatever their keys are called: roles, texts, calls of tools, and what is learned."""

from __future__ import annotations

from typing import Any

from engine.compute.data.formats.base import BadRow
from engine.compute.data.formats.roles import CALLING, ROLES, keys_of, meaning, sides_of
from engine.compute.data.formats.tools import calls_in, calls_of_text
from engine.compute.data.formats.values import joined_parts, unpacked
from engine.compute.data.rows import Turn
from engine.contract.data_format import Mapping

TRAIN_KEYS = ("train", "training", "loss", "weight")
"""Say of a message whether it is learned: axolotl's `train`, ms-swift's `loss`, OpenAI's `weight` (0 or 1)."""
THOUGHT_KEYS = ("reasoning_content", "reasoning", "thinking")
PLAIN = ("user", "assistant", "system", "human", "gpt")
"""Roles of messages that have nothing to tell but their text."""


def listed(value: Any, column: str, required: bool = True) -> list[Any]:
    """A value that holds turns, as a list; one turn alone counts as a list of one."""
    value = unpacked(value)
    if isinstance(value, dict):
        value = value["messages"] if isinstance(value.get("messages"), list) else [value]
    if not isinstance(value, list) or (required and not value):
        raise BadRow("data.no_turns", column, column=column)
    return value


def read_turns(value: Any, column: str, mapping: Mapping, media: list[str]) -> list[Turn]:
    """Every turn in order; what they must add up to is the format's affair."""
    items = listed(value, column)
    role_key, content_key = keys_of(items, mapping)
    turns = list[Turn]()
    for number, item in enumerate(items):
        where = f"{column}[{number}]"
        if not isinstance(item, dict):
            raise BadRow("data.turn_not_an_object", where, found=type(item).__name__)
        if role_key and (role_key in item or mapping.role_key):
            turn = _turn(item, where, role_key, content_key, mapping, media)
            if turn is not None:
                turns.append(turn)
        elif sides := sides_of(item, mapping):
            turns += _sides(item, sides, where)
        else:
            found = ", ".join(sorted(map(str, item))[:8])[:120]
            raise BadRow("data.turn_keys" if not role_key else "data.unknown_role", f"{where}.{role_key}".rstrip("."),
                         keys=found, role="None", known=", ".join(ROLES))  # fmt: skip
    return turns


def _turn(
    item: dict[str, Any], where: str, role_key: str, content_key: str, mapping: Mapping, media: list[str]
) -> Turn | None:
    name = item.get(role_key)
    role = meaning(name, mapping)
    if role is None:
        raise BadRow("data.unknown_role", f"{where}.{role_key}", role=str(name)[:80], known=", ".join(ROLES))
    if role == "leave_out":
        return None
    content = item.get(content_key)
    if isinstance(content, list):
        content = joined_parts(content, f"{where}.{content_key}", media)
    turn: Turn = {"role": role, "content": content}
    if len(item) > 2 or content is None or name not in PLAIN:
        _add_details(turn, item, name, where)
    if turn["content"] is None and "tool_calls" in turn:
        turn["content"] = ""
    if not isinstance(turn["content"], str):
        raise BadRow("data.turn_not_text", f"{where}.{content_key}", found=type(content).__name__)
    if role == "assistant" and "tool_calls" not in turn and not turn["content"].strip():
        raise BadRow("data.empty_answer", f"{where}.{content_key}")
    return turn


def _add_details(turn: Turn, item: dict[str, Any], name: Any, where: str) -> None:
    """Calls, thoughts, and whether the message is learned."""
    if turn["role"] == "assistant":
        if str(name).lower().replace("-", "_") in CALLING and isinstance(turn["content"], str):
            calls = calls_of_text(turn["content"])
            if calls:
                turn["content"] = ""
        else:
            calls = calls_in(item, where)
        if calls:
            turn["tool_calls"] = calls
        thoughts = next((item[key] for key in THOUGHT_KEYS if isinstance(item.get(key), str) and item[key]), None)
        if thoughts is not None:
            turn["reasoning_content"] = thoughts
    elif turn["role"] == "tool":
        for key in ("name", "tool_call_id"):
            if isinstance(item.get(key), str):
                turn[key] = item[key]
    learned = _learned(item, where)
    if learned is not None:
        turn["train"] = learned


def _learned(item: dict[str, Any], where: str) -> bool | None:
    for key in TRAIN_KEYS:
        value = item.get(key)
        if value is None:
            continue
        if not isinstance(value, bool | int | float) or value not in (0, 1):
            raise BadRow("data.bad_train_key", f"{where}.{key}", key=key, value=str(value)[:40])
        return bool(value)
    return None


def _sides(item: dict[str, Any], sides: list[tuple[str, str]], where: str) -> list[Turn]:
    """Turns of one object that holds several sides of the conversation."""
    turns = list[Turn]()
    for key, role in sides:
        text = item[key]
        if role == "leave_out" or (role in ("system", "tool") and not text):
            continue
        if not isinstance(text, str):
            raise BadRow("data.turn_not_text", f"{where}.{key}", found=type(text).__name__)
        if role == "assistant" and not text.strip():
            raise BadRow("data.empty_answer", f"{where}.{key}")
        turns.append({"role": role, "content": text})
    return turns


def check_order(turns: list[Turn], column: str) -> None:
    """A system message stands first or nowhere: templates refuse any other place."""
    for index in range(1, len(turns)):
        if turns[index]["role"] == "system":
            raise BadRow("data.late_system", f"{column}[{index}]", column=column)


def check_answered(turns: list[Turn], column: str) -> None:
    """Somebody must answer, or nothing can be learned."""
    for turn in turns:
        if turn["role"] == "assistant":
            return
    raise BadRow("data.no_answer", column, column=column)
