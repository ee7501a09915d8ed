"""A list of 100,000 runs: any place of it, any order, little memory, and nothing that jumps while runs report."""

from __future__ import annotations

import gc
from collections.abc import Callable
from functools import cache

import pytest
from PySide6.QtCore import QItemSelectionModel, QModelIndex, Qt

from engine.contract.api import RunSummary
from engine.contract.ids import new_id
from engine.contract.listing import MAX_BULK
from engine.contract.states import RunState
from forge_desktop.bridge.replay import ReplayBackend
from forge_desktop.bridge.replayed import Played
from forge_desktop.models.run_pages import KEPT, PAGE, RunPages
from forge_desktop.pages.runs_page import RunsPage
from forge_desktop.theme.tokens import ROW_HEIGHT
from tests.helpers.journals import before_training, demo_spec

pytestmark = pytest.mark.slow

MANY = 100_000
Flag = QItemSelectionModel.SelectionFlag


@cache
def ended_runs() -> list[RunSummary]:
    """`run 000000` the oldest; loss and name in different orders."""
    return [
        RunSummary.model_construct(
            uid=new_id(), name=f"run {n:06}", project="default", owner="lin", kind="train", lane="gpu",
            state=RunState.FAILED if n % 10 == 0 else RunState.COMPLETED, model="tiny", dataset=f"rows-{n % 97}",
            method="lora", created=float(n), loss=float(n * 7919 % MANY), tags=[f"t{n % 100}"], attempt=1,
            pinned=False, priority=0, reason=None, sparkline=[],
        )
        for n in range(MANY)
    ]  # fmt: skip


def long_history(backend: ReplayBackend) -> None:
    """Put them in, all at once."""
    spec = demo_spec()
    backend.hold(Played(run, spec) for run in ended_runs())


@pytest.fixture
def many(replay, qtbot) -> RunsPage:
    """The page over 100,000 runs, the first page loaded."""
    long_history(replay.backend)
    replay.window.go("runs")
    page = replay.window.page
    qtbot.waitUntil(lambda: page.model.total == MANY and page.model.is_current, timeout=30_000)
    return page


def scroll_to(page: RunsPage, qtbot, row: int) -> RunSummary:
    """Scroll until a row is the first that is seen, and wait for it."""
    page.table.verticalScrollBar().setValue(row * ROW_HEIGHT)
    qtbot.waitUntil(lambda: page.model.run_in(row) is not None and page.model.is_current, timeout=10_000)
    found = page.model.run_in(row)
    assert found is not None
    return found


def settled(page: RunsPage) -> Callable[[], bool]:
    return lambda: page.model.is_current


def test_that_any_place_of_a_long_list_can_be_seen(many, qtbot):
    assert many.model.rowCount() == MANY
    for row in (50_000, 99_990, 200, 77_777):
        assert scroll_to(many, qtbot, row).name == f"run {MANY - 1 - row:06}"


def test_that_rows_to_come_are_empty_and_say_so(many):
    index = many.model.index(60_000, 0)
    assert many.model.data(index) is None
    assert many.model.data(index, Qt.ItemDataRole.AccessibleTextRole) == "Loading"


def test_that_pages_scrolled_past_are_not_asked_for(many, replay, qtbot):
    asked = len(replay.backend.asked)
    bar = many.table.verticalScrollBar()
    for row in range(1000, 60_000, 500):
        bar.setValue(row * ROW_HEIGHT)
    scroll_to(many, qtbot, 60_000)
    offsets = {offset for *_question, offset, _limit in replay.backend.asked[asked:]}
    assert offsets <= {59_800, 60_000, 60_200}


def test_that_memory_stays_flat_however_far_one_scrolls(many, qtbot):
    for row in range(0, 40_000, 2000):
        scroll_to(many, qtbot, row)
    assert many.model.pages_kept <= KEPT
    gc.collect()
    held = sum(1 for run in many.model.runs)
    assert held <= KEPT * PAGE


def test_that_the_whole_list_is_sorted_not_what_is_here(many, qtbot):
    many.model.set_sort("loss", False)
    qtbot.waitUntil(settled(many), timeout=10_000)
    assert [run.loss for run in many.model.runs[:3]] == [0.0, 1.0, 2.0]
    assert scroll_to(many, qtbot, 70_000).loss == 70_000.0
    many.model.set_sort("name", True)
    qtbot.waitUntil(settled(many), timeout=10_000)
    assert many.table.verticalScrollBar().value() == 0
    assert many.model.runs[0].name == f"run {MANY - 1:06}"


def test_that_a_search_with_operators_reaches_the_whole_list(many, qtbot):
    many.search.setText("state:failed tag:t50")
    qtbot.waitUntil(lambda: many.model.is_current and many.model.total < MANY, timeout=10_000)
    assert many.model.total == MANY // 100
    assert scroll_to(many, qtbot, 900).tags == ["t50"]
    many.search.clear()
    qtbot.waitUntil(lambda: many.model.is_current and many.model.total == MANY, timeout=10_000)


def test_that_a_new_run_moves_nothing_that_is_being_read(many, replay, qtbot):
    top = scroll_to(many, qtbot, 5000)
    replay.backend.add(demo_spec("new"), created=1e9)
    qtbot.waitUntil(lambda: many.model.total == MANY + 1 and many.model.is_current, timeout=10_000)
    row = many.table.verticalScrollBar().value() // ROW_HEIGHT
    assert many.model.run_in(row).uid == top.uid
    assert row == 5001


