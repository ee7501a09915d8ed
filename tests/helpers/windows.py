"""Real windows over a real controller, as many as a test opens, closed at its end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from PySide6.QtWidgets import QApplication

from forge_desktop.app import Desktop
from forge_desktop.bridge.controller import connect_to_controller
from tests.helpers.controller import ControllerProcess


@contextmanager
def windows(
    qapp: QApplication, service: ControllerProcess, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[], Desktop]]:
    """Opens windows over a service's home; the first starts a controller where none answers."""
    for name, value in service.environment.items():
        if name.startswith(("FORGE_", "PYTHONPATH")):
            monkeypatch.setenv(name, value)
    service.home.root.mkdir(parents=True, exist_ok=True)
    opened: list[Desktop] = []

    def make() -> Desktop:
        opened.append(Desktop(qapp, service.home, lambda: connect_to_controller(service.home), "en", "light"))
        opened[-1].preferences.set("onboarding", "done")
        opened[-1].open()
        return opened[-1]

    try:
        yield make
    finally:
        for desktop in opened:
            desktop.close()
            desktop.window.deleteLater()
