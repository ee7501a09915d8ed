"""Commands: the palette, the one table of shortcuts, the sheet, and going back and forward."""

from __future__ import annotations

import ast
from collections import Counter
from pathlib import Path

import pytest
from PySide6.QtCore import QEvent, Qt
from PySide6.QtGui import QGuiApplication, QKeyEvent, QKeySequence, QShortcut
from PySide6.QtWidgets import QApplication, QLineEdit

from engine.contract.states import RunState
from forge_desktop.models.command_table import ALL_ENTRIES, EVERY_KEY
from forge_desktop.models.fuzzy import match
from forge_desktop.models.palette_model import OfferRole
from forge_desktop.pages.run_page import RunPage
from forge_desktop.pages.runs_page import RunsPage
from forge_desktop.panels.shortcuts_sheet import ShortcutsSheet, as_html
from forge_desktop.theme.language import set_language
from forge_desktop.wizard.wizard_page import WizardPage
from tests.desktop.conftest import change_look
from tests.helpers.journals import after_training, before_training, demo_spec, steps

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2] / "forge_desktop"
MAKERS = ("QShortcut", "setShortcut", "setShortcuts", "QKeySequence")
CONTROL, ALT = Qt.KeyboardModifier.ControlModifier, Qt.KeyboardModifier.AltModifier


@pytest.fixture
def window(replay):
    replay.window.activateWindow()
    return replay.window


def type_into(window, qtbot, text: str) -> list[str]:
    """Open the palette, type, and what is offered."""
    if not window.overlays.palette.isVisible():
        qtbot.keyClick(window, Qt.Key.Key_K, CONTROL)
    if text.isascii():
        qtbot.keyClicks(window.overlays.palette.field, text)
    else:
        window.overlays.palette.field.insert(text)  # as an input method does
    return [offer.text for offer in window.overlays.palette.model.offers]


def offers(window) -> dict:
    return {offer.key: offer for offer in window.overlays.palette.model.offers}


def press(window, qtbot, key: Qt.Key) -> None:
    qtbot.keyClick(window.overlays.palette.field, key)


@pytest.mark.parametrize(
    ("typed", "text", "letters"),
    [
        ("dark", "Theme: dark", "dark"),
        ("gtr", "Go to the runs", "Gtr"),
        ("runs go", "Go to the runs", "Goruns"),
        ("深色", "主题：深色", "深色"),
        ("主深", "主题：深色", "主深"),
        ("NEW", "New run", "New"),
    ],
)
def test_that_letters_find_a_name_and_are_marked(typed, text, letters):
    found = match(typed, text)
    assert found is not None
    assert "".join(text[place] for place in sorted(found.places)) == letters


@pytest.mark.parametrize(
    ("typed", "text"), [("xyz", "Go to the runs"), ("runz", "Go to the runs"), ("ek", "Theme: dark")]
)
def test_that_other_letters_do_not(typed, text):
    assert match(typed, text) is None


def test_that_a_whole_word_counts_more_than_scattered_letters():
    assert match("run", "New run").score > match("run", "Return under nothing").score
    assert match("new", "New run").score > match("new", "Renewed").score


def test_that_ctrl_k_opens_the_palette_also_from_a_field_and_esc_gives_the_keyboard_back(window, qtbot):
    window.page.search.setFocus()
    qtbot.keyClick(window.page.search, Qt.Key.Key_K, CONTROL)
    palette = window.overlays.palette
    assert palette.isVisible()
    assert palette.field.hasFocus()
    qtbot.keyClick(palette.field, Qt.Key.Key_Tab)
    assert palette.field.hasFocus(), "the keyboard stays in the palette"
    press(window, qtbot, Qt.Key.Key_Escape)
    assert not palette.isVisible()
    assert window.page.search.hasFocus()
    assert window.address == "runs"


def test_that_a_text_field_leaves_ctrl_k_to_the_palette(window, qtbot):
    """Where the desktop has Ctrl+K delete to the end of the line, fields would claim the key."""

    class Claiming(QLineEdit):
        def event(self, event: QEvent) -> bool:
            if event.type() == QEvent.Type.ShortcutOverride:
                event.accept()
                return True
            return super().event(event)

    field = Claiming(window.page)
    field.show()
    field.setFocus()
    for key, claimed in ((Qt.Key.Key_J, True), (Qt.Key.Key_K, False)):
        claim = QKeyEvent(QEvent.Type.ShortcutOverride, key, CONTROL)
        claim.ignore()
        QApplication.sendEvent(field, claim)
        assert claim.isAccepted() is claimed


