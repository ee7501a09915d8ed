"""Writes the options of peft's methods from peft's own registry: python -m engine.compute.training.peft_options."""

from __future__ import annotations

import dataclasses
import json
import sys
import types
import typing
from typing import Any, Literal, get_args, get_origin

from engine.contract.tuners import OPTIONS, TUNERS

OURS = {
    *("target_modules", "exclude_modules", "fan_in_fan_out", "bias", "modules_to_save", "layers_to_transform"),
    *("layers_pattern", "init_weights", "use_effective_conv2d", "r"),
}
"""Set by settings of ours, or of no use for language models."""


def listed() -> dict[str, Any]:
    """Version of peft, and the options of each tuner that takes some."""
    import peft
    from peft.mapping import PEFT_TYPE_TO_CONFIG_MAPPING as KNOWN

    by_name = {kind.value: config for kind, config in KNOWN.items()}
    base = {field.name for field in dataclasses.fields(peft.PeftConfig)}
    found = {
        tuner.name: dict(_options(by_name[tuner.peft], base | OURS | set(tuner.given.values())))
        for tuner in TUNERS.values()
        if "options" in tuner.settings
    }
    return {"peft": peft.__version__, "tuners": found}


def _options(config: type[Any], without: set[str]) -> typing.Iterator[tuple[str, dict[str, Any]]]:
    hints = typing.get_type_hints(config)
    for field in dataclasses.fields(config):
        form = _form(hints[field.name])
        if field.name in without or form is None or field.default is dataclasses.MISSING:
            continue
        about = field.metadata.get("help") or ""
        about = about[0] if isinstance(about, tuple) else about
        yield field.name, {**form, "default": field.default, "about": " ".join(about.split()).strip(" '\"")}


def _form(annotation: Any) -> dict[str, Any] | None:
    """The type of an option that a person can write in a line."""
    if get_origin(annotation) in (typing.Union, types.UnionType):
        inner = [one for one in get_args(annotation) if one is not type(None)]
        return _form(inner[0]) if len(inner) == 1 else None
    if get_origin(annotation) is Literal:
        return {"type": "str", "choices": list(get_args(annotation))}
    return {"type": annotation.__name__} if annotation in (bool, int, float, str) else None


def text() -> str:
    """The file as it should be."""
    return json.dumps(listed(), indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    OPTIONS.parent.mkdir(parents=True, exist_ok=True)
    OPTIONS.write_text(text(), encoding="utf-8")
    sys.stdout.write(f"{OPTIONS}\n")
