"""The search as the page helps with it: what its operators mean, completions, chips, operators put in and taken out."""

from __future__ import annotations

import re
from collections.abc import Iterable

from engine.contract.api import RunSummary
from engine.contract.search import completed, quoted, suggestions
from engine.contract.search_words import OPERATORS, Token, tokens
from forge_desktop.theme.language import word

MOST_VALUES = 12
MOST_RUNS = 600
"""So many of the runs that are here are looked through for values."""
MEANINGS = {
    "state": "In this state",
    "reason": "Ended for this reason",
    "tag": "With this tag",
    "name": "The name holds this",
    "model": "The model's name holds this",
    "dataset": "The dataset's name holds this",
    "method": "The method holds this",
    "project": "In this project",
    "owner": "Of this person",
    "node": "On this node",
    "pinned": "Whether its files stay",
    "priority": "Priority above or below",
    "steps": "Steps done",
    "loss": "Loss above or below",
    "score": "Exact matches after training",
    "tokens": "Tokens seen in training",
    "cost": "Cost above or below",
    "seconds": "Time taken",
    "created": "Made within, or before a day",
    "started": "Started since a day",
    "finished": "Ended within",
}
FROM_RUNS = {"tag", "model", "dataset", "project", "owner", "node", "method"}
"""Operators whose values are seen in the runs that are here."""


def values_of(name: str, runs: Iterable[RunSummary]) -> list[str]:
    """What can follow an operator: its choices, else what the runs that are here have."""
    if name not in FROM_RUNS:
        return list(OPERATORS[name].choices) if name in OPERATORS else []
    found: dict[str, None] = {}
    for place, run in enumerate(runs):
        if place >= MOST_RUNS or len(found) >= MOST_VALUES:
            break
        if name == "tag":
            found.update(dict.fromkeys(run.tags))
        else:
            found.setdefault(str(getattr(run, name)).rstrip("/").rpartition("/")[2])
    return [value for value in found if value][:MOST_VALUES]


def completions(text: str, runs: Iterable[RunSummary]) -> list[tuple[str, str]]:
    """What the last word of a text may become: what is shown, and the whole text then."""
    found = tokens(text)
    if not found or found[-1].end != len(text):
        return []
    last = found[-1]
    offers = suggestions(text)
    if last.sign and last.name in FROM_RUNS:
        begun = "" if last.open else last.values[-1].casefold()
        values = values_of(last.name, runs)
        offers = [written(value) for value in values if begun in value.casefold() and value.casefold() != begun]
    return [(offer, completed(text, offer)) for offer in offers]


def written(value: str) -> str:
    """A value as it stands after an operator: in quotes where it would not be read as one."""
    return quoted(value) if re.search(r"[\s,:<>=\"“”]", value) else value


def operators_in(text: str) -> list[Token]:
    """The operators of a search that say something."""
    return [token for token in tokens(text) if token.sign and token.values]


def plain_words(text: str) -> str:
    """The search without its operators."""
    return " ".join(token.text for token in tokens(text) if not token.sign)


def without(text: str, gone: str) -> str:
    """The search without one of its words, as it was written."""
    return " ".join(token.text for token in tokens(text) if token.text != gone)


def has_term(text: str, name: str, value: str) -> bool:
    """Whether an operator of the search names this value."""
    return any(_is(token, name) and value.casefold() in map(str.casefold, token.values) for token in tokens(text))


def with_term(text: str, name: str, value: str) -> str:
    """The search with one more value for an operator: runs that have any of the values match."""
    there = next((token for token in tokens(text) if _is(token, name)), None)
    if there is None:
        return f"{text.rstrip()} {name}:{written(value)}".strip()
    return _with_values(text, there, [*there.values, value])


def without_value(text: str, name: str, value: str) -> str:
    """The search without a value of an operator, and without the operator once nothing is left of it."""
    for token in tokens(text):
        if _is(token, name):
            kept = [known for known in token.values if known.casefold() != value.casefold()]
            return _with_values(text, token, kept)
    return text


def _with_values(text: str, changed: Token, values: list[str]) -> str:
    said = f"{changed.name}:{','.join(map(written, values))}" if values else ""
    parts = [said if token.start == changed.start else token.text for token in tokens(text)]
    return " ".join(part for part in parts if part)


def _is(token: Token, name: str) -> bool:
    return token.name == name and token.sign == ":" and not token.negated


def chip_text(token: Token) -> str:
    """How a chip says an operator."""
    values = [word("state", value) if token.name == "state" else value for value in token.values]
    sign = ":" if token.sign == ":" else f" {token.sign}"
    return f"{'− ' if token.negated else ''}{token.name}{sign} {', '.join(values)}"
