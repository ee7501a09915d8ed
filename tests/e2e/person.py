"""Someone in front of the window: looks for what is shown, clicks it, types into it, waits for what comes."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QScrollArea, QWidget
from shiboken6 import isValid

from engine.contract.run_spec import RunConfig, RunSpec
from forge_desktop.app import Desktop
from forge_desktop.pages.run_page import RunPage
from forge_desktop.pages.runs_page import RunsPage

LONG_MS = 120_000
BUNDLED = {"path": "demo", "hub": "bundled"}
A_PAGE = TypeVar("A_PAGE", bound=QWidget)


def small_run(name: str, steps: int, tuner: str = "lora", **recipe: object) -> RunSpec:
    """A few steps of the bundled model, measured on a few rows."""
    training = {"max_steps": steps, "epochs": 50, "micro_batch_size": 8, "threads": 1, **recipe}
    document = {
        "name": name,
        "model": BUNDLED,
        "tuner": {"kind": tuner},
        "data": {"train": [{**BUNDLED, "limit": 256}], "max_length": 128},
        "training": training,
        "evaluation": {"data": [{"path": "demo/held_out", "hub": "bundled", "limit": 16}], "samples": 2},
        "compute": {"limits": {"retries": 0}},
    }
    return RunConfig.model_validate(document).to_spec()


class Person:
    """Uses one window by mouse and keys only."""

    def __init__(self, desktop: Desktop, qtbot: object) -> None:
        self.desktop, self.window = desktop, desktop.window
        self._qtbot = qtbot

    def until(self, so: Callable[[], object]) -> None:
        """Wait for what should come."""
        self._qtbot.waitUntil(lambda: bool(so()), timeout=LONG_MS)  # type: ignore[attr-defined]

    def sees(self, name: str) -> bool:
        """A control with this name is shown and can be used."""
        found = self.window.findChild(QWidget, name)
        return found is not None and found.isVisible() and found.isEnabled()

    def page(self, kind: type[A_PAGE]) -> A_PAGE:
        """The page that should be open by and by."""
        self.until(lambda: isinstance(self.window.page, kind) and self.window.page.is_built)
        assert isinstance(self.window.page, kind)
        return self.window.page

    def find(self, name: str) -> QWidget:
        """The control, brought into view; waits until it can be used."""
        self.until(lambda: self.sees(name))
        found = self.window.findChild(QWidget, name)
        area = found.parentWidget()
        while area is not None and not isinstance(area, QScrollArea):
            area = area.parentWidget()
        if isinstance(area, QScrollArea):
            area.ensureWidgetVisible(found)
        QApplication.processEvents()
        return found

    def click(self, name: str) -> None:
        """Press it with the mouse; one that goes with its page while it is brought into view cannot be."""
        found = self.find(name)
        if isValid(found):
            QTest.mouseClick(found, Qt.MouseButton.LeftButton)

    def type(self, name: str, text: str) -> None:
        """Write into a field, in place of what stands there."""
        field = self.find(name)
        QTest.mouseClick(field, Qt.MouseButton.LeftButton)
        QTest.keyClick(field, Qt.Key.Key_A, Qt.KeyboardModifier.ControlModifier)
        QTest.keyClicks(field, text)

    def press(self, key: Qt.Key, modifier: Qt.KeyboardModifier = Qt.KeyboardModifier.NoModifier) -> None:
        """A key, to whatever has the keyboard."""
        QTest.keyClick(QApplication.focusWidget() or self.window, key, modifier)

    def open_run(self, name: str) -> RunPage:
        """Find a run by its name in the list, and open it with a double click."""
        page = self.page(RunsPage)
        self.type("runs.search", name)
        self.until(lambda: page.model.question.search == name and page.model.is_current)
        self.until(lambda: page.model.run_in(0) is not None and page.model.run_in(0).name == name)
        spot = page.table.visualRect(page.model.index(0, 0)).center()
        QTest.mouseClick(page.table.viewport(), Qt.MouseButton.LeftButton, pos=spot)
        QTest.mouseDClick(page.table.viewport(), Qt.MouseButton.LeftButton, pos=spot)
        return self.page(RunPage)
