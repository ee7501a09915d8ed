"""How long rows are: in tokens where a model is given, else in characters and what these usually come to."""

from __future__ import annotations

from collections.abc import Callable

from engine.compute.data.checks.row import CheckedRow
from engine.compute.data.checks.texts import LONG
from engine.compute.data.rows import Example
from engine.contract.bundled import locate
from engine.contract.datasets import CheckOptions
from engine.contract.errors import UserError
from engine.contract.model import ModelConfig

ASCII_A_TOKEN, OTHERS_A_TOKEN = 4.0, 1.5
Counter = Callable[[Example], int]


class Lengths:
    """Remarks on rows that are longer than asked."""

    def __init__(self, options: CheckOptions) -> None:
        self.limit = options.max_length
        self._count = token_counter(options.model) if options.model and self.limit else None

    @property
    def in_tokens(self) -> bool:
        """Tokens are counted, not estimated."""
        return self._count is not None

    def look(self, row: CheckedRow) -> None:
        """Say by how much a row is too long."""
        characters = len(row.body)
        if self.limit is None:
            if characters > LONG:
                row.remark("too_long", "checks.very_long", "note", characters=characters, limit=LONG)
            return
        if self._count is None:
            tokens = estimated_tokens(row.body) if characters > self.limit else 0
            if tokens > self.limit:
                row.remark("too_long", "checks.probably_too_long", "note", tokens=tokens, characters=characters,
                           limit=self.limit, over=tokens - self.limit)  # fmt: skip
            return
        # no tokenizer makes more tokens of a text than it has bytes, with a few around each turn
        if 4 * characters + 32 * (len(row.texts) + 1) <= self.limit:
            return
        tokens = self._count(row.example)
        if tokens > self.limit:
            row.remark("too_long", "checks.too_long", tokens=tokens, limit=self.limit, over=tokens - self.limit)


def estimated_tokens(text: str) -> int:
    """What tokenizers usually make of a text."""
    plain = len(text) if text.isascii() else sum(map(str.isascii, text))
    return round(plain / ASCII_A_TOKEN + (len(text) - plain) / OTHERS_A_TOKEN)


def token_counter(model: ModelConfig) -> Counter | None:
    """Counts tokens as training does, template and all; None where the model is not on this computer."""
    folder = locate(model)
    if folder is None or not folder.is_dir():
        return None
    from transformers import AutoTokenizer

    from engine.compute.data.templates import choose_template
    from engine.compute.data.tokenise import Tokeniser

    try:
        tokenizer = AutoTokenizer.from_pretrained(str(folder), local_files_only=True)
        tokeniser = Tokeniser(
            choose_template(tokenizer, model.template, thinking=model.thinking), 1 << 30, answers_only=False
        )
    except (OSError, ValueError, UserError):
        return None

    def count(example: Example) -> int:
        try:
            sides = [Example(turns=(*example.turns, *side)) for side in (example.chosen, example.rejected) if side]
            rows = sides or [example if example.turns or example.text else Example(text="\n".join(example.texts))]
            return max(len(encoded) for encoded in tokeniser.encode(rows))
        except UserError:  # a template that cannot render the row is told of elsewhere
            return estimated_tokens("".join(turn["content"] for turn in example.turns))

    return count
