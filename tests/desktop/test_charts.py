"""Charts: switches, crosshair, zoom, marks, odd values, export, long runs, many series; by mouse and by keyboard."""

from __future__ import annotations

import csv
import itertools
import os
import threading

import numpy as np
import pytest
from PySide6.QtCore import QPoint, QPointF, Qt
from PySide6.QtGui import QColor, QContextMenuEvent, QGuiApplication, QImage, QWheelEvent
from PySide6.QtWidgets import QApplication, QLabel, QMenu, QWidget

from engine.contract.states import RunState
from forge_desktop.bridge.points import SeriesPart
from forge_desktop.models.curves import Curve
from forge_desktop.models.series_view import CurveSource
from forge_desktop.pages.run_page import RunPage
from forge_desktop.panels.chart_export import as_svg
from forge_desktop.panels.chart_legend import ChartLegend, LegendEntry, entries_of
from forge_desktop.panels.chart_options import notch_of, parsed, weight_of, written
from forge_desktop.panels.chart_series import ChartSeries, ChartSwitches
from forge_desktop.panels.charts_card import ALL, METRICS, ChartsCard
from forge_desktop.panels.curve_chart import CurveChart
from tests.desktop.conftest import change_look
from tests.desktop.sheets_charts import long_steps, ten_runs
from tests.helpers.journals import before_training, demo_spec, resumed, saved, steps

pytestmark = pytest.mark.slow

LEFT = Qt.MouseButton.LeftButton


def open_run(replay, qtbot, lines) -> tuple[str, RunPage, ChartsCard]:
    uid = replay.backend.add(demo_spec(), created=1.0)
    replay.backend.play(uid, lines)
    return uid, *look_at(replay, qtbot, uid)


def look_at(replay, qtbot, uid) -> tuple[RunPage, ChartsCard]:
    replay.window.go(f"run/{uid}")
    page = replay.window.page
    assert isinstance(page, RunPage)
    qtbot.waitUntil(lambda: page.is_built and page.model.series.state == "ready")
    qtbot.waitUntil(page.chart.isVisible)
    return page, page.findChild(QWidget, "run.charts")


@pytest.fixture
def hundred(replay, qtbot):
    return open_run(replay, qtbot, [*before_training(), *steps(1, 100), *saved(50)])


@pytest.fixture
def chart(qtbot) -> CurveChart:
    """A chart of its own with a thousand falling values."""
    made = plain_chart(np.linspace(3, 1, 1000))
    qtbot.addWidget(made)
    made.show()
    return made


def plain_chart(value, **switches) -> CurveChart:
    made = CurveChart()
    made.resize(800, 400)
    curve = Curve()
    x = np.arange(1.0, len(value) + 1)
    curve.replace(SeriesPart(np.ones(len(x), np.int32), x, 1000 + x, np.asarray(value, float)))
    made.set_series([ChartSeries("Loss", CurveSource(curve))], "Loss")
    made.set_switches(ChartSwitches(**switches))
    made.show_state("ready")
    return made


def wheel(chart, at: QPointF, notches: int) -> None:
    event = QWheelEvent(
        at, chart.mapToGlobal(at), QPoint(), QPoint(0, 120 * notches), Qt.MouseButton.NoButton,
        Qt.KeyboardModifier.NoModifier, Qt.ScrollPhase.NoScrollPhase, False,
    )  # fmt: skip
    QApplication.sendEvent(chart, event)


def pixel_of(chart, x: float) -> QPoint:
    frame = chart.frame()
    return QPoint(round(float(frame.px(np.array(x)))), round(frame.plot.center().y()))


def test_that_the_wheel_zooms_about_the_cursor_and_a_double_click_shows_everything(chart, qtbot):
    at = pixel_of(chart, 300)
    whole, under = chart.seen()[0], chart.x_at(at.x())
    wheel(chart, QPointF(at), 3)
    low, high = chart.seen()[0]
    assert high - low < 0.7 * (whole[1] - whole[0])
    assert chart.x_at(at.x()) == pytest.approx(under)
    qtbot.mouseDClick(chart, LEFT, pos=at)
    assert chart.seen()[0] == whole


