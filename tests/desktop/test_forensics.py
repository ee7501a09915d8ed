"""Rows of a run on its page: a click on the curve, rankings, tokens, rows that are excluded; and a run done again."""

from __future__ import annotations

from PySide6.QtCore import QPoint, Qt
from PySide6.QtWidgets import QPushButton

from engine.contract.reproduction import Difference, Reproduction, ReproductionCheck
from forge_desktop.pages.run_page import RunPage
from forge_desktop.panels.reproduce_dialog import ReproduceDialog
from forge_desktop.panels.rows_panel import RowsPanel
from forge_desktop.panels.step_rows_dialog import StepRowsDialog
from tests.desktop.sheets_forensics import TEXTS, lay_down, trained


def opened(replay, qtbot) -> tuple[str, RunPage]:
    uid = trained(replay.backend, "a run")
    replay.window.go(f"run/{uid}")
    page = replay.window.page
    assert isinstance(page, RunPage)
    qtbot.waitUntil(lambda: page.is_built)
    return uid, page


def ranking(replay, qtbot) -> tuple[str, RowsPanel]:
    lay_down(replay.backend)
    uid, page = opened(replay, qtbot)
    page.show_tab("rows")
    panel = page.findChild(RowsPanel)
    qtbot.waitUntil(lambda: bool(panel.lines.rows) and bool(panel.lines.rows[0].text))
    return uid, panel


def test_that_a_click_on_the_curve_and_enter_open_the_rows_of_the_step(replay, qtbot):
    lay_down(replay.backend)
    _uid, page = opened(replay, qtbot)
    chart = page.chart
    qtbot.waitUntil(chart.has_points)
    area = chart.plot_area()
    frame = chart.frame()
    share = (20 - frame.x[0]) / (frame.x[1] - frame.x[0])
    place = QPoint(round(area.left() + share * area.width()), round(area.center().y()))
    qtbot.mouseClick(chart, Qt.MouseButton.LeftButton, pos=place)
    dialog = page.findChild(StepRowsDialog)
    assert dialog is not None
    assert abs(dialog.step.value() - 20) <= 1
    qtbot.waitUntil(lambda: [one.key.line for one in dialog.lines.rows] == [line for line, *_rest in TEXTS])
    assert "Learning rate" in dialog.facts.text() or "LR" in dialog.facts.text()
    dialog.accept()
    qtbot.waitUntil(lambda: page.findChild(StepRowsDialog) is None)
    chart.link.point_at(7.0)
    qtbot.keyClick(chart, Qt.Key.Key_Return)
    again = page.findChild(StepRowsDialog)
    assert again.step.value() == 7
    qtbot.waitUntil(lambda: "Step 20" in again.facts.text())  # the nearest that was kept
    assert "No rows were kept of step 7" in again.facts.text()
    again.accept()


def test_that_a_drag_over_the_curve_opens_nothing(replay, qtbot):
    _uid, page = opened(replay, qtbot)
    qtbot.waitUntil(page.chart.has_points)
    middle = page.chart.plot_area().center().toPoint()
    qtbot.mousePress(page.chart, Qt.MouseButton.LeftButton, pos=middle)
    qtbot.mouseMove(page.chart, middle + QPoint(60, 0))
    qtbot.mouseRelease(page.chart, Qt.MouseButton.LeftButton, pos=middle + QPoint(60, 0))
    assert page.findChild(StepRowsDialog) is None


def test_that_rankings_say_what_they_mean_and_a_row_shows_its_tokens(replay, qtbot):
    uid, panel = ranking(replay, qtbot)
    assert "median row" in panel._definition.text()
    panel.kinds.button("contradictory").click()
    qtbot.waitUntil(lambda: bool(panel.lines.rows) and "question 1" in panel.lines.rows[0].why)
    panel.table.opened.emit(panel.lines.rows[1])
    qtbot.waitUntil(lambda: "shoes" in panel.detail.map.toPlainText())
    asked = replay.backend.tokens_asked[-1]
    assert (asked.run, asked.line, asked.state) == (uid, 112, panel.detail.states.value())
    assert asked.state.startswith(("attempts/", "checkpoints/"))
    assert "loss" in panel.detail.map.describe(17)  # in words, not by colour alone
    assert "only read" in panel.detail.map.describe(3)
    assert "nothing comes before" in panel.detail.map.describe(0)


def test_that_picked_rows_are_excluded_and_the_wizard_opens(replay, qtbot):
    uid, panel = ranking(replay, qtbot)
    assert not panel.exclude.isEnabled()
    panel.table.pick([panel.lines.key_of(one) for one in panel.lines.rows[:2]])
    qtbot.waitUntil(panel.exclude.isEnabled)
    assert panel.exclude.text().strip() == "Exclude 2 rows and run again"
    qtbot.mouseClick(panel.exclude, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: bool(replay.backend.excluded))
    assert [one.line for one in replay.backend.excluded[0]] == [37, 112]
    qtbot.waitUntil(lambda: replay.window.address.startswith("new/"))
    assert uid not in replay.window.address


def test_that_a_run_without_losses_of_rows_says_why(replay, qtbot):
    _uid, page = opened(replay, qtbot)
    page.show_tab("rows")
    panel = page.findChild(RowsPanel)
    qtbot.waitUntil(lambda: not panel._error.isHidden())
    assert "No losses of rows are kept" in panel._error.what.text()


def test_that_what_is_other_is_said_before_a_run_is_done_again(replay, qtbot):
    _uid, page = opened(replay, qtbot)
    other = Difference(name="threads_from", was="cores 4", now="cores 2", effect="last_digits")
    replay.backend.check_answer = ReproductionCheck(run="", attempt=1, differences=[other], unchecked=["order"])
    page._reproduce()
    dialog = page.findChild(ReproduceDialog)
    qtbot.waitUntil(dialog.go.isEnabled)
    assert dialog.go.text().strip() == "Start all the same"
    assert "Order of the rows" in dialog._later.text()
    before = len(replay.backend.list_runs().runs) if hasattr(replay.backend, "list_runs") else None
    qtbot.mouseClick(dialog.go, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: replay.window.address.startswith("run/") and page is not replay.window.page)
    assert before is None or len(replay.backend.list_runs().runs) == before + 1


def test_that_the_page_says_where_two_runs_first_differ(replay, qtbot):
    lay_down(replay.backend)
    uid = trained(replay.backend, "again")
    replay.backend.reproductions[uid] = Reproduction(
        original_uid="gone", verdict="differs", steps=40, largest=0.03, largest_step=31, first_step=17,
        losses=(1.5, 1.6),
    )  # fmt: skip
    replay.window.go(f"run/{uid}")
    page = replay.window.page
    qtbot.waitUntil(lambda: page.is_built and not page.reproduction.isHidden())
    assert "first differ at step 17" in page.reproduction.said.text()
    qtbot.mouseClick(page.reproduction.findChild(QPushButton, "reproduction.rows"), Qt.MouseButton.LeftButton)
    assert page.findChild(StepRowsDialog).step.value() == 17
