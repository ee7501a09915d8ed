"""Which characters of a rendered conversation the assistant says: the part that is learned."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from engine.compute.data.rows import Turn
from engine.compute.data.templates import Template
from engine.contract.errors import UserError

Span = tuple[int, int]
GENERATION = re.compile(r"\{%-?\s*generation\s*-?%\}")
MARKER = "\u2063answer\u2063"


def render_with_spans(template: Template, turns: Sequence[Turn], tools: Sequence[Any] = ()) -> tuple[str, list[Span]]:
    """The text of a conversation and what is learned of it: each answer with its end-of-turn token.

    A template that marks its answers ({% generation %}) is believed to the letter, as transformers does. Any other is
    rendered turn by turn: what a turn adds behind the assistant's opening is the answer, thoughts and calls of tools
    with it. Where a template rewrites earlier turns, so that this does not hold, the answer is found by rendering
    another one in its place. A turn whose `train` is False is read and not learned.
    """
    found = _Conversation(template, turns, tools)
    if GENERATION.search(template.source) and found.marks:
        spans = found.marks
        if found.left_out:
            spans = found.without(spans)
        return found.text, spans
    return found.text, sorted(found.span(index) for index in found.answers if index not in found.left_out)


@dataclass
class _Conversation:
    """One conversation, rendered, and where its answers stand."""

    template: Template
    turns: Sequence[Turn]
    tools: Sequence[Any]

    def __post_init__(self) -> None:
        rendered = self.template.rendered(self.turns, tools=self.tools)
        self.text, self.marks = rendered.text, rendered.marks
        self.answers = [index for index, turn in enumerate(self.turns) if turn["role"] == "assistant"]
        self.left_out = {index for index in self.answers if self.turns[index].get("train") is False}

    def span(self, index: int) -> Span:
        """Where an answer stands, with its end."""
        found = self._by_prefix(index) or self._by_difference(index)
        if found is None:
            raise UserError("model.template_unmaskable", turn=index + 1)
        return _with_end(self.text, found, self.template.end_of_turn)

    def without(self, marks: list[Span]) -> list[Span]:
        """The template's own marks, less those of turns that are not learned."""
        if len(marks) == len(self.answers):
            return [mark for mark, index in zip(marks, self.answers, strict=True) if index not in self.left_out]
        token = self.template.end_of_turn
        changed = {index: self._changed(index) for index in self.left_out}
        places = {index: place and _with_end(self.text, place, token) for index, place in changed.items()}
        for index, place in places.items():
            if place is None or not any(_meet(mark, place) for mark in marks):
                raise UserError("model.template_unmaskable", turn=index + 1)
        return [mark for mark in marks if not any(place and _meet(mark, place) for place in places.values())]

    def _by_prefix(self, index: int) -> Span | None:
        """Behind the opening and up to the end of the text so far, if both are beginnings of the whole."""
        last = index == len(self.turns) - 1
        opening = self._render(self.turns[:index], prompt=True)
        so_far = self.text if last else self._render(self.turns[: index + 1])
        if opening is None or so_far is None:
            return None
        if self.text.startswith(so_far) and so_far.startswith(opening) and len(opening) < len(so_far):
            return len(opening), len(so_far)
        return None

    def _by_difference(self, index: int) -> Span | None:
        """Where the whole text differs when the answer is another, from the assistant's opening on."""
        place = self._changed(index)
        if place is None:
            return None
        begin, end = place
        opened = self.text.rfind(self._opening, 0, begin) if self._opening else -1
        after = opened + len(self._opening)
        if opened >= 0 and not self.text[after:begin].strip().count(self.template.end_of_turn or "\0"):
            begin = after
        return begin, end + self._closing(index, end)

    def _closing(self, index: int, end: int) -> int:
        """How much of what stands behind an answer that ends with calls belongs to it: what closes them."""
        if not self.turns[index].get("tool_calls"):
            return 0
        try:
            alone = _Conversation(self.template, self.turns[: index + 1], self.tools)
        except UserError:
            return 0
        place = alone._changed(index)
        tail = alone.text[place[1] :] if place else ""
        return len(tail) if self.text.startswith(tail, end) else 0

    def _changed(self, index: int) -> Span | None:
        """What of the text depends on what an answer says: its words, thoughts and calls."""
        text = self._render([*self.turns[:index], _another(self.turns[index]), *self.turns[index + 1 :]])
        if text is None or MARKER not in text:
            return None
        begin = _alike(self.text, text)
        rest = min(len(self.text), len(text)) - begin
        same = min(rest, _alike(self.text[::-1], text[::-1]))
        return begin, len(self.text) - same

    @cached_property
    def _opening(self) -> str:
        """What the template writes before an answer, where it is the same for all."""
        first = self.answers[0]
        closed, opened = self._render(self.turns[:first]), self._render(self.turns[:first], prompt=True)
        if closed is None or opened is None or not opened.startswith(closed):
            return ""
        return opened[len(closed) :]

    def _render(self, turns: Sequence[Turn], prompt: bool = False) -> str | None:
        """Part of the conversation; None where the template refuses it alone."""
        try:
            return self.template.render(turns, prompt, self.tools)
        except UserError as error:
            if error.code != "model.template_failed":
                raise
            return None


def _another(turn: Turn) -> Turn:
    """The turn with other words, thoughts and calls."""
    said = {**turn, "content": MARKER if turn.get("content") or not turn.get("tool_calls") else turn.get("content")}
    for name in ("reasoning_content", "thinking", "reasoning"):
        if turn.get(name):
            said[name] = MARKER
    if turn.get("tool_calls"):
        said["tool_calls"] = [_another_call(call) for call in turn["tool_calls"]]
    return said


def _another_call(call: Any) -> Any:
    """A call of another tool, with other arguments of the same kind."""
    if isinstance(call, dict) and isinstance(call.get("function"), dict):
        return {**call, "function": _another_call(call["function"])}
    if not isinstance(call, dict):
        return call
    arguments = f'{{"{MARKER}": ""}}' if isinstance(call.get("arguments"), str) else {MARKER: MARKER}
    return {**call, "name": MARKER, "arguments": arguments}


def _alike(one: str, other: str) -> int:
    """How many first characters are the same."""
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        if one[:middle] == other[:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def _meet(mark: Span, place: Span) -> bool:
    return mark[0] < place[1] and place[0] < mark[1]


def _with_end(text: str, span: Span, token: str) -> Span:
    """The span cut behind its end-of-turn token, or made longer to take it in."""
    begin, end = span
    if not token:
        return span
    inside = text.rfind(token, begin, end)
    if inside >= 0 and not text[inside + len(token) : end].strip():
        return begin, inside + len(token)
    blank = len(text[end:]) - len(text[end:].lstrip())
    if text.startswith(token, end + blank):
        return begin, end + blank + len(token)
    return span


def end_is_marked(template: Template) -> bool:
    """A template that marks its answers marks the token that ends them, too."""
    if not GENERATION.search(template.source) or not template.end_of_turn:
        return True
    turns = [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]
    found = template.rendered(turns)
    return any(template.end_of_turn in found.text[begin:end] for begin, end in found.marks)
