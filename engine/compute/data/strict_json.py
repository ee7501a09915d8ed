"""JSON as it stands in datasets: what parsers let pass or choke on is a problem with a line and a column."""

from __future__ import annotations

import json
from typing import Any

from engine.contract.errors import Problem


class KeyTwice(Exception):
    """An object names a key twice; which value is meant cannot be known."""


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        seen = set[str]()
        for name, _ in pairs:
            if name in seen:
                raise KeyTwice(name)
            seen.add(name)
    return found


decoder = json.JSONDecoder(object_pairs_hook=_once)
lenient = json.JSONDecoder(parse_int=str)
"""Reads what is wrong as well, to know where it ends."""


def loads(text: str, line: int) -> Any | Problem:
    """The value in a JSON text that begins in this line, or the first thing that is wrong with it."""
    try:
        return decoder.decode(text)
    except json.JSONDecodeError as error:
        params = {"column": error.colno, "detail": error.msg}
        return Problem(code="data.bad_json", line=line + error.lineno - 1, params=params)
    except KeyTwice as error:
        name = str(error)[:80]
        where = line if "\n" not in text else None  # which row of an array it was is not known
        return Problem(code="data.key_twice", line=where, field=name, params={"key": name})
    except RecursionError:
        return Problem(code="data.too_deep", line=line)
    except ValueError:  # Python refuses to make a number of thousands of digits
        return Problem(code="data.number_too_long", line=line)


def holds_half_characters(content: dict[str, Any], text: str) -> bool:
    r"""Whether a text inside has half of a character written as two escapes (`\ud83d` alone); no tokenizer takes it."""
    if "\\ud" not in text and "\\uD" not in text:
        return False
    try:
        json.dumps(content, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return True
    return False
