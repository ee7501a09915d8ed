"""The Runs page over replayed journals."""

from __future__ import annotations

from PySide6.QtCore import QPoint, Qt
from PySide6.QtWidgets import QMenu, QPushButton

from engine.contract.states import RunState
from forge_desktop.models.runs_model import progress
from forge_desktop.pages.run_page import RunPage
from forge_desktop.pages.runs_page import RunsPage
from tests.helpers.journals import after_training, before_training, demo_spec, steps


def page_of(replay) -> RunsPage:
    assert isinstance(replay.window.page, RunsPage)
    return replay.window.page


def test_that_an_empty_history_says_what_to_do_next(replay, qtbot):
    page = page_of(replay)
    qtbot.waitUntil(lambda: page.model.has_loaded)
    for name in ("runs.demo", "runs.first"):
        assert page.findChild(QPushButton, name).isVisible()


def test_that_runs_appear_newest_first(replay, qtbot):
    replay.backend.add(demo_spec("older"), created=100.0)
    replay.backend.add(demo_spec("newer"), created=200.0)
    model = page_of(replay).model
    qtbot.waitUntil(lambda: [run.name for run in model.runs] == ["newer", "older"])


def test_that_a_live_run_moves_in_the_table(replay, qtbot):
    uid = replay.backend.add(demo_spec(), created=100.0)
    replay.backend.play(uid, before_training(100))
    model = page_of(replay).model
    qtbot.waitUntil(lambda: bool(model.runs) and model.runs[0].state is RunState.RUNNING)
    replay.backend.play(uid, steps(1, 40))
    qtbot.waitUntil(lambda: progress(model.runs[0]) == 0.4)
    replay.backend.play(uid, [*steps(41, 100), *after_training()])
    qtbot.waitUntil(lambda: model.runs[0].state is RunState.COMPLETED)


def test_that_search_and_filters_ask_the_controller(replay, qtbot):
    replay.backend.add(demo_spec("apples"), created=1.0)
    replay.backend.add(demo_spec("pears"), created=2.0, state=RunState.COMPLETED)
    page = page_of(replay)
    qtbot.waitUntil(lambda: len(page.model.runs) == 2)
    qtbot.keyClicks(page.search, "pear")
    qtbot.waitUntil(lambda: [run.name for run in page.model.runs] == ["pears"])
    page.search.clear()
    page.model.set_filter("active")
    qtbot.waitUntil(lambda: [run.name for run in page.model.runs] == ["apples"])


def test_that_enter_opens_the_selected_run(replay, qtbot):
    uid = replay.backend.add(demo_spec(), created=1.0, state=RunState.COMPLETED)
    page = page_of(replay)
    qtbot.waitUntil(lambda: len(page.model.runs) == 1)
    page.table.selectRow(0)
    qtbot.keyClick(page.table, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: isinstance(replay.window.page, RunPage) and replay.window.page.model.uid == uid)


def test_that_a_live_run_cannot_be_deleted_from_the_menu(replay, qtbot):
    uid = replay.backend.add(demo_spec(), created=1.0)
    replay.backend.play(uid, before_training())
    page = page_of(replay)
    qtbot.waitUntil(lambda: bool(page.model.runs) and page.model.runs[0].state is RunState.RUNNING)
    menu = QMenu(page)
    page.fill_menu(menu, page.model.runs[0])
    enabled = {action.text(): action.isEnabled() for action in menu.actions() if action.text()}
    assert enabled["Delete…"] is False
    assert enabled["Stop…"] is True


def test_that_the_menu_opens_where_it_was_asked_for(replay, qtbot):
    replay.backend.add(demo_spec(), created=1.0)
    page = page_of(replay)
    qtbot.waitUntil(lambda: len(page.model.runs) == 1)
    page.table.customContextMenuRequested.emit(QPoint(20, 20))
    menus = [menu for menu in page.findChildren(QMenu) if menu.isVisible()]
    assert len(menus) == 1
    menus[0].close()


def test_that_a_lost_line_is_said_and_made_good(replay, qtbot):
    window, uid = replay.window, replay.backend.add(demo_spec(), created=1.0)
    model = page_of(replay).model
    qtbot.waitUntil(lambda: len(model.runs) == 1)
    with qtbot.waitSignals([replay.desktop.session.offline, replay.desktop.session.online], timeout=5000):
        replay.backend.drop_line()
    replay.backend.delete(uid)
    qtbot.waitUntil(lambda: not model.runs and window.banner.isHidden())
