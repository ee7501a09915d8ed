"""The Adapters page: found, sorted, marked, brought in, saved, removed; by mouse and keyboard, with what goes wrong."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QApplication, QLabel, QMenu, QMessageBox, QPushButton

from engine.contract.adapter_library import AdapterEntry
from engine.contract.errors import UserError
from engine.contract.states import RunState
from forge_desktop.bridge import fake_adapters
from forge_desktop.models.adapters_model import PLACE
from forge_desktop.pages.adapters_page import AdaptersPage
from forge_desktop.panels.adapter_dialogs import ImportAdapterDialog, ModulesDialog, SmallerDialog
from tests.desktop.dropping import drop
from tests.helpers.journals import demo_spec

pytestmark = pytest.mark.slow
Key = Qt.Key


@pytest.fixture
def page(replay, qtbot) -> AdaptersPage:
    """The page over the pretended library."""
    fake_adapters.fill(replay.backend, time.time())
    replay.window.go("adapters")
    found = replay.window.page
    assert isinstance(found, AdaptersPage)
    qtbot.waitUntil(lambda: len(found.model.rows) == 7)
    return found


def names(page: AdaptersPage) -> list[str]:
    return [one.name for one in page.model.rows]


def named(page: AdaptersPage, name: str) -> AdapterEntry:
    return next(one for one in page.model.all if one.name == name)


def show(page: AdaptersPage, name: str) -> AdapterEntry:
    """Mark one."""
    one = named(page, name)
    page.table.pick([one.id])
    return one


def press(page: AdaptersPage, name: str) -> None:
    """A button beside the table; those of the adapter before may not be gone yet."""
    page.detail.findChildren(QPushButton, name)[-1].click()


def test_an_empty_library_says_what_to_do(replay, qtbot):
    replay.window.go("adapters")
    page = replay.window.page
    qtbot.waitUntil(lambda: page.state() == "none")
    page._hints["none"].findChild(QPushButton, "hint.action").click()
    assert isinstance(QApplication.activeModalWidget(), ImportAdapterDialog)
    QApplication.activeModalWidget().reject()


def test_it_is_searched_sorted_and_shown_by_base(page, qtbot):
    assert names(page)[0] == "support-zh-v7"
    page.search.setText("qwen TICKETS")
    assert names(page) == ["support-zh-v7", "support-zh-v3"]
    page.search.setText("nothing")
    assert page.state() == "no_match"
    page.search.clear()
    page.table.horizontalHeader().sectionClicked.emit(PLACE["score"])
    assert names(page)[0] == "dates-iso"
    assert names(page)[-2:] == ["legal-notes-with-a-rather-long-name", "french-style"]  # those without a score
    page.bases.set_value("gemma-3-12b-it")
    page.bases.activated.emit(page.bases.currentIndex())
    assert names(page) == ["med-qa"]


def test_what_is_gone_or_made_for_other_weights_is_marked(page):
    marked = {one.name: page.model.mark(one)[2] for one in page.model.all if page.model.mark(one)[2]}
    assert marked == {"support-zh-v3": "Other base", "dates-iso": "File is gone"}
    gone = show(page, "dates-iso")
    assert all(page.why_not(gone)[key] for key in ("serve", "chat", "export_file", "smaller", "modules"))


def test_the_card_is_shown_and_its_hash_copied(page, qtbot):
    one = show(page, "sql-generator")
    assert page.detail.one == one
    texts = {made.text() for made in page.detail.findChildren(QLabel)}
    assert {"DoRA · 64", "α/√r", "147.8 MB", "87.1%"} <= texts
    press(page, "adapters.copy.file")
    assert QGuiApplication.clipboard().text() == one.card.file_hash


def test_links_lead_to_run_and_dataset(page, replay, qtbot):
    show(page, "sql-generator")
    told = []
    page.told.connect(told.append)
    press(page, "adapters.of.dataset")
    qtbot.waitUntil(lambda: bool(told))
    assert "text-to-sql" in told[0]  # the library has none of that name
    press(page, "adapters.of.run")
    qtbot.waitUntil(lambda: replay.window.address == f"run/{named(page, 'sql-generator').run}")


def test_serve_is_passed_on(page, replay, qtbot):
    one = show(page, "sql-generator")
    press(page, "adapters.serve")
    qtbot.waitUntil(lambda: replay.window.address == f"serving/new/{one.id}")
    qtbot.waitUntil(lambda: QApplication.activeModalWidget() is not None)
    QApplication.activeModalWidget().reject()


def test_chat_opens_the_playground_with_the_run_that_made_it(page, replay, qtbot):
    one = show(page, "sql-generator")
    press(page, "adapters.chat")
    qtbot.waitUntil(lambda: replay.window.address == f"playground/run/{one.run}")


def test_a_dropped_file_is_brought_in_and_shown(page, qtbot, replay):
    assert drop(page, Path("/data/one.lora.arrow"), Path("/data/two"))
    dialog = QApplication.activeModalWidget()
    assert dialog.path.text() == "/data/one.lora.arrow"
    dialog.name.setText("one")
    dialog.go.click()
    qtbot.waitUntil(lambda: dialog.path.text() == "/data/two")
    dialog.go.click()
    qtbot.waitUntil(lambda: [asked.path for asked in replay.backend.imports] == ["/data/one.lora.arrow", "/data/two"])
    qtbot.waitUntil(lambda: page.picked() is not None and page.picked().name == "two")
    assert len(page.model.all) == 9


def test_one_that_is_there_already_is_told_as_that(page, qtbot, replay):
    said = []
    page.told.connect(said.append)
    for number in (1, 2):
        page.import_all(["/data/one.lora.arrow"]).go.click()
        qtbot.waitUntil(lambda count=number: len(said) == count)
        qtbot.waitUntil(lambda: len(page.model.all) == 8)
    assert said == ["'one.lora.arrow' is in the library.",
                    "'one.lora.arrow' was in the library already: nothing was added."]  # fmt: skip


def test_what_is_no_adapter_is_told_in_words_and_nothing_is_brought_in(page, qtbot, replay):
    error = UserError("lora.file_broken", path="/data/torn.lora.arrow", detail="the end is missing")
    replay.backend.import_error = error
    dialog = page.import_all(["/data/torn.lora.arrow"])
    dialog.go.click()
    qtbot.waitUntil(lambda: dialog.error.isVisibleTo(dialog))
    assert "cannot be read" in dialog.error.what.text()
    assert dialog.go.isEnabled()
    dialog.path.clear()
    assert not dialog.go.isEnabled()
    assert dialog.go.toolTip()
    dialog.reject()
    assert len(page.model.all) == 7


def test_only_what_was_brought_in_is_removed_and_that_is_asked_before(page, qtbot):
    of_run = named(page, "med-qa")
    menu = QMenu(page)
    page.fill_menu(menu, of_run)
    entry = next(action for action in menu.actions() if action.objectName() == "adapters.menu.remove")
    assert not entry.isEnabled()
    assert "med-qa" in entry.toolTip()
    page.do("remove", named(page, "french-style"))
    box = QApplication.activeModalWidget()
    assert isinstance(box, QMessageBox)
    box.findChild(QPushButton, "adapters.remove.yes").click()
    qtbot.waitUntil(lambda: "french-style" not in names(page))


def test_a_copy_is_saved_whole_beside_the_window(page, qtbot, replay, tmp_path):
    source = tmp_path / "source.lora.arrow"
    source.write_bytes(b"x" * 3_000_000)
    one = named(page, "med-qa").model_copy(update={"path": str(source)})
    page.export(one, str(tmp_path / "copy"))
    target = tmp_path / "copy.lora.arrow"
    qtbot.waitUntil(lambda: any(t.state == "done" for t in replay.window.actions_of_runs.transfers.list))
    assert target.read_bytes() == source.read_bytes()
    page.export(one.model_copy(update={"path": "/nowhere/gone.lora.arrow"}), str(tmp_path / "other"))
    qtbot.waitUntil(lambda: any(t.state == "failed" for t in replay.window.actions_of_runs.transfers.list))
    assert sorted(path.name for path in tmp_path.glob("*.arrow")) == ["copy.lora.arrow", "source.lora.arrow"]


def test_smaller_is_asked_for_only_where_something_changes(page, qtbot, replay):
    page.do("smaller", named(page, "med-qa"))
    dialog = page.findChild(SmallerDialog)
    dialog.storage.set_value("same")
    assert not dialog.go.isEnabled()
    dialog.ranks.set_value("0.05")
    dialog.go.click()
    qtbot.waitUntil(lambda: bool(replay.backend.smaller))
    asked = replay.backend.smaller[0]
    assert (asked.storage, asked.error, asked.name) == (None, 0.05, "med-qa-small")
    qtbot.waitUntil(lambda: "med-qa-small" in names(page))


def test_modules_are_listed_on_demand(page, qtbot):
    page.do("modules", named(page, "support-zh-v7"))
    dialog = page.findChild(ModulesDialog)
    qtbot.waitUntil(lambda: len(dialog.model.rows) == 196)
    ranks = {dialog.model.cell_text(one, "rank") for one in dialog.model.rows}
    assert ranks == {"8", "16"}
    dialog.accept()


def test_a_run_that_ends_brings_its_adapter_by_itself(page, qtbot, replay):
    uid = replay.backend.add(demo_spec("later"), created=1.0)
    later = named(page, "med-qa").model_copy(update={"id": f"{uid}/1", "name": "later", "created": time.time()})
    replay.backend.shelf.insert(0, later)
    replay.backend.move(uid, state=RunState.COMPLETED)
    qtbot.waitUntil(lambda: names(page)[0] == "later")


def test_an_error_and_being_offline_are_told(page, qtbot, replay):
    replay.backend.adapters_error = UserError("history.damaged", path="/x", detail="page 12")
    page.model.fetch()
    qtbot.waitUntil(lambda: page._error.isVisibleTo(page))
    assert len(page.model.rows) == 7  # what was known stays
    replay.desktop.session.offline.emit(UserError("controller.unreachable", detail="", log="").body())
    assert not page._import.isEnabled()
    assert page._import.toolTip()
    replay.desktop.session.online.emit()


def test_keys_sort_and_open_the_menu(page, qtbot):
    page.table.setFocus()
    page.table.setCurrentIndex(page.model.index(0, PLACE["name"]))
    qtbot.keyClick(page.table, Key.Key_S, Qt.KeyboardModifier.ControlModifier)
    assert names(page)[0] == "dates-iso"
    qtbot.keyClick(page.table, Key.Key_Menu)
    menu = page.findChild(QMenu, "adapters.menu")
    assert menu is not None
    menu.close()
