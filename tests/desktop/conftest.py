"""The window over a replayed controller, and guards: leaked threads or widgets and logged errors fail a test."""

from __future__ import annotations

import gc
import logging
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import shiboken6
from PySide6.QtCore import QCoreApplication, QEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from engine.contract.paths import Home
from forge_desktop.app import Desktop
from forge_desktop.bridge.replay import ReplayBackend
from forge_desktop.theme import language
from forge_desktop.window import Window

for wait in (QtBot.waitUntil, QtBot.waitSignal):
    wait.__kwdefaults__["timeout"] = 30_000  # a limit for what never comes; a busy computer may take longer than 5 s

MODEL_FACTS = {
    "architecture": "Qwen3ForCausalLM",
    "model_type": "qwen3",
    "parameters": 4_500_000,
    "bytes": 9_000_000,
    "dtype": "bf16",
    "context_length": 512,
    "targets": ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"],
    "template": {"choice": "tokenizer", "reason": ""},
    "type": {"value": "chat", "reason": ""},
}
DATA_FACTS = {
    "format": "messages",
    "reason": "",
    "rows": 2400,
    "columns": ["messages"],
    "problems": [],
    "preview": [
        [{"role": "user", "text": "Write 17 March 2021 as an ISO date."}, {"role": "assistant", "text": "2021-03-17"}]
    ],
}


class ReplayDesktop:
    """The real window over a replay."""

    def __init__(
        self,
        app: QApplication,
        home: Path,
        tongue: str = "en",
        theme: str = "light",
        first_start: bool = False,
        prepare: Callable[[ReplayBackend], object] = lambda _backend: None,
    ) -> None:
        self.backend = ReplayBackend()
        self.backend.answers = {"inspect_model": dict(MODEL_FACTS), "preview_data": dict(DATA_FACTS)}
        prepare(self.backend)
        self.desktop = Desktop(app, Home(home), lambda: self.backend, tongue, theme)
        if not first_start:
            self.desktop.preferences.set("onboarding", "done")
        self.desktop.open()

    @property
    def window(self) -> Window:
        """The window."""
        return self.desktop.window


def change_look(desktop: Desktop, theme: str, tongue: str) -> None:
    """Another look, waited for."""
    desktop.change_look(theme, tongue)
    deadline = time.monotonic() + 20
    while desktop.is_changing_look:
        assert time.monotonic() < deadline, "the new look does not come"
        QTest.qWait(1)
    while desktop.window.page is not None and not desktop.window.page.is_built and desktop.session.is_online:
        assert time.monotonic() < deadline, "the page does not come again"
        QTest.qWait(1)


@pytest.fixture
def make_desktop(qapp: QApplication, tmp_path: Path) -> Iterator[Callable[..., ReplayDesktop]]:
    """Makes windows, and closes them."""
    made: list[ReplayDesktop] = []

    def make(**options: Any) -> ReplayDesktop:
        made.append(ReplayDesktop(qapp, tmp_path / "home", **options))
        return made[-1]

    yield make
    for one in made:
        if shiboken6.isValid(one.desktop):  # a test may have closed it to start again
            one.desktop.close()
        one.window.deleteLater()
        one.desktop.session.deleteLater()
    made.clear()
    language.set_language("en")


@pytest.fixture
def replay(make_desktop: Callable[..., ReplayDesktop], qtbot) -> ReplayDesktop:
    """One window, connected."""
    one = make_desktop()
    qtbot.waitUntil(lambda: one.desktop.session.is_online)
    return one


@pytest.fixture(autouse=True)
def _no_leaks(qapp: QApplication) -> Iterator[None]:
    """No thread and no window outlives its test."""
    threads = set(threading.enumerate())
    windows = set(QApplication.topLevelWidgets())
    yield
    QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
    qapp.processEvents()
    gc.collect()
    deadline = time.monotonic() + 20  # work aside, such as an import of pyqtgraph, ends by itself
    while time.monotonic() < deadline and any(
        thread.name == "forge-aside" for thread in threading.enumerate() if thread not in threads
    ):
        QTest.qWait(10)
    left = [thread.name for thread in threading.enumerate() if thread not in threads and thread.is_alive()]
    assert not [name for name in left if name.startswith("forge")], f"threads left behind: {left}"
    stay = [widget for widget in QApplication.topLevelWidgets() if widget not in windows and widget.isVisible()]
    assert not stay, f"windows left behind: {stay}"


@pytest.fixture(autouse=True)
def _no_logged_errors(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """An unexpected logged error fails the test that caused it."""
    yield
    errors = [record for when in ("setup", "call") for record in caplog.get_records(when)]
    errors = [
        record for record in errors if record.levelno >= logging.ERROR and "expected-error" not in record.getMessage()
    ]
    assert not errors, "\n".join(record.getMessage() for record in errors)
