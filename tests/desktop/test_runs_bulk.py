"""Deeds for many runs, tags, the search's help and its saved searches."""

from __future__ import annotations

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import (
    QApplication,
    QDialog,
    QLabel,
    QLineEdit,
    QListWidget,
    QMenu,
    QMessageBox,
    QPushButton,
    QWidget,
)

from engine.contract.states import RunState
from forge_desktop.models.runs_model import Question
from forge_desktop.models.search_operators import MEANINGS, OPERATORS, completions, with_term, without_value
from forge_desktop.pages.runs_page import RunsPage
from forge_desktop.panels.saved_menu import ManageDialog, NameDialog, fill_saved_menu
from tests.helpers.journals import before_training, demo_spec

pytestmark = pytest.mark.slow


def page_of(replay) -> RunsPage:
    assert isinstance(replay.window.page, RunsPage)
    return replay.window.page


def three(replay, qtbot) -> tuple[RunsPage, list[str]]:
    """A run at work, one that waits, one that has ended; all picked."""
    backend = replay.backend
    uids = [backend.add(demo_spec(name), created=9.0 - n) for n, name in enumerate(("works", "waits", "ended"))]
    backend.play(uids[0], before_training())
    backend.move(uids[2], state=RunState.COMPLETED)
    page = page_of(replay)
    qtbot.waitUntil(lambda: page.model.total == 3 and page.model.is_current)
    qtbot.waitUntil(lambda: page.model.runs[0].state is RunState.RUNNING)
    page.picked.set(page.model.runs)
    return page, uids


def press(page: QWidget, name: str) -> None:
    made = page.findChild(QPushButton, name)
    assert made is not None
    assert made.isEnabled(), made.toolTip()
    made.click()


def dialog(name: str) -> QDialog:
    found = [made for made in QApplication.topLevelWidgets() if made.objectName() == name and made.isVisible()]
    assert len(found) == 1
    assert isinstance(found[0], QDialog)
    return found[0]


def state_of(replay, uid: str) -> RunState:
    return replay.backend.run(uid).run.state


def test_that_stop_asks_once_and_offers_to_save_first(replay, qtbot):
    page, uids = three(replay, qtbot)
    press(page, "runs.bulk.stop")
    box = dialog("question")
    assert isinstance(box, QMessageBox)
    assert box.defaultButton().text() == "Stop and save checkpoint"
    press(box, "bulk.stop.save")
    qtbot.waitUntil(lambda: state_of(replay, uids[0]) is RunState.STOPPED)
    assert state_of(replay, uids[1]) is RunState.STOPPED
    assert state_of(replay, uids[2]) is RunState.COMPLETED


def test_that_refusals_are_listed_with_their_reason(replay, qtbot):
    page, _uids = three(replay, qtbot)
    press(page, "runs.bulk.stop")
    press(dialog("question"), "bulk.stop.discard")
    qtbot.waitUntil(lambda: any(made.objectName() == "bulk.refused" for made in QApplication.topLevelWidgets()))
    told = dialog("bulk.refused")
    rows = told.findChild(QListWidget, "bulk.refused.list")
    assert rows.count() == 1
    assert rows.item(0).text().startswith("ended: It is Completed")
    assert "2 runs are being stopped." in [made.text() for made in told.findChildren(QLabel)]
    press(told, "bulk.refused.close")


def test_that_delete_names_what_is_lost_and_keeps_unless_told(replay, qtbot):
    page, uids = three(replay, qtbot)
    replay.backend.move(uids[2], pinned=True)
    qtbot.waitUntil(lambda: page.picked.runs[2].pinned)
    press(page, "runs.bulk.delete")
    box = dialog("question")
    assert isinstance(box, QMessageBox)
    assert box.defaultButton().text() == "Keep"
    said = box.informativeText()
    assert "deleted for good" in said
    assert "1 of them is pinned." in said
    assert "1 is at work and stays." in said
    press(box, "bulk.delete.yes")
    qtbot.waitUntil(lambda: page.model.total == 1)
    assert page.picked.uids == [uids[0]]
    qtbot.waitUntil(lambda: any(made.objectName() == "bulk.refused" for made in QApplication.topLevelWidgets()))
    dialog("bulk.refused").close()


def test_that_tags_are_added_and_taken_away(replay, qtbot):
    page, uids = three(replay, qtbot)
    replay.backend.move(uids[0], tags=["old", "kept"])
    qtbot.waitUntil(lambda: page.picked.runs[0].tags == ["old", "kept"])
    press(page, "runs.bulk.tag")
    asked = dialog("tags")
    asked.findChild(QLineEdit, "tags.field").setText("nightly, new，")
    there = asked.findChild(QListWidget, "tags.there")
    there.findItems("old", Qt.MatchFlag.MatchExactly)[0].setCheckState(Qt.CheckState.Unchecked)
    press(asked, "tags.save")
    qtbot.waitUntil(lambda: replay.backend.run(uids[0]).run.tags == ["kept", "nightly", "new"])
    assert replay.backend.run(uids[2]).run.tags == ["nightly", "new"]


def test_that_the_bar_says_why_something_cannot_be_done(replay, qtbot):
    page, uids = three(replay, qtbot)
    page.picked.set(run for run in page.model.runs if run.uid != uids[2])
    start = page.findChild(QPushButton, "runs.bulk.start")
    assert not start.isEnabled()
    assert start.toolTip() == "None of them can be started."
    page.picked.set(page.model.runs[:1])
    assert not page.findChild(QWidget, "runs.bulk").isVisible()


