"""Who speaks in a turn: names of roles, the keys that hold role and text, and how they are found by themselves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from engine.contract.data_format import Mapping

ROLES = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "human": "user",
    "prompter": "user",
    "assistant": "assistant",
    "gpt": "assistant",
    "bot": "assistant",
    "model": "assistant",
    "chatgpt": "assistant",
    "ai": "assistant",
    "function_call": "assistant",
    "tool_call": "assistant",
    "tool": "tool",
    "function": "tool",
    "observation": "tool",
    "observations": "tool",
    "function_response": "tool",
    "tool_response": "tool",
    "ipython": "tool",
}
"""Usual names, among them those of ms-swift's MessagesPreprocessor and of LLaMA-Factory's tags."""
CALLING = frozenset(("function_call", "tool_call"))
"""Roles whose text is itself a call."""
ROLE_KEYS = ("role", "from", "speaker", "author", "sender", "name", "user", "type")
CONTENT_KEYS = ("content", "value", "text", "message", "utterance", "body", "markdown")
SIDES = ("system", "user", "tool", "assistant")
"""The order in which one object that holds several sides is read."""
_NO_MAPPING = Mapping()


def meaning(name: Any, mapping: Mapping = _NO_MAPPING) -> str | None:
    """What a role's name means: system, user, assistant, tool, leave_out; None where nobody knows."""
    if not isinstance(name, str):
        return None
    if mapping.roles and name in mapping.roles:
        return mapping.roles[name]
    return ROLES.get(name) or ROLES.get(name.strip().lower().replace("-", "_"))


def keys_of(items: Sequence[Any], mapping: Mapping) -> tuple[str, str]:
    """The keys of role and text in these turns, "" where they are not found.

    Named ones first, then the usual pairs; else the key whose values are all names of roles, and of the remaining
    ones with text the usual or the longest. The order of keys in a turn decides nothing.
    """
    first = next((item for item in items if isinstance(item, dict)), {})
    role, content = mapping.role_key or "", mapping.content_key or ""
    if not role:
        role = "role" if "role" in first else "from" if "from" in first else _role_key(items, first, mapping)
    if not content:
        content = "content" if "content" in first else "value" if "value" in first else _content_key(items, role)
    return role, content


def _role_key(items: Sequence[Any], first: dict[str, Any], mapping: Mapping) -> str:
    turns = [item for item in items if isinstance(item, dict)]
    names = sorted(map(str, first), key=lambda name: (_rank(name, ROLE_KEYS), name))
    return next((name for name in names if all(meaning(turn.get(name), mapping) for turn in turns)), "")


def _content_key(items: Sequence[Any], role: str) -> str:
    turns = [item for item in items if isinstance(item, dict)]
    lengths = dict[str, int]()
    for turn in turns:
        for name, value in turn.items():
            if name != role and isinstance(value, str):
                lengths[name] = lengths.get(name, 0) + len(value)
    names = sorted(lengths, key=lambda name: (_rank(name, CONTENT_KEYS), -lengths[name], name))
    return names[0] if names else ""


def _rank(name: str, usual: tuple[str, ...]) -> int:
    return usual.index(name) if name in usual else len(usual)


def sides_of(item: dict[str, Any], mapping: Mapping) -> list[tuple[str, str]]:
    """Keys of a turn that are themselves roles (`{"human": …, "assistant": …}`), as (key, meaning) in reading order."""
    found = [(str(key), known) for key in item if (known := meaning(key, mapping)) is not None]
    return sorted(found, key=lambda side: (SIDES.index(side[1]) if side[1] in SIDES else len(SIDES), side[0]))
