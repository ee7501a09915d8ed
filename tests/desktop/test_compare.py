"""The Compare page: curves along three axes, differences of settings, results, all runs as points."""

from __future__ import annotations

import csv
import io

import numpy as np
import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QLabel, QMenu, QPushButton, QWidget

from engine.contract.run_spec import RunConfig, RunSpec
from engine.contract.states import RunState
from forge_desktop.models import run_series
from forge_desktop.models.compare_model import uids_of
from forge_desktop.models.compare_table import as_csv, settings
from forge_desktop.models.run_picture import best_so_far
from forge_desktop.pages.compare_page import ComparePage, address_of
from forge_desktop.pages.run_page import RunPage
from forge_desktop.panels.chart_options import notch_of
from tests.desktop.sheets_charts import long_steps
from tests.desktop.test_run_page import choose, open_run
from tests.helpers.journals import after_training, before_training, demo_spec, resumed, saved, steps

pytestmark = pytest.mark.slow


def spec(name: str, **training: object) -> RunSpec:
    """An order with other settings of training."""
    document = RunConfig.from_spec(demo_spec(name)).document()
    document["training"] |= training
    return RunConfig.model_validate(document).to_spec(owner="lin")


def done_run(replay, name: str, cost: float = 1.0, score: float = 0.5, seconds: float = 60.0, **training) -> str:
    uid = replay.backend.add(spec(name, **training), created=seconds)
    replay.backend.play(uid, [*before_training(), *steps(1, 100, later=seconds), *after_training()])
    replay.backend.move(uid, cost=cost, score=score, seconds=seconds)
    return uid


def compare(replay, qtbot, *uids: str) -> ComparePage:
    replay.window.go(address_of(list(uids)))
    page = replay.window.page
    assert isinstance(page, ComparePage)
    qtbot.waitUntil(lambda: all(one.detail or one.error for one in page.model.entries))
    qtbot.waitUntil(lambda: page.is_built and page.scatter.plot is not None)  # a thread loads what draws it
    return page


def lines(page: ComparePage, grid: str) -> dict[str, tuple[str, ...]]:
    return {line.title: line.values for line in getattr(page, grid).grid.lines}


def click(qtbot, page, name):
    qtbot.mouseClick(page.findChild(QPushButton, name), Qt.MouseButton.LeftButton)


def test_that_only_what_differs_is_shown_until_all_is_wanted(replay, qtbot):
    one, other = done_run(replay, "one"), done_run(replay, "other", learning_rate=1e-3, epochs=2.0)
    page = compare(replay, qtbot, one, other)
    qtbot.waitUntil(lambda: len(page.settings.grid.lines) == 2)
    assert lines(page, "settings") == {"Learning rate": ("0.0002", "0.001"), "Epochs": ("1", "2")}
    cell = page.settings.grid.index(0, 1).data()
    assert cell.startswith("≠")
    assert not page.settings.grid.index(0, 0).data().startswith("≠")
    click(qtbot, page, "compare.only.all")
    assert len(page.settings.grid.lines) > 30


def test_that_every_run_has_its_chip_and_no_old_one_stays(replay, qtbot):
    uids = [done_run(replay, f"run {number}") for number in range(4)]
    page = compare(replay, qtbot, *uids)

    def chips() -> list[str]:
        found = [made.objectName() for made in page.findChildren(QWidget) if made.isVisible()]
        return [name.rpartition(".")[2] for name in found if name.startswith("compare.open.")]

    qtbot.waitUntil(lambda: chips() == uids)
    replay.backend.move(uids[2], name="another")
    qtbot.waitUntil(lambda: page.findChild(QPushButton, f"compare.open.{uids[2]}").text() == "another")
    qtbot.waitUntil(lambda: sorted(chips()) == sorted(uids))