def test_that_a_new_run_is_seen_by_somebody_at_the_top(many, replay, qtbot):
    replay.backend.add(demo_spec("new"), created=1e9)
    qtbot.waitUntil(lambda: many.model.run_in(0).name == "new", timeout=10_000)
    assert many.table.verticalScrollBar().value() == 0


def test_that_a_change_of_state_resets_nothing(many, replay, qtbot):
    resets: list[object] = []
    many.model.modelReset.connect(lambda: resets.append(1))
    uid = replay.backend.add(demo_spec("new"), created=1e9)
    qtbot.waitUntil(lambda: many.model.run_in(0).name == "new", timeout=10_000)
    many.table.selectRow(3)
    chosen = many.picked.uids
    replay.backend.play(uid, before_training())
    qtbot.waitUntil(lambda: many.model.run_in(0).state is RunState.RUNNING and many.model.is_current, timeout=10_000)
    assert resets == []
    assert many.picked.uids == chosen
    assert many.table.currentIndex().row() == 3


def test_that_the_marks_go_with_their_run(many, replay, qtbot):
    many.table.selectRow(2)
    chosen = many.model.run_in(2)
    replay.backend.add(demo_spec("new"), created=1e9)
    qtbot.waitUntil(lambda: many.model.run_in(3) is not None and many.model.run_in(3).uid == chosen.uid, timeout=10_000)
    marked = many.table.selectionModel().selectedRows()
    assert [index.row() for index in marked] == [3]
    assert many.table.currentIndex().row() == 3
    many.model.set_sort("name", False)
    qtbot.waitUntil(settled(many), timeout=10_000)
    assert many.picked.uids == [chosen.uid]


def test_that_all_that_match_are_picked_also_what_is_not_here(many, qtbot):
    many.search.setText("tag:t5")
    qtbot.waitUntil(lambda: many.model.is_current and many.model.total == MANY // 100, timeout=10_000)
    many.table.setFocus()
    qtbot.keyClick(many.table, Qt.Key.Key_A, Qt.KeyboardModifier.ControlModifier)
    qtbot.waitUntil(lambda: len(many.picked) == MANY // 100, timeout=10_000)
    assert many.findChild(object, "runs.bulk").isVisible()
    assert many.picked.of == 0


def test_that_more_than_can_be_done_at_once_is_said(many, qtbot):
    many.table.setFocus()
    qtbot.keyClick(many.table, Qt.Key.Key_A, Qt.KeyboardModifier.ControlModifier)
    qtbot.waitUntil(lambda: len(many.picked) == MAX_BULK, timeout=10_000)
    assert many.picked.of == MANY
    assert "100,000" in many.findChild(object, "runs.bulk.note").accessibleName()


def test_that_a_range_over_rows_that_are_not_here_is_picked(many, qtbot):
    many.table.selectRow(0)
    scroll_to(many, qtbot, 600)
    index = many.model.index(600, 0)
    place = many.table.visualRect(index).center()
    qtbot.mouseClick(many.table.viewport(), Qt.MouseButton.LeftButton, Qt.KeyboardModifier.ShiftModifier, place)
    qtbot.waitUntil(lambda: len(many.picked) == 601, timeout=10_000)
    qtbot.mouseClick(many.table.viewport(), Qt.MouseButton.LeftButton, pos=place)
    assert many.picked.uids == [many.model.run_in(600).uid]


def test_that_ctrl_adds_and_takes_away(many, qtbot):
    control = Qt.KeyboardModifier.ControlModifier
    for row in (1, 4, 6, 4):
        place = many.table.visualRect(many.model.index(row, 0)).center()
        qtbot.mouseClick(many.table.viewport(), Qt.MouseButton.LeftButton, control, place)
    assert many.picked.uids == [many.model.run_in(row).uid for row in (1, 6)]
    qtbot.keyClick(many.table, Qt.Key.Key_Escape)
    assert len(many.picked) == 0


def test_that_deleted_runs_leave_list_and_marks(replay, qtbot):
    uids = [replay.backend.add(demo_spec(name), created=n) for n, name in enumerate("abc")]
    page = replay.window.page
    qtbot.waitUntil(lambda: page.model.total == 3 and page.model.is_current)
    page.picked.set(page.model.runs)
    replay.backend.delete(uids[1])
    qtbot.waitUntil(lambda: page.model.total == 2)
    assert page.picked.uids == [uids[2], uids[0]]
    assert page.model.index(2, 0) == QModelIndex()


def test_that_much_news_does_not_keep_the_list_from_coming(replay, qtbot):
    page = replay.window.page
    uids = [replay.backend.add(demo_spec(f"r{n}"), created=n) for n in range(8)]
    for _round in range(30):
        for uid in uids:
            replay.backend.move(uid, pinned=_round % 2 == 0)
    qtbot.waitUntil(lambda: page.model.total == 8 and page.model.is_current)


def test_pages_that_are_seen_stay_and_the_oldest_goes():
    pages = RunPages()
    runs = [RunSummary.model_construct(uid=f"u{n}", name="") for n in range(PAGE)]
    for number in range(KEPT + 3):
        pages.put(number, [run.model_copy(update={"uid": f"{number}-{run.uid}"}) for run in runs], keep=[0])
    assert len(pages) == KEPT
    assert pages.row_of("0-u7") == 7
    assert pages.row_of("1-u7") is None
    assert pages.at((KEPT + 2) * PAGE + 3).uid == f"{KEPT + 2}-u3"
    pages.age()
    assert pages.touch(0) is False
    assert pages.at(0) is not None
