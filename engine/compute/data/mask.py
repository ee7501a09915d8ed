"""Which characters of a rendered conversation the assistant says: the part that is learned."""

from __future__ import annotations

import re
from collections.abc import Sequence

from engine.compute.data.rows import Turn
from engine.compute.data.templates import Template
from engine.contract.errors import UserError

Span = tuple[int, int]
GENERATION = re.compile(r"\{%-?\s*generation\s*-?%\}")


def render_with_spans(template: Template, turns: Sequence[Turn]) -> tuple[str, list[Span]]:
    """The text of a conversation and the spans of its answers, each with its end-of-turn token.

    A template that marks its answers ({% generation %}) is believed. Any other is rendered turn by turn: what
    a turn adds behind the assistant's opening is the answer. Where a template rewrites earlier turns, so that
    this does not hold, the answer is found by rendering a marker in its place.
    """
    if GENERATION.search(template.source):
        text, spans = _marked_spans(template, turns)
        return text, [_with_end(text, span, template) for span in spans]
    text = template.render(turns)
    spans = []
    for index, turn in enumerate(turns):
        if turn["role"] == "assistant":
            span = _span_by_prefix(template, turns, index, text) or _span_by_marker(template, turns, index, text)
            if span is None:
                raise UserError("model.template_unmaskable", turn=index + 1)
            spans.append(_with_end(text, span, template))
    return text, sorted(spans)


def _marked_spans(template: Template, turns: Sequence[Turn]) -> tuple[str, list[Span]]:
    from transformers.utils.chat_template_utils import render_jinja_template

    tokens = template.tokenizer.special_tokens_map
    rendered, spans = render_jinja_template(
        [list(turns)], chat_template=template.source, return_assistant_tokens_mask=True, **tokens
    )
    return rendered[0], [(begin, end) for begin, end in spans[0]]


def _span_by_prefix(template: Template, turns: Sequence[Turn], index: int, text: str) -> Span | None:
    """Behind the opening and up to the end of the text so far, if both are beginnings of the whole."""
    opening = template.render(turns[:index], prompt=True)
    so_far = text if index == len(turns) - 1 else template.render(turns[: index + 1])
    if text.startswith(so_far) and so_far.startswith(opening) and len(opening) < len(so_far):
        return len(opening), len(so_far)
    return None


def _span_by_marker(template: Template, turns: Sequence[Turn], index: int, text: str) -> Span | None:
    """Where the whole text differs when the answer is replaced by a marker."""
    marker = "\u2063answer\u2063"
    replaced = [*turns[:index], {**turns[index], "content": marker}, *turns[index + 1 :]]
    before, found, after = template.render(replaced).partition(marker)
    begin, end = len(before), len(text) - len(after)
    if not found or end < begin or not (text.startswith(before) and text.endswith(after)):
        return None
    return begin, end


def _with_end(text: str, span: Span, template: Template) -> Span:
    """The span cut behind its end-of-turn token, or made longer to take it in."""
    begin, end = span
    token = template.end_of_turn
    if not token:
        return span
    inside = text.rfind(token, begin, end)
    if inside >= 0 and not text[inside + len(token) : end].strip():
        return begin, inside + len(token)
    blank = len(text[end:]) - len(text[end:].lstrip())
    if text.startswith(token, end + blank):
        return begin, end + blank + len(token)
    return span
