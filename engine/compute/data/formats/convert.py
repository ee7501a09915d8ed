"""A row of a known format as an example: the one door, whether it is trained, shown or checked."""

from __future__ import annotations

from collections.abc import Callable

from engine.compute.data.formats.base import PARTS_BY_NAME, BadRow, Columns, named
from engine.compute.data.formats.conversations import (
    Parts,
    from_alpaca,
    from_messages,
    from_prompt_completion,
    from_query_response,
)
from engine.compute.data.formats.judged import from_kto, from_preference
from engine.compute.data.formats.rules import guesses
from engine.compute.data.formats.single import from_classification, from_pairs, from_prompt_only, from_text
from engine.compute.data.formats.values import media_of
from engine.compute.data.rows import Example, Record
from engine.contract.data_format import Mapping

AS_USUAL = Mapping()
CONVERTERS: dict[str, Callable[[Columns, list[str]], Parts]] = {
    "messages": from_messages,
    "sharegpt": from_messages,
    "alpaca": from_alpaca,
    "query_response": from_query_response,
    "prompt_completion": from_prompt_completion,
    "text": from_text,
    "preference": from_preference,
    "kto": from_kto,
    "prompt_only": from_prompt_only,
    "pairs": from_pairs,
    "classification": from_classification,
}


def convert(record: Record, form: str, source: int = 0, mapping: Mapping = AS_USUAL) -> Example:
    """The row as an example; raises BadRow."""
    media, columns = list[str](), Columns(record.content, form, mapping)
    try:
        parts = CONVERTERS[form](columns, media)
    except BadRow as error:
        raise _explained(error, columns) from error
    media += media_of(record.content)
    if media:
        parts["media"] = tuple(sorted(set(media)))
    return Example(line=record.line, source=source, form=form, **parts)


def _explained(error: BadRow, columns: Columns) -> BadRow:
    """Of a row that has no column of its format, what it seems to be instead: files of several formats are common."""
    content = columns.content
    if error.code != "data.missing_column" or columns.mapping.columns or not content:
        return error
    needed = [part for part in PARTS_BY_NAME[columns.form].values() if part.required]
    if any(columns.name(part.name) for part in needed):
        return error
    others = [guess.format for guess in guesses(content, columns.mapping) if guess.format != columns.form]
    if not others:
        return BadRow("data.unknown_format", columns=named(content))
    return BadRow("data.other_format", columns=named(content), found=others[0], format=columns.form)
