"""Several drafts, autosave, templates, and config files in and out."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PySide6.QtWidgets import QInputDialog, QLabel, QLineEdit, QMessageBox, QPushButton, QWidget

from engine.contract.config_file import read_config, to_yaml
from engine.contract.run_spec import RunConfig
from forge_desktop.wizard.preset_bar import PresetBar
from forge_desktop.wizard.wizard_page import WizardPage
from tests.desktop.dropping import drop
from tests.helpers.journals import demo_spec

pytestmark = pytest.mark.slow


def wizard(replay, address="new") -> WizardPage:
    replay.window.go(address)
    assert isinstance(replay.window.page, WizardPage)
    return replay.window.page


def answer(page, name):
    """Press a button of the question that is open."""
    box = page.findChild(QMessageBox)
    button = box.findChild(QPushButton, name)
    button.click()


def actions(page) -> list[str]:
    menu = page.findChild(QPushButton, "wizard.drafts").menu()
    menu.aboutToShow.emit()
    return [action.text() for action in menu.actions() if action.text()]


def trigger(page, begins: str) -> None:
    menu = page.findChild(QPushButton, "wizard.drafts").menu()
    menu.aboutToShow.emit()
    next(action for action in menu.actions() if action.text().startswith(begins)).trigger()


def test_that_a_draft_says_when_it_is_on_the_disk(replay, qtbot):
    page = wizard(replay)
    page.draft.set("name", "first")
    saved = page.findChild(QLabel, "wizard.saved")
    qtbot.waitUntil(lambda: saved.text().startswith("Draft saved "))
    file = replay.desktop.preferences._file
    stored = json.loads(file.read_text("utf-8"))["drafts"]
    assert [entry["document"]["name"] for entry in stored.values()] == ["first"]


def test_that_a_draft_that_cannot_be_written_says_so(replay, qtbot):
    file = replay.desktop.preferences._file
    qtbot.waitUntil(file.exists)  # what was set at the start is written
    file.unlink()
    file.mkdir()  # a folder in its place: writing fails for root, too
    page = wizard(replay)
    page.draft.set("name", "first")
    qtbot.waitUntil(lambda: "could not be saved" in page.findChild(QLabel, "wizard.saved").text())
    file.rmdir()


def test_that_several_drafts_wait_side_by_side(replay, qtbot):
    page = wizard(replay)
    page.draft.set("name", "first")
    trigger(page, "New draft")
    qtbot.waitUntil(lambda: replay.window.page is not page)
    second = replay.window.page
    assert second.draft.is_blank
    second.draft.set("name", "second")
    assert any(text.startswith("first") for text in actions(second))
    trigger(second, "first")
    qtbot.waitUntil(lambda: replay.window.page is not second)
    assert replay.window.page.draft.get("name") == "first"


def test_that_drafts_of_the_controller_are_offered_too(replay, qtbot):
    replay.backend.create(demo_spec("on-the-controller"), start=False)
    page = wizard(replay)
    qtbot.waitUntil(lambda: any(text.startswith("on-the-controller") for text in actions(page)))
    trigger(page, "on-the-controller")
    qtbot.waitUntil(lambda: replay.window.page is not page)
    qtbot.waitUntil(lambda: replay.window.page.draft.get("name") == "on-the-controller")


def test_that_starting_over_asks_and_can_keep(replay, qtbot):
    page = wizard(replay)
    page.draft.set("name", "precious")
    page.findChild(QPushButton, "wizard.again").click()
    answer(page, "again.keep")
    qtbot.waitUntil(lambda: replay.window.page is not page)
    assert replay.window.page.draft.is_blank
    assert any(text.startswith("precious") for text in actions(replay.window.page))


@pytest.mark.parametrize(("name", "stays"), [("again.discard", False), ("again.cancel", True)])
def test_that_starting_over_can_discard_or_be_taken_back(replay, qtbot, name, stays):
    page = wizard(replay)
    page.draft.set("name", "precious")
    page.findChild(QPushButton, "wizard.again").click()
    answer(page, name)
    if stays:
        assert replay.window.page.draft.get("name") == "precious"
        return
    qtbot.waitUntil(lambda: replay.window.page is not page)
    assert not any(text.startswith("precious") for text in actions(replay.window.page))


def test_that_starting_over_with_nothing_to_lose_asks_nothing(replay, qtbot):
    page = wizard(replay)
    page.findChild(QPushButton, "wizard.again").click()
    assert page.findChild(QMessageBox) is None
    qtbot.waitUntil(lambda: replay.window.page is not page)


def test_that_an_import_keeps_what_was_there_as_a_draft(replay, qtbot, tmp_path: Path):
    file = tmp_path / "run.yaml"
    file.write_text(to_yaml(RunConfig.from_spec(demo_spec("from-file"))), encoding="utf-8")
    page = wizard(replay)
    page.draft.set("name", "before")
    page.import_file(str(file))
    qtbot.waitUntil(lambda: page.draft.get("name") == "from-file")
    assert any(text.startswith("before") for text in actions(page))


def test_that_a_dropped_config_is_imported(replay, qtbot, tmp_path: Path):
    file = tmp_path / "run.yaml"
    file.write_text(to_yaml(RunConfig.from_spec(demo_spec("dropped"))), encoding="utf-8")
    page = wizard(replay)
    assert drop(page, file)
    assert not drop(page, file, file)
    qtbot.waitUntil(lambda: page.draft.get("name") == "dropped")


@pytest.mark.parametrize("suffix", [".yaml", ".json"])
def test_that_an_exported_config_reads_back_the_same(replay, qtbot, tmp_path: Path, suffix):
    page = wizard(replay)
    page.draft.set_model("demo", "bundled")
    page.draft.set_data("demo", "bundled")
    file = tmp_path / f"out{suffix}"
    written = []
    page._files.write(page.draft.config, str(file), written.append)
    qtbot.waitUntil(lambda: bool(written))
    assert read_config(file) == page.draft.config


def test_that_an_export_that_fails_says_why(replay, qtbot, tmp_path: Path):
    page = wizard(replay)
    page.draft.set_model("demo", "bundled")
    page.draft.set_data("demo", "bundled")
    (tmp_path / "file").write_text("no folder")
    page._files.write(page.draft.config, str(tmp_path / "file" / "f.yaml"), lambda _file: None)
    card = page.findChild(QWidget, "wizard.error")
    qtbot.waitUntil(card.isVisible)
    assert "could not be written" in card.what.text()


def test_that_a_recipe_is_taken_whole_and_taken_back(replay, qtbot):
    page = wizard(replay)
    page.findChild(QPushButton, "wizard.step.training").click()
    page.findChild(QPushButton, "wizard.preset.thorough").click()
    assert page.draft.get("tuner.rank") == 64
    assert page.draft.differs() == []
    page.draft.set("tuner.rank", 8)
    assert page.draft.differs() == ["tuner.rank"]
    assert "1 setting differs" in "".join(made.text() for made in page.findChild(PresetBar).findChildren(QLabel))
    page.findChild(QPushButton, "wizard.preset.reset").click()
    assert page.draft.get("tuner.rank") == 64


def test_that_a_draft_remembers_its_recipe(replay, qtbot):
    page = wizard(replay)
    page.findChild(QPushButton, "wizard.step.training").click()
    page.findChild(QPushButton, "wizard.preset.quick").click()
    replay.window.go("runs")
    assert wizard(replay).draft.preset.id == "quick"


def test_that_a_recipe_is_saved_as_a_template_and_used_again(replay, qtbot):
    page = wizard(replay)
    page.draft.set("training.epochs", 5.0)
    page.findChild(QPushButton, "wizard.step.training").click()
    page.findChild(QPushButton, "wizard.template").click()
    dialog = page.findChild(QInputDialog)
    dialog.findChild(QLineEdit).setText("Five times")
    dialog.accept()
    assert page.draft.preset.name == "Five times"
    assert page.draft.differs() == []
    trigger(page, "New draft")
    qtbot.waitUntil(lambda: replay.window.page is not page)
    page = replay.window.page
    page.findChild(QPushButton, "wizard.step.training").click()
    page.findChild(PresetBar).take(page.presets.own()[0].id)
    assert page.draft.get("training.epochs") == 5


def test_that_a_draft_of_an_earlier_version_is_taken_over(make_desktop, qtbot, tmp_path: Path):
    first = make_desktop()
    document = RunConfig.from_spec(demo_spec("of-old")).document()
    first.desktop.preferences.set("draft", document)
    first.desktop.close()
    second = make_desktop()
    second.window.go("new")
    assert second.window.page.draft.get("name") == "of-old"


def test_that_a_template_goes_out_as_a_file_and_comes_in_again(replay, qtbot, tmp_path: Path):
    page = wizard(replay)
    page.findChild(QPushButton, "wizard.step.training").click()
    bar = page.findChild(PresetBar)
    page.draft.set("training.epochs", 5.0)
    file = tmp_path / "five.yaml"
    bar.export(page.presets.save("Five times", page.draft.document), file)
    qtbot.waitUntil(file.exists)
    page.presets.delete(page.presets.own()[0].id)
    page.draft.set("training.epochs", 1.0)
    file.with_name("bad.yaml").write_text("template: Bad\ntuner: {rank: -1}\n")
    bar.import_file(file.with_name("bad.yaml"))
    qtbot.waitUntil(lambda: page._error.isVisible())
    assert page.presets.own() == []
    bar.import_file(file)
    qtbot.waitUntil(lambda: page.draft.get("training.epochs") == 5)
    assert page.draft.preset.name == "Five times"
    assert not page._error.isVisible()
