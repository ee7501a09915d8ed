"""What gives each format away: a rule a format, which looks at one row and names what it saw."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from engine.compute.data.formats.base import Columns, Content
from engine.compute.data.formats.conversations import holds_turns
from engine.compute.data.formats.roles import keys_of, meaning, sides_of
from engine.compute.data.formats.values import as_truth, unpacked
from engine.contract.data_format import Mapping


@dataclass(frozen=True)
class Guess:
    """A format a row may have, and what was seen: a code of the messages with its parameters."""

    format: str
    code: str
    column: str
    params: dict[str, Any] = field(default_factory=dict)


OWN_NAMES = ("positive", "sentence2", "text_b", "hypothesis")
"""Names that only the second text of a pair has; the others may be an answer as well."""


class Look:
    """One row, looked at as each format."""

    def __init__(self, content: Content, mapping: Mapping) -> None:
        self.content, self.mapping = content, mapping

    def column(self, form: str, part: str) -> str:
        """The column of a part, if it holds something."""
        name = Columns(self.content, form, self.mapping).name(part)
        return name if name and self.content.get(name) is not None else ""

    def text(self, form: str, part: str) -> str:
        """The column of a part, if it holds a text."""
        name = self.column(form, part)
        return name if name and isinstance(self.content[name], str) else ""

    def roles(self, form: str) -> set[str] | None:
        """Who speaks in the turns of a row; None where it has none."""
        name = self.column(form, "messages")
        if not name or not holds_turns(unpacked(self.content[name])):
            return None
        items = self._items(name)
        role, _ = keys_of(items, self.mapping)
        found = set[str]()
        for item in items:
            if isinstance(item, dict) and role and role in item:
                found.add(meaning(item[role], self.mapping) or "?")
            elif isinstance(item, dict):
                found |= {known for _, known in sides_of(item, self.mapping)}
        return found

    def _items(self, name: str) -> list[Any]:
        value = unpacked(self.content[name])
        if isinstance(value, dict):
            value = value.get("messages", [value])
        return value if isinstance(value, list) else []

    def style(self) -> Guess | None:
        """Messages or ShareGPT, by the keys of the turns."""
        name = self.column("messages", "messages")
        if not name:
            return None
        if not holds_turns(unpacked(self.content[name])):
            empty = isinstance(unpacked(self.content[name]), list)
            return Guess("messages", "format.named", name, {"columns": name}) if empty else None
        items = self._items(name)
        role, text = keys_of(items, self.mapping)
        first = next(item for item in items if isinstance(item, dict))
        if role and role in first:
            form = "messages" if role == "role" else "sharegpt"
            return Guess(form, "format.turns", name, {"column": name, "role": role, "content": text})
        sides = ", ".join(key for key, _ in sides_of(first, self.mapping))
        if sides:
            return Guess("sharegpt", "format.sides", name, {"column": name, "keys": sides})
        return Guess("messages", "format.named", name, {"columns": name})


def _preference(look: Look) -> Iterator[Guess]:
    rejected = look.column("preference", "rejected")
    if not rejected:
        return
    better = look.column("preference", "chosen")
    answered = "assistant" in (look.roles("preference") or ())
    if better or answered:
        yield Guess("preference", "format.rejected", rejected, {"column": rejected})


def _kto(look: Look) -> Iterator[Guess]:
    label = look.column("kto", "label")
    if not label or as_truth(look.content[label]) is None:
        return
    answered = "assistant" in (look.roles("kto") or ()) or (
        look.column("kto", "completion") and (look.column("kto", "prompt") or look.column("kto", "messages"))
    )
    if label == "kto_tag" or answered:
        yield Guess("kto", "format.verdict", label, {"column": label})


def _turns(look: Look) -> Iterator[Guess]:
    style = look.style()
    if style is None:
        return
    roles = look.roles("messages")
    if roles and "assistant" not in roles and "?" not in roles:  # nobody answers
        yield from _classification(look)
        if "user" in roles:
            yield Guess("prompt_only", "format.unanswered", style.column, {"column": style.column})
    yield style


def _pairs(look: Look) -> Iterator[Guess]:
    anchor, positive = look.text("pairs", "anchor"), look.column("pairs", "positive")
    if anchor and positive and anchor != positive and (anchor == "anchor" or _second_text(look, positive)):
        yield Guess("pairs", "format.pair", positive, {"anchor": anchor, "positive": positive})


def _second_text(look: Look, positive: str) -> bool:
    if positive in OWN_NAMES or "positive" in look.mapping.columns:
        return True
    return positive == "document" and not look.column("query_response", "response")


def _prompt_completion(look: Look) -> Iterator[Guess]:
    prompt, completion = look.column("prompt_completion", "prompt"), look.column("prompt_completion", "completion")
    if prompt and completion:
        yield Guess("prompt_completion", "format.named", prompt, {"columns": f"{prompt}, {completion}"})


def _alpaca(look: Look) -> Iterator[Guess]:
    asked, answer = look.column("alpaca", "instruction"), look.column("alpaca", "output")
    if asked and answer:
        yield Guess("alpaca", "format.named", asked, {"columns": f"{asked}, {answer}"})


def _query_response(look: Look) -> Iterator[Guess]:
    asked, answer = look.text("query_response", "query"), look.column("query_response", "response")
    if asked and answer and asked != answer and isinstance(look.content[answer], str | list):
        yield Guess("query_response", "format.named", asked, {"columns": f"{asked}, {answer}"})


def _classification(look: Look) -> Iterator[Guess]:
    label = look.column("classification", "label")
    text = look.text("classification", "text") or (look.roles("classification") and "messages")
    if label and text and label != text and isinstance(look.content[label], str | int | float | list):
        yield Guess("classification", "format.class", label, {"column": label})


def _text(look: Look) -> Iterator[Guess]:
    text = look.text("text", "text")
    if text:
        yield Guess("text", "format.text", text, {"column": text})


def _prompt_only(look: Look) -> Iterator[Guess]:
    prompt = look.column("prompt_only", "prompt")
    if prompt and (isinstance(look.content[prompt], str) or holds_turns(look.content[prompt])):
        yield Guess("prompt_only", "format.unanswered", prompt, {"column": prompt})


RULES: tuple[Callable[[Look], Iterator[Guess]], ...] = (
    _preference, _kto, _turns, _prompt_completion, _alpaca, _pairs, _query_response, _classification, _text,
    _prompt_only,
)  # fmt: skip
"""The most telling first: rejected answers, then verdicts, then turns; a text or a prompt alone only where nothing
else is there."""
MOST_TELLING = (
    "preference", "kto", "messages", "sharegpt", "prompt_completion", "alpaca", "pairs", "query_response",
    "classification", "text", "prompt_only",
)  # fmt: skip
"""The formats in the same order."""


def guesses(content: Content, mapping: Mapping) -> list[Guess]:
    """Every format a row may have, the likeliest first."""
    look, found = Look(content, mapping), dict[str, Guess]()
    for rule in RULES:
        for guess in rule(look):
            found.setdefault(guess.format, guess)
    return list(found.values())
