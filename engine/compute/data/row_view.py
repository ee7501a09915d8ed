"""A dataset's first rows as the model will see them: what is learned, what is only read, and how long rows are."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from engine.compute.data.formats import BadRow, Detected, convert, detect_first
from engine.compute.data.rows import Example, Record, with_system
from engine.compute.data.sources import read_records
from engine.compute.data.tokenise import Encoded, Tokeniser
from engine.contract.errors import Problem, UserError

MEASURED_ROWS = 1000
MEASURING_SECONDS = 2.5
SHOWN_TOKENS = 600
CHUNK = 100


def first_examples(path: Path, form: str, limit: int = MEASURED_ROWS) -> list[Example]:
    """The first rows that can be used; what is wrong with the others is said elsewhere."""
    known = None if form == "auto" else Detected(form, "")
    rows: Iterable[Record | Problem] = read_records(path, hurry=MEASURING_SECONDS)
    if known is None:
        known, rows = detect_first(rows)
    examples = list[Example]()
    for record in islice(rows, 10 * limit):
        if not isinstance(record, Record) or known is None:
            continue
        try:
            examples.append(convert(record, known.format))
        except BadRow:
            continue
        if len(examples) == limit:
            break
    if not examples:
        raise UserError("data.no_rows", path=str(path))
    return examples


def view(examples: Sequence[Example], tokeniser: Tokeniser, rows: int, system: str | None) -> dict[str, Any]:
    """The first `rows` in pieces, and the lengths of as many as can be measured in a moment."""
    examples = with_system(examples, system)
    measuring = tokeniser.again(1 << 30)
    limit = 1 << 30 if tokeniser.truncation == "split" else tokeniser.max_length
    lengths, tokens, trained, teaching = list[int](), 0, 0, 0
    until = time.monotonic() + MEASURING_SECONDS
    for begin in range(0, len(examples), CHUNK):
        for encoded in measuring.encode(examples[begin : begin + CHUNK]):
            lengths.append(len(encoded))
            tokens += encoded.tokens
            trained += encoded.trained_tokens
            teaching += encoded.teaches(limit)
        if time.monotonic() > until:
            break
    return {
        "rows": [shown for example in examples[:rows] for shown in _row(example, tokeniser)],
        "lengths": lengths,
        "trained_share": trained / max(1, tokens),
        "teaching": teaching,  # rows of which something is learned once they are cut
    }


def _row(example: Example, tokeniser: Tokeniser) -> list[dict[str, Any]]:
    """A row, or each answer of it behind what was asked."""
    cut = tokeniser.tally.cut
    (row,) = tokeniser.encode([example])
    return [
        {
            "line": example.line,
            "side": side,
            "spans": spans_of(encoded, tokeniser.tokenizer),
            "tokens": len(encoded),
            "trained_tokens": encoded.trained_tokens,
            "cut": tokeniser.tally.cut > cut,
            "more": max(0, len(encoded) - SHOWN_TOKENS),
        }
        for side, encoded in row.sides
    ]


def spans_of(encoded: Encoded, tokenizer: Any) -> list[dict[str, Any]]:
    """Neighbouring tokens of like fate as one text; the first token of a row is never learned."""
    spans = list[dict[str, Any]]()
    ids, flags = list(encoded.ids[:SHOWN_TOKENS]), list(encoded.trained[:SHOWN_TOKENS])
    begin = 0
    for at in range(1, len(ids) + 1):
        if at == len(ids) or flags[at] != flags[begin]:
            text = tokenizer.decode(ids[begin:at], skip_special_tokens=False, clean_up_tokenization_spaces=False)
            spans.append({"text": text, "trained": bool(flags[begin]), "tokens": at - begin})
            begin = at
    return spans