def test_that_results_stand_side_by_side_with_the_best_marked(replay, qtbot):
    one, other = done_run(replay, "one", cost=2.0, seconds=60.0), done_run(replay, "other", cost=1.0, seconds=90.0)
    page = compare(replay, qtbot, one, other)
    qtbot.waitUntil(lambda: lines(page, "results")["Best validation loss"] != ("—", "—"))
    found = lines(page, "results")
    assert found["Score after"] == ("98.5%", "98.5%")
    assert found["Score before"] == ("1.5%", "1.5%")
    assert found["Cost"] == ("$2.00", "$1.00")
    assert found["Steps"] == ("100", "100")
    row = [line.title for line in page.results.grid.lines].index("Cost")
    assert [page.results.grid.index(row, column).data() for column in (0, 1)] == ["$2.00", "★ $1.00"]


def drawn(page) -> list[tuple[np.ndarray, np.ndarray]]:
    """x and value of every run's curve, as the chart has them."""
    made = []
    for one in page.chart.series:
        one.source.refresh()
        made.append((one.source.pyramid.x, one.source.pyramid.y))
    return made


def lengths(page) -> list[int]:
    return [len(x) for x, _value in drawn(page)]


def test_that_curves_stand_along_steps_time_and_tokens(replay, qtbot):
    one, other = done_run(replay, "one"), done_run(replay, "other", seconds=90.0)
    seen = replay.backend.add(spec("tells tokens"), created=1.0)
    replay.backend.play(seen, [*before_training(), *long_steps(1, 300)])
    page = compare(replay, qtbot, one, other, seen)
    qtbot.waitUntil(lambda: lengths(page) == [100, 100, 300])
    assert np.array_equal(drawn(page)[0][0], np.arange(1, 101))
    click(qtbot, page, "compare.axis.time")
    shown = page.model.entries[0].curve("loss").t
    assert np.allclose(drawn(page)[0][0], shown - shown[0])
    assert page.chart.x_text(90.0) == "1:30"
    click(qtbot, page, "compare.axis.tokens")
    qtbot.waitUntil(lambda: lengths(page) == [300])
    assert np.array_equal(drawn(page)[0][0], 4096.0 * np.arange(1, 301))
    note = page.findChild(QLabel, "compare.note").text()
    assert note == "Without the number of tokens they have seen: A, B."


def test_that_time_between_attempts_is_no_work_and_the_latest_attempt_wins(replay, qtbot):
    uid = replay.backend.add(demo_spec(), created=1.0)
    first = [*before_training(), *steps(1, 60), *saved(40)]
    replay.backend.play(uid, [*first, *resumed(40, 1), *steps(41, 80, later=40_000)])
    page = compare(replay, qtbot, uid, done_run(replay, "other"))
    qtbot.waitUntil(lambda: len(page.model.entries[0].curve("loss")) == 100)
    click(qtbot, page, "compare.axis.time")
    worked, value = drawn(page)[0]
    assert len(worked) == 80
    assert worked[-1] < 200
    assert np.all(np.diff(worked) >= 0)
    told = replay.backend.series(uid, ["loss"])["loss"]
    assert np.array_equal(value[40:], told.value[60:])
    assert page.chart.points_overwritten() == 0  # among several runs they would only be in the way


def test_that_a_live_run_goes_on_growing(replay, qtbot):
    live = replay.backend.add(demo_spec("live"), created=1.0)
    replay.backend.play(live, [*before_training(), *steps(1, 20)])
    page = compare(replay, qtbot, live, done_run(replay, "other"))
    qtbot.waitUntil(lambda: lengths(page) == [20, 100])
    replay.backend.play(live, steps(21, 40))
    qtbot.waitUntil(lambda: lengths(page)[0] == 40)
    qtbot.waitUntil(lambda: lines(page, "results")["Steps"][0] == "40")
    replay.backend.play(live, after_training())
    qtbot.waitUntil(lambda: lines(page, "results")["Status"][0] == "Completed")


