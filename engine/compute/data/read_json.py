"""JSON: one object a line, an array of objects, or an object that holds such an array; read piece by piece."""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterator
from typing import Any

from engine.compute.data.encodings import LOOK_BYTES, MAX_LINE_BYTES, TextLines, too_long
from engine.compute.data.rows import Record
from engine.compute.data.strict_json import KeyTwice, decoder, holds_half_characters, lenient, loads
from engine.contract.errors import Problem

Found = Record | Problem
HOLDERS = ("data", "rows", "examples", "instances", "records", "items", "train")
"""Keys of an object around the rows."""
PIECE = 1 << 20
BEHIND = " (what comes after it cannot be read)"
NEAR_END = 16
"""A mistake so near to the end of what was read may be none: the rest of it is not read yet."""
_SPACE = re.compile(r"[ \t\r\n\ufeff]*")
_HELD = re.compile(r'\s*\{\s*"(?:' + "|".join(HOLDERS) + r')"\s*:\s*\[\s*[\[{]')


def read_jsonl(lines: TextLines, skip: int = 0) -> Iterator[Found]:
    """One object a line; the first `skip` rows are passed over."""
    for line, raw in lines.raw():
        if skip and not isinstance(raw, Problem) and raw.isascii():
            skip -= b"\x00" in raw or bool(raw.decode("ascii").strip())
            continue
        text = raw if isinstance(raw, Problem) else lines.decode(raw, line)
        if skip:
            skip -= isinstance(text, Problem) or bool(text.strip())
        elif isinstance(text, Problem):
            yield text
        elif text.strip():
            content = loads(text.rstrip("\r\n"), line)
            yield content if isinstance(content, Problem) else as_record(content, line, text)


def as_record(content: Any, line: int, text: str) -> Found:
    """A value as a row, or why it is none."""
    if not isinstance(content, dict):
        return Problem(code="data.not_an_object", line=line, params={"found": type(content).__name__})
    if holds_half_characters(content, text):
        return Problem(code="data.half_character", line=line)
    return Record(line, content)


def read_json(lines: TextLines) -> Iterator[Found]:
    """What a .json file holds; one object a line is read as JSONL."""
    head = lines.head.decode("utf-8", "replace")
    begin = head.lstrip(" \t\r\n")
    if begin.startswith("["):
        text = _Text(lines)
        text.step_over("[")
        yield from _elements(text)
    elif begin.startswith("{") and _is_one_object(begin, len(lines.head)):
        yield from _objects(_Text(lines))
    else:
        yield from read_jsonl(lines)


def _is_one_object(begin: str, looked: int) -> bool:
    """Whether an object goes over many lines, or is the only one, with rows inside."""
    first, newline, rest = begin.partition("\n")
    if not newline:
        return looked >= LOOK_BYTES or not isinstance(loads(first, 1), Problem)
    if first.rstrip().endswith(("{", "[", ",")):
        return True
    return not rest.strip() and not isinstance(loads(first.rstrip("\r"), 1), Problem)


