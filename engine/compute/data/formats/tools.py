"""Tools in rows: which may be called, and the calls an assistant makes, however they are written."""

from __future__ import annotations

from typing import Any

from engine.compute.data.formats.base import BadRow
from engine.compute.data.formats.values import unpacked


def definitions(value: Any, column: str) -> tuple[dict[str, Any], ...]:
    """Tools as JSON schemas, each with `type` and `function`, the way chat templates take them."""
    value = unpacked(value)
    if value in (None, "", [], {}) or (isinstance(value, str) and not value.strip()):
        return ()
    items = value if isinstance(value, list) else [value]
    tools = []
    for item in items:
        tool = unpacked(item)
        if not isinstance(tool, dict):
            raise BadRow("data.bad_tools", column, column=column, found=type(tool).__name__)
        if "function" not in tool and "name" in tool:
            tool = {"type": "function", "function": tool}
        tools.append(tool)
    return tuple(tools)


def calls_in(item: dict[str, Any], where: str) -> list[dict[str, Any]]:
    """The calls of an assistant's message: `tool_calls`, or `function_call` as it was called before."""
    calls = unpacked(item.get("tool_calls"))
    if not calls and item.get("function_call"):
        calls = [unpacked(item["function_call"])]
    if not calls:
        return []
    if not isinstance(calls, list):
        raise BadRow("data.bad_tools", f"{where}.tool_calls", column="tool_calls", found=type(calls).__name__)
    found = []
    for call in calls:
        made = _call(unpacked(call))
        if made is None:
            raise BadRow("data.bad_tools", f"{where}.tool_calls", column="tool_calls", found=type(call).__name__)
        found.append(made)
    return found


def calls_of_text(text: str) -> list[dict[str, Any]]:
    """The calls a text holds as JSON; none where it is written in another way and stays a text."""
    value = unpacked(text)
    made = [_call(item) for item in (value if isinstance(value, list) else [value])]
    return [] if None in made else [call for call in made if call is not None]


def _call(item: Any) -> dict[str, Any] | None:
    """One call with its arguments as an object, as templates expect them; None where it names no function."""
    if not isinstance(item, dict):
        return None
    function = item.get("function", item)
    if isinstance(function, str):  # {"function": "name", "arguments": …}
        function = {"name": function, "arguments": item.get("arguments")}
    if not isinstance(function, dict) or not isinstance(function.get("name"), str):
        return None
    arguments = next((function[key] for key in ("arguments", "parameters", "args") if key in function), None)
    arguments = unpacked(arguments)
    call: dict[str, Any] = {
        "type": "function",
        "function": {"name": function["name"], "arguments": {} if arguments is None else arguments},
    }
    if isinstance(item.get("id"), str):
        call["id"] = item["id"]
    return call
