"""A language nobody speaks: every text with accents and 40 % longer, to see that no layout relies on English."""

from __future__ import annotations

import math
import re

CODE = "pseudo"
GROWTH = 0.4
_ACCENTS = str.maketrans("aeiouycnszAEIOUYCNSZ", "áéíóúýçñšžÁÉÍÓÚÝÇÑŠŽ")
_PARAMETER = re.compile(r"(\{[^{}]*\})")
_FILLER = "lorem ipsum dolor sit amet consectetur "


def stretched(text: str) -> str:
    """The text with accents and 40 % more letters; what stands in braces stays, since it is filled in later."""
    parts = _PARAMETER.split(text)
    letters = sum(len(part) for part in parts[::2])
    if not letters:
        return text
    plain = "".join(part if number % 2 else part.translate(_ACCENTS) for number, part in enumerate(parts))
    more = math.ceil(GROWTH * letters)
    # Short words grow as words do; long texts grow by words, so that they may wrap.
    if letters < 12:
        return plain + "ŵ" * more
    return plain + (" " + _FILLER * (more // len(_FILLER) + 1))[:more].rstrip()