def test_that_a_command_is_found_chosen_and_done_by_keyboard_alone(window, qtbot):
    assert type_into(window, qtbot, "new run")[0] == "New run"
    press(window, qtbot, Qt.Key.Key_Return)
    assert isinstance(window.page, WizardPage)
    assert not window.overlays.palette.isVisible()


def test_that_the_arrows_choose_and_wrap(window, qtbot):
    type_into(window, qtbot, "theme")
    view, number = window.overlays.palette.view, len(window.overlays.palette.model.offers)
    assert number > 2
    press(window, qtbot, Qt.Key.Key_Down)
    assert view.currentIndex().row() == 1
    press(window, qtbot, Qt.Key.Key_Up)
    press(window, qtbot, Qt.Key.Key_Up)
    assert view.currentIndex().row() == number - 1
    press(window, qtbot, Qt.Key.Key_PageUp)
    assert view.currentIndex().row() == 0


def test_that_english_words_work_in_chinese_and_are_shown(replay, qtbot):
    change_look(replay.desktop, "light", "zh_CN")
    assert type_into(replay.window, qtbot, "dark")[0] == "主题：深色"
    first = replay.window.overlays.palette.model.offers[0]
    assert first.detail == "Theme: dark"
    assert "".join(first.detail[place] for place in sorted(first.detail_places)) == "dark"
    replay.window.overlays.palette.field.clear()
    assert type_into(replay.window, qtbot, "深色")[0] == "主题：深色"
    press(replay.window, qtbot, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: replay.desktop.preferences.get("theme") == "dark")


def test_that_what_was_chosen_lately_comes_first(window, qtbot):
    for words in ("theme: dark", "search the runs"):
        type_into(window, qtbot, words)
        press(window, qtbot, Qt.Key.Key_Return)
        qtbot.wait(0)
    assert type_into(window, qtbot, "")[:2] == ["Search the runs", "Theme: dark"]


def test_that_a_command_that_cannot_act_says_why_and_does_nothing(window, qtbot):
    type_into(window, qtbot, "pause")
    offer = offers(window)["run.pause"]
    assert offer.why_not == "Open a run first."
    index = window.overlays.palette.view.currentIndex()
    assert index.data(OfferRole).key == "run.pause"
    assert "Open a run first." in index.data(Qt.ItemDataRole.AccessibleTextRole)
    press(window, qtbot, Qt.Key.Key_Return)
    assert window.overlays.palette.isVisible()


def test_that_deeds_act_on_the_open_run(replay, window, qtbot):
    uid = replay.backend.add(demo_spec(), created=1.0)
    replay.backend.play(uid, [*before_training(), *steps(1, 20)])
    window.go(f"run/{uid}")
    qtbot.waitUntil(lambda: window.open_run() is not None)
    type_into(window, qtbot, "pause")
    press(window, qtbot, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: replay.backend.run(uid).run.state is RunState.PAUSED)
    qtbot.waitUntil(lambda: window.open_run().state is RunState.PAUSED)
    type_into(window, qtbot, "pause")
    assert "Paused" in offers(window)["run.pause"].why_not
    press(window, qtbot, Qt.Key.Key_Escape)
    type_into(window, qtbot, "copy the run's id")
    press(window, qtbot, Qt.Key.Key_Return)
    assert QGuiApplication.clipboard().text() == uid


def test_that_runs_are_found_by_name_and_by_id(replay, window, qtbot):
    uid = replay.backend.add(demo_spec("support-tickets"), created=1.0)
    replay.backend.play(uid, [*before_training(), *after_training()])
    replay.backend.add(demo_spec("legal"), created=2.0)
    type_into(window, qtbot, "support")
    qtbot.waitUntil(lambda: f"run:{uid}" in offers(window))
    found = offers(window)[f"run:{uid}"]
    assert (found.text, found.places) == ("support-tickets", frozenset(range(7)))
    window.overlays.palette.field.clear()
    assert type_into(window, qtbot, uid) == []
    qtbot.waitUntil(lambda: list(offers(window)) == [f"run:{uid}"])
    press(window, qtbot, Qt.Key.Key_Return)
    assert isinstance(window.page, RunPage)
    assert window.address == f"run/{uid}"
    qtbot.keyClick(window, Qt.Key.Key_K, CONTROL)
    assert window.overlays.palette.model.offers[0].text == "support-tickets"


