"""What single tokens stand for, as people can read it: bytes that are no whole character are shown as ⟨xx⟩."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

BYTE = re.compile(r"<0x([0-9A-Fa-f]{2})>")


def token_texts(tokenizer: Any, ids: Sequence[int]) -> list[str]:
    """The text of each token."""
    own = {token_id: str(token) for token_id, token in tokenizer.added_tokens_decoder.items()}
    names = tokenizer.convert_ids_to_tokens(list(ids))
    by_bytes, space = _kind(tokenizer)
    return [
        own[token_id] if token_id in own else _text(name or "", by_bytes, space)
        for token_id, name in zip(ids, names, strict=True)
    ]


def token_bytes(tokenizer: Any, token: int) -> bytes:
    """What one token adds to a text: part of a character too, and the space it begins with."""
    text, name = str(tokenizer.decode([token])), str(tokenizer.convert_ids_to_tokens(token) or "")
    found = BYTE.fullmatch(name)
    if found and text != name:
        return bytes([int(found[1], 16)])
    letters = alphabet()
    if "\ufffd" in text and all(letter in letters for letter in name):
        return bytes(letters[letter] for letter in name)
    if name.startswith("▁") and not text.startswith(" "):  # a text that begins so has no space, one that goes on has
        text = f" {text}"
    return text.encode(errors="replace")


def _text(name: str, by_bytes: bool, space: str) -> str:
    found = BYTE.fullmatch(name)
    if found:
        return shown(bytes([int(found[1], 16)]))
    if by_bytes:
        letters = alphabet()
        if all(letter in letters for letter in name):
            return shown(bytes(letters[letter] for letter in name))
    return name.replace(space, " ") if space else name


def shown(raw: bytes) -> str:
    """Bytes as text; those that are no whole character as ⟨xx⟩."""
    return raw.decode("utf-8", errors="surrogateescape").translate(_BROKEN)


_BROKEN = {0xDC00 + byte: f"⟨{byte:02x}⟩" for byte in range(128, 256)}


@lru_cache(maxsize=1)
def alphabet() -> dict[str, int]:
    """The letters byte-level tokenizers write bytes with: printable ones as themselves, the others from 256 on."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    letters = {chr(byte): byte for byte in printable}
    others = [byte for byte in range(256) if byte not in set(printable)]
    return {**letters, **{chr(256 + place): byte for place, byte in enumerate(others)}}


def _kind(tokenizer: Any) -> tuple[bool, str]:
    """Whether it writes bytes as letters, and what it writes for a space."""
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:
        return False, "▁"
    parts = json.loads(backend.to_str())
    made = json.dumps([parts.get("pre_tokenizer"), parts.get("decoder"), parts.get("normalizer")])
    return "ByteLevel" in made, "▁" if "▁" in made or "\\u2581" in made else ""
