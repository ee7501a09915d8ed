"""The page of one dataset: its rows, what is wrong with them, its versions, and what it says of itself."""

from __future__ import annotations

from functools import partial

from PySide6.QtCore import Signal, Slot
from PySide6.QtWidgets import QButtonGroup, QPushButton, QStackedWidget, QWidget

from engine.contract.api import RunSummary
from engine.contract.datasets import Repair
from engine.contract.errors import ErrorBody
from forge_desktop.bridge.preferences import Preferences
from forge_desktop.bridge.session import Session
from forge_desktop.models.dataset_model import DatasetModel
from forge_desktop.models.dataset_rows import ProblemsModel, RowsModel
from forge_desktop.models.dataset_words import health
from forge_desktop.models.transfers import Transfers
from forge_desktop.models.xray_model import XrayModel
from forge_desktop.panels.dataset_export import DatasetExport
from forge_desktop.panels.dataset_facts import DatasetFacts, repair_text
from forge_desktop.panels.dataset_problems_panel import DatasetProblemsPanel
from forge_desktop.panels.dataset_rows_panel import DatasetRowsPanel
from forge_desktop.panels.dataset_statistics_panel import DatasetStatisticsPanel
from forge_desktop.panels.dataset_versions_panel import DatasetVersionsPanel
from forge_desktop.panels.dataset_xray_panel import DatasetXrayPanel
from forge_desktop.panels.import_dialog import ImportDialog
from forge_desktop.panels.page import ErrorCard, Hint, Page, TwoColumns
from forge_desktop.panels.questions import ask_before
from forge_desktop.theme.controls import Chip, Choice, Elided, button, column, line, row, set_enabled
from forge_desktop.theme.language import count, tr
from forge_desktop.theme.measures import count_of

TABS = (
    ("rows", "Preview"),
    ("problems", "Problems"),
    ("xray", "X-ray"),
    ("statistics", "Statistics"),
    ("versions", "All versions"),
)


