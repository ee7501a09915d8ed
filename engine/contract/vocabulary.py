"""Whether two model folders speak the same vocabulary, as far as their files say so without a tokenizer library."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

MOST_BYTES = 64 << 20
"""Larger tokenizer files are left to the worker."""


def difference(one: Path, other: Path) -> str:
    """What of the other's vocabulary is not the one's; empty where nothing is, or where the files do not say."""
    files = [folder / "tokenizer.json" for folder in (one, other)]
    try:
        if any(not file.is_file() or file.stat().st_size > MOST_BYTES for file in files):
            return ""
        texts = [file.read_bytes() for file in files]
        if texts[0] == texts[1]:
            return ""
        ours, theirs = (tokens_of(json.loads(text)) for text in texts)
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):  # the worker says what is wrong
        return ""
    return apart(ours, theirs) if ours and theirs else ""


def apart(ours: dict[str, int], theirs: dict[str, int]) -> str:
    """In words: the first difference of two vocabularies; empty where they are the same."""
    if ours == theirs:
        return ""
    if len(ours) != len(theirs):
        return f"{len(theirs)} tokens against {len(ours)}"
    token = min((token for token, number in ours.items() if theirs.get(token) != number), key=ours.__getitem__)
    return f"token {ours[token]} is {token!r} in the model only"


def tokens_of(file: dict[str, Any]) -> dict[str, int]:
    """Every token with its number, of a tokenizer.json."""
    listed = file["model"]["vocab"]
    if isinstance(listed, dict):
        found = {str(token): int(number) for token, number in listed.items()}
    else:  # Unigram: pairs of token and score, by place
        found = {str(entry[0]): number for number, entry in enumerate(listed)}
    return found | {str(one["content"]): int(one["id"]) for one in file.get("added_tokens") or []}
