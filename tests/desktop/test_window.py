"""The window: pages, look, language, width, what it remembers, and what it must not import."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading

import pytest
from PySide6.QtCore import QCoreApplication, QObject, Qt, Signal
from PySide6.QtWidgets import QLabel, QPushButton

from engine.contract.errors import UserError
from forge_desktop.bridge.preferences import Preferences
from forge_desktop.pages.runs_page import RunsPage
from forge_desktop.theme.tokens import THEMES, contrast
from forge_desktop.wizard.wizard_page import WizardPage
from tests.desktop.conftest import change_look
from tests.helpers.journals import before_training, demo_spec, steps


def test_that_the_desktop_imports_neither_torch_nor_other_rooms():
    code = (
        "import sys, json, forge_desktop.app, forge_desktop.demo, forge_desktop.bridge.controller\n"
        "rooms = ('torch', 'transformers', 'peft', 'docker', 'engine.control', 'engine.compute', 'engine.cli')\n"
        "print(json.dumps([name for name in rooms if name in sys.modules]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=240)
    assert json.loads(done.stdout) == []


def test_that_twenty_thousand_emits_from_a_thread_arrive_in_order(qtbot):
    """Guards the pin of PySide6: 6.12.0 aborts here on Python 3.11."""

    class Source(QObject):
        number = Signal(object)

    source, got = Source(), []
    source.number.connect(got.append, Qt.ConnectionType.QueuedConnection)
    thread = threading.Thread(target=lambda: [source.number.emit({"n": n}) for n in range(20_000)])
    thread.start()
    thread.join()
    qtbot.waitUntil(lambda: len(got) == 20_000, timeout=20_000)
    assert [item["n"] for item in got] == list(range(20_000))


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_that_text_can_be_read_on_its_background(theme):
    t = THEMES[theme]
    pairs = [(ink, ground) for ink in (t.text, t.secondary, t.muted) for ground in (t.bg, t.sidebar, t.surface)]
    pairs += [(t.accent_text, t.accent_soft), (t.on_accent, t.accent), (t.on_accent, t.accent_hover)]
    pairs += [(t.ok_text, t.ok_soft), (t.warn_text, t.warn_soft), (t.bad_text, t.bad_soft), (t.info_text, t.info_soft)]
    pairs += [(ink, ground) for ink in (t.text, t.secondary, t.muted) for ground in (t.surface2, t.hover)]
    pairs += [(t.ok_text, t.surface), (t.info_text, t.surface), (t.ok_text, t.bg), (t.bad_text, t.bg)]
    pairs += [(t.bad_text, t.surface), (t.warn_text, t.surface), (t.accent_text, t.surface), (t.secondary, t.hover)]
    bad = [(ink, ground, round(contrast(ink, ground), 2)) for ink, ground in pairs if contrast(ink, ground) < 4.5]
    assert bad == []


def test_that_qt_leaves_the_decimal_point_alone():
    code = (
        "import locale, sys; from forge_desktop.app import make_application; make_application(['x']);"
        "sys.stdout.write(locale.setlocale(locale.LC_NUMERIC))"
    )
    environment = {**os.environ, "LC_ALL": "C.UTF-8", "QT_QPA_PLATFORM": "offscreen"}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=240, env=environment
    )
    assert done.stdout == "C"


def test_that_news_and_answers_arrive_on_the_thread_of_the_window(replay, qtbot):
    session, here, seen = replay.desktop.session, threading.get_ident(), []
    ear = QObject()
    session.run_changed.connect(lambda _run: seen.append(("news", threading.get_ident())))
    session.ask(lambda backend: backend.health(), lambda _h: seen.append(("answer", threading.get_ident())), owner=ear)
    replay.backend.add(demo_spec(), created=1.0)
    qtbot.waitUntil(lambda: {kind for kind, _thread in seen} == {"news", "answer"})
    assert {thread for _kind, thread in seen} == {here}


def test_that_an_answer_is_let_go_on_the_thread_of_the_window(replay, qtbot):
    """The last to let go of a page destroys it; that must not be a request's thread."""
    gone: list[int] = []

    class Held:
        def __del__(self) -> None:
            gone.append(threading.get_ident())

    held = Held()
    replay.desktop.session.ask(lambda backend, held=held: backend.health(), lambda _health, held=held: None)
    del held
    qtbot.waitUntil(lambda: gone != [])
    assert gone == [threading.get_ident()]