class DatasetPage(Page):
    """One dataset."""

    told = Signal(str)
    """News for the banner."""

    def __init__(
        self, session: Session, preferences: Preferences, rest: str, transfers: Transfers | None = None
    ) -> None:
        super().__init__()
        uid, _, tab = rest.partition("/")
        self._session, self._preferences = session, preferences
        self.model = DatasetModel(session, uid, self)
        self.rows, self.problems = RowsModel(session, self), ProblemsModel(session, self)
        self.tokens = XrayModel(session, preferences, self)
        self.files = DatasetExport(transfers or Transfers(session, self), self)
        self._shown: tuple[str, int] = ("", 0)
        self._build_head()
        self._error = ErrorCard("dataset.error")
        self._build_content()
        self.outer.addWidget(self._error)
        self.outer.addWidget(self._stack, 1)
        self.model.loaded.connect(self._refresh)
        self.model.failed.connect(self._failed)
        self.model.gone.connect(partial(self.navigate.emit, "datasets"))
        session.online.connect(self._refresh)
        session.offline.connect(self._refresh)
        self.show_tab(tab or "rows")

    def _build_head(self) -> None:
        back = button(tr("Datasets"), "link", "chevron-left", partial(self.navigate.emit, "datasets"), "dataset.back")
        self._title = Elided("", "display")
        self._state = Chip("", "plain")
        self.versions = Choice()
        self.versions.setObjectName("dataset.version")
        self.versions.setAccessibleName(tr("Version"))
        self.versions.setMinimumContentsLength(10)
        self.versions.activated.connect(lambda _index: self.model.choose(int(self.versions.value() or 0)))
        self._train = button(tr("New run with it"), "primary", "plus", self._new_run, "dataset.train")
        self._import = button(tr("Import a new version…"), "default", "download", self.import_one, "dataset.import")
        titles = row(self._title, self._state, spacing=10)
        titles.setStretch(0, 1)
        head = row(spacing=10)
        head.addLayout(titles, 1)
        for part in (self.versions, self._import, self._train):
            head.addWidget(part)
        self.outer.addLayout(row(back, None))
        self.outer.addLayout(head)

    def _build_content(self) -> None:
        self.rows_panel = DatasetRowsPanel(self.rows)
        self.problems_panel = DatasetProblemsPanel(self.problems)
        self.xray_panel = DatasetXrayPanel(self.tokens, self._preferences, self._session)
        self.statistics_panel = DatasetStatisticsPanel(self.tokens)
        self.versions_panel = DatasetVersionsPanel(self._session)
        self.rows_panel.xray_wanted.connect(self._xray_row)
        self.problems_panel.row_wanted.connect(self._show_row)
        self.problems_panel.repair_wanted.connect(self._ask_repair)
        self.rows_panel.export_wanted.connect(self._export_rows)
        self.problems_panel.export_wanted.connect(self._export_problems)
        self.versions_panel.chosen.connect(self.model.choose)
        self.versions_panel.delete_wanted.connect(self._ask_delete)
        self._panels: dict[str, QWidget] = {
            "rows": self.rows_panel, "problems": self.problems_panel, "xray": self.xray_panel,
            "statistics": self.statistics_panel, "versions": self.versions_panel,
        }  # fmt: skip
        tabs = column(spacing=0)  # no stack: that is as tall as its tallest page, and scrolls over nothing
        self._tab_buttons: dict[str, QPushButton] = {}
        group = QButtonGroup(self)
        strip = row(spacing=18)
        for key, text in TABS:
            made = button(tr(text), "tab", on_click=partial(self.show_tab, key), name=f"dataset.tab.{key}")
            made.setCheckable(True)
            group.addButton(made)
            self._tab_buttons[key] = made
            strip.addWidget(made)
            tabs.addWidget(self._panels[key], 1)
            self._panels[key].hide()
        strip.addStretch(1)
        main = QWidget()
        layout = column(spacing=12)
        layout.addLayout(strip)
        layout.addWidget(line())
        layout.addLayout(tabs, 1)
        main.setLayout(layout)
        self.facts = DatasetFacts()
        self.facts.navigate.connect(self.navigate)
        self._stack = QStackedWidget()
        self._hints = {
            "loading": Hint("loader-circle", tr("Loading the dataset"), tr("The job controller is being asked.")),
            "empty": Hint("database", tr("Nothing is in it yet"),
                          tr("An import is at work, or none has ended yet. What it brings appears here."),
                          tr("Show the imports"), partial(self.navigate.emit, "runs")),
        }  # fmt: skip
        for hint in self._hints.values():
            self._stack.addWidget(hint)
        self._content = TwoColumns(main, self.facts)
        self._stack.addWidget(self._content)

    def show_tab(self, key: str) -> None:
        """Show one of the panels."""
        key = key if key in self._panels else "rows"
        self._tab_buttons[key].setChecked(True)
        for other, panel in self._panels.items():
            if other != key:
                panel.hide()
        self._panels[key].show()
        self._tab = key
        self.tokens.watch("xray", key == "xray")
        self.tokens.watch("figures", key == "statistics")

    @property
    def tab(self) -> str:
        """The panel that is shown."""
        return self._tab

    @Slot()
    def _refresh(self, *_news: object) -> None:
        online, detail, version = self._session.is_online, self.model.detail, self.model.version
        offline = "" if online else tr("The job controller does not answer.")
        set_enabled(self._import, online and detail is not None, offline)
        set_enabled(self._train, version is not None, tr("Nothing is in it yet."))
        if detail is None:
            self._stack.setCurrentWidget(self._hints["loading"])
            return
        self._error.show_error(None)
        self._title.set_text(detail.dataset.name)
        tone, icon, text = health(version)
        self._state.set(text, tone or "plain", icon)
        if detail.dataset.importing:
            self._state.set(tr("Importing…"), "info", "loader-circle")
        self.versions.setVisible(len(detail.versions) > 1)
        if version is None:
            self._stack.setCurrentWidget(self._hints["empty"])
            return
        self._stack.setCurrentWidget(self._content)
        self._show_versions(version.n)
        self.facts.show_dataset(detail)
        wrong = sum(version.problems.values())
        self._tab_buttons["problems"].setText(tr("Problems") + (f"  {count_of(wrong)}" if wrong else ""))
        self._tab_buttons["versions"].setText(tr("All versions") + f"  {len(detail.versions)}")
        if self._shown != (version.hash, version.n):
            self._shown = (version.hash, version.n)
            self.rows.show(self.model.uid, version.n)
            self.problems.show(self.model.uid, version.n)
            self.tokens.show(detail.dataset.name, version.hash, version.format, version.rows)
            self.rows_panel.offer(
                {kind: number for kind, number in version.problems.items() if number and kind not in ("malformed",)}
            )

    def _show_versions(self, shown: int) -> None:
        detail = self.model.detail
        if detail is None:
            return
        numbers = [str(one.n) for one in detail.versions]
        if [str(self.versions.itemData(place)) for place in range(self.versions.count())] != numbers:
            self.versions.clear()
            for number in numbers:
                self.versions.addItem(tr("Version {n}", n=number), number)
        self.versions.set_value(str(shown))
        self.versions_panel.show_versions(self.model.uid, detail.versions, shown)

    @Slot(object)
    def _failed(self, error: ErrorBody) -> None:
        self._error.show_error(error)

    @Slot(int)
    def _show_row(self, place: int) -> None:
        self.show_tab("rows")
        self.rows_panel.search.clear()
        self.rows_panel.kinds.set_value("")
        self.rows.only_with("")
        table = self.rows_panel.table
        table.setCurrentIndex(self.rows.index(place, 0))
        table.scrollTo(self.rows.index(place, 0), table.ScrollHint.PositionAtCenter)

    @Slot()
    def _export_rows(self) -> None:
        if self.model.detail is not None and self.model.version is not None:
            self.files.ask_rows(self.model.uid, self.model.detail.dataset.name, self.model.version)

    @Slot()
    def _export_problems(self) -> None:
        detail, version = self.model.detail, self.model.version
        if detail is not None and version is not None:
            self.files.ask_problems(self.model.uid, detail.dataset.name, version, self.problems.kind)

    @Slot(int)
    def _xray_row(self, place: int) -> None:
        self.tokens.go(place)
        self.show_tab("xray")

    @Slot(object)
    def _ask_repair(self, repair: Repair) -> None:
        detail = self.model.detail
        if detail is None:
            return
        text = tr("This makes a new version of '{name}'. The one before stays as it is.", name=detail.dataset.name)
        ask_before(self, repair_text(repair) + "?", text, tr("Make a new version"), "dataset.repair",
                   partial(self.model.repair, [repair], self._repairing, self._failed))  # fmt: skip

    def _repairing(self, _run: RunSummary) -> None:
        self.told.emit(tr("The repaired version is being made."))
        self.model.fetch()

    @Slot(int)
    def _ask_delete(self, version: int) -> None:
        versions = self.model.detail.versions if self.model.detail else []
        found = next((one for one in versions if one.n == version), None)
        if found is None:
            return
        text = tr("{rows} are deleted from the library.", rows=count(found.rows, "1 row", "{n} rows"))
        ask_before(self, tr("Delete version {n}?", n=version), text, tr("Delete version"), "dataset.version.delete",
                   partial(self.model.delete_version, version, self._failed))  # fmt: skip

    def _new_run(self) -> None:
        if self.model.detail is not None:
            self.navigate.emit(f"new/?data={self.model.detail.dataset.name}")

    def import_one(self) -> None:
        """Bring in another version."""
        if self.model.detail is not None:
            dialog = ImportDialog(self._session, self, [], self.model.detail.dataset.name)
            dialog.started.connect(lambda _run: self.model.fetch())
            dialog.open()
