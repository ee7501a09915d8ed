"""The first start: three steps to a run on the demo; and the window while no controller can be had."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QPushButton, QWidget

from engine.contract.errors import UserError
from engine.contract.paths import Home
from engine.contract.run_spec import RunConfig
from forge_desktop.app import Desktop
from forge_desktop.bridge.backend_notices import DiskRoom
from forge_desktop.bridge.controller import connect_to_controller
from forge_desktop.models.last_words import cause
from forge_desktop.pages.run_page import RunPage
from forge_desktop.pages.runs_page import RunsPage
from forge_desktop.panels.onboarding import OnboardingPage
from forge_desktop.theme.language import explain, set_language
from tests.desktop.conftest import change_look
from tests.helpers.journals import demo_spec

pytestmark = pytest.mark.slow

PYTHON = "/opt/forge/worker/bin/python"


def has_worker(backend) -> None:
    backend.worker_python = PYTHON


@pytest.fixture
def fresh(make_desktop, qtbot):
    """A first start with everything there."""
    one = make_desktop(first_start=True, prepare=has_worker)
    qtbot.waitUntil(lambda: isinstance(one.window.page, OnboardingPage))
    return one


def find(one, name: str) -> QPushButton:
    return one.window.page.findChild(QPushButton, name)


def test_that_three_steps_lead_to_a_run_of_the_demo(fresh, qtbot):
    page = fresh.window.page
    qtbot.waitUntil(lambda: page.checks.ready)
    for _ in range(2):
        qtbot.keyClick(find(fresh, "welcome.next"), Qt.Key.Key_Space)
    assert page.step == 3
    assert find(fresh, "welcome.next").text() == "Start the demo run"
    qtbot.keyClick(find(fresh, "welcome.next"), Qt.Key.Key_Space)
    qtbot.waitUntil(lambda: isinstance(fresh.window.page, RunPage))
    made = fresh.backend.run(fresh.window.page.model.uid)
    config = RunConfig.from_spec(made.spec)
    assert (config.name, config.model.path, config.model.hub) == ("demo-iso-dates", "demo", "bundled")
    assert config.training.learning_rate == 0.002
    assert made.run.state == "queued"
    assert fresh.desktop.preferences.get("onboarding") == "done"


def test_that_it_never_comes_again_after_being_skipped(fresh, make_desktop, qtbot):
    find(fresh, "welcome.skip").click()
    qtbot.waitUntil(lambda: isinstance(fresh.window.page, RunsPage))
    fresh.desktop.close()
    again = make_desktop(first_start=True)
    qtbot.waitUntil(lambda: again.desktop.session.is_online)
    asked = []
    again.desktop.session.ask(lambda backend: backend.health(), asked.append)
    qtbot.waitUntil(lambda: len(asked) == 1)
    assert isinstance(again.window.page, RunsPage)
    again.window.commands.give("help.welcome")
    assert isinstance(again.window.page, OnboardingPage), "but the palette brings it back"


def test_that_a_history_with_runs_needs_no_first_steps(make_desktop, qtbot):
    one = make_desktop(first_start=True, prepare=lambda backend: backend.add(demo_spec()))
    qtbot.waitUntil(lambda: one.desktop.preferences.get("onboarding") == "done")
    assert isinstance(one.window.page, RunsPage)


def test_that_somebody_who_is_elsewhere_already_is_left_there(make_desktop, qtbot):
    one = make_desktop(first_start=True)
    one.window.go("new")
    asked = []
    qtbot.waitUntil(lambda: one.desktop.session.is_online)
    one.desktop.session.ask(lambda backend: backend.health(), asked.append)
    qtbot.waitUntil(lambda: len(asked) == 1)
    assert one.window.address == "new"


def test_that_a_missing_environment_is_named_with_what_to_do(make_desktop, qtbot):
    def prepare(backend):
        backend.worker_python, backend.disk = None, DiskRoom("/d", 10, 99)

    one = make_desktop(first_start=True, prepare=prepare)
    qtbot.waitUntil(lambda: isinstance(one.window.page, OnboardingPage))
    page = one.window.page
    qtbot.waitUntil(lambda: not page.checks.busy)
    one.window.go("welcome/2")
    page = one.window.page
    qtbot.waitUntil(lambda: not page.checks.busy)
    worker = page.findChild(QWidget, "welcome.check.worker")
    assert worker.accessibleName().startswith("Environment for training · missing")
    disk = page.findChild(QWidget, "welcome.check.disk")
    assert "missing" in disk.accessibleName()
    assert page.findChild(QWidget, "welcome.worker.help").isVisibleTo(page)
    find(one, "welcome.copy").click()
    assert QGuiApplication.clipboard().text() == "forge worker install"
    find(one, "welcome.next").click()
    assert not find(one, "welcome.next").isEnabled()
    assert find(one, "welcome.next").toolTip() == "Step 2 names what is missing."
    has_worker(one.backend)
    one.backend.disk = DiskRoom("/d", 10**11, 10**12)
    find(one, "welcome.again").click()
    qtbot.waitUntil(lambda: find(one, "welcome.next").isEnabled())


def test_that_language_and_theme_change_at_once_and_stay_on_the_step(fresh, qtbot):
    page = fresh.window.page
    page.tongue.set_value("zh_CN")
    page.theme.set_value("dark")
    page.tongue.activated.emit(page.tongue.currentIndex())
    qtbot.waitUntil(lambda: fresh.desktop.preferences.get("language") == "zh_CN")
    qtbot.waitUntil(lambda: isinstance(fresh.window.page, OnboardingPage) and fresh.window.page is not page)
    assert fresh.desktop.preferences.get("theme") == "dark"
    assert fresh.window.page.step == 1
    assert find(fresh, "welcome.next").text() == "下一步"


def test_that_a_start_that_fails_says_why_and_can_be_tried_again(fresh, qtbot):
    def refuse(_spec, _start):
        raise UserError("run.start_failed", detail="no room")

    create, fresh.backend.create = fresh.backend.create, refuse
    qtbot.waitUntil(lambda: fresh.window.page.checks.ready)
    fresh.window.page._show(3)
    find(fresh, "welcome.next").click()
    qtbot.waitUntil(lambda: fresh.window.page._error.isVisible())
    assert "no room" in fresh.window.page._error.why.text()
    fresh.backend.create = create
    find(fresh, "welcome.next").click()
    qtbot.waitUntil(lambda: isinstance(fresh.window.page, RunPage))


def test_that_the_window_says_what_it_waits_for_until_a_controller_answers(qapp, tmp_path, qtbot):
    import threading

    from forge_desktop.bridge.replay import ReplayBackend

    gate, backend = threading.Event(), ReplayBackend()
    one = Desktop(qapp, Home(tmp_path), lambda: (gate.wait(20), backend)[1], "en", "light")
    one.preferences.set("onboarding", "done")
    one.open()
    qtbot.waitUntil(one.window.connecting.isVisible)
    assert one.window.connecting._title.text() == "Starting the job controller"
    assert not one.window._stack.isVisible()
    change_look(one, "dark", "zh_CN")
    qtbot.waitUntil(one.window.connecting.isVisible)
    one.window.go("welcome")
    assert not one.window.connecting.isVisible(), "a page that needs no controller is shown"
    one.window.go("runs")
    assert one.window.connecting.isVisible()
    gate.set()
    qtbot.waitUntil(lambda: one.session.is_online)
    assert not one.window.connecting.isVisible()
    assert one.window._stack.isVisible()
    set_language("en")
    one.close()
    one.window.deleteLater()


def test_that_a_lost_and_found_connection_is_said(replay, qtbot):
    session = replay.desktop.session
    session.offline.emit(UserError("controller.unreachable", detail="", log="").body())
    assert replay.window.banner.isVisible()
    assert not replay.window.connecting.isVisible(), "what was shown stays"
    qtbot.waitUntil(lambda: replay.window._gone.elapsed() > 1600)
    session.online.emit()
    assert not replay.window.banner.isVisible()
    shown = replay.window.overlays.toasts.list[0]
    assert shown.title.text() == "Connected again"
    assert shown.open.isHidden()
    assert replay.window.notices.list == []


@pytest.fixture
def started(qapp, tmp_path, qtbot, monkeypatch):
    """The real window over a home whose real controller cannot start."""
    made: list[Desktop] = []

    def start(home: Path) -> Desktop:
        monkeypatch.setenv("FORGE_HOME", str(home))
        made.append(Desktop(qapp, Home(home), lambda: connect_to_controller(Home(home)), "en", "light"))
        made[-1].open()
        return made[-1]

    yield start
    for one in made:
        one.close()
        one.window.deleteLater()


def test_that_a_history_of_a_newer_version_is_said_in_place_of_the_page(started, tmp_path, qtbot):
    home = tmp_path / "home"
    home.mkdir()
    with sqlite3.connect(Home(home).database) as database:
        database.execute("PRAGMA user_version = 999")
    one = started(home)
    card = one.window.connecting.error
    qtbot.waitUntil(card.isVisible, timeout=60_000)
    assert one.window.connecting._title.text() == "There is no job controller"
    assert "written by a newer version" in card.what.text()
    assert "999" in card.why.text()
    assert "Update the program" in card.fix.text()
    assert "[history.newer]" in card.fix.text()
    button = one.window.connecting.findChild(QPushButton, "connecting.log")
    assert button.isEnabled()
    one.window.connecting.findChild(QPushButton, "connecting.copy").click()
    assert "controller.not_started" in QGuiApplication.clipboard().text()
    change_look(one, "light", "zh_CN")
    assert "版本" in one.window.connecting.error.what.text()
    set_language("en")


def test_that_a_damaged_history_is_said_too(started, tmp_path, qtbot):
    home = tmp_path / "home"
    home.mkdir()
    Home(home).database.write_bytes(b"this is no database, and never was" * 200)
    one = started(home)
    qtbot.waitUntil(one.window.connecting.error.isVisible, timeout=60_000)
    assert "history" in one.window.connecting.error.what.text()


@pytest.mark.parametrize("code", ["history.newer", "history.unusable", "home.unusable"])
def test_that_a_controllers_last_words_become_an_error_again(code):
    params = {"file": "/a (b)/h.sqlite3", "theirs": "9", "ours": "2", "detail": "disk I/O error", "home": "/a"}
    said = UserError(code, **params)
    found = cause(UserError("controller.not_started", detail=f"Traceback …\n{said.text}\n", log="/l").body())
    assert found.code == code
    assert explain(found)[:2] == (said.what, said.why)


def test_that_last_words_nobody_knows_stay_as_they_are():
    error = UserError("controller.not_started", detail="Segmentation fault [strange.code]", log="").body()
    assert cause(error) is error
