"""The language of a search: words, "exact words", and operators like `state:running,paused -tag:old loss<1 created<7d`.

Parsed here for every side: the controller finds runs by it, the desktop completes it while it is typed. Full-width
colons, commas, comparisons and quotes, as Chinese input methods make them, mean the same as the plain ones.
"""

from __future__ import annotations

import difflib
import math
import re
from dataclasses import dataclass
from datetime import datetime, timedelta

from engine.contract.clock import now
from engine.contract.errors import Problem, Refused
from engine.contract.search_words import OPERATORS, Operator, Token, tokens

_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0, "w": 604_800.0}
_FACTORS = {"k": 1e3, "m": 1e6, "b": 1e9, "万": 1e4, "亿": 1e8}
_SIGN = re.compile(r"[<>＜＞]=?|[≤≥]")
_SIGNS = {"≤": "<=", "≥": ">=", "＜": "<", "＞": ">", "＜=": "<=", "＞=": ">="}
_SPAN = re.compile(r"(\d+(?:\.\d+)?)([smhdw]?)", re.ASCII)
_YES = {"yes": "yes", "true": "yes", "1": "yes", "是": "yes", "no": "no", "false": "no", "0": "no", "否": "no"}


@dataclass(frozen=True)
class Range:
    """From here to there; an end that is not `included` lies outside."""

    low: float = -math.inf
    high: float = math.inf
    low_included: bool = False
    high_included: bool = False

    def holds(self, value: float) -> bool:
        """Whether a value lies in it."""
        above = value > self.low or (self.low_included and value == self.low)
        return above and (value < self.high or (self.high_included and value == self.high))


@dataclass(frozen=True)
class Term:
    """One operator: a run must have any of the values, or lie in any of the ranges; or must not, where negated."""

    operator: Operator
    values: tuple[str, ...] = ()
    """Folded."""
    ranges: tuple[Range, ...] = ()
    negated: bool = False


@dataclass(frozen=True)
class Query:
    """A search that was understood."""

    words: tuple[str, ...] = ()
    """Folded; each occurs in name, model, dataset or tags, or begins the id."""
    excluded: tuple[str, ...] = ()
    """None of these does."""
    terms: tuple[Term, ...] = ()


def parse(text: str, at: float | None = None) -> Query:
    """Understand a search; Refused with everything that is wrong with it. Ages count back from `at`."""
    query, problems = read(text, at)
    if problems:
        raise Refused("search.refused", count=len(problems), problems=problems)
    return query


def read(text: str, at: float | None = None) -> tuple[Query, list[Problem]]:
    """What can be understood of a search, and what is wrong with the rest."""
    words: dict[str, None] = {}
    excluded: dict[str, None] = {}
    terms: list[Term] = []
    problems: list[Problem] = []
    moment = now() if at is None else at
    for token in tokens(text):
        if token.sign:
            found = _term(token, moment, problems)
            terms += [found] if found is not None else []
        elif token.word:
            (excluded if token.negated else words)[token.word.casefold()] = None
    return Query(tuple(words), tuple(excluded), tuple(terms)), problems


def _term(token: Token, at: float, problems: list[Problem]) -> Term | None:
    operator = OPERATORS.get(token.name)
    if operator is None:
        near = difflib.get_close_matches(token.name, OPERATORS, n=1)
        problems.append(_problem(token, "search.operator", near, name=token.name, choices=", ".join(OPERATORS)))
        return None
    if not token.values:
        problems.append(_problem(token, "search.no_value", name=operator.name, example=operator.example))
        return None
    if not operator.ordered:
        return _of_words(token, operator, problems)
    before = len(problems)
    ranges = [_range(token, operator, value, at, problems) for value in token.values]
    if len(problems) > before:
        return None
    return Term(operator, ranges=tuple(one for one in ranges if one is not None), negated=token.negated)


def _of_words(token: Token, operator: Operator, problems: list[Problem]) -> Term | None:
    if token.sign != ":":
        example = operator.example
        problems.append(_problem(token, "search.comparison", name=operator.name, sign=token.sign, example=example))
        return None
    values = [value.casefold() for value in token.values]
    if operator.kind == "switch":
        values = [_YES.get(value, value) for value in values]
    bad = [value for value in values if operator.choices and value not in operator.choices]
    for value in bad:
        near = difflib.get_close_matches(value, operator.choices, n=1)
        problems.append(_problem(token, "search.value", near, value=value, choices=", ".join(operator.choices)))
    return None if bad else Term(operator, values=tuple(dict.fromkeys(values)), negated=token.negated)


