"""From the text of a config file to plain data, with the line of every field; never more work than the text is long."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from engine.contract.errors import Problem, Refused

Location = tuple[str | int, ...]
MAX_CONFIG_BYTES = 1_000_000
MAX_NODES = 50_000
"""Values in a config, those that aliases repeat counted each time: aliases of aliases could make billions."""
LARGEST = 2**63 - 1
COMMENT = re.compile(r"(?:^|[,{\[])[ \t]*(//|/\*)", re.MULTILINE)


@dataclass
class Plain:
    """The data of a config, where each field stands, and what is wrong with it as a text."""

    document: Any = None
    lines: dict[str, int] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def line_of(self, name: str) -> int | None:
        """The line of a field, or of the group that should hold it."""
        while name:
            if name in self.lines:
                return self.lines[name]
            name = name.rpartition(".")[0]
        return None


def read_text(path: Path) -> str:
    """The text of a config file; never more of it than a config may have."""
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_CONFIG_BYTES + 1)
    except FileNotFoundError:
        raise Refused("config.missing_file", file=str(path)) from None
    except (OSError, ValueError) as error:
        detail = getattr(error, "strerror", None) or str(error)
        raise Refused("config.unreadable_file", file=str(path), detail=detail) from None
    if len(raw) > MAX_CONFIG_BYTES:
        raise Refused("config.too_long", file=str(path), limit=MAX_CONFIG_BYTES)
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise Refused("config.not_utf8", file=str(path))
    if b"\x00" in raw:
        raise Refused("config.binary", file=str(path))
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise Refused("config.not_utf8", file=str(path)) from None


def load(text: str, name: str) -> Plain:
    """Plain data, the line of each field, keys that stand twice, and values nothing could carry."""
    plain = Plain()
    try:
        loader = yaml.SafeLoader(text)
        try:
            node = loader.get_single_node()
            _Walk(plain).visit(node, ())
            plain.document = loader.construct_document(node) if node is not None else None
        finally:
            loader.dispose()
    except _TooMany:
        raise Refused("config.too_many", file=name, limit=MAX_NODES) from None
    except RecursionError:
        raise Refused("config.too_deep", file=name) from None
    except (yaml.YAMLError, ValueError, TypeError) as error:
        raise _unreadable(text, name, error) from None
    plain.problems += _uncarriable(plain.document, ())
    return plain


class _TooMany(Exception):
    """More values than any config has."""


class _Walk:
    """Goes through the nodes of a text before anything is made of them."""

    def __init__(self, plain: Plain) -> None:
        self._plain = plain
        self._left = MAX_NODES

    def visit(self, node: yaml.Node | None, at: Location, above: Sequence[yaml.Node] = ()) -> None:
        """Note lines and keys that stand twice."""
        if node is None or any(node is one for one in above):
            return
        self._left -= 1
        if self._left < 0:
            raise _TooMany
        above = (*above, node)
        if isinstance(node, yaml.MappingNode):
            self._mapping(node, at, above)
        elif isinstance(node, yaml.SequenceNode):
            for index, item in enumerate(node.value):
                self._plain.lines[".".join(map(str, (*at, index)))] = item.start_mark.line + 1
                self.visit(item, (*at, index), above)

    def _mapping(self, node: yaml.MappingNode, at: Location, above: Sequence[yaml.Node]) -> None:
        seen = set[str]()
        for key, value in node.value:
            word = str(key.value)
            name, line = ".".join(map(str, (*at, word))), key.start_mark.line + 1
            if word in seen:
                self._plain.problems.append(
                    Problem(code="config.key_twice", field=name, line=line, params={"key": word[:80]})
                )
            seen.add(word)
            self._plain.lines[name] = line
            self.visit(value, (*at, word), above)


def _unreadable(text: str, name: str, error: Exception) -> Refused:
    """What the parser says, with its place; comments in JSON are so common that they are named."""
    mark = getattr(error, "problem_mark", None)
    line = mark.line + 1 if mark else None
    comment = COMMENT.search(text) if text.lstrip().startswith("{") else None
    if comment is not None:
        return Refused("config.comments", file=name, line=text.count("\n", 0, comment.start(1)) + 1)
    where = f"Line {line}, column {mark.column + 1}: " if mark else ""
    detail = where + str(getattr(error, "problem", None) or error).strip().rstrip(".") + "."
    return Refused("config.unreadable", file=name, detail=detail)


def _uncarriable(value: Any, at: Location, above: tuple[int, ...] = ()) -> Iterator[Problem]:
    """Texts with half a character and whole numbers without end: no file and no database takes them."""
    where = ".".join(map(str, at))
    if isinstance(value, str) and any("\ud800" <= sign <= "\udfff" for sign in value):
        yield Problem(code="config.half_character", field=where)
    elif isinstance(value, int) and abs(value) > LARGEST:
        yield Problem(code="config.too_large", field=where, params={"value": _brief(value), "limit": LARGEST})
    elif isinstance(value, dict | list) and id(value) not in above:
        items = value.items() if isinstance(value, dict) else enumerate(value)
        for key, inner in items:
            yield from _uncarriable(inner, (*at, key), (*above, id(value)))


def _brief(value: int) -> str:
    return f"{value:.3g}" if abs(value) < 10**300 else "…"
