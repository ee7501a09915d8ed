"""Texts that look like control tokens, such as `<|im_end|>`: in what is asked they are texts, and end no turn."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from engine.contract.errors import Problem, UserError

PRIVATE = (range(0xE000, 0xF900), range(0xF0000, 0xFFFFE), range(0x100000, 0x10FFFE))
"""Characters nobody gave a meaning: one that is in no message stands for a token's text while they are put together."""
NONE_FREE = "they use every character of Unicode's private areas beside texts of control tokens; leave some of them out"
Said = list[dict[str, Any]]


class ControlTexts:
    """Of one tokenizer."""

    def __init__(self, tokenizer: Any) -> None:
        known = tokenizer.added_tokens_decoder.values()
        texts = sorted({str(one.content) for one in known if one.special and one.content}, key=len, reverse=True)
        self._tokenizer = tokenizer
        self._found = re.compile("|".join(map(re.escape, texts))) if texts else None

    def tokens(
        self, turns: Sequence[Mapping[str, Any]], render: Callable[[Said, Said], str], tools: Sequence[Any] = ()
    ) -> tuple[int, ...]:
        """A conversation as tokens; control tokens are the template's own, wherever else their texts stand.

        `render`: turns and tools as the template puts them together.
        """
        texts = list(_texts([turns, tools]))
        looking = {text for one in texts for text in self._look(one)}
        if not looking:
            return self._plain(render([dict(turn) for turn in turns], list(tools)))
        stand_ins = _stand_ins(looking, set("".join(texts)))

        def hidden(text: str) -> str:
            return text if self._found is None else self._found.sub(lambda match: stand_ins[match[0]], text)

        rendered = render(_each(turns, hidden), _each(tools, hidden))
        back = {mark: text for text, mark in stand_ins.items()}
        found = list[int]()
        for piece in re.split(f"([{''.join(back)}])", rendered):
            found += self._spelt(back[piece]) if piece in back else self._plain(piece)
        return tuple(found)

    def _look(self, content: str) -> list[str]:
        return self._found.findall(content) if self._found is not None else []

    def _plain(self, text: str) -> tuple[int, ...]:
        return tuple(self._tokenizer(text, add_special_tokens=False)["input_ids"])

    def _spelt(self, text: str) -> tuple[int, ...]:
        """As any other text of these letters."""
        return tuple(self._tokenizer(text, add_special_tokens=False, split_special_tokens=True)["input_ids"])


def _stand_ins(looking: set[str], said: set[str]) -> dict[str, str]:
    """A character for each of these texts; refuses who uses all there are."""
    free = (mark for codes in PRIVATE for code in codes if (mark := chr(code)) not in said)
    found = dict(zip(sorted(looking), free, strict=False))
    if len(found) < len(looking):
        problem = Problem(code="serve.field", field="messages", params={"detail": NONE_FREE})
        raise UserError("serve.invalid", count=1, problems=[problem])
    return found


def _texts(given: Any) -> Iterator[str]:
    """Every text in there, names of parameters too."""
    if isinstance(given, str):
        yield given
    elif isinstance(given, Mapping):
        for name, value in given.items():
            yield from _texts(name)
            yield from _texts(value)
    elif isinstance(given, list | tuple):
        for one in given:
            yield from _texts(one)


def _each(given: Any, change: Callable[[str], str]) -> Any:
    """The same with every text in there changed."""
    if isinstance(given, str):
        return change(given)
    if isinstance(given, Mapping):
        return {_each(name, change): _each(value, change) for name, value in given.items()}
    return [_each(one, change) for one in given] if isinstance(given, list | tuple) else given