def test_that_smoothing_scale_and_window_are_those_of_every_chart(replay, qtbot):
    page = compare(replay, qtbot, done_run(replay, "one"), done_run(replay, "other"))
    qtbot.waitUntil(lambda: lengths(page) == [100, 100])
    options, chart = page.curves.options, page.chart
    options.log.click()
    assert chart.frame().log
    options.slider.setValue(notch_of(0.98))
    assert chart.switches.smoothing == pytest.approx(0.98, abs=0.005)
    options.window_choice.set_value("share")
    assert chart.seen()[0][0] > 85
    qtbot.keyClick(chart, Qt.Key.Key_End)
    assert "A one" in chart.cross_text()
    assert "B other" in chart.cross_text()
    page.curves.choice.set_value("validation_loss")
    page.curves.choice.activated.emit(1)
    qtbot.waitUntil(lambda: lengths(page) == [4, 4])
    assert [one.form for one in chart.series] == ["dots", "dots"]


def test_that_the_chart_is_saved_with_every_point_of_every_run(replay, qtbot, tmp_path):
    one, other = done_run(replay, "one"), done_run(replay, "other")
    page = compare(replay, qtbot, one, other)
    qtbot.waitUntil(lambda: lengths(page) == [100, 100])
    for form in ("png", "svg"):
        with qtbot.waitSignal(page.curves.told):
            page.curves.export.save(form, page.chart, ["loss"], tmp_path / f"c.{form}")
        assert (tmp_path / f"c.{form}").stat().st_size > 1000
    page.curves.export.save("csv", page.chart, ["loss"], tmp_path / "c.csv")
    (transfer,) = replay.window.actions_of_runs.transfers.list
    qtbot.waitUntil(lambda: transfer.state == "done")
    rows = list(csv.DictReader(io.StringIO((tmp_path / "c.csv").read_text())))
    assert [row["run"] for row in rows] == [one] * 100 + [other] * 100
    assert {row["name"] for row in rows} == {"one", "other"}
    menu = QMenu(page)
    page.curves.fill_menu(menu)
    names = [action.objectName() for action in menu.actions()]
    assert names[-4:] == [f"chart.export.{form}" for form in ("copy", "png", "svg", "csv")]


@pytest.fixture
def long_from(monkeypatch):
    """Curves count as long from 1,500 points on, so that no million of them is needed here."""
    monkeypatch.setattr(run_series, "LONG_FROM", 1500)
    monkeypatch.setattr(run_series, "BUCKETS", 500)


@pytest.mark.parametrize("axis", ["step", "time", "tokens"])
def test_that_long_curves_are_held_in_buckets_along_every_axis(axis, replay, qtbot, long_from):
    uid = replay.backend.add(spec("long"), created=1.0)
    replay.backend.play(uid, [*before_training(20_000), *long_steps(1, 2500)])
    page = compare(replay, qtbot, uid, done_run(replay, "short"))
    click(qtbot, page, f"compare.axis.{axis}")
    one = page.model.entries[0]
    qtbot.waitUntil(lambda: one.curve("loss").coarse is not None)
    wanted = {"step": (1.0, 2500.0), "time": (0.0, 1249.5), "tokens": (4096.0, 4096 * 2500.0)}[axis]
    qtbot.waitUntil(lambda: one.source("loss").extent() == pytest.approx(wanted))
    assert len(one.curve("loss")) == 1000
    told = replay.backend.series(uid, ["loss"])["loss"]
    found = one.figures_of("loss")
    assert (found.last, found.least) == (told.value[-1], told.value.min())
    assert found.mean == pytest.approx(told.value.mean())
    middle = wanted[0] + 0.5 * (wanted[1] - wanted[0])
    page.chart.link.look_at((middle, middle + 0.02 * (wanted[1] - wanted[0])))
    page.chart.seen()
    qtbot.waitUntil(lambda: one.curve("loss").fine is not None)
    view = one.source("loss").view(*page.chart.seen()[0], 10_000)
    assert view["n"].max() == 1


def test_that_a_run_nobody_knows_and_a_deleted_one_are_said(replay, qtbot):
    one, other = done_run(replay, "one"), done_run(replay, "other")
    page = compare(replay, qtbot, one, "0000", other)
    notice = page.findChild(QLabel, "compare.notice")
    qtbot.waitUntil(lambda: notice.text().startswith("B:") and "0000" in notice.text())
    assert lines(page, "results")["Status"] == ("Completed", "—", "Completed")
    replay.backend.delete(other)
    qtbot.waitUntil(lambda: lines(page, "results")["Status"] == ("Completed", "—", "—"))


