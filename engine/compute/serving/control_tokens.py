"""Texts that look like control tokens, such as `<|im_end|>`: in what people say they are texts, and end no turn."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

PRIVATE = range(0xE000, 0xF900)
"""Characters nobody gave a meaning: one that is in no message stands for a token's text while they are put together."""


class ControlTexts:
    """Of one tokenizer."""

    def __init__(self, tokenizer: Any) -> None:
        known = tokenizer.added_tokens_decoder.values()
        texts = sorted({str(one.content) for one in known if one.special and one.content}, key=len, reverse=True)
        self._tokenizer = tokenizer
        self._found = re.compile("|".join(map(re.escape, texts))) if texts else None

    def tokens(
        self, turns: Sequence[Mapping[str, Any]], render: Callable[[list[dict[str, Any]]], str]
    ) -> tuple[int, ...]:
        """A conversation as tokens; control tokens are the template's own."""
        said = [turn["content"] for turn in turns if isinstance(turn.get("content"), str)]
        looking = {text for content in said for text in self._look(content)}
        if not looking:
            return self._plain(render([dict(turn) for turn in turns]))
        stand_ins = self._stand_ins(looking, "".join(said))
        rendered = render([{**turn, "content": self._hidden(turn.get("content"), stand_ins)} for turn in turns])
        back = {mark: text for text, mark in stand_ins.items()}
        found = list[int]()
        for piece in re.split(f"([{''.join(back)}])", rendered):
            found += self._spelt(back[piece]) if piece in back else self._plain(piece)
        return tuple(found)

    def _look(self, content: str) -> list[str]:
        return self._found.findall(content) if self._found is not None else []

    def _stand_ins(self, looking: set[str], said: str) -> dict[str, str]:
        free = (mark for code in PRIVATE if (mark := chr(code)) not in said)
        return {text: next(free) for text in sorted(looking)}

    def _hidden(self, content: Any, stand_ins: Mapping[str, str]) -> Any:
        if not isinstance(content, str) or self._found is None:
            return content
        return self._found.sub(lambda match: stand_ins[match[0]], content)

    def _plain(self, text: str) -> tuple[int, ...]:
        return tuple(self._tokenizer(text, add_special_tokens=False)["input_ids"])

    def _spelt(self, text: str) -> tuple[int, ...]:
        """As any other text of these letters."""
        return tuple(self._tokenizer(text, add_special_tokens=False, split_special_tokens=True)["input_ids"])
