"""Pictures of having a model make a dataset."""

from __future__ import annotations

from collections.abc import Iterator

from PySide6.QtTest import QTest

from forge_desktop.app import Desktop
from forge_desktop.bridge.replay import ReplayBackend
from forge_desktop.pages.datasets_page import DatasetsPage
from tests.desktop.sheets_nodes import until


def pages(desktop: Desktop, backend: ReplayBackend) -> Iterator[str]:
    """The dialog over the library, filled in, and what it refuses."""
    window = desktop.window
    window.go("datasets")
    page = window.page
    assert isinstance(page, DatasetsPage)
    until(lambda: page.model.has_loaded)
    dialog = page.sample_one("support-tickets-zh")
    until(lambda: bool(dialog.model.datasets))
    dialog.name.setText("support-answers")
    dialog.numbers["answers"].setText("4")
    dialog.choose.set_value("best_n")
    dialog.choose.activated.emit(dialog.choose.currentIndex())
    dialog.rewards.setText("accuracy, length=0.5")
    QTest.qWait(200)
    yield "sample"
    dialog.rewards.setText("")
    dialog.go.click()
    QTest.qWait(200)
    yield "sample-refused"
    dialog.reject()
