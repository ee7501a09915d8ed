"""Calls of tools in an answer: found in the form models write them, or forced by a schema.

Hermes and Qwen write `<tool_call>{"name": …, "arguments": {…}}</tool_call>`, as often as they call something.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from engine.compute.serving.bodies import Tool
from engine.contract.ids import new_id

BEGIN, END = "<tool_call>", "</tool_call>"
NAMED = re.compile(r'\s*\{\s*"name"\s*:\s*"([^"\\]+)"(?:\s*,\s*"arguments"\s*:\s*)?')
"""How an answer of a forced shape begins."""


@dataclass(frozen=True, slots=True)
class Call:
    """A function and its arguments, in JSON."""

    name: str
    arguments: str
    id: str = field(default_factory=lambda: f"call_{new_id()}")

    def told(self, index: int | None = None) -> dict[str, Any]:
        """As OpenAI's clients read it; in a stream with its number."""
        function = {"name": self.name, "arguments": self.arguments}
        said: dict[str, Any] = {"id": self.id, "type": "function", "function": function}
        return said if index is None else {"index": index, **said}


def forced_schema(tools: Sequence[Tool]) -> str:
    """The shape of an answer that calls one of these, its name first."""
    shapes = [
        {
            "type": "object",
            "properties": {"name": {"const": tool.function.name}, "arguments": tool.function.parameters},
            "required": ["name", "arguments"],
            "additionalProperties": False,
        }
        for tool in tools
    ]
    return json.dumps(shapes[0] if len(shapes) == 1 else {"anyOf": shapes})


def call_of(text: str, known: Iterable[str]) -> Call | None:
    """A call as it is written in JSON; None where it is none, or calls what nobody named."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, dict) or found.get("name") not in set(known):
        return None
    arguments = found.get("arguments", found.get("parameters", {}))
    if not isinstance(arguments, str):
        arguments = json.dumps(arguments, ensure_ascii=False)
    return Call(str(found["name"]), arguments)


def forced_call(text: str, tools: Sequence[Tool]) -> Call | None:
    """The call an answer of that shape is; of one that was cut off what there is, and none where it names no tool."""
    names = [tool.function.name for tool in tools]
    whole = call_of(text, names)
    if whole is not None:
        return whole
    found = NAMED.match(text)
    named = found[1] if found is not None else names[0] if len(names) == 1 else ""
    return Call(named, text[found.end() :] if found is not None else "") if named in names else None


@dataclass
class CallStream:
    """Takes an answer as it comes apart into text and calls; what may become a call is held back."""

    known: tuple[str, ...]
    calls: list[Call] = field(default_factory=list)
    _held: str = ""

    def add(self, text: str) -> tuple[str, list[Call]]:
        """Text that is sure, and calls that are whole."""
        self._held += text
        said, found = "", list[Call]()
        while True:
            begin = self._held.find(BEGIN)
            if begin < 0:
                keep = _beginning(self._held)
                said, self._held = said + self._held[: len(self._held) - keep], self._held[len(self._held) - keep :]
                break
            end = self._held.find(END, begin)
            if end < 0:
                said, self._held = said + self._held[:begin], self._held[begin:]
                break
            said += self._held[:begin]
            block, self._held = self._held[begin : end + len(END)], self._held[end + len(END) :]
            said += self._taken(block, block[len(BEGIN) : -len(END)], found)
        return self._spoken(said), found

    def rest(self) -> tuple[str, list[Call]]:
        """Nothing comes any more: a call may lack its end."""
        held, self._held, found = self._held, "", list[Call]()
        if held.startswith(BEGIN):
            held = self._taken(held, held[len(BEGIN) :], found)
        return self._spoken(held), found

    def _taken(self, block: str, inner: str, found: list[Call]) -> str:
        """Nothing where it is a call; else the block, as it is text."""
        call = call_of(inner.strip(), self.known)
        if call is None:
            return block
        found.append(call)
        self.calls.append(call)
        return ""

    def _spoken(self, text: str) -> str:
        """Blanks between calls say nothing."""
        return "" if self.calls and not text.strip() else text


def _beginning(text: str) -> int:
    """Characters at the end that may be the beginning of a call."""
    return next((n for n in range(min(len(BEGIN) - 1, len(text)), 0, -1) if BEGIN.startswith(text[-n:])), 0)
