"""The queue under the list of runs: order, moving by keys and by dragging, refusals, priorities."""

from __future__ import annotations

import pytest
from PySide6.QtCore import QModelIndex, Qt
from PySide6.QtWidgets import QMenu

from engine.contract.errors import Conflict
from engine.contract.listing import Queue
from engine.contract.states import RunState
from forge_desktop.pages.runs_page import RunsPage
from tests.helpers.journals import demo_spec

pytestmark = pytest.mark.slow

ALT = Qt.KeyboardModifier.AltModifier


def queued(replay, qtbot, *names: str) -> RunsPage:
    for place, name in enumerate(names):
        replay.backend.add(demo_spec(name), created=float(place))
    page = replay.window.page
    assert isinstance(page, RunsPage)
    qtbot.waitUntil(lambda: order(page) == list(names))
    return page


def order(page: RunsPage) -> list[str]:
    return [entry.run.name for entry in page.queue.entries]


def told(replay) -> list[str]:
    return [entry.run.name for entry in replay.backend.queue().entries]


def test_that_the_card_folds_away_when_nothing_waits(replay, qtbot):
    page = queued(replay, qtbot, "a")
    qtbot.waitUntil(page.queue_card.isVisible)
    replay.backend.move(page.queue.entries[0].run.uid, state=RunState.STOPPED)
    qtbot.waitUntil(lambda: not page.queue_card.isVisible())


def test_that_a_line_says_place_name_priority_and_start(replay, qtbot):
    page = queued(replay, qtbot, "a", "b")
    role = Qt.ItemDataRole.AccessibleTextRole
    assert page.queue.data(page.queue.index(1), role) == "2, b, Normal, ≈ 20 min"


def test_that_alt_and_arrows_move_a_run(replay, qtbot):
    page = queued(replay, qtbot, "a", "b", "c")
    page.queue_card.list.setCurrentIndex(page.queue.index(2))
    qtbot.keyClick(page.queue_card.list, Qt.Key.Key_Up, ALT)
    assert order(page) == ["a", "c", "b"]
    assert page.queue_card.list.currentIndex().row() == 1
    qtbot.waitUntil(lambda: told(replay) == ["a", "c", "b"])
    qtbot.keyClick(page.queue_card.list, Qt.Key.Key_Up, ALT)
    qtbot.waitUntil(lambda: told(replay) == ["c", "a", "b"])
    qtbot.keyClick(page.queue_card.list, Qt.Key.Key_Down, ALT)
    qtbot.waitUntil(lambda: told(replay) == ["a", "c", "b"])


def test_that_a_dropped_run_goes_where_it_was_dropped(replay, qtbot):
    page = queued(replay, qtbot, "a", "b", "c")
    data = page.queue.mimeData([page.queue.index(0)])
    page.queue.dropMimeData(data, Qt.DropAction.MoveAction, 3, 0, QModelIndex())
    assert order(page) == ["b", "c", "a"]
    assert [entry.position for entry in page.queue.entries] == [1, 2, 3]
    qtbot.waitUntil(lambda: told(replay) == ["b", "c", "a"])
    data = page.queue.mimeData([page.queue.index(2)])
    page.queue.dropMimeData(data, Qt.DropAction.MoveAction, 0, 0, QModelIndex())
    qtbot.waitUntil(lambda: told(replay) == ["a", "b", "c"])


def test_that_a_move_the_controller_refuses_is_taken_back_and_said(replay, qtbot, monkeypatch):
    page = queued(replay, qtbot, "a", "b")

    def refuse(_uid: str, _before: str | None) -> Queue:
        raise Conflict("queue.not_waiting", run="b", state="running")

    monkeypatch.setattr(replay.backend, "move_in_queue", refuse)
    page.queue.move(1, 0)
    assert order(page) == ["b", "a"]
    qtbot.waitUntil(lambda: order(page) == ["a", "b"])
    qtbot.waitUntil(replay.window.banner.isVisible)
    assert "not in the queue" in replay.window.banner.text()


def test_that_a_run_takes_over_the_priority_of_its_new_place(replay, qtbot):
    page = queued(replay, qtbot, "a", "b")
    replay.backend.move(page.queue.entries[0].run.uid, priority=20)
    qtbot.waitUntil(lambda: page.queue.entries[0].run.priority == 20)
    page.queue.move(1, 0)
    qtbot.waitUntil(lambda: [entry.run.priority for entry in page.queue.entries] == [20, 20])


def test_that_a_run_that_waits_for_a_retry_keeps_its_place(replay, qtbot):
    page = queued(replay, qtbot, "a", "b")
    replay.backend.move(page.queue.entries[0].run.uid, retry_at=9e9, retries=1)
    qtbot.waitUntil(lambda: order(page) == ["b", "a"])
    said: list[str] = []
    page.queue_card.told.connect(said.append)
    page.queue_card.list.setCurrentIndex(page.queue.index(1))
    qtbot.keyClick(page.queue_card.list, Qt.Key.Key_Up, ALT)
    assert said == ["Runs that wait for a retry come last."]
    assert order(page) == ["b", "a"]


def test_that_the_menu_sets_a_priority_and_the_order_follows(replay, qtbot):
    page = queued(replay, qtbot, "a", "b")
    menu = page.queue_card.menu_of(page.queue.entries[1], page)
    assert isinstance(menu, QMenu)
    texts = {action.text(): action for action in menu.actions()}
    assert texts["Move down"].isEnabled() is False
    texts["Urgent"].trigger()
    qtbot.waitUntil(lambda: order(page) == ["b", "a"])


def test_that_the_choice_outlives_news_about_the_queue(replay, qtbot):
    page = queued(replay, qtbot, "a", "b")
    page.queue_card.list.setCurrentIndex(page.queue.index(1))
    replay.backend.add(demo_spec("c"), created=9.0)
    qtbot.waitUntil(lambda: order(page) == ["a", "b", "c"])
    assert page.queue_card.list.currentIndex().row() == 1