def test_that_two_to_ten_picked_runs_are_compared(replay, qtbot):
    page, _uids = three(replay, qtbot)
    gone: list[str] = []
    page.navigate.connect(gone.append)
    press(page, "runs.compare")
    assert gone == ["compare/" + ",".join(page.picked.uids)]
    page.picked.set(page.model.runs[:1])
    assert not page.findChild(QPushButton, "runs.compare").isEnabled()


def test_that_the_bar_shows_icons_where_words_find_no_room(replay, qtbot):
    replay.window.resize(1440, 900)
    page, _uids = three(replay, qtbot)
    made = page.findChild(QPushButton, "runs.bulk.stop")
    assert "Stop…" in made.text()
    bar = page.findChild(QWidget, "runs.bulk")
    bar.resize(400, bar.height())
    qtbot.waitUntil(lambda: made.text() == "")
    assert made.toolTip() == "Stop…"
    assert made.accessibleName() == "Stop…"


def test_that_an_operator_has_its_chip_and_goes_with_it(replay, qtbot):
    page, _uids = three(replay, qtbot)
    page.search.setText("demo state:completed,failed -tag:old")
    chips = {made.objectName(): made for made in page.findChildren(QPushButton) if "runs.chip." in made.objectName()}
    assert sorted(chips) == ["runs.chip.state", "runs.chip.tag"]
    assert chips["runs.chip.state"].accessibleName() == "Remove state:completed,failed"
    assert "Completed, Failed" in chips["runs.chip.state"].text()
    chips["runs.chip.state"].click()
    assert page.search.text() == "demo -tag:old"


def test_that_a_wrong_operator_is_said_under_the_field_with_the_fix(replay, qtbot):
    page, _uids = three(replay, qtbot)
    page.search.setText("stat:failed")
    said = page.findChild(QLabel, "runs.search.error")
    qtbot.waitUntil(said.isVisible)
    assert "Did you mean 'state'?" in said.text()
    assert page.model.total == 3
    page.search.setText("state:completed")
    qtbot.waitUntil(lambda: not said.isVisible() and page.model.total == 1)


def test_that_the_filter_menu_writes_operators(replay, qtbot):
    page, _uids = three(replay, qtbot)
    menu = QMenu(page)
    page._filter_menu.fill(menu)
    states = menu.actions()[0].menu()
    for name in ("Completed", "Queued"):
        next(action for action in states.actions() if action.text() == name).trigger()
    assert page.search.text() == "state:completed,queued"
    qtbot.waitUntil(lambda: page.model.total == 2)
    again = QMenu(page)
    page._filter_menu.fill(again)
    ticked = [action for action in again.actions()[0].menu().actions() if action.isChecked()]
    assert [action.text() for action in ticked] == ["Queued", "Completed"]
    ticked[0].trigger()
    assert page.search.text() == "state:completed"


def test_that_operators_and_values_are_completed(replay, qtbot):
    page, uids = three(replay, qtbot)
    replay.backend.move(uids[0], tags=["nightly build"])
    qtbot.waitUntil(lambda: page.model.runs[0].tags == ["nightly build"])
    qtbot.keyClicks(page.search, "st")
    assert page.search.offers() == ["state:", "steps<", "started<"]
    QApplication.activePopupWidget().close()
    assert completions("x tag:ni", page.model.runs) == [('"nightly build"', 'x tag:"nightly build"')]
    assert completions("state:run", []) == [("running", "state:running")]


def test_that_the_help_lists_every_operator_and_gives_its_example(replay, qtbot):
    page, _uids = three(replay, qtbot)
    assert MEANINGS.keys() == OPERATORS.keys()
    page.search.setFocus()
    qtbot.keyClick(page.search, Qt.Key.Key_F1)
    popup = QApplication.activePopupWidget()
    assert popup is not None
    press(popup, "runs.search.help.score")
    assert page.search.text() == "score>0.9"


def test_that_values_go_in_and_out_of_a_search():
    assert with_term("words", "tag", "a b") == 'words tag:"a b"'
    assert with_term('tag:"a b" x', "tag", "c") == 'tag:"a b",c x'
    assert without_value('tag:"a b",c x', "tag", "A B") == "tag:c x"
    assert without_value("x tag:c", "tag", "c") == "x"


def test_that_a_search_is_saved_recalled_renamed_and_deleted(make_desktop, qtbot):
    one = make_desktop()
    qtbot.waitUntil(lambda: one.desktop.session.is_online)
    page, _uids = three(one, qtbot)
    page.search.setText("state:completed")
    page.model.set_sort("name", False)
    qtbot.waitUntil(lambda: page.model.is_current)
    asked = NameDialog(page._saved, page.model.question, page)
    asked.open()
    asked.name.setText("done")
    press(asked, "saved.name.save")
    page.search.clear()
    page._filters.button("failed").click()
    qtbot.waitUntil(lambda: page.model.is_current)
    one.desktop.close()
    two = make_desktop()
    again = page_of(two)
    menu = QMenu(again)
    fill_saved_menu(menu, again._saved, again.model, again._recall, again)
    menu.actions()[0].trigger()
    assert again.model.question == Question("all", "state:completed", "name", False)
    assert again.search.text() == "state:completed"
    manage = ManageDialog(again._saved, again)
    manage.open()
    manage.list.item(0).setText("ended")
    assert again._saved.names == ["ended"]
    press(manage, "saved.manage.delete")
    assert again._saved.names == []
    manage.close()
