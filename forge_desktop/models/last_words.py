"""Why a controller could not start, from what it said before it ended: a known error again, in our language."""

from __future__ import annotations

import re
from string import Formatter

from engine.contract.errors import ErrorBody
from engine.contract.messages import MESSAGES

_CODE = re.compile(r"\[([a-z_]+\.[a-z_]+)\]")


def cause(error: ErrorBody) -> ErrorBody:
    """The controller's own error, if its last words hold one; else the error as it is."""
    detail = str(error.params.get("detail", ""))
    for code in reversed(_CODE.findall(detail)):
        message = MESSAGES.get(code)
        if message is None:
            continue
        text = " ".join(part for part in (message.what, message.why, message.fix) if part)
        found = re.search(_pattern(text), detail, re.DOTALL)
        if found:
            params = {**found.groupdict(), "log": error.params.get("log", "")}
            return ErrorBody(code=code, what=message.what, why=message.why, fix=message.fix, params=params)
    return error


def _pattern(text: str) -> str:
    """A message's text as a pattern that finds its parameters; one that comes twice is the same both times."""
    made, known = "", set[str]()
    for part, name, _form, _how in Formatter().parse(text):
        made += re.escape(part)
        if name is not None:
            made += f"(?P={name})" if name in known else f"(?P<{name}>.*?)"
            known.add(name)
    return made + r"\s*\["
