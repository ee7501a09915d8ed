"""Sealing: what was in the blobs is in the chunks, whatever it was, and views tell the truth about it."""

import logging
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.control.store import attempts, metrics, reading, runs
from engine.control.store.database import Database
from engine.control.store.metrics import SEAL_AT, SEAL_AT_END, Block, Row
from tests.helpers.controller import make_spec


class Curves:
    """A run whose points are stored flush by flush, and what must come back."""

    def __init__(self, folder: Path) -> None:
        self.database = Database(folder / "history.sqlite3")
        self.database.write_now(lambda t: runs.insert(t, "u", make_spec(folder), "", 1))
        self.rows: dict[str, list[tuple[int, int, float, float]]] = {}
        self.numbers: list[int] = []
        self.begin()

    def begin(self) -> None:
        self.attempt = self.database.write_now(
            lambda t: attempts.insert(t, 1, cause="first", lease="l", spec="{}", at=1)[0]
        )
        self.seq, self.ordinal = 0, 1

    def put(self, *points, name="loss", axis="step", last=False, **more) -> None:
        """Points (x, t, value) of one flush; `more` are further metrics with the same value each."""
        block = Block(axis, tuple(sorted([name, *more])))
        for x, t, value in points:
            self.seq += 1
            values = {name: value, **more}
            block.rows.append(Row(self.seq, x, t, values))
            for metric, kept in values.items():
                self.rows.setdefault(metric, []).append((self.attempt, self.seq, x, t, kept))
        blocks = [block] if block.rows else []
        self.ordinal = self.database.write_now(lambda t: metrics.append(t, 1, self.attempt, self.ordinal, blocks, last))

    def fetch(self, sql, *parameters):
        return self.database.read_now(lambda c: c.execute(sql, parameters).fetchall())

    def count(self, table):
        return self.fetch(f"SELECT count(*) FROM {table}")[0][0]

    def read(self, name="loss", after=None):
        (points,) = self.database.read_now(lambda c: metrics.read(c, 1, [name], after))
        return points

    def view(self, name="loss", **options):
        (view,) = self.database.read_now(lambda c: metrics.view(c, 1, [name], **options))
        return view

    def check(self, scale=1.0) -> None:
        """All that was put is there, once, bit for bit, in order."""
        for name, rows in self.rows.items():
            got = self.read(name)
            assert got.seq.tolist() == [row[1] for row in rows]
            assert got.x.tolist() == [row[2] / scale for row in rows]
            assert got.t.tolist() == [metrics.micros(row[3]) / 1e6 for row in rows]
            assert got.value.tobytes() == np.array([row[4] for row in rows]).tobytes()
            assert got.damaged == []


@pytest.fixture
def curves(tmp_path: Path):
    curves = Curves(tmp_path)
    yield curves
    curves.database.close()


def line(n, first=1):
    return [(x, 1000 + x / 7, 1.0 / x) for x in range(first, first + n)]


def test_that_a_full_tail_becomes_chunks(curves):
    curves.put(*line(SEAL_AT - 1), grad_norm=1.5)
    assert (curves.count("tail"), curves.count("chunk")) == (1, 0)
    curves.put(*line(1, SEAL_AT), grad_norm=1.5)
    assert (curves.count("tail"), curves.count("chunk")) == (0, 2)
    curves.put(*line(5, SEAL_AT + 1), grad_norm=1.5)
    curves.check()


def test_that_readings_over_time_are_sealed_by_themselves(curves):
    curves.put(*line(10))
    curves.rows.clear()
    points = [(n * 1_000_003, n * 1.000003, float(n)) for n in range(SEAL_AT)]
    curves.put(*points, name="ram.used", axis="time")
    assert [row[0] for row in curves.fetch("SELECT axis FROM tail")] == ["step"]
    curves.check(scale=1e6)


