"""Parameters of OpenAI's that are not supported, each with the reason and what to do in its place."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

ROLES = ("system", "developer", "user", "assistant", "tool")
_TEXT_ONLY = "the models here read and write text only"
_NOTHING_KEPT = "nothing of a request is kept here"
UNSUPPORTED: dict[str, tuple[str, str]] = {
    "audio": (_TEXT_ONLY, "Leave it out."),
    "modalities": (_TEXT_ONLY, 'Leave it out, or set it to ["text"].'),
    "prediction": ("answers are not compared with a predicted text", "Leave it out."),
    "reasoning_effort": ("how long a model thinks is decided by its chat template", "Leave it out."),
    "verbosity": ("the model was not taught to follow it", "Say in the system message how long answers are to be."),
    "web_search_options": ("nothing here searches the web", "Give a tool of your own in tools."),
    "functions": ("it is the old form of tools", "Name them in tools."),
    "function_call": ("it is the old form of tool_choice", "Use tool_choice."),
    "store": (_NOTHING_KEPT, "Leave it out, or set it to false."),
    "metadata": (_NOTHING_KEPT, "Leave it out; the header x-request-id marks a request."),
    "service_tier": ("a key's tier decides who is first", 'Leave it out, or set it to "auto".'),
    "prompt_cache_key": ("beginnings are found again by themselves", "Leave it out."),
    "prompt_cache_retention": ("what is kept of prompts is decided by the memory there is", "Leave it out."),
    "safety_identifier": (_NOTHING_KEPT, "Use user: its hash stands in the audit."),
    "best_of": ("answers are not compared with each other", "Use n and choose among them."),
    "echo": ("the prompt is not told again", "Put it before the answer yourself."),
    "suffix": ("these models continue a text, they fill no gaps", "Leave it out."),
    "dimensions": ("an embedding has as many numbers as the model's hidden state", "Leave it out."),
    "input_audio": (_TEXT_ONLY, "Leave it out."),
    "logit_processors": ("no code of a request is run", "Use logit_bias."),
    "guided_json": ("it is another server's name for it", "Use response_format of type json_schema."),
    "guided_choice": ("it is another server's name for it", "Use response_format of type json_schema with an enum."),
    "guided_regex": ("it is another server's name for it", "Use response_format of type json_schema with a pattern."),
    "use_beam_search": ("answers are sampled token by token", "Set temperature to 0 for the likeliest one."),
    "length_penalty": ("answers are sampled token by token", "Leave it out."),
    "top_a": ("it is not known here", "Use min_p."),
    "chat_template": ("the template is the instance's", "Set model.template where the instance is started."),
    "chat_template_kwargs": ("the template is the instance's", "Set model.thinking where the instance is started."),
}
NEUTRAL: dict[str, tuple[Any, ...]] = {
    "store": (False,), "service_tier": ("auto", "default"), "modalities": (["text"],), "metadata": ({},),
    "best_of": (1,), "echo": (False,), "suffix": ("",),
}  # fmt: skip
"""Values that ask for nothing else than what is done anyway."""


def advice_on(name: str) -> tuple[str, str]:
    """Why a parameter is not supported, and what to do."""
    return UNSUPPORTED.get(name, ("it is not known here", "Leave it out; docs/server.md lists what is known."))


def without_empty(given: Any, asked: bool = False) -> Any:
    """What was given without what is null; a whole request also without what asks for what is done anyway."""
    if not isinstance(given, Mapping):
        return given
    return {name: value for name, value in given.items() if value is not None and not (asked and _neutral(name, value))}


def _neutral(name: str, value: Any) -> bool:
    """Also of the same type: true is no 1."""
    return any(type(value) is type(one) and value == one for one in NEUTRAL.get(name, ()))
