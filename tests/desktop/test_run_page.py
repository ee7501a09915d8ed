"""The Run page over replayed journals."""

from __future__ import annotations

import numpy as np
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QMenu, QMessageBox, QPushButton, QWidget

from engine.contract.errors import UserError
from engine.contract.states import RunState
from forge_desktop.bridge.backend import Item
from forge_desktop.pages.run_page import RunPage
from forge_desktop.pages.runs_page import RunsPage
from tests.helpers.journals import after_training, before_training, demo_spec, failed, steps


def open_run(replay, qtbot, lines) -> tuple[str, RunPage]:
    uid = replay.backend.add(demo_spec(), created=1.0)
    replay.backend.play(uid, lines)
    replay.window.go(f"run/{uid}")
    page = replay.window.page
    assert isinstance(page, RunPage)
    qtbot.waitUntil(lambda: page.model.detail is not None)
    return uid, page


def choose(page: RunPage, name: str) -> None:
    """Pick from the page's menu."""
    menu = QMenu(page)
    page.fill_menu(menu)
    next(action for action in menu.actions() if action.objectName() == name).trigger()
    menu.deleteLater()


def test_that_the_curve_grows_live_and_holds_every_point_once(replay, qtbot):
    uid, page = open_run(replay, qtbot, [*before_training(), *steps(1, 20)])
    for first in range(21, 101, 10):
        replay.backend.play(uid, steps(first, first + 9))
    curve = page.model.curve("loss")
    qtbot.waitUntil(lambda: len(curve) == 100)
    assert np.array_equal(curve.x, np.arange(1, 101))
    qtbot.waitUntil(lambda: page.chart.points_shown() == 100)


def test_that_points_missed_while_the_line_was_down_are_fetched(replay, qtbot):
    uid, page = open_run(replay, qtbot, [*before_training(), *steps(1, 20)])
    qtbot.waitUntil(lambda: len(page.model.curve("loss")) == 20)
    with qtbot.waitSignal(replay.desktop.session.online):
        replay.backend.drop_line()
        replay.backend.play(uid, steps(21, 60))
    qtbot.waitUntil(lambda: len(page.model.curve("loss")) == 60)


def test_that_the_result_shows_before_and_after(replay, qtbot):
    _uid, page = open_run(replay, qtbot, [*before_training(), *steps(1, 100), *after_training()])
    after = page.findChild(QWidget, "score.after")
    qtbot.waitUntil(lambda: page.findChild(QWidget, "score.after").text() == "98.5%")
    assert page.findChild(QWidget, "score.before").text() == "1.5%"
    assert after is not None
    assert page.findChild(QPushButton, "download.adapter").isVisible()


def test_that_a_failed_run_says_what_why_and_what_to_do(replay, qtbot):
    error = UserError("worker.killed", signal="SIGKILL").body()
    _uid, page = open_run(replay, qtbot, [*before_training(), *steps(1, 10), *failed(error, 10)])
    card = page.findChild(QWidget, "run.error")
    qtbot.waitUntil(card.isVisible)
    assert "SIGKILL" in card.what.text()
    assert "micro_batch_size" in card.fix.text()


def test_that_stop_asks_first_and_puts_saving_first(replay, qtbot):
    uid, page = open_run(replay, qtbot, [*before_training(), *steps(1, 10)])
    qtbot.mouseClick(page.findChild(QPushButton, "run.stop"), Qt.MouseButton.LeftButton)
    box = page.findChild(QMessageBox, "question")
    qtbot.waitUntil(box.isVisible)
    assert box.defaultButton().objectName() == "stop.save"
    assert replay.backend.run(uid).run.state is RunState.RUNNING
    qtbot.mouseClick(box.defaultButton(), Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: replay.backend.run(uid).run.state is RunState.STOPPED)


def test_that_delete_keeps_by_default_and_leaves_the_page_when_done(replay, qtbot):
    _uid, page = open_run(replay, qtbot, [*before_training(), *steps(1, 100), *after_training()])
    qtbot.waitUntil(lambda: page.model.detail.run.state is RunState.COMPLETED)
    choose(page, "run.delete")
    box = page.findChild(QMessageBox, "question")
    qtbot.waitUntil(box.isVisible)
    assert box.defaultButton().objectName() != "delete.yes"
    qtbot.mouseClick(box.findChild(QPushButton, "delete.yes"), Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: isinstance(replay.window.page, RunsPage))
    assert replay.backend.runs([], "", 0, 10).total == 0


def test_that_a_run_keeps_showing_the_config_it_was_started_with(replay, qtbot):
    _uid, page = open_run(replay, qtbot, before_training())
    page.show_tab("config")
    texts = [panel.text.toPlainText() for panel in page.findChildren(QWidget) if type(panel).__name__ == "ConfigPanel"]
    assert "learning_rate: 0.0002" in texts[0]


def test_that_a_run_that_is_gone_is_said(replay, qtbot):
    replay.window.go("run/0000")
    card = replay.window.page.findChild(QWidget, "run.error")
    qtbot.waitUntil(card.isVisible)
    assert "0000" in card.what.text()


def test_that_the_log_can_be_saved(replay, qtbot, tmp_path):
    uid, _page = open_run(replay, qtbot, before_training())
    replay.backend.write_log(uid, "12:00:00 INFO 你好\n")
    run = replay.backend.run(uid).run
    replay.window.actions_of_runs.save_file_as(run, Item("log"), tmp_path / "run.log")
    qtbot.waitUntil(lambda: replay.window.actions_of_runs.transfers.list[0].state == "done")
    assert (tmp_path / "run.log").read_text(encoding="utf-8") == "12:00:00 INFO 你好\n"
