"""What can be said of rows with classes before a run begins: which classes its training rows have."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

from engine.compute.data.formats import BadRow, Detected, convert, detect_first
from engine.compute.data.labels import Labels, gather
from engine.compute.data.row_set import HeldRows
from engine.compute.data.rows import Example, Record
from engine.compute.data.sources import read_records
from engine.contract.bundled import locate
from engine.contract.data import DataSource
from engine.contract.data_format import Mapping
from engine.contract.errors import UserError
from engine.contract.heads import HeadConfig

MOST_ROWS = 5000
"""Of a longer dataset the classes are known when it is read as a whole, by the run."""


def known_labels(head: HeadConfig, train: Sequence[DataSource]) -> Labels | None:
    """The classes a run with these training rows will learn; None where that is not known for certain."""
    if head.labels or head.problem == "regression" or not train:
        return None
    sets = []
    for source in train:
        path = locate(source)
        if path is None or source.hub == "library" or source.mapping != Mapping():
            return None
        found = islice(read_records(path), MOST_ROWS + 1)
        known = None if source.format == "auto" else Detected(source.format, "")
        rows = found
        if known is None:
            known, rows = detect_first(found)  # type: ignore[assignment]
        examples, seen = list[Example](), 0
        for record in rows:
            seen += 1
            if not isinstance(record, Record) or known is None:
                return None
            try:
                examples.append(convert(record, known.format))
            except BadRow:
                return None  # what is wrong with training rows is said elsewhere
        if seen > MOST_ROWS or any(example.teaches != "class" for example in examples):
            return None
        sets.append(HeldRows(examples))
    try:
        return gather(head.problem, (), sets, False)[0]
    except UserError:
        return None