def test_that_dragging_moves_and_shift_dragging_frames(chart, qtbot):
    wheel(chart, QPointF(pixel_of(chart, 500)), 4)
    (low, high), grabbed = chart.seen()[0], pixel_of(chart, 500)
    qtbot.mousePress(chart, LEFT, pos=grabbed)
    qtbot.mouseMove(chart, grabbed + QPoint(60, 0))
    qtbot.mouseMove(chart, grabbed + QPoint(100, 0))
    qtbot.mouseRelease(chart, LEFT, pos=grabbed + QPoint(100, 0))
    moved = chart.seen()[0]
    assert moved[1] - moved[0] == pytest.approx(high - low)
    assert chart.x_at(grabbed.x() + 100) == pytest.approx(500, abs=2)
    assert moved[0] < low
    chart.reset_view()
    first, last = pixel_of(chart, 200) - QPoint(0, 80), pixel_of(chart, 400) + QPoint(0, 20)
    qtbot.mousePress(chart, LEFT, Qt.KeyboardModifier.ShiftModifier, first)
    qtbot.mouseMove(chart, last)
    qtbot.mouseRelease(chart, LEFT, Qt.KeyboardModifier.ShiftModifier, last)
    assert chart.seen()[0] == pytest.approx((200, 400), abs=3)
    assert chart.y_zoom is not None


def test_that_the_wheel_scrolls_the_page_where_there_is_nothing_to_widen(chart):
    before = chart.seen()[0]
    wheel(chart, QPointF(pixel_of(chart, 500)), -2)
    assert chart.seen()[0] == before


def test_that_the_crosshair_moves_by_keyboard_and_says_its_values(chart, qtbot):
    chart.setFocus()
    qtbot.keyClick(chart, Qt.Key.Key_End)
    assert chart.link.x == 1000
    assert chart.accessibleDescription().startswith("step 1,000 · Loss: ")
    qtbot.keyClick(chart, Qt.Key.Key_Left)
    one = chart.link.x
    assert one < 1000
    qtbot.keyClick(chart, Qt.Key.Key_Left, Qt.KeyboardModifier.ControlModifier)
    assert chart.link.x < one - 5
    qtbot.keyClick(chart, Qt.Key.Key_Home)
    assert chart.link.x == 1
    assert "3.000" in chart.accessibleDescription()
    qtbot.keyClick(chart, Qt.Key.Key_Plus)
    assert chart.link.zoom is not None
    qtbot.keyClick(chart, Qt.Key.Key_Escape)
    assert chart.link.x is None
    qtbot.keyClick(chart, Qt.Key.Key_0)
    assert chart.link.zoom is None


def test_that_escape_in_a_chart_with_a_crosshair_does_not_leave_the_page(hundred, replay, qtbot):
    _uid, page, _card = hundred
    page.chart.setFocus()
    qtbot.keyClick(page.chart, Qt.Key.Key_End)
    qtbot.keyClick(page.chart, Qt.Key.Key_Escape)
    assert replay.window.page is page
    assert page.chart.link.x is None


def test_that_all_charts_of_a_run_share_crosshair_and_zoom(hundred, qtbot):
    _uid, _page, card = hundred
    card.choose(ALL)
    assert [chart.isVisible() for chart in card.charts.values()] == [True] * len(METRICS)
    card.chart.setFocus()
    qtbot.keyClick(card.chart, Qt.Key.Key_Home)
    wheel(card.chart, QPointF(pixel_of(card.chart, 40)), 3)
    for chart in card.charts.values():
        assert chart.link.x == 1
        assert chart.seen()[0] == card.chart.seen()[0]
    assert "Learning rate: 1.00e-03" in card.charts["learning_rate"].cross_text() or card.link.x < card.link.zoom[0]


def test_that_a_log_scale_keeps_what_has_no_logarithm_out_and_says_where(qtbot):
    value = np.full(300, 2.0)
    value[100], value[200] = 0.0, -5.0
    chart = plain_chart(value, log=True, smoothing=0.0)
    qtbot.addWidget(chart)
    frame = chart.frame()
    assert frame.drawn[0].below.tolist() == [101.0, 201.0]
    assert all(np.isfinite(frame.y))
    chart.grab()


def test_that_values_that_are_no_numbers_leave_gaps_and_marks(qtbot):
    value = np.ones(300)
    value[[50, 51, 120]] = np.nan, np.inf, -np.inf
    chart = plain_chart(value, smoothing=0.0)
    qtbot.addWidget(chart)
    (drawn,) = chart.frame().drawn
    assert drawn.gaps.tolist() == [51.0, 52.0, 121.0]
    assert np.isnan(drawn.raw[1]).sum() == 3
    chart.link.point_at(121.0)
    assert "−∞" in chart.cross_text()