def test_that_too_few_and_too_many_are_refused_kindly(replay, qtbot):
    one = done_run(replay, "one")
    page = compare(replay, qtbot, one)
    assert "Add at least one more run" in page.findChild(QLabel, "compare.notice").text()
    page = compare(replay, qtbot, *[f"{number:04d}" for number in range(13)])
    assert len(page.model.entries) == 10
    assert page.findChild(QLabel, "compare.notice").text() == "3 runs were left out: ten are the most."
    assert not page.findChild(QWidget, "compare.add").isEnabled()


def test_that_runs_are_added_by_searching_and_taken_out(replay, qtbot):
    one, other = done_run(replay, "one"), done_run(replay, "needle")
    done_run(replay, "third")
    compare(replay, qtbot, one)
    field = replay.window.page.findChild(QWidget, "compare.add")
    field.setFocus()
    qtbot.keyClicks(field, "need")
    qtbot.waitUntil(lambda: [text.split(" · ")[0] for text in field.offered()] == ["needle"])
    field.added.emit(other)
    qtbot.waitUntil(lambda: replay.window.address == f"compare/{one},{other}")
    click(qtbot, replay.window.page, f"compare.remove.{one}")
    qtbot.waitUntil(lambda: replay.window.address == f"compare/{other}")


@pytest.fixture
def four(replay, qtbot):
    uids = [done_run(replay, f"run {n}", score=score, seconds=60.0 * n, cost=n * 1.0)
            for n, score in enumerate((0.2, 0.6, 0.4, 0.9), 1)]  # fmt: skip
    page = compare(replay, qtbot, uids[0], uids[1])
    qtbot.waitUntil(lambda: len(page.scatter.picture.points) == 4)
    qtbot.waitUntil(lambda: page.scatter.plot is not None and page.scatter.plot.isVisible())
    return uids, page


def test_that_all_runs_are_points_with_the_best_so_far_and_a_click_opens_one(four, replay, qtbot):
    uids, page = four
    x, y = page.scatter.picture.best_line()
    assert (x.tolist(), y.tolist()) == ([60.0, 120.0, 240.0], [0.2, 0.6, 0.9])
    assert page.scatter.picture.said(1) == "B · run 2\n60.0% · 2 min 0 s"
    plot = page.scatter.plot
    qtbot.mouseClick(plot.viewport(), Qt.MouseButton.LeftButton, pos=plot.place_of(3))
    qtbot.waitUntil(lambda: isinstance(replay.window.page, RunPage))
    assert replay.window.page.model.uid == uids[3]


def test_that_points_are_chosen_and_opened_by_keyboard(four, replay, qtbot):
    uids, page = four
    page.scatter.setFocus()
    qtbot.keyClick(page.scatter, Qt.Key.Key_Right)
    qtbot.keyClick(page.scatter, Qt.Key.Key_End)
    qtbot.keyClick(page.scatter, Qt.Key.Key_Left)
    assert page.scatter.accessibleDescription() == "run 3\n40.0% · 3 min 0 s"
    qtbot.keyClick(page.scatter, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: isinstance(replay.window.page, RunPage))
    assert replay.window.page.model.uid == uids[2]


def test_that_the_points_are_a_table_too(four, replay, qtbot):
    uids, page = four
    click(qtbot, page, "compare.scatter.as_table")
    table = page.scatter.table
    assert table.isVisible()
    rows = [[table.model().index(row, place).data() for place in range(3)] for row in range(4)]
    assert rows[3] == ["run 4", "90.0%", "4 min 0 s"]
    heads = [table.model().headerData(place, Qt.Orientation.Horizontal) for place in range(3)]
    assert heads == ["Run", "Score after", "Time"]
    page._price.set_value("cost")
    page._price.activated.emit(1)
    qtbot.waitUntil(lambda: table.model().index(3, 2).data() == "$4.00")
    table.selectRow(2)
    table.activated.emit(table.model().index(2, 0))
    qtbot.waitUntil(lambda: isinstance(replay.window.page, RunPage))
    assert replay.window.page.model.uid == uids[2]


