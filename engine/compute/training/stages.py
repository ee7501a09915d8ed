"""What each stage learns from a row. A stage is an entry here; the trainer knows none by name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from engine.compute.data.rows import Example
from engine.compute.data.templates import Template
from engine.compute.data.tokenise import Tokeniser
from engine.contract.errors import UserError


@dataclass(frozen=True)
class Stage:
    """How rows become tokens in a stage."""

    name: str
    takes_text: bool
    """Rows of plain text can be learned from."""
    answers_only: bool
    """Only what the assistant says may be learned."""

    def tokeniser(self, template: Template, max_length: int, assistant_only_loss: bool) -> Tokeniser:
        """The tokeniser for this stage."""
        return Tokeniser(template, max_length, self.answers_only and assistant_only_loss)

    def check(self, examples: Sequence[Example]) -> None:
        """Refuse rows this stage cannot learn from."""
        if not self.takes_text:
            for example in examples:
                if not example.turns:
                    raise UserError("data.text_needs_pretrain", line=example.line)


STAGES = {
    "sft": Stage("sft", takes_text=False, answers_only=True),
    "pretrain": Stage("pretrain", takes_text=True, answers_only=False),
}
