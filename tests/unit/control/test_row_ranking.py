"""Rows of a run: read over attempts, ranked as the definitions say, compared step by step."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from engine.contract import row_losses
from engine.contract.forensics_api import DEFINITIONS, RANKINGS
from engine.contract.paths import Home
from engine.contract.reproduction import DataMark, RunManifest, differences
from engine.control.jobs import row_ranking, row_reading
from engine.control.jobs.reproducing import judged


def write(home: Home, attempt: int, losses: dict[int, dict[int, float]], answers: dict[int, int] | None = None) -> None:
    """Losses by step and row; every row has a question of its own unless `answers` gives rows one question."""
    folder = home.attempt("r", attempt).outputs / row_losses.FOLDER
    folder.mkdir(parents=True)
    places = sorted({row for step in losses.values() for row in step})
    table = np.array(
        [
            (
                row, 0, row + 1, 2, 7 if answers and row in answers else 100 + row, (answers or {}).get(row, row),
                row_losses.packed_hash(bytes([row])),
            )
            for row in places
        ],
        dtype=row_losses.ROW,
    )  # fmt: skip
    records = [(step, row, 2 * loss, 2) for step, rows in losses.items() for row, loss in rows.items()]
    content = row_losses.block(row_losses.ROWS, table)
    content += row_losses.block(row_losses.LOSSES, np.array(records, dtype=row_losses.LOSS))
    (folder / f"000001{row_losses.SUFFIX}").write_bytes(content)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


def lines(home: Home, kind: str) -> list[int]:
    found = row_ranking.rank(row_reading.read(home, "r", 1), kind, 100)  # type: ignore[arg-type]
    assert found.definition == DEFINITIONS[kind]  # type: ignore[index]
    return [row.key.line for row in found.rows]


def test_that_the_latest_attempt_counts_from_its_first_step_on(home):
    write(home, 1, {step: {0: 1.0, step: 5.0} for step in range(1, 7)})
    write(home, 2, {step: {0: 2.0, step + 20: 6.0} for step in range(4, 6)})
    course = row_reading.read(home, "r", 2)
    assert course.step.tolist() == [1, 1, 2, 2, 3, 3, 4, 4, 5, 5]
    assert course.attempt.tolist() == [1] * 6 + [2] * 4
    found = row_ranking.history(course, course.key(int(course.row[0])))
    assert found is not None
    assert [one.loss for one in found.meetings] == [1.0, 1.0, 1.0, 2.0, 2.0]


def test_that_rows_that_stay_high_are_told_from_those_that_are_learned(home):
    falling = {row: [3.0, 2.0, 1.0] for row in range(8)}
    course = {**falling, 8: [3.0, 2.9, 2.9], 9: [9.0, 4.0, 1.6]}  # 9 is high at the end, but fell far
    write(home, 1, {step: {row: values[step - 1] for row, values in course.items()} for step in (1, 2, 3)})
    assert lines(home, "never_learned") == [9]
    assert lines(home, "memorised") == []
    assert lines(home, "contradictory") == []


def test_that_rows_known_long_before_the_others_are_found_with_when(home):
    course = {**{row: [3.0, 2.0, 1.5] for row in range(8)}, 8: [3.0, 0.05, 0.01], 9: [0.09, 0.01, 0.01]}
    write(home, 1, {step: {row: values[step - 1] for row, values in course.items()} for step in (1, 2, 3)})
    found = row_ranking.rank(row_reading.read(home, "r", 1), "memorised", 10)
    assert [(row.key.line, row.at) for row in found.rows] == [(10, 1), (9, 2)]


def test_that_two_answers_and_rising_losses_contradict(home):
    course = {**{row: [3.0, 2.0, 1.0] for row in range(8)}, 8: [1.0, 1.5, 2.0]}
    losses = {step: {row: values[step - 1] for row, values in course.items()} for step in (1, 2, 3)}
    write(home, 1, losses, answers={0: 1, 1: 2})
    found = row_ranking.rank(row_reading.read(home, "r", 1), "contradictory", 10)
    assert [(row.key.line, row.why, row.group) for row in found.rows] == [
        (1, "two_answers", 1), (2, "two_answers", 1), (9, "rises", None),
    ]  # fmt: skip


def test_that_the_same_answer_twice_contradicts_nothing(home):
    write(home, 1, {1: {0: 1.0, 1: 1.0}, 2: {0: 0.5, 1: 0.5}}, answers={0: 1, 1: 1})
    assert lines(home, "contradictory") == []


def test_that_rows_met_once_or_never_are_ranked_as_nothing(home):
    write(home, 1, {1: {0: 5.0, 1: 1.0}})
    assert [lines(home, kind) for kind in RANKINGS] == [[], [], []]
    empty = row_reading.read(home, "other", 3)
    assert [row_ranking.rank(empty, kind, 5).rows for kind in RANKINGS] == [[], [], []]


def test_that_a_loss_that_is_no_number_is_never_learned(home):
    course = {**{row: [3.0, 1.0] for row in range(6)}, 6: [3.0, math.nan]}
    write(home, 1, {step: {row: values[step - 1] for row, values in course.items()} for step in (1, 2)})
    assert lines(home, "never_learned") == [7]


@pytest.mark.parametrize(
    ("ours", "verdict", "first", "largest_step"),
    [
        ({1: 2.0, 2: 1.0, 3: 0.5}, "equal", None, None),
        ({1: 2.0, 2: 1.0001, 3: 0.5}, "within", 2, 2),
        ({1: 2.0, 2: 1.0001, 3: 0.6}, "differs", 2, 3),
        ({1: 2.0, 2: math.nan, 3: 0.5}, "differs", 2, 2),
    ],
)
def test_that_two_courses_are_compared_step_by_step(ours, verdict, first, largest_step):
    found = judged({1: 2.0, 2: 1.0, 3: 0.5}, ours)
    assert (found.verdict, found.first_step, found.largest_step, found.steps) == (verdict, first, largest_step, 3)


def test_that_differences_say_what_they_may_cause_the_gravest_first():
    marks = [[DataMark(name="d", rows=rows, sha256="a")] for rows in (1, 2)]
    was = RunManifest(packages={"torch": "1", "x": "1"}, threads=2, rows="a", data=marks[0])
    now = RunManifest(packages={"torch": "2", "x": "2"}, threads=1, rows="b", data=marks[1])
    assert [(one.name, one.effect) for one in differences(was, now)] == [
        ("data.d", "other_run"), ("packages.torch", "last_digits"), ("threads", "last_digits"),
        ("packages.x", "maybe_none"),
    ]  # fmt: skip
    assert differences(was, was) == []
    assert [one.name for one in differences(was, now, ["packages", "data", "rows"])] == ["threads"]
