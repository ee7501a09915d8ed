"""The operators a search knows, and how its text falls into words."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from engine.contract.states import EndReason, RunState

Kind = Literal["choice", "switch", "part", "whole", "number", "moment", "span"]


@dataclass(frozen=True)
class Operator:
    """Something of a run that a search can ask for."""

    name: str
    kind: Kind
    """choice, switch: one of `choices`; part, whole: of a text, small and capital letters alike; the rest compare."""
    field: str
    """Of `RunSummary`."""
    example: str
    choices: tuple[str, ...] = ()

    @property
    def ordered(self) -> bool:
        """It can be compared with < and >."""
        return self.kind in ("number", "moment", "span")

    @property
    def offered(self) -> str:
        """As a suggestion begins it."""
        return self.name + ("<" if self.ordered else ":")


OPERATORS: dict[str, Operator] = {
    one.name: one
    for one in (
        Operator("state", "choice", "state", "state:running,paused", tuple(map(str, RunState))),
        Operator("reason", "choice", "reason", "reason:out_of_memory", tuple(map(str, EndReason))),
        Operator("tag", "whole", "tags", "tag:nightly"),
        Operator("name", "part", "name", 'name:"support bot"'),
        Operator("model", "part", "model", "model:qwen"),
        Operator("dataset", "part", "dataset", 'dataset:"my data"'),
        Operator("method", "part", "method", "method:lora"),
        Operator("project", "whole", "project", "project:default"),
        Operator("owner", "whole", "owner", "owner:me"),
        Operator("node", "whole", "node", "node:local"),
        Operator("pinned", "switch", "pinned", "pinned:yes", ("yes", "no")),
        Operator("priority", "number", "priority", "priority>0"),
        Operator("steps", "number", "step", "steps>100"),
        Operator("loss", "number", "loss", "loss<1.0"),
        Operator("score", "number", "score", "score>0.9"),
        Operator("tokens", "number", "tokens_seen", "tokens>1M"),
        Operator("cost", "number", "cost", "cost<5"),
        Operator("seconds", "span", "seconds", "seconds>2h"),
        Operator("created", "moment", "created", "created<7d"),
        Operator("started", "moment", "started", "started>2026-01-31"),
        Operator("finished", "moment", "finished", "finished<12h"),
    )
}
_PLAIN = {"：": ":", "＜": "<", "＞": ">", "＝": "=", "≤": "≤", "≥": "≥", "，": ",", "－": "-"}
_QUOTES = frozenset('"“”„＂')
_CORNERS = {"「": "」", "『": "』"}


@dataclass
class Token:
    """One word of a search, and where it stands."""

    start: int
    end: int
    text: str
    """As it was written."""
    negated: bool = False
    name: str = ""
    """Of an operator, known or not."""
    sign: str = ""
    """One of : < <= > >=; empty: a plain word."""
    word: str = ""
    values: list[str] = field(default_factory=list)
    open: bool = False
    """The text ends where another value may begin."""


def tokens(text: str) -> list[Token]:
    """The words of a search, left to right. A quote that was not closed goes on to the end."""
    found, place = [], 0
    while place < len(text):
        if text[place].isspace():
            place += 1
            continue
        letters, end = _letters(text, place)
        found.append(_token(text, place, end, letters))
        place = end
    return found


def _letters(text: str, place: int) -> tuple[list[tuple[str, bool]], int]:
    """The letters of the word that begins here, and whether each was quoted; where the word ends."""
    letters: list[tuple[str, bool]] = []
    closing: frozenset[str] = frozenset()
    begin = True
    while place < len(text):
        letter = text[place]
        place += 1
        if closing:
            if letter == "\\" and text[place : place + 1] in closing | {"\\"} and place < len(text):
                letters.append((text[place], True))
                place += 1
            elif letter in closing:
                closing = frozenset()
            else:
                letters.append((letter, True))
        elif letter.isspace():
            return letters, place - 1
        elif begin and letter in _QUOTES | _CORNERS.keys():
            closing = frozenset(_CORNERS[letter]) if letter in _CORNERS else _QUOTES
            letters.append(("", True))  # an empty quoted word is a word, too
        else:
            letters.append((letter, False))
        begin = not closing and _PLAIN.get(letter, letter) in ":<>=≤≥,-" and letter not in _QUOTES
    return letters, place


def _token(text: str, start: int, end: int, letters: list[tuple[str, bool]]) -> Token:
    token = Token(start, end, text[start:end])
    if len(letters) > 1 and _plain(letters[0]) == "-":
        token.negated, letters = True, letters[1:]
    named = (_name(_plain(one)) for one in letters)
    length = next((n for n, fits in enumerate(named) if not fits), len(letters))
    sign, width = _sign([_plain(one) for one in letters[length : length + 2]]) if length else ("", 0)
    name = "".join(letter for letter, _ in letters[:length]).casefold()
    rest = letters[length + width :]
    address = sign == ":" and "".join(letter for letter, quoted in rest[:2] if not quoted).startswith(("//", "\\"))
    if not sign or address or (sign == "=" and name not in OPERATORS):
        token.word = "".join(letter for letter, _ in letters)
        return token
    token.name, token.sign = name, ":" if sign == "=" else sign
    token.values, token.open = _values(rest)
    return token


def _plain(letter: tuple[str, bool]) -> str:
    """An unquoted letter, full-width signs as plain ones; empty for what was quoted."""
    return "" if letter[1] else _PLAIN.get(letter[0], letter[0])


def _name(letter: str) -> bool:
    return (letter.isascii() and letter.isalpha()) or letter == "_"


def _sign(letters: list[str]) -> tuple[str, int]:
    """The sign these begin with, and how many letters it takes."""
    first, second = [*letters, "", ""][:2]
    if first in ("≤", "≥"):
        return ("<=" if first == "≤" else ">="), 1
    if first in ("<", ">") and second == "=":
        return first + "=", 2
    return (first, 1) if first in (":", "<", ">", "=") and first else ("", 0)


def _values(letters: list[tuple[str, bool]]) -> tuple[list[str], bool]:
    """Values between commas, and whether the last comma (or the sign) has nothing after it."""
    parts: list[list[tuple[str, bool]]] = [[]]
    for letter in letters:
        if _plain(letter) == ",":
            parts.append([])
        else:
            parts[-1].append(letter)
    values = ["".join(letter for letter, _ in part) for part in parts]
    return [value for value in values if value], not parts[-1]
