"""The editor of chat templates: live rendering, mistakes with their line, the X-ray through what was written."""

from __future__ import annotations

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QApplication, QPushButton

from engine.contract.templates import template_text
from forge_desktop.pages.dataset_page import DatasetPage
from forge_desktop.panels.template_dialog import TemplateDialog
from tests.desktop.sheets_datasets import FIGURES, OWN, XRAY, rendering
from tests.desktop.test_datasets import dataset

pytestmark = pytest.mark.slow
Key = Qt.Key


@pytest.fixture
def page(replay, qtbot) -> DatasetPage:
    answers = replay.backend.data_answers
    answers["xray"] = XRAY.model_dump(mode="json")
    answers["data_statistics"] = FIGURES.model_dump(mode="json")
    answers["render_template"] = rendering
    shown = dataset(replay, qtbot, tab="xray")
    qtbot.waitUntil(lambda: shown.tokens.answer is not None)
    return shown


def opened(page, qtbot) -> TemplateDialog:
    qtbot.mouseClick(page.findChild(QPushButton, "xray.template"), Qt.MouseButton.LeftButton)
    dialog = QApplication.activeModalWidget()
    assert isinstance(dialog, TemplateDialog)
    qtbot.waitUntil(lambda: dialog.model.rendered is not None)
    return dialog


def learned(dialog) -> str:
    """The text that is underlined in the rendering."""
    found, block = "", dialog.view.document().begin()
    while block.isValid():
        pieces = block.begin()
        while not pieces.atEnd():
            piece = pieces.fragment()
            found += piece.text() if piece.charFormat().fontUnderline() else ""
            pieces += 1
        block = block.next()
    return found


def test_the_models_own_template_stands_there_and_what_is_learned_is_marked(page, qtbot):
    dialog = opened(page, qtbot)
    assert dialog.edit.toPlainText() == OWN
    assert learned(dialog).startswith("I am sorry about that.")
    assert learned(dialog).endswith("<|im_end|>")
    assert "<|im_start|>user" in dialog.view.toPlainText()
    assert "characters are learned" in dialog._facts.text()
    assert dialog.findChild(QPushButton, "template.use").isEnabled()


def test_a_mistake_is_said_with_its_line_and_keeps_it_from_being_used(page, qtbot):
    dialog = opened(page, qtbot)
    dialog.edit.selectAll()
    qtbot.keyClicks(dialog.edit, "{% for turn in messages %}")
    qtbot.keyClick(dialog.edit, Key.Key_Return)
    qtbot.keyClicks(dialog.edit, "oh")
    qtbot.waitUntil(lambda: dialog.model.error is not None)
    use = dialog.findChild(QPushButton, "template.use")
    assert "Line 2" in dialog.error.why.text()
    assert [one.cursor.blockNumber() for one in dialog.edit.extraSelections()] == [1]
    assert not use.isEnabled()
    assert use.toolTip() == "Mend what is wrong first."
    qtbot.keyClicks(dialog.edit, "{% endfor %}")
    qtbot.waitUntil(use.isEnabled)
    assert not dialog.edit.extraSelections()
    assert not dialog.error.isVisibleTo(dialog)


def test_what_is_written_is_what_the_x_ray_and_the_figures_look_through(replay, page, qtbot):
    asked = list[tuple[str, object]]()
    for kind, found in (("xray", XRAY), ("data_statistics", FIGURES)):
        answer = found.model_dump(mode="json")
        replay.backend.data_answers[kind] = lambda params, kind=kind, answer=answer: (
            asked.append((kind, params["template"])) or answer
        )
    dialog = opened(page, qtbot)
    place = next(n for n in range(dialog.begin.count()) if dialog.begin.itemData(n) == "llama3")
    dialog.begin.setCurrentIndex(place)
    dialog.begin.activated.emit(place)
    text = template_text("llama3")
    qtbot.waitUntil(lambda: dialog.model.rendered is not None and dialog.edit.toPlainText() == text)
    assert "llama.cpp" in dialog._from.text() or dialog._from.text()
    dialog.model.go(3)
    qtbot.waitUntil(lambda: dialog.model.rendered is not None)
    qtbot.mouseClick(dialog.findChild(QPushButton, "template.use"), Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: asked == [("xray", text)])
    assert page.tokens.row == 3
    page.show_tab("statistics")
    qtbot.waitUntil(lambda: ("data_statistics", text) in asked)
    page.show_tab("xray")
    own = page.findChild(QPushButton, "xray.own")
    assert own.isVisibleTo(page)
    qtbot.mouseClick(own, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: asked[-1] == ("xray", None))
    assert not own.isVisibleTo(page)


def test_the_models_own_is_no_other_template(page, qtbot):
    dialog = opened(page, qtbot)
    qtbot.mouseClick(dialog.findChild(QPushButton, "template.use"), Qt.MouseButton.LeftButton)
    assert page.tokens.template is None


def test_by_keyboard_alone_the_text_is_copied_and_a_former_one_is_gone_on_with(page, qtbot):
    dialog = opened(page, qtbot)
    assert dialog.edit.hasFocus()
    qtbot.keyClicks(dialog.edit, "x")
    changed = "x" + OWN
    seen = set()
    while (name := QApplication.focusWidget().objectName()) not in seen:
        seen.add(name)
        if name == "template.copy":
            qtbot.keyClick(QApplication.focusWidget(), Key.Key_Space)
        qtbot.keyClick(QApplication.focusWidget(), Key.Key_Tab)
    assert {"template.begin", "template.text", "template.row", "template.copy", "template.cancel"} <= seen
    assert QGuiApplication.clipboard().text() == changed
    qtbot.waitUntil(lambda: dialog.model.rendered is not None)
    dialog._go.setFocus()
    qtbot.keyClick(dialog._go, Key.Key_Space)
    assert page.tokens.template == changed
    again = opened(page, qtbot)
    assert again.edit.toPlainText() == changed
    assert again.begin.value() == "tried"


def test_a_helper_that_is_slow_does_not_answer_for_what_was_written_since(replay, page, qtbot):
    dialog = opened(page, qtbot)
    dialog.edit.setPlainText("{% for a in b %}")
    dialog.model.ask()
    dialog.edit.setPlainText("fine")
    qtbot.waitUntil(lambda: dialog.model.rendered is not None)
    assert dialog.model.rendered.template == "fine"
    assert dialog.model.error is None