def _range(token: Token, operator: Operator, value: str, at: float, problems: list[Problem]) -> Range | None:
    sign, value = _signed(token.sign, value)
    if operator.kind == "moment":
        found = _of_moment(sign, value, at) if value else None
        if found is None:
            problems.append(_problem(token, "search.moment", value=value))
        return found
    number = _span(value) if operator.kind == "span" else _number(value, percent=operator.name == "score")
    if number is None:
        code = "search.span" if operator.kind == "span" else "search.number"
        problems.append(_problem(token, code, value=value, example=operator.example))
        return None
    return _beside(sign, number, number)


def _signed(sign: str, value: str) -> tuple[str, str]:
    """`tokens:>1M` is `tokens>1M`: some write a colon after every name."""
    found = _SIGN.match(value) if sign == ":" else None
    return (_SIGNS.get(found[0], found[0]), value[found.end() :]) if found else (sign, value)


def _beside(sign: str, begin: float, end: float) -> Range:
    """What lies beside or in a stretch; a number is a stretch without length."""
    point = begin == end
    return {
        "<": Range(high=begin),
        "<=": Range(high=end, high_included=point),
        ">": Range(low=end, low_included=not point),
        ">=": Range(low=begin, low_included=True),
        ":": Range(begin, end, True, point),
    }[sign]


def _of_moment(sign: str, value: str, at: float) -> Range | None:
    """`created<7d` is younger than that; `created<2026-01-31` is before that day; `created:7d` is the last 7 days."""
    age = _span(value) if value[-1:].isalpha() else None
    if age is not None:
        turned = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", ":": ">="}[sign]
        return _beside(turned, at - age, at - age)
    try:
        begin = datetime.fromisoformat(value)
        long = timedelta(days=1) if len(value) <= len("2026-01-31") else timedelta(minutes=1)
        return _beside(sign, begin.timestamp(), (begin + long).timestamp())
    except (ValueError, OverflowError, OSError):
        return None


def _span(value: str) -> float | None:
    """Seconds."""
    found = _SPAN.fullmatch(value.casefold())
    return float(found[1]) * _UNITS[found[2] or "s"] if found else None


def _number(value: str, percent: bool) -> float | None:
    factor = 0.01 if percent and value.endswith(("%", "％")) else _FACTORS.get(value[-1:].casefold(), 1.0)
    try:
        number = float(value if factor == 1.0 else value[:-1])
    except ValueError:
        return None
    number = number / 100 if factor == 0.01 else number * factor
    return number if math.isfinite(number) else None


def _problem(token: Token, code: str, near: list[str] | None = None, **params: str) -> Problem:
    place = {"start": token.start, "end": token.end}
    if near:
        return Problem(code=code + "_near", field=token.text, params={**params, **place, "near": near[0]})
    return Problem(code=code, field=token.text, params={**params, **place})


def suggestions(text_before_cursor: str) -> list[str]:
    """What the word before the cursor may become: operators (`state:`, `loss<`), or values of the one it names."""
    last = _last(text_before_cursor)
    if last is None or not last.sign:
        begun = last.word.casefold() if last else ""
        return [one.offered for one in OPERATORS.values() if one.name.startswith(begun)] if begun.isascii() else []
    operator = OPERATORS.get(last.name)
    if operator is None:
        return []
    begun = "" if last.open else last.values[-1].casefold()
    chosen = last.values if last.open else last.values[:-1]
    return [value for value in operator.choices if value.startswith(begun) and value not in (*chosen, begun)]


def completed(text_before_cursor: str, suggestion: str) -> str:
    """The text with the last word become what was suggested."""
    last = _last(text_before_cursor)
    if last is None:
        return text_before_cursor + suggestion
    if not last.sign:
        return text_before_cursor[: last.start + last.negated] + suggestion
    begun = 0 if last.open else len(last.values[-1])
    return text_before_cursor[: len(text_before_cursor) - begun] + suggestion


def _last(text: str) -> Token | None:
    """The word the cursor stands at the end of; None after a space."""
    found = tokens(text)
    return found[-1] if found and found[-1].end == len(text) else None


def quoted(text: str) -> str:
    """A text as a search that looks for it as it stands."""
    return '"' + re.sub(r'(["“”„＂\\])', r"\\\1", text) + '"'
