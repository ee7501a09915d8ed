"""The forms rows come in, the parts each is made of, and which columns play them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from engine.contract.setting import Settings, setting

DataFormat = Literal[
    "messages", "sharegpt", "alpaca", "query_response", "prompt_completion", "text", "preference", "kto", "prompt_only",
    "pairs", "classification",
]  # fmt: skip
FORMATS: tuple[str, ...] = get_args(DataFormat)
TEACHES = {
    "messages": "conversation",
    "sharegpt": "conversation",
    "alpaca": "conversation",
    "query_response": "conversation",
    "prompt_completion": "conversation",
    "text": "text",
    "preference": "preference",
    "kto": "verdict",
    "prompt_only": "prompt",
    "pairs": "pair",
    "classification": "class",
}
"""What a row of a format is to a stage of training."""


@dataclass(frozen=True)
class Part:
    """A part of a row and the column that plays it unless a mapping says otherwise."""

    name: str
    required: bool
    columns: tuple[str, ...]
    """Usual names of the column, the commonest first."""
    kind: Literal["text", "turns", "value", "tools", "history"] = "text"


_SYSTEM = Part("system", False, ("system", "system_prompt"))
_TOOLS = Part("tools", False, ("tools", "functions"), "tools")
_HISTORY = Part("history", False, ("history",), "history")
_INPUT = Part("input", False, ("input",))
# The columns ms-swift renames to query and response: ResponsePreprocessor.__init__ (`query_keys`, `response_keys`) in
# modelscope/ms-swift, swift/llm/dataset/preprocessor/core.py at commit 0e518dd229d8abbe151be5179d1358ae5a15f217.
_QUERY = ("query", "prompt", "input", "instruction", "question", "problem")
_RESPONSE = (
    "response",
    "answer",
    "output",
    "targets",
    "target",
    "answer_key",
    "answers",
    "solution",
    "text",
    "completion",
    "content",
)
PARTS: dict[str, tuple[Part, ...]] = {
    "messages": (
        Part("messages", True, ("messages", "conversation", "conversations", "dialog"), "turns"),
        _SYSTEM,
        _TOOLS,
    ),
    "sharegpt": (Part("messages", True, ("conversations", "conversation", "messages"), "turns"), _SYSTEM, _TOOLS),
    "alpaca": (
        Part("instruction", True, ("instruction",)),
        Part("input", False, ("input",)),
        Part("output", True, ("output",)),
        _SYSTEM,
        _HISTORY,
    ),
    "query_response": (Part("query", True, _QUERY), Part("response", True, _RESPONSE), _SYSTEM, _HISTORY),
    "prompt_completion": (
        Part("prompt", True, ("prompt",)),
        Part("completion", True, ("completion",)),
        _SYSTEM,
        _TOOLS,
    ),
    "text": (Part("text", True, ("text", "content", "document", "story")),),
    "preference": (
        Part("prompt", False, ("prompt", "question", "instruction", "query")),
        Part("messages", False, ("messages", "conversations"), "turns"),
        Part("chosen", False, ("chosen", "response", "preferred_output")),
        Part("rejected", True, ("rejected", "rejected_response", "rejected_messages", "non_preferred_output")),
        _INPUT,
        _SYSTEM,
        _TOOLS,
        _HISTORY,
    ),
    "kto": (
        Part("prompt", False, ("prompt", "instruction", "query")),
        Part("messages", False, ("messages", "conversations"), "turns"),
        Part("completion", False, ("completion", "response", "output")),
        Part("label", True, ("kto_tag", "label"), "value"),
        _INPUT,
        _SYSTEM,
        _TOOLS,
        _HISTORY,
    ),
    "prompt_only": (
        Part("prompt", True, ("prompt", "query", "question", "instruction", "problem", "messages", "conversations")),
        _SYSTEM,
    ),
    "pairs": (
        Part("anchor", True, ("anchor", "query", "sentence1", "text_a", "premise", "question")),
        Part("positive", True, ("positive", "response", "sentence2", "text_b", "hypothesis", "document")),
        Part("negative", False, ("negative", "rejected_response", "negatives")),
        Part("score", False, ("score", "label", "similarity"), "value"),
    ),
    "classification": (
        Part("text", False, ("text", "sentence", "content", "query")),
        Part("messages", False, ("messages", "conversations"), "turns"),
        Part("label", True, ("label", "labels", "category", "class"), "value"),
    ),
}


class Mapping(Settings):
    """Which columns play which part of a row, where they are not called as usual."""

    columns: dict[str, str] = setting(
        dict, "Part of a row (instruction, output, messages …) to the column that plays it.", label="Columns",
        max_length=20,
    )  # fmt: skip
    role_key: str | None = setting(
        None,
        "In a turn, the key that says who speaks; empty: found by itself.",
        label="Key of the role",
        max_length=200,
    )
    content_key: str | None = setting(
        None, "In a turn, the key with what is said; empty: found by itself.", label="Key of the text", max_length=200
    )
    roles: dict[str, Literal["system", "user", "assistant", "tool", "leave_out"]] = setting(
        dict, "Names of roles in the rows and what they mean here, beside the usual ones.", label="Roles", max_length=50
    )