def test_that_what_went_back_stood_still_or_was_no_number_is_sealed_as_it_was(curves):
    odd = [math.nan, math.inf, -math.inf, -0.0, 5e-324]
    points = [(n // 2 if n < 1500 else 3000 - n, 5e9 - n if n % 2 else 1.25, odd[n % 5]) for n in range(2500)]
    for place in range(0, len(points), 100):
        curves.put(*points[place : place + 100])
    assert curves.count("chunk") == 2
    curves.check()
    whole, step = curves.read(), 700
    assert curves.read(after=(1, step)).seq.tolist() == whole.seq[whole.x > step].tolist()


def test_that_a_curve_with_few_points_fills_its_chunk(curves):
    for n in range(12):
        curves.put(*line(5, 1 + 2000 * n), name="validation_loss")
        curves.put(*line(SEAL_AT, 1 + 2000 * n))
    found = curves.fetch("SELECT name, chunk.n FROM chunk JOIN series ON series.id = series_id "
                         "JOIN metric ON metric.id = metric_id ORDER BY name DESC, ordinal")  # fmt: skip
    assert [row["n"] for row in found if row["name"] == "validation_loss"] == [60]
    assert len(found) == 13
    curves.check()


def test_that_a_journal_that_is_caught_up_with_makes_chunks_of_bounded_size(curves):
    curves.put(*line(10_000))
    assert [row[0] for row in curves.fetch("SELECT n FROM chunk")] == [4096, 4096, 1808]
    curves.check()


def test_that_the_end_of_an_attempt_seals_a_long_tail_and_leaves_a_short_one(curves):
    curves.put(*line(SEAL_AT_END - 1))
    curves.put(last=True)
    assert (curves.count("tail"), curves.count("chunk")) == (1, 0)
    curves.begin()
    curves.put(*line(SEAL_AT_END))
    curves.put(last=True)
    assert (curves.count("tail"), curves.count("chunk")) == (1, 1)
    curves.check()


def test_that_reading_goes_on_after_an_attempt_and_step_whether_sealed_or_not(curves):
    curves.put(*line(SEAL_AT))
    curves.begin()
    curves.put(*line(SEAL_AT))
    curves.put(*line(100, SEAL_AT + 1))
    assert len(curves.read(after=(1, 1000)).x) == 24 + SEAL_AT + 100
    got = curves.read(after=(2, 1000))
    assert (set(got.attempt.tolist()), got.x.tolist()) == ({2}, [float(x) for x in range(1001, SEAL_AT + 101)])
    assert curves.read(after=(2, 5000)).x.tolist() == []


def test_that_a_damaged_chunk_is_named_and_the_rest_is_read(curves, caplog):
    for n in range(3):
        curves.put(*line(SEAL_AT, 1 + SEAL_AT * n), grad_norm=1.0)
    curves.database.write_now(
        lambda t: t.execute(
            "UPDATE chunk SET data = CAST(substr(data, 1, 99) || x'00' AS BLOB) WHERE ordinal = 2 "
            "AND series_id = (SELECT series.id FROM series JOIN metric ON metric.id = metric_id WHERE name = 'loss')"
        )
    )
    with caplog.at_level(logging.ERROR):
        got = curves.read()
    assert got.seq.tolist() == [*range(1, 1025), *range(2049, 3073)]
    assert got.damaged == [reading.Damage("loss", 1, 1025.0, 2048.0, 1024)]
    assert "metric='loss', attempt=1, first_x=1025.0, last_x=2048.0" in caplog.text
    caplog.clear()
    assert (len(curves.read("grad_norm").x), curves.read("grad_norm").damaged) == (3 * SEAL_AT, [])
    assert curves.view(buckets=10).buckets["n"].sum() == 3 * SEAL_AT  # the pyramid is whole
    assert curves.view(buckets=10_000).damaged == got.damaged
    curves.put(*line(SEAL_AT, 1 + SEAL_AT * 3), grad_norm=1.0)  # and the run goes on
    assert len(curves.read().x) == 3 * SEAL_AT


def test_that_a_damaged_pyramid_is_made_up_for_by_the_points(curves):
    curves.put(*line(3 * SEAL_AT))
    curves.database.write_now(lambda t: t.execute("UPDATE chunk SET pyramid = x'0102'"))
    view = curves.view(buckets=10)
    assert (view.buckets["n"].sum(), view.damaged) == (3 * SEAL_AT, [])


def test_that_a_damaged_last_chunk_is_left_alone_by_what_follows(curves):
    curves.put(*line(SEAL_AT_END), last=True)
    curves.database.write_now(lambda t: t.execute("UPDATE chunk SET data = substr(data, 1, 50)"))
    curves.put(*line(SEAL_AT, 1 + SEAL_AT_END))
    got = curves.read()
    assert got.seq.tolist() == list(range(1 + SEAL_AT_END, 1 + SEAL_AT_END + SEAL_AT))
    assert [damage.n for damage in got.damaged] == [SEAL_AT_END]


def test_that_deleting_the_run_leaves_no_chunk(curves):
    curves.put(*line(2 * SEAL_AT))
    curves.put(*line(5))
    curves.database.write_now(lambda t: t.execute("DELETE FROM run"))
    assert (curves.count("chunk"), curves.count("tail"), curves.count("series")) == (0, 0, 0)


def test_that_a_view_keeps_to_its_limit_over_attempts(curves):
    for _ in range(3):
        curves.put(*line(3000))
        curves.begin()
    view = curves.view(buckets=100)
    assert len(view.buckets) <= 100
    assert set(view.attempt.tolist()) == {1, 2, 3}
    assert view.buckets["n"].sum() == 9000


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    seed=st.integers(0, 2**32 - 1),
    flushes=st.lists(st.integers(1, 1500), min_size=1, max_size=8),
    ranges=st.lists(st.tuples(st.floats(-0.1, 1.1), st.floats(-0.1, 1.1), st.integers(1, 600)), max_size=6),
)
def test_that_any_view_of_any_history_has_the_extremes_of_its_points(tmp_path_factory, seed, flushes, ranges):
    curves, chance = Curves(tmp_path_factory.mktemp("view")), np.random.default_rng(seed)
    try:
        x = 0
        for flush in flushes:
            values = chance.choice([0.5, math.nan, math.inf, -1e300, 1e308], flush, p=[0.96, 0.01, 0.01, 0.01, 0.01])
            values = values + chance.normal(size=flush)
            points = []
            for value in values:
                x = int(max(0, x + chance.choice([1, 0, 2, -300], p=[0.9, 0.05, 0.04, 0.01])))
                points.append((x, 1.0, float(value)))
            curves.put(*points)
        whole, most = curves.read(), x or 1
        for a, b, limit in [*ranges, (-1, 2, 1), (0, 1, 10_000)]:
            low, high = sorted((a * most, b * most))
            kept = whole.value[(whole.x >= low) & (whole.x <= high)]
            got = curves.view(buckets=limit, from_x=low, to_x=high).buckets
            assert len(got) <= limit
            assert got["n"].sum() == len(kept)
            assert (got["nan"].sum(), got["plus"].sum()) == (np.isnan(kept).sum(), (kept == np.inf).sum())
            finite = kept[np.isfinite(kept)]
            if len(finite):
                assert (np.nanmin(got["min"]), np.nanmax(got["max"])) == (finite.min(), finite.max())
        curves.check()
    finally:
        curves.database.close()
