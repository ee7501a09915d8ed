"""The real window over a real controller that it starts itself, with a real worker, in a home of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PySide6.QtWidgets import QApplication

from forge_desktop.app import Desktop
from forge_desktop.bridge.controller import connect_to_controller
from forge_desktop.theme import language
from tests.helpers.controller import ControllerProcess
from tests.helpers.real_worker import WORKER


@pytest.fixture
def service(tmp_path: Path) -> Iterator[ControllerProcess]:
    """The home; whatever runs in it is ended afterwards."""
    if not WORKER.exists():
        pytest.skip("there is no worker environment")
    made = ControllerProcess(tmp_path, WORKER)
    yield made
    made.close()


@pytest.fixture
def open_desktop(
    qapp: QApplication, service: ControllerProcess, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., Desktop]]:
    """Opens windows, one after another; the first starts the controller."""
    for name, value in service.environment.items():
        if name.startswith(("FORGE_", "PYTHONPATH")):
            monkeypatch.setenv(name, value)
    service.home.root.mkdir(parents=True, exist_ok=True)
    opened: list[Desktop] = []

    def make(first_start: bool = False) -> Desktop:
        desktop = Desktop(qapp, service.home, lambda: connect_to_controller(service.home), "en", "light")
        opened.append(desktop)
        if not first_start:
            desktop.preferences.set("onboarding", "done")
        desktop.open()
        return desktop

    yield make
    for desktop in opened:
        desktop.close()
        desktop.window.deleteLater()
    language.set_language("en")