def test_that_outliers_can_be_clipped(qtbot):
    value = np.random.default_rng(1).normal(1, 0.1, 1000)
    value[500] = 1e4
    chart = plain_chart(value)
    qtbot.addWidget(chart)
    assert chart.seen()[1][1] > 1e4
    chart.set_switches(ChartSwitches(clip=True, smoothing=0.0))
    assert chart.seen()[1][1] < 2
    assert np.nanmax(chart.frame().drawn[0].raw[1]) == 1e4


@pytest.mark.parametrize(
    ("switches", "seen"),
    [
        ({"window": "share"}, (900.1, 1000)),
        ({"window": "last", "last": 200.0}, (800, 1000)),
        ({"window": "range", "range": [10.0, 20.0]}, (10, 20)),
        ({"window": "last", "last": 200.0, "axis": "time"}, (1800, 2000)),
    ],
)
def test_that_windows_show_their_piece(switches, seen, qtbot):
    chart = plain_chart(np.ones(1000), **switches)
    qtbot.addWidget(chart)
    assert chart.seen()[0] == pytest.approx(seen, abs=5)


def test_that_the_live_end_is_followed_unless_one_looks_elsewhere(chart):
    chart.set_switches(ChartSwitches(window="last", last=100.0))
    curve = chart.series[0].source.curve
    curve.append(1, [(float(n), 1000.0 + n, 1.0) for n in range(1001, 1501)])
    assert chart.seen()[0] == pytest.approx((1400, 1500), abs=3)
    chart.zoom(0.5, 1450.0)
    before = chart.seen()[0]
    curve.append(1, [(float(n), 1000.0 + n, 1.0) for n in range(1501, 2001)])
    assert chart.seen()[0] == before
    chart.reset_view()
    assert chart.seen()[0] == pytest.approx((1900, 2000), abs=3)


def test_that_ten_runs_are_told_apart_without_colour_and_each_is_named(qtbot):
    chart, series = CurveChart(), ten_runs()
    qtbot.addWidget(chart)
    chart.resize(1000, 500)
    chart.set_series(series)
    chart.show_state("ready")
    assert len({(one.colour % 6, one.line()) for one in series}) == 10
    assert all(a.line() != b.line() for a, b in itertools.pairwise(series))
    assert ChartLegend(entries_of(series)).texts() == [one.label for one in series]
    assert all(one.label in text for one, text in zip(series, chart._tip_texts(chart.frame()), strict=True))
    chart.link.point_at(700.0)
    assert [one.label for one, *_ in chart.readout(700.0)] == [one.label for one in series]
    chart.set_switches(ChartSwitches(axis="relative"))
    assert chart.everything() == pytest.approx((1.0, 2000 * 1.9))  # each since its own beginning
    colours = painted_colours(chart)
    assert all(one.ink().rgb() in colours for one in series)


def painted_colours(chart) -> set[int]:
    image = chart.grab().toImage().convertToFormat(QImage.Format.Format_RGB32)
    return {image.pixel(x, y) for x in range(image.width()) for y in range(0, image.height(), 2)}


def test_that_a_legend_that_changes_leaves_nothing_of_the_old_one(qtbot):
    legend = ChartLegend([LegendEntry("a"), LegendEntry("b"), LegendEntry("c")])
    qtbot.addWidget(legend)
    legend.set_entries([LegendEntry("d"), LegendEntry("b"), LegendEntry("c")])
    assert len([child for child in legend.children() if isinstance(child, QWidget)]) == 3


def test_that_attempts_and_checkpoints_are_marked_and_said(replay, qtbot):
    lines = [*before_training(), *steps(1, 80), *saved(40), *resumed(40, 1), *steps(41, 60, later=400)]
    _uid, _page, card = open_run(replay, qtbot, lines)
    qtbot.waitUntil(lambda: len(card.chart.marks()) == 1)
    card.link.point_at(41.0)
    said = card.chart.cross_text()
    assert "Attempt 2 · resumed: step 41" in said
    assert "Went on from here" in said
    card.link.point_at(40.0)
    assert "Checkpoint saved" in card.chart.cross_text()
    assert card.chart.points_overwritten() == 40
    assert "Overwritten" in card.legend.texts()


def test_that_switches_and_zoom_outlive_a_change_of_language_and_theme(hundred, replay, qtbot):
    uid, _page, card = hundred
    card.options.slider.setValue(notch_of(0.98))
    card.options.log.click()
    card.choose("grad_norm")
    card.link.look_at((20.0, 40.0))
    change_look(replay.desktop, "dark", "zh_CN")
    again = replay.window.page.findChild(QWidget, "run.charts")
    assert again is not card
    assert again.options.switches.log
    assert again.options.switches.smoothing == pytest.approx(0.98, abs=0.005)
    assert again.shown() == ["grad_norm"]
    assert again.link.zoom == (20.0, 40.0)
    assert again.charts["grad_norm"].accessibleName() == "图表：梯度范数"
    other = replay.backend.add(demo_spec("other"), created=2.0)
    _page, third = look_at_later(replay, qtbot, other)
    assert third.link.zoom is None  # of this run only
    assert uid != other