def test_that_shortcuts_open_pages(replay, qtbot):
    qtbot.keyClick(replay.window, Qt.Key.Key_N, Qt.KeyboardModifier.ControlModifier)
    qtbot.waitUntil(lambda: isinstance(replay.window.page, WizardPage))
    qtbot.keyClick(replay.window, Qt.Key.Key_Escape)
    qtbot.waitUntil(lambda: isinstance(replay.window.page, RunsPage))


def test_that_language_and_theme_change_without_a_restart(replay, qtbot):
    replay.backend.add(demo_spec(), created=1.0)
    change_look(replay.desktop, "dark", "zh_CN")
    titles = [made.text() for made in replay.window.page.findChildren(QLabel)]
    assert "Runs" not in titles
    assert replay.window.sidebar.findChild(QPushButton, "nav.new").accessibleName() != "New run"
    change_look(replay.desktop, "light", "en")
    qtbot.waitUntil(lambda: len(replay.window.page.model.runs) == 1)
    assert "Runs" in [made.text() for made in replay.window.page.findChildren(QLabel)]


def test_that_a_narrow_window_shows_icons_only(replay, qtbot):
    replay.window.resize(1440, 900)
    wide = replay.window.sidebar.width()
    replay.window.resize(1024, 700)
    qtbot.waitUntil(lambda: replay.window.sidebar.width() < wide)
    assert replay.window.sidebar.findChild(QPushButton, "nav.new").toolTip() == "New run"


def test_that_no_controller_is_said_in_place_of_the_page(make_desktop):
    one = make_desktop()
    one.desktop.session.offline.emit(UserError("controller.not_started", detail="no room", log="x").body())
    assert one.window.connecting.error.isVisible()
    assert "no room" in one.window.connecting.error.why.text()


def test_that_requests_nobody_answers_are_said_and_made_good(replay, qtbot):
    """The stream stands, but a request finds nobody: the controller hangs."""
    uid = replay.backend.add(demo_spec(), created=1.0)
    replay.backend.play(uid, [*before_training(), *steps(1, 20)])
    replay.window.go(f"run/{uid}")
    page = replay.window.page
    qtbot.waitUntil(lambda: page.is_built and len(page.model.curve("loss")) == 20)
    replay.backend.hangs = True
    page.model.refetch()
    qtbot.waitUntil(replay.window.banner.isVisible)
    assert not replay.desktop.session.is_online
    replay.backend.play(uid, steps(21, 30))
    replay.backend.hangs = False
    qtbot.waitUntil(lambda: replay.window.banner.isHidden() and replay.desktop.session.is_online, timeout=20_000)
    qtbot.waitUntil(lambda: page.model.detail.run.step == 30)
    assert len(page.model.curve("loss")) == 30


def test_that_a_late_answer_for_a_closed_page_is_dropped(replay, qtbot):
    """The page that asked is gone when the answer comes; nothing may touch it."""
    owner = QObject()
    heard = []
    replay.desktop.session.ask(lambda backend: backend.health(), heard.append, owner=owner)
    owner.deleteLater()
    QCoreApplication.sendPostedEvents(owner, 0)
    done = []
    replay.desktop.session.ask(lambda backend: backend.health(), done.append)
    qtbot.waitUntil(lambda: len(done) == 1)


def test_that_the_open_page_and_size_are_remembered(make_desktop, qtbot):
    first = make_desktop()
    first.window.resize(1111, 777)
    first.window.go("new")
    first.desktop.close()
    second = make_desktop()
    assert isinstance(second.window.page, WizardPage)
    assert second.window.size() == first.window.size()


def test_that_damaged_preferences_do_not_stop_the_window(tmp_path):
    file = tmp_path / "preferences.json"
    file.write_text("{half", encoding="utf-8")
    preferences = Preferences(file)
    assert preferences.get("theme", "system") == "system"
    preferences.set("theme", "dark")
    preferences.close()
    assert Preferences(file).get("theme") == "dark"


def test_that_remembering_does_not_wait_for_the_disk(tmp_path, qtbot, monkeypatch):

    from forge_desktop.bridge import preferences as module

    disk_is_asked, disk_is_free, wrote = threading.Event(), threading.Event(), []

    def slow(file, content, mode):
        disk_is_asked.set()
        disk_is_free.wait(20)
        wrote.append(json.loads(content))

    monkeypatch.setattr(module, "write_durably", slow)
    preferences = Preferences(tmp_path / "preferences.json")
    for letter in "draft":
        preferences.set("draft", letter)
    qtbot.waitUntil(disk_is_asked.is_set)
    assert wrote == []
    preferences.set("theme", "dark")
    disk_is_free.set()
    preferences.close()
    assert wrote == [{"draft": "t"}, {"draft": "t", "theme": "dark"}]
