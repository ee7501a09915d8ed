"""Rankings of a run's rows by their losses; `DEFINITIONS` says what never learned, memorised, contradictory are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from engine.contract.forensics_api import DEFINITIONS, Meeting, RankedRow, Ranking, RankingKind, RowHistory, RowKey
from engine.control.jobs.row_reading import Course

HIGH, KEPT = 1.5, 0.7
LOW, SHARE = 0.1, 0.1
RISEN, FALLEN = 1.1, 0.9


@dataclass(frozen=True)
class Meetings:
    """A course row by row."""

    row: np.ndarray
    """Of each meeting, sorted by row and then by step."""
    ordinal: np.ndarray
    """The how manieth of its row, from 0."""
    loss: np.ndarray
    step: np.ndarray
    first: np.ndarray
    """Of each row."""
    last: np.ndarray
    count: np.ndarray
    tokens: np.ndarray
    median: np.ndarray
    """Over rows, of their first, second … meeting."""


def meetings(course: Course) -> Meetings:
    """Sort a course by rows; NaN counts as without end, for it is as far from learned as can be."""
    order = np.argsort(course.row, kind="stable")
    row, step = course.row[order], course.step[order]
    loss = np.where(np.isnan(course.loss[order]), np.inf, course.loss[order])
    count = np.bincount(row, minlength=len(course.rows))
    begins = np.concatenate([[0], np.cumsum(count)[:-1]]).astype(np.int64)
    ordinal = np.arange(len(row)) - begins[row] if len(row) else np.empty(0, np.int64)
    nothing = np.full(len(count), np.nan)
    met = count > 0
    first, last, tokens = nothing.copy(), nothing.copy(), np.zeros(len(count), np.int64)
    first[met], last[met] = loss[begins[met]], loss[(begins + count - 1)[met]]
    tokens[met] = course.tokens[order][begins[met]]
    median = [float(np.median(loss[ordinal == n])) for n in range(int(count.max(initial=0)))]
    return Meetings(row, ordinal, loss, step, first, last, count, tokens, np.array(median))


def history(course: Course, key: RowKey) -> RowHistory | None:
    """One row's course beside that of the median row."""
    row = course.find(key)
    if row is None:
        return None
    found = meetings(course)
    mine = found.row == row
    met = [
        Meeting(step=int(step), loss=float(loss))
        for step, loss in zip(found.step[mine], found.loss[mine], strict=True)
    ]  # fmt: skip
    median = found.median[: len(met)].tolist()
    return RowHistory(key=course.key(row), tokens=int(found.tokens[row]), meetings=met, median=median)


def rank(course: Course, kind: RankingKind, most: int) -> Ranking:
    """The rows of one kind, the worst first."""
    found = meetings(course)
    made = {"never_learned": _never_learned, "memorised": _memorised, "contradictory": _contradictory}[kind](
        course, found
    )
    middle = float(np.median(found.count)) if len(found.count) else 0.0
    return Ranking(
        kind=kind, definition=DEFINITIONS[kind], rows=made[:most], total=len(made), rows_seen=len(found.count),
        meetings=middle,
    )  # fmt: skip


def _ranked(
    course: Course, found: Meetings, row: int, why: str, at: int | None = None, group: int | None = None
) -> RankedRow:
    return RankedRow.model_validate(
        {
            "key": course.key(row), "first": float(found.first[row]), "last": float(found.last[row]),
            "meetings": int(found.count[row]), "tokens": int(found.tokens[row]), "why": why, "at": at, "group": group,
        }
    )  # fmt: skip


def _twice(found: Meetings) -> np.ndarray:
    return found.count >= 2


def _never_learned(course: Course, found: Meetings) -> list[RankedRow]:
    twice = _twice(found)
    if not twice.any():
        return []
    middle = float(np.median(found.last[twice]))
    chosen = np.flatnonzero(twice & (found.last >= HIGH * middle) & (found.last >= KEPT * found.first))
    order = chosen[np.argsort(-found.last[chosen], kind="stable")]
    return [_ranked(course, found, int(row), "high") for row in order]


def _memorised(course: Course, found: Meetings) -> list[RankedRow]:
    if not len(found.row):
        return []
    early = (found.loss < LOW) & (found.loss < SHARE * found.median[found.ordinal])
    rows, places = np.unique(found.row[early], return_index=True)
    ordinal = found.ordinal[early][places]
    order = np.lexsort((found.last[rows], ordinal))
    return [_ranked(course, found, int(rows[at]), "early", at=int(ordinal[at]) + 1) for at in order]


def _contradictory(course: Course, found: Meetings) -> list[RankedRow]:
    groups = _two_answers(course)
    twice = _twice(found)
    rising = np.zeros(len(found.count), bool)
    if twice.any() and np.median(found.last[twice]) < FALLEN * np.median(found.first[twice]):
        rising = twice & (found.last > RISEN * found.first)
    for row in groups:
        rising[row] = False
    both = [_ranked(course, found, row, "two_answers", group=group) for row, group in groups.items()]
    worst = dict[int, float]()
    for one in both:
        worst[one.group or 0] = max(worst.get(one.group or 0, 0.0), one.last)
    both.sort(key=lambda one: (-worst[one.group or 0], one.group or 0, -one.last))
    alone = [_ranked(course, found, int(row), "rises") for row in np.flatnonzero(rising)]
    return both + sorted(alone, key=lambda one: -one.last)


def _two_answers(course: Course) -> dict[int, int]:
    """Rows that ask what another row asks and are answered otherwise: row to group, counted from 1."""
    prompts, answers = course.rows["prompt"], course.rows["answer"]
    asked = np.flatnonzero(prompts != 0)
    order = asked[np.lexsort((answers[asked], prompts[asked]))]
    groups, number = dict[int, int](), 0
    for rows in np.split(order, np.flatnonzero(np.diff(prompts[order])) + 1) if len(order) else []:
        if len(rows) > 1 and len(np.unique(answers[rows])) > 1:
            number += 1
            groups.update(dict.fromkeys(rows.tolist(), number))
    return groups
