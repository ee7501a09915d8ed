"""The wizard by keyboard alone, and where the keyboard stands."""

from __future__ import annotations

import pytest
from PySide6.QtCore import QEvent, QObject, Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QLineEdit, QPushButton, QWidget

from engine.contract.states import RunState
from forge_desktop.pages.run_page import RunPage
from forge_desktop.wizard.catalogue_tree import CatalogueTree
from forge_desktop.wizard.wizard_page import WizardPage

CTRL, ALT, NONE = Qt.KeyboardModifier.ControlModifier, Qt.KeyboardModifier.AltModifier, Qt.KeyboardModifier.NoModifier


def press(key: Qt.Key, modifier: Qt.KeyboardModifier = NONE, times: int = 1) -> None:
    """Keys go to whatever holds the keyboard, as on a real desk."""
    for _ in range(times):
        QTest.keyClick(QApplication.focusWidget() or QApplication.activeWindow(), key, modifier)


def write(text: str) -> None:
    QTest.keyClicks(QApplication.focusWidget(), text)


def holder() -> str:
    widget = QApplication.focusWidget()
    return widget.objectName() if widget is not None else ""


def tab_to(name: str) -> None:
    """Tab until a control has the keyboard; every one must be reached within a round."""
    for _ in range(400):
        if holder() == name:
            return
        press(Qt.Key.Key_Tab)
    pytest.fail(f"Tab never comes to {name}")


@pytest.fixture
def page(replay, qtbot) -> WizardPage:
    window = replay.window
    window.activateWindow()
    qtbot.waitUntil(lambda: QApplication.activeWindow() is window)
    qtbot.keyClick(window, Qt.Key.Key_N, CTRL)
    made = window.page
    assert isinstance(made, WizardPage)
    qtbot.waitUntil(lambda: made.is_built)
    return made


def test_that_a_run_is_made_and_started_without_a_mouse(replay, page, qtbot):
    qtbot.waitUntil(lambda: holder() == "wizard.catalogue.search")
    tab_to("wizard.model.demo")
    press(Qt.Key.Key_Space)
    qtbot.waitUntil(lambda: bool(page.draft.model_facts))

    press(Qt.Key.Key_Right, ALT)
    assert holder() == "wizard.data.path"
    tab_to("wizard.data.demo")
    press(Qt.Key.Key_Space)
    qtbot.waitUntil(lambda: bool(page.draft.data_facts))

    press(Qt.Key.Key_PageDown, CTRL)
    assert holder().startswith("field.tuner.kind")
    tab_to("wizard.preset.balanced")
    press(Qt.Key.Key_Right)  # the arrows choose among the three
    assert page.draft.preset.id == "thorough"
    press(Qt.Key.Key_Left)
    assert page.draft.preset.id == "balanced"
    tab_to("wizard.rank.slider")
    press(Qt.Key.Key_Right)
    assert (page.draft.get("tuner.rank"), page.draft.get("tuner.alpha")) == (32, 64)
    tab_to("field.training.epochs")
    press(Qt.Key.Key_A, CTRL)
    write("2")

    press(Qt.Key.Key_4, ALT)
    press(Qt.Key.Key_Return, CTRL)
    assert holder() == "field.name"
    press(Qt.Key.Key_A, CTRL)
    write("by-keyboard")
    qtbot.waitUntil(lambda: page.findChild(QPushButton, "wizard.next").isEnabled())
    press(Qt.Key.Key_Return, CTRL)
    qtbot.waitUntil(lambda: isinstance(replay.window.page, RunPage))
    run = replay.backend.runs([], "", 0, 1).runs[0]
    assert (run.name, run.state) == ("by-keyboard", RunState.QUEUED)
    job = replay.backend.run(run.uid).spec.job
    assert (job.tuner.rank, job.training.epochs, job.model.hub) == (32, 2, "bundled")


def test_that_a_model_is_searched_and_picked_by_arrows(page, qtbot):
    qtbot.waitUntil(lambda: holder() == "wizard.catalogue.search")
    write("qwen3 8b")
    press(Qt.Key.Key_Down)
    assert holder() == "wizard.catalogue"
    press(Qt.Key.Key_Down)
    while page.findChild(CatalogueTree).currentIndex().data() != "8B":
        press(Qt.Key.Key_Down)
    press(Qt.Key.Key_Return)
    assert (page.draft.get("model.path"), page.draft.get("model.hub")) == ("Qwen/Qwen3-8B", "huggingface")
    assert page.draft.targets()[0] == "q_proj"


def test_that_families_open_and_close_by_arrows(page, qtbot):
    tree = page.findChild(CatalogueTree)
    tree.setFocus()
    first = tree.currentIndex()
    press(Qt.Key.Key_Right)
    assert tree.isExpanded(first)
    press(Qt.Key.Key_Left)
    assert not tree.isExpanded(first)


def test_that_starting_too_early_leads_to_what_is_missing(page, qtbot):
    press(Qt.Key.Key_Return, CTRL)
    assert page.findChild(QPushButton, "wizard.step.review").property("state") == "now"
    press(Qt.Key.Key_Return, CTRL)
    assert holder() in ("field.name", "wizard.catalogue.search", "wizard.data.path")
    assert page.draft.problems


def test_that_a_line_of_the_list_leads_to_its_field(page, qtbot):
    page.draft.set("training.weight_decay", -0.1)
    before = page.findChild(QWidget, "wizard.before")
    line = before.findChild(QPushButton, "wizard.check.training.weight_decay")
    assert "Weight decay" in line.accessibleName()
    qtbot.waitUntil(line.isVisible)
    line.setFocus()
    press(Qt.Key.Key_Space)
    assert holder() == "field.training.weight_decay"
    assert page.findChild(QLineEdit, "field.training.weight_decay").isVisible()


def test_that_every_step_gives_the_keyboard_to_its_first_field(page, qtbot):
    first = ["wizard.catalogue.search", "wizard.data.path", "field.tuner.kind", "field.compute.gpus", "field.name"]
    for place, name in enumerate(first):
        press(Qt.Key(Qt.Key.Key_1 + place), ALT)
        assert holder().startswith(name)
    press(Qt.Key.Key_PageUp, CTRL)
    assert holder() == "field.compute.gpus"
    press(Qt.Key.Key_Left, ALT)
    assert holder().startswith("field.tuner.kind")


class _Windows(QObject):
    """Notes every widget that is shown as a window of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.shown: list[QObject] = []

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if event.type() == QEvent.Type.Show and watched.isWidgetType() and watched.isWindow():
            self.shown.append(watched)
        return False


def test_that_no_part_of_the_wizard_is_a_window_for_a_moment(replay, qtbot):
    """Such a window would take the keyboard away from the real one."""
    watch = _Windows()
    QApplication.instance().installEventFilter(watch)
    replay.window.go("new")
    replay.window.page.draft.set_model("demo", "bundled")
    qtbot.waitUntil(lambda: bool(replay.window.page.draft.model_facts))
    QApplication.instance().removeEventFilter(watch)
    assert watch.shown == []
