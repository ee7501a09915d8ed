"""Which page an address means, and how each is made and tied to the window.

A page is imported when the first of its sort is made: the window is painted sooner by a third. `LATER` names those
modules for a thread that imports them once it is there, so that nobody waits for them then either.
"""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import Signal, Slot
from PySide6.QtWidgets import QMainWindow

from forge_desktop.bridge.preferences import Preferences
from forge_desktop.bridge.session import Session
from forge_desktop.models.nodes_model import NodesModel
from forge_desktop.pages.runs_page import RunsPage
from forge_desktop.panels.onboarding import OnboardingPage
from forge_desktop.panels.page import Page
from forge_desktop.panels.run_actions import RunActions

FROM_LIBRARY = "data="
"""In the address of a new run: the name of the dataset it learns from."""
LATER = (
    "forge_desktop.pages.run_page",
    "forge_desktop.wizard.wizard_page",
    "forge_desktop.pages.compare_page",
    "forge_desktop.pages.datasets_page",
    "forge_desktop.pages.dataset_page",
    "forge_desktop.pages.adapters_page",
    "forge_desktop.pages.serving_page",
    "forge_desktop.pages.instance_page",
    "forge_desktop.pages.nodes_page",
    "forge_desktop.pages.instances_page",
    "forge_desktop.pages.playground_page",
    "forge_desktop.pages.settings_page",
    "forge_desktop.panels.moves_card",
)
"""Every page but the first."""


class WindowPages(QMainWindow):
    """The part of the window that makes pages."""

    look_wanted = Signal(str, str)
    """Theme and language the person chose."""
    session: Session
    preferences: Preferences
    nodes: NodesModel
    actions_of_runs: RunActions
    page: Page | None
    address: str
    _kinds: frozenset[str]

    def _show_news(self, text: str) -> None:
        """Given by the window."""
        raise NotImplementedError

    def _make(self, kind: str, rest: str) -> Page:
        """The page of an address; one that nobody knows (of a newer version, say) shows the runs."""
        makers: dict[str, Callable[[str], Page]] = {
            "run": self._run_page,
            "new": self._wizard_page,
            "runs": self._runs_page,
            "compare": self._compare_page,
            "welcome": self._welcome_page,
            "settings": self._settings_page,
            "nodes": self._nodes_page,
            "instances": self._instances_page,
            "datasets": self._datasets_page,
            "dataset": self._dataset_page,
            "playground": self._playground_page,
            "adapters": self._adapters_page,
            "serving": self._serving_page,
        }
        self._kinds = frozenset(makers)
        return makers.get(kind, self._runs_page)(rest)

    def _runs_page(self, _rest: str) -> Page:
        return RunsPage(self.session, self.actions_of_runs, self.preferences, self.nodes.alerts)

    def _compare_page(self, rest: str) -> Page:
        from forge_desktop.pages.compare_page import ComparePage

        return ComparePage(self.session, self.actions_of_runs, rest)

    def _run_page(self, rest: str) -> Page:
        from forge_desktop.pages.run_page import RunPage

        uid, _, tab = rest.partition("/")
        if not uid:
            return self._runs_page("")
        page = RunPage(self.session, self.actions_of_runs, uid, self.preferences)
        if tab:
            page.open_at(tab)
        return page

    def _wizard_page(self, rest: str) -> Page:
        from forge_desktop.models.draft_model import marks_of
        from forge_desktop.wizard.wizard_page import WizardPage

        uid, _, changes = rest.partition("?")
        if changes.startswith(FROM_LIBRARY):
            page = WizardPage(self.session, self.actions_of_runs, self.preferences, uid, {})
            page.take_dataset(changes.removeprefix(FROM_LIBRARY))
            return page
        return WizardPage(self.session, self.actions_of_runs, self.preferences, uid, marks_of(changes))

    def _nodes_page(self, rest: str) -> Page:
        from forge_desktop.pages.nodes_page import NodesPage
        from forge_desktop.panels.moves_card import MovesCard

        page = NodesPage(self.session, self.nodes, self.preferences, rest)
        page.told.connect(self._show_news)
        page.put_card(MovesCard(self.actions_of_runs.moves))
        page.move_wanted.connect(self._move_runs)
        return page

    @Slot(str)
    def _move_runs(self, name: str) -> None:
        """Ask where to the runs of a node go."""
        from forge_desktop.panels.move_dialog import Movable

        node = self.nodes.find(name)
        if node is not None and node.runs and self.page is not None:
            self.actions_of_runs.move([Movable(run.uid, run.name, name) for run in node.runs], self.page)

    def _instances_page(self, _rest: str) -> Page:
        from forge_desktop.pages.instances_page import InstancesPage

        page = InstancesPage(self.session, self.preferences)
        page.told.connect(self._show_news)
        return page

    def _datasets_page(self, rest: str) -> Page:
        from forge_desktop.pages.datasets_page import DatasetsPage

        page = DatasetsPage(self.session, self.preferences, rest)
        page.told.connect(self._show_news)
        return page

    def _dataset_page(self, rest: str) -> Page:
        from forge_desktop.pages.dataset_page import DatasetPage

        if not rest:
            return self._datasets_page("")
        page = DatasetPage(self.session, self.preferences, rest, self.actions_of_runs.transfers)
        page.told.connect(self._show_news)
        return page

    def _playground_page(self, rest: str) -> Page:
        from forge_desktop.pages.playground_page import PlaygroundPage

        page = PlaygroundPage(self.session, self.preferences, rest)
        page.told.connect(self._show_news)
        page.failed.connect(self.actions_of_runs.failed)
        return page

    def _adapters_page(self, rest: str) -> Page:
        from forge_desktop.pages.adapters_page import AdaptersPage

        page = AdaptersPage(self.session, self.preferences, self.actions_of_runs, rest)
        page.told.connect(self._show_news)
        page.serve_asked.connect(lambda adapter: page.navigate.emit(f"serving/new/{adapter}"))
        page.chat_asked.connect(lambda run: page.navigate.emit(f"playground/run/{run}" if run else "playground"))
        return page

    def _serving_page(self, rest: str) -> Page:
        from forge_desktop.pages.instance_page import InstancePage
        from forge_desktop.pages.serving_page import ServingPage

        if rest and rest.partition("/")[0] not in ("new", "like"):
            one = InstancePage(self.session, self.actions_of_runs, rest)
            one.told.connect(self._show_news)
            return one
        page = ServingPage(self.session, self.preferences, rest)
        page.told.connect(self._show_news)
        return page

    def _settings_page(self, rest: str) -> Page:
        from forge_desktop.pages.settings_page import SettingsPage

        page = SettingsPage(self.session, self.preferences, rest)
        page.look_wanted.connect(self.look_wanted)
        page.moved.connect(self._settings_moved)
        return page

    @Slot(str)
    def _settings_moved(self, address: str) -> None:
        """The same page shows another part."""
        self.address = address
        self.preferences.set("page", address)

    def _welcome_page(self, rest: str) -> Page:
        page = OnboardingPage(self.session, self.preferences, rest)
        page.look_wanted.connect(self.look_wanted)
        return page