def look_at_later(replay, qtbot, uid):
    replay.window.go(f"run/{uid}")
    page = replay.window.page
    qtbot.waitUntil(lambda: page.is_built)
    return page, page.findChild(QWidget, "run.charts")


def test_that_another_axis_forgets_the_zoom_and_tokens_are_offered_where_known(replay, qtbot):
    _uid, _page, card = open_run(replay, qtbot, [*before_training(8000), *long_steps(1, 50)])
    items = card.options.axis.model()
    qtbot.waitUntil(lambda: items.item(card.options.axis.findData("tokens_seen")).isEnabled())
    card.link.look_at((5.0, 20.0))
    card.options.axis.set_value("tokens_seen")
    assert card.link.zoom is None
    assert card.chart.everything() == (4096.0, 50 * 4096.0)
    assert "204,800" in card.chart.x_text(204_800.0)


def test_that_a_range_is_typed_and_nonsense_is_said(hundred, qtbot):
    _uid, _page, card = hundred
    options = card.options
    options.fold.click()
    options.window_choice.set_value("range")
    options.low.setText("60")
    options.high.setText("ten")
    options.high.editingFinished.emit()
    assert options.wrong.isVisible()
    assert "4,000" in options.wrong.text()
    options.high.setText("40")
    options.high.editingFinished.emit()
    assert options.wrong.text() == "The second must be larger than the first."
    options.high.setText("80")
    options.high.editingFinished.emit()
    assert not options.wrong.isVisible()
    assert card.chart.seen()[0] == (60.0, 80.0)


@pytest.mark.parametrize("weight", [0.0, 0.5, 0.9, 0.98, 0.995, 0.999])
def test_that_the_slider_reaches_every_weight(weight):
    assert weight_of(notch_of(weight)) == pytest.approx(weight, abs=0.01 * (1 - weight) + 0.004)


@pytest.mark.parametrize(("axis", "value"), [("step", 4000.0), ("relative", 5400.0), ("time", 1_790_000_000.0)])
def test_that_what_is_written_along_an_axis_can_be_typed(axis, value):
    assert parsed(written(value, axis), axis) == value


def test_what_cannot_be_typed():
    assert [parsed(text, "step") for text in ("", "x", "1e999", "nan")] == [None] * 4


def test_states_of_a_chart(replay, qtbot):
    uid = replay.backend.add(demo_spec(), created=1.0)
    replay.backend.views_fail = True
    replay.window.go(f"run/{uid}")
    page = replay.window.page
    notice = page.chart.notice
    assert notice.state == "loading"
    qtbot.waitUntil(lambda: notice.state == "failed")
    qtbot.waitUntil(notice.again.isVisible)
    replay.backend.views_fail = False
    qtbot.mouseClick(notice.again, LEFT)
    qtbot.waitUntil(lambda: notice.state == "empty")
    replay.backend.move(uid, state=RunState.STOPPED)
    qtbot.waitUntil(lambda: notice.state == "none")
    replay.backend.move(uid, state=RunState.RUNNING)
    replay.backend.play(uid, [*before_training(), *steps(1, 3)])
    qtbot.waitUntil(lambda: not notice.isVisible())
    assert page.chart.points_shown() == 3


def exported(card, replay, qtbot, form, file):
    if form == "csv":
        card.export.save(form, card.chart, ["loss", "validation_loss"], file)
        (transfer,) = replay.window.actions_of_runs.transfers.list
        qtbot.waitUntil(lambda: transfer.state == "done")
        assert (transfer.path, transfer.done) == (file, transfer.total)
        return file
    with qtbot.waitSignal(card.told):
        card.export.save(form, card.chart, ["loss", "validation_loss"], file)
    return file


def test_that_a_chart_is_saved_as_png_at_twice_its_size_and_as_svg(hundred, replay, qtbot, tmp_path):
    _uid, _page, card = hundred
    image = QImage(str(exported(card, replay, qtbot, "png", tmp_path / "loss.png")))
    assert image.size() == card.chart.size() * 2
    assert image.pixelColor(2, 2) == QColor("#FFFFFF")
    text = exported(card, replay, qtbot, "svg", tmp_path / "loss.svg").read_text(encoding="utf-8")
    assert text.count("<polyline") + text.count("<path") > 5
    assert "<image" not in text  # lines, not a picture of them
    assert "Loss" in text


