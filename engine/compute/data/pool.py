"""The rows of a run as tokens: few at once, many only when a batch needs them."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from engine.compute.data.preference import Pair, Row
from engine.compute.data.row_set import JoinedRows, Origin, RowId, RowSet, as_rows
from engine.compute.data.rows import Example
from engine.compute.data.tokenise import Encoded, Tokeniser
from engine.contract.errors import UserError

EAGER_ROWS = 5_000
"""Up to so many rows are tokenised before training, and what is not learned is left out and counted."""
EAGER_CHARACTERS = 64_000_000
"""Not if they are longer than this together."""
PROBE_ROWS = 512
"""Of a larger dataset so many are tried first."""
KEPT_TOKENS = 20_000_000
"""Of a larger dataset so many tokens are kept once they are made (5 bytes each); the rest is made again each epoch."""
CHUNK = 1024


def too_many(lengths: np.ndarray) -> bool:
    """Rows of these lengths are not held as tokens all at once."""
    return len(lengths) > EAGER_ROWS or int(lengths.sum(dtype=np.int64)) > EAGER_CHARACTERS


@dataclass(frozen=True)
class Group:
    """The rows of one source and how often they are taken."""

    rows: int
    weight: float


class RowPool:
    """Rows by number. Of rows that are many it holds numbers and lengths, and a bounded part of their tokens."""

    def __init__(
        self,
        tokeniser: Tokeniser,
        sources: Sequence[tuple[RowSet | Sequence[Example], float]],
        seed: int,
        names: Sequence[str] = (),
    ) -> None:
        """`names` of the sources that must each teach something, in their order; those after them need not."""
        self._names = names
        self.tokeniser = tokeniser
        self._again = tokeniser.again()
        """For rows that were counted before."""
        self._rows = JoinedRows([as_rows(rows) for rows, _ in sources])
        self.groups = [Group(len(rows), weight) for rows, weight in sources]
        self.lengths = self._rows.lengths
        self.lazy = too_many(self.lengths)
        self._kept = dict[int, Row]()
        self._kept_tokens = 0
        self._counted = np.zeros(len(self._rows), dtype=bool)
        self._used: np.ndarray | None = None
        """Where some rows are left out: those that stay, by their places among all."""
        self._seed = seed
        self.references: np.ndarray | None = None
        """Of each row what the reference makes of its two answers, once it was asked."""

    def __len__(self) -> int:
        return len(self.lengths)

    @property
    def kept_tokens(self) -> int:
        """Tokens in memory."""
        return self._kept_tokens

    def row_id(self, index: int) -> RowId:
        """Which row of which version it is."""
        return self._rows.row_id(index if self._used is None else int(self._used[index]))

    @property
    def sources(self) -> list[tuple[RowSet, float]]:
        """All rows, also those that are not taken, with their weights."""
        return [(rows, group.weight) for rows, group in zip(self._rows.sets, self.groups, strict=True)]

    def origin(self, place: int) -> Origin:
        """Where the row of an `Encoded.place` stands."""
        return self._rows.origin(place)

    def prepare(self, progress: Callable[[float], None], exact: bool = False) -> None:
        """Tokenise what is tokenised beforehand; refuse a dataset in which nothing is learned, also one of several.

        `exact`: every row is, for `lengths` are to be tokens, also of rows that are many.
        """
        count = len(self._rows)
        if self.lazy and not exact:
            probe = random.Random(self._seed).sample(range(count), min(count, PROBE_ROWS))
            teaching = [place for place, row in zip(probe, self._encoded(probe), strict=True) if row.trained_tokens]
            if teaching:
                self._look_for_lessons(np.array(teaching))
                return
        self._leave_out_untrained(progress)

    def _look_for_lessons(self, teaching: np.ndarray) -> None:
        """Of each source of which the probe found nothing that is learned, rows are tried until one teaches."""
        for name, begin, end in self._named():
            if ((teaching >= begin) & (teaching < end)).any():
                continue
            chunks = (range(at, min(at + CHUNK, end)) for at in range(begin, end, CHUNK))
            if not any(row.trained_tokens for chunk in chunks for row in self._encoded(chunk)):
                raise self._teaches_nothing(name, end - begin)

    def _named(self) -> Iterator[tuple[str, int, int]]:
        """The sources that must teach, each with where its rows begin and end; those without rows are left out."""
        begin = 0
        for name, group in zip(self._names, self.groups, strict=False):
            if group.rows:
                yield name, begin, begin + group.rows
            begin += group.rows

    def _teaches_nothing(self, name: str, rows: int) -> UserError:
        return UserError("data.nothing_trained_of", name=name, rows=rows, max_length=self.tokeniser.max_length)

    def fetch(self, indices: Sequence[int]) -> list[Row]:
        """The rows of a batch; rows in which nothing is learned are left out unless there are no others."""
        rows = [self._compared(row, index) for row, index in zip(self.rows(indices), indices, strict=True)]
        return [row for row in rows if row.trained_tokens] or rows[:1]

    def rows(self, indices: Sequence[int]) -> list[Row]:
        """Rows as tokens, one for each number."""
        return self._encoded(indices if self._used is None else self._used[list(indices)].tolist())

    def _compared(self, row: Row, index: int) -> Row:
        """A pair with what the reference makes of it."""
        if self.references is None or not isinstance(row, Pair):
            return row
        return replace(row, reference=(float(self.references[index, 0]), float(self.references[index, 1])))

    def _encoded(self, places: Sequence[int]) -> list[Row]:
        """Rows by their places among all."""
        made: dict[int, Row] = {place: self._kept[place] for place in places if place in self._kept}
        missing = [place for place in dict.fromkeys(places) if place not in made]
        for tokeniser, wanted in (
            (self.tokeniser, [place for place in missing if not self._counted[place]]),
            (self._again, [place for place in missing if self._counted[place]]),
        ):
            if wanted:
                encoded = tokeniser.encode(self._rows.examples(wanted))
                made.update((place, _placed(row, place)) for place, row in zip(wanted, encoded, strict=True))
        self._counted[missing] = True
        for place in missing:
            self._keep(place, made[place])
        return [made[place] for place in places]

    def _keep(self, place: int, row: Row) -> None:
        """First come, first kept: every epoch takes every row, so that none is worth more than another."""
        if not self.lazy or self._kept_tokens + len(row) <= KEPT_TOKENS:
            self._kept[place] = row
            self._kept_tokens += len(row)

    def _leave_out_untrained(self, progress: Callable[[float], None]) -> None:
        """Look at every row; those in which nothing is learned are not taken."""
        count = len(self._rows)
        lengths, learned = np.zeros(count, dtype=np.int32), np.zeros(count, dtype=bool)
        for begin in range(0, count, CHUNK):
            end = min(begin + CHUNK, count)
            for place, row in enumerate(self._encoded(range(begin, end)), begin):
                lengths[place], learned[place] = len(row), row.trained_tokens > 0
            if count > 4 * CHUNK:
                progress(min(1.0, end / count))
        if not learned.any():
            raise UserError("data.nothing_trained", rows=count, max_length=self.tokeniser.max_length)
        for name, begin, end in self._named():
            if not learned[begin:end].any():
                raise self._teaches_nothing(name, end - begin)
        used, begin, groups = np.flatnonzero(learned), 0, list[Group]()
        for group in self.groups:
            groups.append(Group(int(learned[begin : begin + group.rows].sum()), group.weight))
            begin += group.rows
        self.groups, self._used, self.lengths = groups, used, lengths[used]
        for place in [place for place in self._kept if not learned[place]]:
            self._kept_tokens -= len(self._kept.pop(place))


def _placed(row: Row, place: int) -> Row:
    """The row, told where it stands; pairs and verdicts are not followed one by one."""
    return replace(row, place=place) if isinstance(row, Encoded) else row