class _Text:
    """A window on a long text that moves on; knows the line it is at."""

    def __init__(self, lines: TextLines) -> None:
        self._stream = lines.stream
        encoding = "gb18030" if lines.encoding == "gb18030" else "utf-8"
        self._decoder = codecs.getincrementaldecoder(encoding)("forge-mark")
        self.text, self.at, self.ended = "", 0, False
        self._lines_before, self._columns_before = 1, 0
        self.more()

    def more(self) -> None:
        """As much again, and let go of what lies behind."""
        gone = self.text[: self.at]
        lines = gone.count("\n")
        self._lines_before += lines
        self._columns_before = len(gone) - gone.rfind("\n") - 1 if lines else self._columns_before + len(gone)
        self.text, self.at = self.text[self.at :], 0
        data = self._stream.read(max(PIECE, len(self.text)))
        self.ended = not data
        self.text += self._decoder.decode(data, self.ended)

    def place(self, at: int) -> tuple[int, int]:
        """Line and column of a place in the window, from 1."""
        line = self.text.count("\n", 0, at)
        column = at - self.text.rfind("\n", 0, at) if line else at + self._columns_before + 1
        return self._lines_before + line, column

    def space(self) -> str:
        """Pass over blanks; the next character, or nothing at the end."""
        while True:
            match = _SPACE.match(self.text, self.at)
            self.at = match.end() if match else self.at
            if self.at < len(self.text) or self.ended:
                return self.text[self.at : self.at + 1]
            self.more()

    def step_over(self, letter: str) -> bool:
        """Pass over this character, if it comes next."""
        if self.space() != letter:
            return False
        self.at += 1
        return True

    def value(self, number: int) -> tuple[Any, str]:
        """The next value and its text; a value is a Problem where it is none, and the text is empty if nothing that
        comes after can be read either."""
        self.space()
        wrong: Problem | None = None
        using = decoder
        while True:
            try:
                value, end = using.raw_decode(self.text, self.at)
            except json.JSONDecodeError as error:
                sure = error.pos + NEAR_END < len(self.text) and not error.msg.startswith("Unterminated")
                if not self.ended and not sure:
                    if self._too_long():
                        return too_long(number), ""
                    self.more()
                    continue
                line, column = self.place(error.pos)
                params = {"column": column, "detail": error.msg + BEHIND}
                return Problem(code="data.bad_json", line=line, params=params), ""
            except KeyTwice as error:
                name = str(error)[:80]
                wrong, using = Problem(code="data.key_twice", line=number, field=name, params={"key": name}), lenient
                continue
            except RecursionError:
                return Problem(code="data.too_deep", line=number), ""
            except ValueError:
                wrong, using = Problem(code="data.number_too_long", line=number), lenient
                continue
            if end == len(self.text) and not self.ended:  # a number may go on
                self.more()
                continue
            found, self.at = self.text[self.at : end], end
            return (value if wrong is None else wrong), found

    def _too_long(self) -> bool:
        return len(self.text) - self.at > MAX_LINE_BYTES


def _row(value: Any, number: int, text: str) -> Found:
    if isinstance(value, Problem):
        return value
    if "\udcff" in text:
        return Problem(code="data.bad_bytes", line=number, params={"at": text.index("\udcff") + 1})
    return as_record(value, number, text)


def _elements(text: _Text) -> Iterator[Found]:
    """The rows of an array; a mistake between them ends it, for where the next begins cannot be known."""
    if text.step_over("]"):
        return
    number = 0
    while True:
        number += 1
        value, found = text.value(number)
        yield _row(value, number, found)
        if not found or text.step_over("]"):
            return
        if not text.step_over(","):
            line, column = text.place(text.at)
            params = {"column": column, "detail": "Expecting ',' or ']'" + BEHIND}
            yield Problem(code="data.bad_json", line=line, params=params)
            return


def _objects(text: _Text) -> Iterator[Found]:
    """Objects one behind the other, each over any number of lines; of the first, the rows it holds."""
    text.step_over("{")
    row, parts, held = dict[str, Any](), list[str](), False
    while not text.step_over("}"):
        key, found = text.value(1)
        if not found or not isinstance(key, str) or not text.step_over(":"):
            yield key if isinstance(key, Problem) else _expected(text, "a key and ':'")
            return
        if key in HOLDERS and text.space() == "[" and _HELD.match('{"data":' + text.text[text.at : text.at + 200]):
            text.step_over("[")
            held = True
            yield from _elements(text)
        else:
            value, found = text.value(1)
            if not found:
                yield value
                return
            row[key] = value
            parts.append(found)
        if not text.step_over(",") and text.space() != "}":
            yield _expected(text, "',' or '}'")
            return
    if not held:
        wrong = next((value for value in row.values() if isinstance(value, Problem)), None)
        yield wrong or _row(row, 1, " ".join(parts))
    number = 1
    while text.space():
        number += 1
        value, found = text.value(number)
        yield _row(value, number, found)
        if not found:
            return


def _expected(text: _Text, what: str) -> Problem:
    line, column = text.place(text.at)
    return Problem(code="data.bad_json", line=line, params={"column": column, "detail": f"Expecting {what}{BEHIND}"})
