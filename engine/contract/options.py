"""Options by name that a library takes beside our settings: what each may be, and what is wrong with what was given."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from typing import Any

from engine.contract.errors import Problem

Value = bool | int | float | str
Option = Mapping[str, Any]
"""`type` (bool, int, float, str), `default`, and `choices` where there are few."""


def check_given(name: str, given: Mapping[str, Value], known: Mapping[str, Option], at: str) -> Iterator[Problem]:
    """Everything that is wrong with the options given to what has that name."""
    for key, value in given.items():
        where = f"{at}.{key}"
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1)
            params = {"option": key, "tuner": name, "known": ", ".join(known) or "—"}
            if near:
                yield Problem(code="config.option_unknown", field=where, params={**params, "near": near[0]})
            else:
                yield Problem(code="config.option_unknown_plain", field=where, params=params)
        elif not fits(value, known[key]):
            params = {"option": key, "value": str(value)[:80], "type": described(known[key])}
            yield Problem(code="config.option_type", field=where, params=params)


def fits(value: Value, option: Option) -> bool:
    """Whether the library takes such a value."""
    if "choices" in option:
        return value in option["choices"]
    match option["type"]:
        case "bool":
            return isinstance(value, bool)
        case "int":
            return isinstance(value, int) and not isinstance(value, bool)
        case "float":
            return isinstance(value, int | float) and not isinstance(value, bool)
        case _:
            return isinstance(value, str)


def described(option: Option) -> str:
    """What an option takes, in a word."""
    return ", ".join(str(one) for one in option["choices"] if one != "") if "choices" in option else str(option["type"])
