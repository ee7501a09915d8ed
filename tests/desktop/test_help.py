"""Help: a text for every page in both languages, its links, its search, and the panel."""

from __future__ import annotations

import re

import pytest
from PySide6.QtCore import Qt, QUrl

from engine.contract.paths import resources_folder
from forge_desktop.models import help_topics
from forge_desktop.models.command_table import ALL_ENTRIES
from forge_desktop.panels.help_panel import HelpPanel
from forge_desktop.theme.language import set_language
from tests.desktop.conftest import change_look
from tests.helpers.journals import demo_spec

pytestmark = pytest.mark.slow

LINK = re.compile(r"\]\(([^)]+)\)")
KEY = re.compile(r"\{key:([\w.]+)\}")
PAGES = {"instances", "nodes", "runs", "new", "run", "compare", "settings", "welcome"}


@pytest.fixture(params=["en", "zh_CN"])
def tongue(request):
    set_language(request.param)
    yield request.param
    set_language("en")


def test_that_every_topic_is_there_in_both_languages_with_the_same_links_and_keys(tongue):
    folder = resources_folder() / "help"
    assert {file.stem for file in (folder / tongue).glob("*.md")} == set(help_topics.TOPICS)
    for one in help_topics.topics():
        assert one.title
        assert len(one.text) > 150
        english = (folder / "en" / f"{one.key}.md").read_text("utf-8")
        assert sorted(LINK.findall(one.text)) == sorted(LINK.findall(english)), one.key
        assert sorted(KEY.findall(one.text)) == sorted(KEY.findall(english)), one.key
        assert one.text.count("\n## ") == english.count("\n## "), one.key


def test_that_every_link_leads_somewhere(tongue):
    commands = {entry.key for entry in ALL_ENTRIES}
    for one in help_topics.topics():
        for link in LINK.findall(one.text):
            scheme, _, rest = link.partition(":")
            known = {"topic": set(help_topics.TOPICS), "command": commands, "page": PAGES}[scheme]
            assert rest.partition("/")[0] in known if scheme == "page" else rest in known, (one.key, link)
        assert set(KEY.findall(one.text)) <= commands


def test_that_texts_do_not_promise_other_keys_than_the_table():
    for one in help_topics.topics():
        assert not re.search(r"Ctrl\+|\bF\d\b|Alt\+", one.text), f"{one.key}: write {{key:<command>}}"


def test_that_every_page_of_the_window_has_a_topic(replay):
    assert replay.window._kinds <= set(help_topics.OF_PAGE)


def test_that_f1_helps_with_the_open_page_and_closes_again(replay, qtbot):
    window = replay.window
    window.activateWindow()
    window.page.search.setFocus()
    qtbot.keyClick(window, Qt.Key.Key_F1)
    helping = window.overlays.panel.content
    assert isinstance(helping, HelpPanel)
    assert helping.topic == "runs"
    assert "Ctrl+F" in helping.browser.toPlainText()
    assert "{key:" not in helping.browser.toPlainText()
    window.go("new")
    qtbot.keyClick(window, Qt.Key.Key_F1)
    assert window.overlays.panel.content.topic == "new"
    qtbot.keyClick(window, Qt.Key.Key_F1)
    assert window.overlays.panel.content is None


def test_that_closing_help_gives_the_keyboard_back(replay, qtbot):
    window = replay.window
    window.activateWindow()
    window.page.search.setFocus()
    qtbot.keyClick(window, Qt.Key.Key_F1)
    assert window.overlays.panel.content.browser.hasFocus()
    qtbot.keyClick(window.overlays.panel.content.browser, Qt.Key.Key_Escape)
    assert window.overlays.panel.content is None
    assert window.page.search.hasFocus()
    assert window.address == "runs"


def test_that_links_open_pages_topics_and_commands(replay, qtbot):
    window = replay.window
    uid = replay.backend.add(demo_spec(), created=1.0)
    window.go(f"run/{uid}")
    window.toggle_help()
    helping = window.overlays.panel.content
    helping.browser.anchorClicked.emit(QUrl("topic:trouble"))
    assert helping.topic == "trouble"
    helping.browser.anchorClicked.emit(QUrl("page:runs"))
    assert window.address == "runs"
    helping.browser.anchorClicked.emit(QUrl("command:help.welcome"))
    assert window.address == "welcome"


@pytest.mark.parametrize(
    ("words", "first"), [("environment pytorch", "start"), ("quiet hours", "notices"), ("shortcuts", "keys")]
)
def test_that_the_search_finds_topics_by_all_their_words(words, first):
    found = help_topics.search(words)
    assert first in [one.key for one, _line in found]
    assert all(word in one.text.lower() for one, _line in found for word in words.split())
    assert not any("**" in line or "{key" in line or "](" in line for _one, line in found)


def test_that_the_panel_searches_and_opens_the_first_hit(replay, qtbot):
    replay.window.toggle_help()
    helping = replay.window.overlays.panel.content
    qtbot.keyClicks(helping.search, "quiet hours")
    qtbot.waitUntil(lambda: "Notices" in helping.browser.toPlainText())
    qtbot.keyClick(helping.search, Qt.Key.Key_Return)
    assert helping.topic == "notices"
    qtbot.keyClicks(helping.search, "no such words")
    qtbot.waitUntil(lambda: helping.browser.toPlainText() == "Nothing was found. Try fewer words.")
    helping.search.clear()
    qtbot.waitUntil(lambda: "Notices" in helping.browser.toPlainText())


def test_that_help_speaks_chinese(replay):
    change_look(replay.desktop, "light", "zh_CN")
    replay.window.toggle_help()
    assert "运行列表" in replay.window.overlays.panel.content.browser.toPlainText()
