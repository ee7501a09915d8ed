"""Charts of very long runs: held in buckets, fetched finer where one looks closely, growing live."""

from __future__ import annotations

import numpy as np
import pytest

from forge_desktop.models.run_series import RunSeries
from forge_desktop.models.series_view import CurveSource
from tests.desktop.sheets_charts import long_steps
from tests.helpers.journals import before_training, demo_spec, resumed

pytestmark = pytest.mark.slow


def long_run(replay, qtbot, journal, long_from=2000):
    uid = replay.backend.add(demo_spec(), created=1.0)
    replay.backend.play(uid, journal)
    with qtbot.waitSignal(  # what is told of the steps comes before: told later, they would ask for all of it again
        replay.desktop.session.run_changed, check_params_cb=lambda run: run.uid == mark, timeout=30_000
    ):
        mark = replay.backend.add(demo_spec("mark"), created=2.0)
    series = RunSeries(replay.desktop.session, uid, replay.window, long_from)
    series.refetch()
    qtbot.waitUntil(lambda: series.state == "ready")
    return uid, series


def test_that_a_long_curve_is_held_in_buckets_and_grows_live_without_a_request(replay, qtbot):
    uid, series = long_run(replay, qtbot, [*before_training(8000), *long_steps(1, 6000)])
    curve = series.curve("loss")
    source = CurveSource(curve)
    assert len(curve) == 1000  # the newest points
    assert curve.coarse is not None
    told = replay.backend.series(uid, ["loss"])["loss"]
    check_envelope(source, told)
    asked = series._asked
    replay.backend.play(uid, long_steps(6001, 6100))
    qtbot.waitUntil(lambda: curve.x[-1] == 6100)
    check_envelope(source, replay.backend.series(uid, ["loss"])["loss"])
    assert series._asked == asked
    series.deleteLater()


def check_envelope(source, told, low=-np.inf, high=np.inf) -> None:
    extent = source.extent()
    assert extent == (told.x.min(), told.x.max())
    view = source.view(*extent, 100_000)
    assert view["n"].sum() == len(np.unique(told.x))
    latest = dict(zip(told.x.tolist(), told.value.tolist(), strict=True))
    assert np.nanmax(view["max"]) == max(latest.values())
    assert np.nanmin(view["min"]) == min(latest.values())


def test_that_looking_closely_at_a_long_curve_fetches_it_finer_once(replay, qtbot):
    journal = [*before_training(20000), *long_steps(1, 12000)]
    _uid, series = long_run(replay, qtbot, journal)
    curve = series.curve("loss")
    source = CurveSource(curve)
    coarse = source.view(100, 400, 10_000)
    series.look_at("loss", (100.0, 400.0))
    series.look_at("loss", (110.0, 410.0))
    qtbot.waitUntil(lambda: curve.fine is not None)
    fine = source.view(110, 410, 10_000)
    assert len(fine) > 2 * len(coarse)
    assert fine["n"].max() == 1
    assert replay.backend.views_asked == [("loss", -40.0, 560.0)]
    series.look_at("loss", (120.0, 420.0))  # there already
    assert not series._finer.isActive()
    series.deleteLater()


def test_that_of_pieces_wanted_while_one_is_on_its_way_only_the_newest_is_asked_for(replay, qtbot):
    _uid, series = long_run(replay, qtbot, [*before_training(20000), *long_steps(1, 12000)])
    curve, backend = series.curve("loss"), replay.backend
    backend.views_go.clear()
    series.look_at("loss", (1000.0, 1400.0))
    qtbot.waitUntil(lambda: len(backend.views_asked) == 1)
    for low in range(2000, 9000, 500):
        series.look_at("loss", (float(low), low + 400.0))
        series._fetch_finer()  # as when the timer fires between two movements
    assert len(backend.views_asked) == 1
    backend.views_go.set()
    qtbot.waitUntil(lambda: curve.fine is not None and curve.fine.from_x > 8000)
    assert backend.views_asked == [("loss", 800.0, 1600.0), ("loss", 8300.0, 9100.0)]
    backend.views_go.clear()
    series.look_at("loss", (3000.0, 3400.0))
    qtbot.waitUntil(lambda: len(backend.views_asked) == 3)
    series.look_at("loss", (3050.0, 3450.0))
    series.look_at("loss", (0.0, 12000.0))  # everything: nothing finer is needed any more
    backend.views_go.set()
    qtbot.waitUntil(lambda: curve.fine is not None and curve.fine.from_x == 2800.0)
    qtbot.waitUntil(lambda: not series._finer.isActive())
    assert len(backend.views_asked) == 3
    series.deleteLater()


def test_that_an_attempt_that_overwrites_a_long_curve_is_shown_and_the_rest_is_faint(replay, qtbot):
    uid, series = long_run(replay, qtbot, [*before_training(8000), *long_steps(1, 6000)])
    curve = series.curve("loss")
    source = CurveSource(curve)
    replay.backend.play(uid, [*resumed(3000, 1, 8000), *long_steps(3001, 3100, later=9000)])
    qtbot.waitUntil(lambda: dict(curve.coarse.begins).get(2) == 3001.0, timeout=10_000)
    assert source.extent() == (1.0, 3100.0)
    lost = source.lost(-np.inf, np.inf, 100_000)
    assert sum(int(part["n"].sum()) for part in lost) == 3000
    assert min(float(part["x_first"].min()) for part in lost) == 3001.0
    assert source.view(1, 3100, 100_000)["n"].sum() == 3100
    series.deleteLater()


def test_that_a_curve_that_grows_long_live_is_held_in_buckets_from_then_on(replay, qtbot):
    uid, series = long_run(replay, qtbot, [*before_training(8000), *long_steps(1, 1900)])
    curve = series.curve("loss")
    assert curve.coarse is None
    replay.backend.play(uid, long_steps(1901, 3100))
    qtbot.waitUntil(lambda: curve.coarse is not None, timeout=10_000)
    assert len(curve) == 1000
    check_envelope(CurveSource(curve), replay.backend.series(uid, ["loss"])["loss"])
    series.deleteLater()


def test_that_a_long_curve_stands_along_time_too(replay, qtbot):
    uid, series = long_run(replay, qtbot, [*before_training(8000), *long_steps(1, 6000)])
    curve = series.curve("loss")
    series.set_axis("time")
    qtbot.waitUntil(lambda: curve.coarse is not None and curve.coarse.axis == "time")
    told = replay.backend.series(uid, ["loss"])["loss"]
    assert CurveSource(curve, "time").extent() == (told.t[0], told.t[-1])
    series.deleteLater()
