"""Rows as tokens with the fate of each, and figures of a whole dataset as a model's tokens."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from engine.compute.data.measure import Measured, measure, sides_of
from engine.compute.data.packing import packed_share, padded_share
from engine.compute.data.row_source import RowSource
from engine.compute.data.token_texts import token_texts
from engine.compute.data.tokenise import Looked, Tokeniser
from engine.contract.dataset_queries import (
    LENGTHS_KEPT,
    MASKED,
    MAX_SHOWN_TOKENS,
    SPECIAL,
    TRAINED,
    Statistics,
    StatisticsAnswer,
    TemplateFailure,
    Xray,
    XrayAnswer,
    XrayRow,
)

READING_SECONDS, SAMPLING_SECONDS = 1.0, 1.5
SAMPLED_ROWS = 512


def xray(asked: Xray, source: RowSource, tokeniser: Tokeniser) -> XrayAnswer:
    """The rows asked for, and how much is learned of a sample of all."""
    rows = list[XrayRow]()
    for number, example in source.rows(asked.rows, READING_SECONDS):
        for side, name in sides_of(example, asked.model.system):
            (looked,) = tokeniser.look([side])
            row = _row(number, example.line, looked, tokeniser)
            rows.append(row.model_copy(update={"side": name}))
    sample = source.sample(READING_SECONDS, SAMPLED_ROWS)
    found = measure(sample, tokeniser, asked.model.system, time.monotonic() + SAMPLING_SECONDS, roles=False)
    template = tokeniser.template
    return XrayAnswer(
        rows=rows,
        template=template.choice,
        template_code=template.note,
        template_params=dict(template.params),
        trained_share=found.trained_share if found.lengths else None,
        sampled=len(found.lengths),
        untrained=found.untrained,
        **_failure(found),
    )


def _failure(found: Measured) -> dict[str, Any]:
    """What the template refused."""
    if found.failure is None:
        return {}
    first = found.failure
    failure = TemplateFailure(row=first.row, line=first.line, error=first.error.body())
    return {"failed": found.failed, "failure": failure}


def _row(number: int, line: int, looked: Looked, tokeniser: Tokeniser) -> XrayRow:
    ids = looked.ids[:MAX_SHOWN_TOKENS]
    limit = tokeniser.max_length
    return XrayRow(
        row=number,
        line=line,
        ids=ids,
        texts=token_texts(tokeniser.tokenizer, ids),
        fates=fates(looked, set(tokeniser.tokenizer.all_special_ids))[:MAX_SHOWN_TOKENS],
        cut_at=limit if len(looked.ids) > limit else None,
        tokens=len(looked.ids),
        trained=sum(looked.trained[1:limit]),
    )


def fates(looked: Looked, special: set[int]) -> str:
    """A letter a token. The first is never learned: nothing stands before it to be told from."""
    letters = list[str]()
    for place, (token, learned) in enumerate(zip(looked.ids, looked.trained, strict=True)):
        if learned and place:
            letters.append(TRAINED.upper() if token in special else TRAINED)
        else:
            letters.append(SPECIAL if token in special else MASKED)
    return "".join(letters)


def statistics(asked: Statistics, source: RowSource, tokeniser: Tokeniser) -> StatisticsAnswer:
    """Figures of all rows where there is time for all, else of a seeded sample."""
    until = time.monotonic() + asked.seconds
    found = measure(source.sample(asked.seconds / 3), tokeniser, asked.model.system, until)
    extent = source.extent
    counted = len(set(found.rows)) + found.failed
    return StatisticsAnswer(
        rows=extent.rows,
        measured=counted,
        exact=found.complete and extent.exact and counted == extent.rows,
        lengths=quantiles(found.lengths),
        tokens=sum(found.lengths),
        trained_share=found.trained_share,
        untrained_rows=found.untrained,
        tokens_by_role=dict(found.by_role),
        turns=dict(sorted(found.turns.items())),
        packing=_packing(found, asked.max_length),
        padding=padded_share(found.lengths, asked.max_length, asked.batch_size),
        languages=dict(source.version.manifest.languages) if source.version is not None else {},
        **_failure(found),
    )


def _packing(found: Measured, size: int, most: int = 20_000) -> float | None:
    """Of at most so many rows: more would not change the share, and take their time."""
    return packed_share(found.lengths[:most], size)


def quantiles(lengths: Sequence[int], most: int = LENGTHS_KEPT) -> list[int]:
    """Sorted lengths: all, or as many evenly spaced ones, the shortest and the longest among them."""
    ordered = sorted(lengths)
    if len(ordered) <= most:
        return ordered
    return [ordered[round(place * (len(ordered) - 1) / (most - 1))] for place in range(most)]