def test_that_runs_are_asked_for_once_typing_rests_and_late_answers_are_dropped(replay, window, qtbot):
    for name in ("aaa", "aab"):
        replay.backend.add(demo_spec(name), created=1.0)
    asked = []
    ask = replay.backend.runs
    replay.backend.runs = lambda *given: asked.append(given[1]) or ask(*given)
    type_into(window, qtbot, "aab")
    qtbot.waitUntil(lambda: [offer.text for offer in offers(window).values()] == ["aab"])
    assert [words for words in asked if words] == ["aab"]
    model = window.overlays.palette.model
    model._got(model._asked - 1, ask((), "aaa", 0, 5))
    assert [offer.text for offer in model.offers] == ["aab"]


def test_that_nothing_found_is_said(window, qtbot):
    assert type_into(window, qtbot, "qqqq") == []
    none = window.overlays.palette._none
    assert none.isVisible()
    qtbot.waitUntil(lambda: none.text() == "Nothing fits. Try other words.")


def test_that_another_shortcut_closes_the_palette_first(window, qtbot):
    qtbot.keyClick(window, Qt.Key.Key_K, CONTROL)
    qtbot.keyClick(window.overlays.palette.field, Qt.Key.Key_N, CONTROL)
    assert isinstance(window.page, WizardPage)
    assert not window.overlays.palette.isVisible()


def test_that_every_shortcut_stands_in_the_table_once(window):
    keys = [QKeySequence(one).toString() for entry in ALL_ENTRIES for one in entry.keys]
    assert [one for one, times in Counter(keys).items() if times > 1] == []
    bound = sorted(made.key().toString() for made in window.findChildren(QShortcut))
    assert bound == sorted(keys)
    assert {"Ctrl+N", "Ctrl+F", "Ctrl+1", "Ctrl+K", "Esc", "F1"} <= set(keys)


def test_that_no_shortcut_is_made_beside_the_table():
    known = {QKeySequence(one).toString() for entry in EVERY_KEY for one in entry.keys}
    strange = []
    for file in sorted(ROOT.rglob("*.py")):
        if file.name in ("window.py", "commands.py", "local_keys.py"):
            continue
        calls = [node for node in ast.walk(ast.parse(file.read_text("utf-8"))) if isinstance(node, ast.Call)]
        for call in calls:
            if (getattr(call.func, "id", None) or getattr(call.func, "attr", "")) not in MAKERS:
                continue
            texts = [one.value for one in ast.walk(call) if isinstance(one, ast.Constant)]
            found = {QKeySequence(one).toString() for one in texts if isinstance(one, str)}
            if not found or not found <= known:
                strange.append(f"{file.relative_to(ROOT)}:{call.lineno}")
    assert strange == [], "name the keys in models/command_table.py (LOCAL for those of one page)"


def test_that_every_command_of_the_table_is_bound(window):
    assert {command.entry.key for command in window.commands} == {entry.key for entry in ALL_ENTRIES}
    for command in window.commands:
        assert command.why_not() is None or isinstance(command.why_not(), str)


def test_that_the_sheet_names_every_key_and_can_be_saved(window, qtbot, tmp_path):
    qtbot.keyClick(window, Qt.Key.Key_Slash, CONTROL)
    sheet = window.findChild(ShortcutsSheet)
    page = as_html()
    assert all(entry.text.replace("'", "&#x27;") in page for entry in EVERY_KEY if entry.keys)
    file = tmp_path / "keys.pdf"
    sheet.save(file)
    qtbot.waitUntil(lambda: sheet._said.text() == f"Saved as {file}")
    assert file.read_bytes().startswith(b"%PDF")
    (tmp_path / "folder.pdf").mkdir()
    sheet.save(tmp_path / "folder.pdf")
    qtbot.waitUntil(lambda: "could not be written" in sheet._said.text())
    sheet.close()
    set_language("zh_CN")
    assert "前往运行列表" in as_html()
    set_language("en")


def test_that_back_and_forward_go_through_the_visited_pages(replay, window, qtbot):
    uid = replay.backend.add(demo_spec(), created=1.0)
    window.go(f"run/{uid}")
    qtbot.keyClick(window, Qt.Key.Key_Left, ALT)
    assert isinstance(window.page, RunsPage)
    assert not window.can_go(-1)
    qtbot.keyClick(window, Qt.Key.Key_BracketRight, CONTROL)
    assert window.address == f"run/{uid}"
    window.go("new")
    qtbot.keyClick(window, Qt.Key.Key_Left, ALT)
    assert window.address == "new", "in the wizard these keys are the wizard's"
    qtbot.keyClick(window, Qt.Key.Key_BracketLeft, CONTROL)
    assert window.address == f"run/{uid}"
    window.go("runs")
    assert not window.can_go(1)