def test_that_the_picture_of_all_runs_is_saved(four, qtbot, tmp_path):
    _uids, page = four
    for form in ("png", "svg", "csv"):
        with qtbot.waitSignal(page.scatter.export.told):
            page.scatter.export.save(form, page.scatter, (), tmp_path / f"all.{form}")
    assert (tmp_path / "all.png").read_bytes().startswith(b"\x89PNG")
    text = (tmp_path / "all.svg").read_text()
    assert "<image" not in text
    assert "<circle" in text or "<path" in text
    found = list(csv.DictReader(io.StringIO((tmp_path / "all.csv").read_text("utf-8-sig"))))
    assert [row["name"] for row in found] == ["run 1", "run 2", "run 3", "run 4"]
    assert [row["score"] for row in found] == ["0.2", "0.6", "0.4", "0.9"]


def test_that_the_table_is_saved_as_csv(replay, qtbot, tmp_path):
    one, other = done_run(replay, "one"), done_run(replay, "=other", learning_rate=1e-3)
    page = compare(replay, qtbot, one, other)
    qtbot.waitUntil(lambda: bool(page.settings.grid.lines))
    with qtbot.waitSignal(replay.window.actions_of_runs.told):
        page.save_as(tmp_path / "compare.csv")
    found = list(csv.reader(io.StringIO((tmp_path / "compare.csv").read_text("utf-8-sig"))))
    assert found[0] == ["", "one", "'=other"]
    assert ["training.learning_rate", "0.0002", "0.001"] in found
    with qtbot.waitSignal(replay.window.actions_of_runs.failed):
        page.save_as(tmp_path / "compare.csv" / "below-a-file.csv")


def test_that_the_run_page_leads_here(replay, qtbot):
    uid, page = open_run(replay, qtbot, before_training())
    choose(page, "run.compare")
    qtbot.waitUntil(lambda: isinstance(replay.window.page, ComparePage))
    assert [one.uid for one in replay.window.page.model.entries] == [uid]


def test_that_what_the_chart_shows_is_kept_when_a_run_is_added(replay, qtbot):
    one, other = done_run(replay, "one"), done_run(replay, "other")
    page = compare(replay, qtbot, one)
    click(qtbot, page, "compare.axis.tokens")
    page._add(other)
    qtbot.waitUntil(lambda: replay.window.address == f"compare/{one},{other}?loss,tokens")
    assert replay.window.page.model.axis == "tokens"


@pytest.mark.parametrize(
    ("text", "found", "left"),
    [
        ("a,b", ["a", "b"], []),
        ("a,,a, b", ["a", "b"], []),
        ("", [], []),
        ("a,b,c,d,e,f,g,h,i,j,k", list("abcdefghij"), ["k"]),
    ],
)
def test_the_address(text, found, left):
    assert uids_of(text) == (found, left)


def test_best_so_far():
    x, y = best_so_far(np.array([3.0, 1.0, 2.0, 2.0]), np.array([0.5, 1.0, 0.8, 0.7]), more=False)
    assert (x.tolist(), y.tolist()) == ([1.0, 2.0, 3.0], [1.0, 0.7, 0.5])
    assert len(best_so_far(np.empty(0), np.empty(0), more=True)[0]) == 0


def test_that_runs_without_a_detail_leave_their_column_empty():
    assert settings([]) == []
    assert as_csv([], []).strip() in ("", '""')


def test_that_a_failed_run_counts_in_the_picture(replay, qtbot):
    one = done_run(replay, "one")
    replay.backend.move(one, state=RunState.FAILED)
    page = compare(replay, qtbot, one, done_run(replay, "other"))
    qtbot.waitUntil(lambda: len(page.scatter.picture.points) == 2)
