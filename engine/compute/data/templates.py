"""Which chat template turns a conversation into text, and rendering with it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from engine.compute.data.rows import Turn
from engine.compute.data.sandbox import Rendered, render, variables_of
from engine.contract.errors import UserError
from engine.contract.templates import template_catalogue, template_text

END = "<|im_end|>"
SWITCHES = ("enable_thinking", "thinking")
"""What templates call the switch: Qwen3, GLM and most others; Granite and DeepSeek V3.1."""
MARK = re.compile(r"\{%([-+]?)\s*(?:end)?generation\s*([-+]?)%\}")


@dataclass(frozen=True)
class Template:
    """A chat template bound to its tokenizer."""

    tokenizer: Any
    source: str
    """The Jinja text."""
    choice: str
    """tokenizer, chatml, or a name of the catalogue."""
    end_of_turn: str
    """The token that ends an answer."""
    note: str = "model.template_own"
    """Code of the note that says why this one."""
    params: Mapping[str, Any] = field(default_factory=dict)
    """Of the note."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """What else it is given: its thinking switch, where the run sets it."""

    def render(self, turns: Sequence[Turn], prompt: bool = False, tools: Sequence[Any] = ()) -> str:
        """The conversation as text; with `prompt`, up to where the assistant begins to speak."""
        return self.rendered(turns, prompt, tools).text

    def rendered(self, turns: Sequence[Turn], prompt: bool = False, tools: Sequence[Any] = ()) -> Rendered:
        """The same with what the template itself marks as said by the assistant."""
        return render(self.source, turns, tools, add_generation_prompt=prompt, **self._special, **self.options)

    @cached_property
    def stops(self) -> tuple[int, ...]:
        """Tokens at which an answer ends, the one this template writes first."""
        info = template_catalogue().get(self.choice)
        tokens = [self.end_of_turn, *(info.stop if info is not None else ())]
        return tuple(
            self.tokenizer.convert_tokens_to_ids(text) for text in tokens if is_one_token(self.tokenizer, text)
        )

    @property
    def exported(self) -> str:
        """The text for other programs; the marks of ours are taken out, a tokenizer's own template is left as it is."""
        return self.source if self.choice == "tokenizer" else without_marks(self.source)

    @cached_property
    def _special(self) -> dict[str, Any]:
        return dict(self.tokenizer.special_tokens_map)


def choose_template(tokenizer: Any, choice: str, source: str | None = None, thinking: str = "auto") -> Template:
    """The template the run asks for, its thinking switch set to on or off where it is not to be as the template has it.

    `auto` takes the tokenizer's own, else ChatML; `source` is tried in its place.
    """
    template = _chosen(tokenizer, choice, source)
    if thinking == "auto":
        return template
    switches = [name for name in SWITCHES if name in variables_of(template.source)]
    if not switches:
        raise UserError("model.no_thinking_switch", thinking=thinking)
    return replace(template, options=dict.fromkeys(switches, thinking == "on"))


def _chosen(tokenizer: Any, choice: str, source: str | None) -> Template:
    if source is not None:
        return Template(tokenizer, source, "tokenizer", end_of_turn(tokenizer, source))
    if choice not in ("auto", "tokenizer", "chatml"):
        return _named(tokenizer, choice)
    own = own_template(tokenizer)
    if choice == "tokenizer" and own is None:
        raise UserError("model.no_template")
    if own is not None and choice != "chatml":
        return Template(tokenizer, own, "tokenizer", end_of_turn(tokenizer, own))
    end = END if is_one_token(tokenizer, END) else tokenizer.eos_token
    if not end:
        raise UserError("model.no_end_token")
    note = "model.template_chatml" if own is None else "model.template_chatml_given"
    return Template(tokenizer, chatml(end), "chatml", end, note)


def _named(tokenizer: Any, name: str) -> Template:
    """One of the catalogue, if the tokenizer has the tokens it is made of."""
    info = template_catalogue()[name]
    end = tokenizer.eos_token if info.end_of_turn == "eos_token" else info.end_of_turn
    if not end:
        raise UserError("model.no_end_token")
    missing = [token for token in info.special if not is_one_token(tokenizer, token)]
    if missing:
        raise UserError("model.template_tokens", title=info.title, missing=", ".join(missing))
    return Template(tokenizer, template_text(name), name, end, "model.template_named", {"title": info.title})


def without_marks(source: str) -> str:
    """The template without `{% generation %}`, which few programs know; a comment keeps the blanks as they were."""
    return MARK.sub(r"{#\1 \2#}", source)


def own_template(tokenizer: Any) -> str | None:
    """The tokenizer's own template; of several, the default one."""
    own = getattr(tokenizer, "chat_template", None)
    if isinstance(own, dict):
        return own.get("default") or next(iter(own.values()), None)
    return own or None


def chatml(end: str) -> str:
    """ChatML, its turns ended by a token the model knows."""
    return (
        "{% for message in messages %}"
        "{{ '<|im_start|>' + message['role'] + '\n' }}"
        "{% if message['role'] == 'assistant' %}"
        "{% generation %}{{ message['content'] + '" + end + "' }}{% endgeneration %}{{ '\n' }}"
        "{% else %}{{ message['content'] + '" + end + "\n' }}{% endif %}"
        "{% endfor %}"
        "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
    )


def is_one_token(tokenizer: Any, text: str) -> bool:
    """The vocabulary holds this text as a token of its own."""
    if not text:
        return False
    if text in tokenizer.get_added_vocab() or text in tokenizer.all_special_tokens:
        return True
    found = tokenizer.convert_tokens_to_ids(text)
    return found is not None and found != tokenizer.unk_token_id


def end_of_turn(tokenizer: Any, source: str) -> str:
    """The token an answer ends with: the special token that follows an answer in the rendered text."""
    probe = Template(tokenizer, source, "tokenizer", "")
    question, mark = {"role": "user", "content": "q"}, "answer-7f3a"
    text = probe.render([question, {"role": "assistant", "content": mark}])
    tail = text.rpartition(mark)[2].lstrip()
    known = {*tokenizer.get_added_vocab(), *tokenizer.all_special_tokens}
    starts = [token for token in known if token and tail.startswith(token)]
    return max(starts, key=len, default=tokenizer.eos_token or "")
