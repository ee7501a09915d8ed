"""Which chat template turns a conversation into text, and rendering with it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from engine.compute.data.rows import Turn
from engine.contract.errors import UserError

END = "<|im_end|>"


@dataclass(frozen=True)
class Template:
    """A chat template bound to its tokenizer."""

    tokenizer: Any
    source: str
    """The Jinja text."""
    choice: str
    """tokenizer or chatml."""
    end_of_turn: str
    """The token that ends an answer."""
    note: str = "model.template_own"
    """Code of the note that says why this one."""

    def render(self, turns: Sequence[Turn], prompt: bool = False) -> str:
        """The conversation as text; with `prompt`, up to where the assistant begins to speak."""
        try:
            text: str = self.tokenizer.apply_chat_template(
                list(turns), chat_template=self.source, tokenize=False, add_generation_prompt=prompt
            )
        except Exception as error:
            raise UserError("model.template_failed", detail=f"{type(error).__name__}: {error}"[:500]) from error
        return text


def choose_template(tokenizer: Any, choice: str) -> Template:
    """The template the run asks for; `auto` takes the tokenizer's own, else ChatML."""
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
    return text in tokenizer.get_added_vocab() or text in tokenizer.all_special_tokens


def end_of_turn(tokenizer: Any, source: str) -> str:
    """The token an answer ends with: the special token that follows an answer in the rendered text."""
    probe = Template(tokenizer, source, "tokenizer", "")
    question, mark = {"role": "user", "content": "q"}, "answer-7f3a"
    text = probe.render([question, {"role": "assistant", "content": mark}])
    tail = text.rpartition(mark)[2].lstrip()
    known = {*tokenizer.get_added_vocab(), *tokenizer.all_special_tokens}
    starts = [token for token in known if token and tail.startswith(token)]
    return max(starts, key=len, default=tokenizer.eos_token or "")