def test_that_all_points_are_saved_as_csv_not_those_shown(replay, qtbot, tmp_path):
    lines = [*before_training(), *steps(1, 80), *saved(40), *resumed(40, 1), *steps(41, 60, later=400)]
    uid, _page, card = open_run(replay, qtbot, lines)
    card.link.look_at((3.0, 7.0))
    with exported(card, replay, qtbot, "csv", tmp_path / "loss.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["metric", "attempt", "step", "time", "value"]
    told = replay.backend.series(uid, ["loss"])["loss"]
    mine = [row for row in rows if row["metric"] == "loss"]
    assert [int(row["attempt"]) for row in mine] == told.attempt.tolist()
    assert [float(row["step"]) for row in mine] == told.x.tolist()
    assert [float(row["value"]) for row in mine] == told.value.tolist()
    assert [float(row["time"]) for row in mine] == told.t.tolist()
    assert len([row for row in rows if row["metric"] == "validation_loss"]) == 4
    assert not [name for name in os.listdir(tmp_path) if name.startswith(".loss")]


@pytest.mark.parametrize("form", ["png", "svg"])
def test_that_a_path_that_cannot_be_written_is_refused_in_plain_words(form, hundred, replay, qtbot, tmp_path):
    _uid, _page, card = hundred
    (tmp_path / "file").write_text("")
    with qtbot.waitSignal(card.failed) as told:
        card.export.save(form, card.chart, ["loss"], tmp_path / "file" / f"loss.{form}")
    assert told.args[0].code == "desktop.file_unwritable"
    qtbot.waitUntil(replay.window.banner.isVisible)


def test_that_points_that_cannot_be_saved_can_be_tried_again(hundred, replay, qtbot, tmp_path):
    _uid, _page, card = hundred
    (tmp_path / "file").write_text("")
    card.export.save("csv", card.chart, ["loss"], tmp_path / "file" / "loss.csv")
    transfers = replay.window.actions_of_runs.transfers
    (transfer,) = transfers.list
    qtbot.waitUntil(lambda: transfer.state == "failed")
    assert transfer.error.code == "desktop.file_unwritable"
    (tmp_path / "file").unlink()
    (tmp_path / "file").mkdir()
    transfers.again(transfer)
    qtbot.waitUntil(lambda: transfer.state == "done")
    assert len((tmp_path / "file" / "loss.csv").read_text().splitlines()) == 101


def test_that_saving_points_can_be_cancelled_and_leaves_nothing(hundred, replay, qtbot, tmp_path):
    _uid, _page, card = hundred
    transfers = replay.window.actions_of_runs.transfers
    blocked = threading.Event()
    for _ in range(2):  # both transfer threads are busy, so that ours waits
        transfers._session.transfer(lambda _backend: blocked.wait(10), print, print, transfers)
    card.export.save("csv", card.chart, ["loss"], tmp_path / "loss.csv")
    (transfer,) = transfers.list
    transfers.cancel(transfer)
    blocked.set()
    qtbot.waitUntil(lambda: transfer.state == "cancelled")
    assert list(tmp_path.glob("*loss*")) == []
    said = "Cancelled. Nothing was saved."
    qtbot.waitUntil(lambda: said in [made.text() for made in replay.window.findChildren(QLabel) if made.isVisible()])


def test_that_the_image_is_copied(hundred, qtbot):
    _uid, _page, card = hundred
    menu = QMenu(card)
    card.fill_menu(menu, "loss")
    names = [action.objectName() for action in menu.actions()]
    assert [f"chart.export.{form}" in names for form in ("copy", "png", "svg", "csv")] == [True] * 4
    next(action for action in menu.actions() if action.objectName() == "chart.export.copy").trigger()
    assert QGuiApplication.clipboard().image().size() == card.chart.size() * 2


def test_that_the_menu_opens_by_keyboard(chart, qtbot):
    asked = QContextMenuEvent(QContextMenuEvent.Reason.Keyboard, QPoint(5, 5), QPoint(5, 5))
    with qtbot.waitSignal(chart.menu_wanted) as told:
        QApplication.sendEvent(chart, asked)
    assert told.args[0] == chart.mapToGlobal(chart.rect().center())


def test_that_an_svg_of_a_chart_without_points_is_made_too(qtbot):
    chart = CurveChart()
    qtbot.addWidget(chart)
    assert as_svg(chart).startswith(b"<?xml")
