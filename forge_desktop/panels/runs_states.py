"""What the list of runs shows instead of rows: a first start, no match, loading, nobody answers."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtWidgets import QPushButton, QStackedWidget

from engine.contract.api import RunSummary
from engine.contract.config_file import read_config
from engine.contract.paths import resources_folder
from forge_desktop.bridge.backend import Backend
from forge_desktop.panels.page import Hint
from forge_desktop.theme.controls import button, row
from forge_desktop.theme.language import tr


def run_the_demo(backend: Backend) -> RunSummary:
    """For request threads: start the bundled model on the bundled data."""
    config = read_config(resources_folder() / "presets" / "demo.yaml")
    return backend.create(config.to_spec(), True)


class RunsStates(QStackedWidget):
    """One hint at a time, each with what to do next."""

    def __init__(self, new: Callable[[], object], demo: Callable[[], object], show_all: Callable[[], object]) -> None:
        super().__init__()
        self._hints = {
            "loading": Hint("loader-circle", tr("Loading runs"), tr("The job controller is being asked.")),
            "offline": Hint(
                "wifi-off",
                tr("Nobody answers yet"),
                tr("The job controller is started and asked again by itself. Runs that are at work go on meanwhile."),
            ),
            "no_match": Hint(
                "search", tr("No run matches"), tr("Change the search or the filter."), tr("Show all runs"), show_all
            ),
            "empty": Hint(
                "activity",
                tr("No runs yet"),
                tr("The demo fine-tunes the bundled model on bundled data: it takes about two minutes."),
                tr("Run the demo"),
                demo,
            ),
        }
        for key, name in (("empty", "runs.demo"), ("no_match", "runs.show_all")):
            made = self._hints[key].findChild(QPushButton, "hint.action")
            if made is not None:
                made.setObjectName(name)
        first = button(tr("New run"), on_click=new, name="runs.first")
        empty = self._hints["empty"].body
        empty.insertLayout(empty.count() - 1, row(None, first, None))
        for hint in self._hints.values():
            self.addWidget(hint)
        self.show_state("loading")

    def show_state(self, name: str) -> None:
        """loading, offline, no_match or empty."""
        self.setCurrentWidget(self._hints[name])

    def state(self) -> str:
        """Which is shown."""
        return next(name for name, hint in self._hints.items() if hint is self.currentWidget())
