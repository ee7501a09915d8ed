"""Long curves from a real controller's history: in buckets, told apart by attempt, and whole as a file."""

from __future__ import annotations

import csv
from collections.abc import Iterator

import numpy as np
import pytest

from engine.client.download import Cancelled
from engine.control.store import attempts, metrics, runs
from engine.control.store.database import Database
from engine.control.store.metrics import Block, Row
from forge_desktop.bridge.backend_series import LongPart, SeriesView
from forge_desktop.bridge.controller import ControllerBackend
from forge_desktop.bridge.overwriting import split
from forge_desktop.bridge.points import SeriesPart
from forge_desktop.models.curves import Curve
from forge_desktop.models.series_view import CurveSource
from tests.helpers.controller import make_spec

RUN = "a-long-run"
ATTEMPTS = ((1, 30_000), (20_000, 26_000), (25_000, 29_500))
FLUSH = 500


@pytest.fixture
def backend(service) -> Iterator[ControllerBackend]:
    """A controller over a history with one long run of three attempts."""
    service.home.root.mkdir(parents=True)
    database = Database(service.home.database)
    database.write_now(lambda t: runs.insert(t, RUN, make_spec(service.folder), "", 1))
    chance = np.random.default_rng(1)
    for number, (first, last) in enumerate(ATTEMPTS, 1):
        put(database, number, np.arange(first, last + 1), chance.normal(size=last - first + 1))
    database.close()
    service.start()
    made = ControllerBackend(service.home, service.client)
    yield made
    made.close()


def put(database: Database, number: int, steps, values) -> None:
    attempt = database.write_now(lambda t: attempts.insert(t, 1, cause="first", lease="l", spec="{}", at=1)[0])
    ordinal, seq = 1, 0
    for begin in range(0, len(steps), FLUSH):
        block = Block("step", ("loss", "tokens_seen"))
        for step, value in zip(steps[begin : begin + FLUSH], values[begin : begin + FLUSH], strict=True):
            seq += 1
            given = {"loss": float(value), "tokens_seen": 10.0 * float(step)}
            block.rows.append(Row(seq, int(step), 1000.0 * number + 0.01 * seq, given))
        ordinal = database.write_now(
            lambda t, a=attempt, o=ordinal, b=block: metrics.append(t, 1, a, o, [b], False)
        )  # fmt: skip


def expected(told: SeriesPart) -> tuple[np.ndarray, np.ndarray]:
    shown, _ = split(told.attempt, told.x)
    return told.x[shown], told.value[shown]


def check(curve: Curve, told: SeriesPart) -> None:
    """Every window of the long curve has the least and greatest of the points that are shown in it."""
    x, value = expected(told)
    source = CurveSource(curve)
    assert source.extent() == (x[0], x[-1])
    view = source.view(x[0], x[-1], 100_000)
    assert view["n"].sum() == len(x)
    for bucket in view:
        inside = value[(x >= bucket["x_first"]) & (x <= bucket["x_last"])]
        assert (len(inside), inside.min(), inside.max()) == (bucket["n"], bucket["min"], bucket["max"])
    lost = source.lost(x[0], 1e9, 100_000)
    assert sum(int(part["n"].sum()) for part in lost) == len(told.x) - len(x)


def test_that_long_curves_come_in_buckets_that_are_right_about_attempts(backend, tmp_path):
    told = backend.series(RUN, ["loss"])["loss"]
    found = backend.curves(RUN, 10_000, 500, "step")
    part = found["loss"]
    assert isinstance(part, LongPart)
    assert len(part.coarse.shown) < 1000
    assert len(part.tail.x) < 4000
    curve = Curve()
    curve.replace_long(part)
    assert curve.begins() == [(1, 1.0), (2, 20_000.0), (3, 25_000.0)]
    check(curve, told)
    wanted = SeriesView("step", 19_700.0, 20_300.0, part.coarse.shown[:0], (), part.coarse.begins)
    curve.refine(backend.curve_view(RUN, "loss", 4000, wanted))
    x, value = expected(told)
    fine = CurveSource(curve).view(19_800, 20_200, 100_000)
    fine = fine[(fine["x_last"] >= 19_800) & (fine["x_first"] <= 20_200)]  # a neighbour on either side goes
    inside = (x >= 19_800) & (x <= 20_200)
    assert fine["n"].max() == 1
    assert np.array_equal(fine["first"], value[inside])


def test_that_short_curves_come_whole(backend):
    found = backend.curves(RUN, 1_000_000, 500, "step")
    told = backend.series(RUN, ["loss"])["loss"]
    part = found["loss"]
    assert isinstance(part, SeriesPart)
    assert np.array_equal(part.value, told.value)


@pytest.mark.parametrize("axis", ["time", "tokens_seen"])
def test_that_long_curves_come_along_other_axes(axis, backend):
    told = backend.series(RUN, ["loss"])["loss"]
    part = backend.curves(RUN, 10_000, 500, axis)["loss"]
    assert isinstance(part, LongPart)
    x, value = expected(told)
    shown = part.coarse.shown
    tail = expected(told)[0] > part.end[1]
    assert shown["n"].sum() == (~tail).sum()
    assert np.nanmax(shown["max"]) == value[~tail].max()
    if axis == "tokens_seen":
        assert shown["x_last"][-1] == 10 * x[~tail][-1]


def test_that_all_points_are_written(backend, tmp_path):
    told = backend.series(RUN, ["loss"])["loss"]
    heard: list[tuple[int, int]] = []
    file = tmp_path / "loss.csv"
    written = backend.write_curves(((RUN, "long"),), ("loss",), file, lambda *now: heard.append(now))
    assert written == len(told.x)
    assert len(heard) > 2  # in pieces
    assert heard[-1] == (written, written)
    with (tmp_path / "loss.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [float(row["value"]) for row in rows] == told.value.tolist()
    assert [int(row["attempt"]) for row in rows] == told.attempt.tolist()


def test_that_writing_points_can_be_cancelled_and_leaves_nothing(backend, tmp_path):
    def tell(_done: int, _total: int | None) -> None:
        raise Cancelled

    with pytest.raises(Cancelled):
        backend.write_curves(((RUN, "long"),), ("loss",), tmp_path / "loss.csv", tell)
    assert list(tmp_path.glob("*loss*")) == []
    assert backend.health().pid  # the line is whole


def test_that_the_points_of_several_runs_name_theirs(backend, tmp_path):
    file = tmp_path / "both.csv"
    written = backend.write_curves(((RUN, "one, with a comma"), (RUN, "two")), ("loss",), file, lambda _a, _b: None)
    with file.open(encoding="utf-8", newline="") as opened:
        rows = list(csv.DictReader(opened))
    assert list(rows[0]) == ["run", "name", "metric", "attempt", "step", "time", "value"]
    assert [row["name"] for row in rows] == ["one, with a comma"] * (written // 2) + ["two"] * (written // 2)
