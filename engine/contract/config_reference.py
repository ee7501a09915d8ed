"""The reference of every setting of the run config, as Markdown, made from the declarations."""

from __future__ import annotations

import types
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from engine.contract.rewards import REWARDS
from engine.contract.run_spec import RunConfig
from engine.contract.setting import extra
from engine.contract.stages import REASONS, STAGES
from engine.contract.tuners import LEFT_OUT, TUNERS

HEAD = """# The run config

A training run as YAML or JSON. `forge config init FILE` writes one with every setting at its default;
`forge config check FILE` lists everything that is wrong, with line, field, reason and fix. Unknown names are refused,
and so is a value that this version cannot run.
"""


def reference() -> str:
    """The whole page."""
    parts = [HEAD, *_group("", RunConfig, "The document itself."), *_methods(), *_stages(), *_rewards()]
    return "\n".join(parts).rstrip() + "\n"


def _methods() -> list[str]:
    """What each method takes, and which are left out."""
    lines = [
        "## Methods",
        "",
        "Which settings of `tuner` each kind takes, and beside which weights it can sit.",
        "",
    ]
    lines += ["| kind | its settings | beside weights in 8 or 4 bits |", "|---|---|---|"]
    for tuner in TUNERS.values():
        beside = "torchao, too" if tuner.name == "lora" else "bitsandbytes" if tuner.quantised else "no"
        lines.append(f"| `{tuner.name}` | {_listed(tuner.settings)} | {beside} |")
    lines += ["", "What is left out, and why:", ""]
    return [*lines, *(f"- {name}: {why}" for name, why in LEFT_OUT.items()), ""]


def _stages() -> list[str]:
    """What each stage learns, takes and knows."""
    lines = [
        "## Stages",
        "",
        "What each value of `stage` learns, and which settings it takes.",
        "",
    ]
    lines += ["| stage | learns | formats of rows | losses | its settings |", "|---|---|---|---|---|"]
    for stage in STAGES.values():
        if not stage.runs:
            lines.append(f"| {stage.name} | {stage.learns} | | | not yet: {REASONS[stage.missing]} |")
            continue
        taken = (*stage.settings, *(f"head.{name}" for name in stage.head))
        taken = (*taken, *(("teacher",) if stage.teacher else ()))
        losses, settings = (_listed(stage.losses), _listed(taken))
        more = f"; of `rollouts`: {_listed(stage.rollouts)}" if stage.rollouts else ""
        lines.append(f"| `{stage.name}` | {stage.learns} | {_listed(stage.formats)} | {losses} | {settings}{more} |")
    return [*lines, ""]


def _rewards() -> list[str]:
    """What each reward says, and its options."""
    lines = ["## Rewards", "", "What each `kind` of `rollouts.rewards` rewards, and its `options`.", ""]
    lines += ["| kind | rewards | option | default | what it does |", "|---|---|---|---|---|"]
    for reward in REWARDS.values():
        lines.append(f"| `{reward.name}` | {reward.says} | | | |")
        for name, option in reward.options.items():
            choices = option.get("choices", ())
            known = f" One of: {', '.join(f'`{one}`' for one in choices if one)}." if choices else ""
            default = f"`{option['default']}`" if option["default"] != "" else "empty"
            lines.append(f"| | | `{name}` | {default} | {option['says']}{known} |")
    return [*lines, ""]


def _listed(names: tuple[str, ...]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _group(at: str, model: type[BaseModel], sentence: str) -> list[str]:
    lines = [
        f"## {at or 'Top level'}",
        "",
        sentence,
        "",
        "| setting | default | values | what it does |",
        "|---|---|---|---|",
    ]
    later: list[str] = []
    for name, field in model.model_fields.items():
        inner = _model_in(field.annotation)
        where = f"{at}.{name}" if at else name
        text = field.description or ""
        if inner is None:
            recorded = extra(field)
            unit = f" ({recorded['unit']})" if recorded.get("unit") else ""
            lines.append(f"| `{name}` | {_default(field)} | {_values(field.annotation, recorded)} | {text}{unit} |")
            continue
        listed = get_origin(field.annotation) is list
        later += _group(where + ("[]" if listed else ""), inner, text)
        lines.append(f"| `{name}` | {_default(field) if listed else 'see below'} | group | {text} |")
    return [*lines, "", *later]


def _default(field: Any) -> str:
    if field.default_factory is not None:
        made = field.default_factory()
        return f"`{made}`" if not isinstance(made, BaseModel) else ""
    if field.default is PydanticUndefined or field.default is ...:
        return "**needed**"
    if field.default is None:
        return "empty"
    return f"`{str(field.default).lower() if isinstance(field.default, bool) else field.default}`"


def _values(annotation: Any, recorded: dict[str, Any]) -> str:
    runnable = recorded.get("executable")
    if get_origin(annotation) is Literal:
        choices = [str(choice) for choice in get_args(annotation)]
        now = [choice for choice in choices if runnable is None or choice in map(str, runnable)]
        later = [choice for choice in choices if choice not in now]
        return ", ".join(f"`{choice}`" for choice in now) + (f"; not yet: {', '.join(later)}" if later else "")
    if recorded.get("known"):
        return ", ".join(f"`{choice}`" for choice in recorded["known"])
    if runnable is not None:
        return "cannot be changed yet"
    kinds = [kind for kind in (get_args(annotation) or (annotation,)) if kind is not type(None)]
    names = {int: "whole number", float: "number", str: "text", bool: "true or false"}
    word = names.get(kinds[0], "text")
    if get_origin(annotation) is dict:
        return "names with values"
    return f"list of {word}s" if get_origin(annotation) is list else word


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    if get_origin(annotation) in (list, Union, types.UnionType):
        return next((found for found in map(_model_in, get_args(annotation)) if found), None)
    return None
