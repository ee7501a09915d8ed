"""The Runs page: what the machine is doing, every run with its state, loss and progress, and the queue."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict

from PySide6.QtCore import QPoint, Qt, QTimer, Slot
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QBoxLayout, QMenu, QPushButton, QSizePolicy, QStackedWidget, QVBoxLayout, QWidget

from engine.contract.api import RunSummary
from engine.contract.errors import ErrorBody
from forge_desktop.bridge.preferences import Preferences
from forge_desktop.bridge.session import Session
from forge_desktop.models.node_alerts import NodeAlerts
from forge_desktop.models.picked import Picked
from forge_desktop.models.queue_model import QueueModel
from forge_desktop.models.runs_model import Question, RunsModel
from forge_desktop.models.saved_searches import PRESENT, SavedSearches, question_of
from forge_desktop.panels.bulk_actions import BulkActions
from forge_desktop.panels.bulk_bar import COMPARED, BulkBar
from forge_desktop.panels.health_card import HealthCard
from forge_desktop.panels.page import ErrorCard, Page
from forge_desktop.panels.queue_card import QueueCard
from forge_desktop.panels.resources_strip import ResourcesStrip
from forge_desktop.panels.run_actions import RunActions
from forge_desktop.panels.run_menu import fill_run_menu
from forge_desktop.panels.run_search import FilterMenu, SearchChips, SearchError, SearchField
from forge_desktop.panels.runs_states import RunsStates, run_the_demo
from forge_desktop.panels.runs_table import RunsTable
from forge_desktop.panels.saved_menu import fill_saved_menu
from forge_desktop.theme.controls import Card, Segments, button, column, label, row, scrolled, set_enabled
from forge_desktop.theme.language import tr
from forge_desktop.theme.slices import Slices

FILTER_TEXTS = (
    ("all", "All"),
    ("active", "Active"),
    ("completed", "Completed"),
    ("failed", "Failed"),
    ("draft", "Drafts"),
)
COUNTED = ("all", "active")
BESIDE = 940
"""From this width on queue and node health stand side by side."""
SEARCH_WIDTH = 340


class RunsPage(Page):
    """All runs."""

    def __init__(self, session: Session, actions: RunActions, preferences: Preferences, alerts: NodeAlerts) -> None:
        super().__init__()
        self._alerts = alerts
        self._session, self._actions, self._preferences = session, actions, preferences
        self.model = RunsModel(session, self)
        self.model.question = question_of(preferences.get(PRESENT)) or Question()
        self.queue = QueueModel(session, self)
        self.picked = Picked(session, self)
        self._saved = SavedSearches(preferences, self)
        self.bulk = BulkActions(session, self)
        self._slices = Slices(self)
        self._build()
        self._connect()
        self._slices.begin([self._refresh_compare, self._build_cards])
        self._age = QTimer(self, interval=20_000)
        self._age.timeout.connect(self.table.viewport().update)
        self._age.start()
        self.model.fetch()
        self.queue.fetch()

    def _build(self) -> None:
        content = QWidget()
        self._column = QVBoxLayout(content)
        self._column.setContentsMargins(28, 22, 28, 20)
        self._column.setSpacing(12)
        self.outer.setContentsMargins(0, 0, 0, 0)
        self.area = scrolled(content)
        self.outer.addWidget(self.area)
        self._build_head()
        self._column.addWidget(ResourcesStrip(self._session, self.model, self.queue))
        self._build_tools()
        self._error = ErrorCard("runs.error")
        self._column.addWidget(self._error)
        self._build_table()

    # The cards below the list are made in a turn of their own, or as soon as somebody needs them.

    @property
    def is_built(self) -> bool:
        """Everything is there."""
        return self._slices.is_done

    @property
    def queue_card(self) -> QueueCard:
        """What waits."""
        self._slices.finish()
        return self._queue_card

    @property
    def health(self) -> HealthCard:
        """How the nodes are."""
        self._slices.finish()
        return self._health

    def _build_head(self) -> None:
        titles = column(label(tr("Runs"), "title"), label(tr("Fine-tuning on this computer"), "hint"), spacing=2)
        self._compare = button(tr("Compare"), on_click=self._compare_picked, name="runs.compare")
        new = button(
            tr("New run"), "primary", "plus", lambda: self.navigate.emit("new"), name="runs.new", tip=tr("Ctrl+N")
        )
        layout = row(spacing=8)
        layout.addLayout(titles, 1)
        layout.addWidget(self._compare)
        layout.addWidget(new)
        self._column.addLayout(layout)

    def _build_tools(self) -> None:
        self._filters = Segments([(key, tr(text)) for key, text in FILTER_TEXTS], self.model.filter, name="runs.filter")
        self.search = SearchField(self.model)
        self.search.setText(self.model.search)
        self.search.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.search.setMinimumWidth(220)
        self._filter_menu = FilterMenu(self.search, self.model, self)
        self._filter = self._menu_button(tr("Filter"), "list-filter", "runs.filters", self._filter_menu.fill)
        saved = self._menu_button(tr("Saved searches"), "bookmark", "runs.saved", self._fill_saved, bare=True)
        columns = button("", "quiet", "columns-3", self._columns_menu, "runs.columns", tr("Columns and order"))
        self._columns = columns
        tools = row(self._filter, saved, columns, self.search, spacing=6)
        tools.setStretch(3, 1)
        for made in (self._filter, saved, columns):  # where there is much room, it is the search's
            made.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        holder = QWidget()
        holder.setLayout(tools)
        self._tools = QBoxLayout(QBoxLayout.Direction.LeftToRight)
        self._tools.setSpacing(10)
        self._tools.addWidget(self._filters)
        self._tools.addStretch(1)
        self._tools.addWidget(holder, 2)
        self._tools_holder = holder
        self._column.addLayout(self._tools)
        self._search_error = SearchError(self.search)
        self._column.addWidget(self._search_error)
        self._column.addWidget(SearchChips(self.search))

    def _menu_button(
        self, text: str, icon: str, name: str, fill: Callable[[QMenu], object], bare: bool = False
    ) -> QPushButton:
        made = button("" if bare else text, "quiet", icon, name=name, tip=text if bare else "")
        made.setAccessibleName(text)

        def show() -> None:
            menu = QMenu(self)
            menu.setObjectName(f"{name}.menu")
            menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
            fill(menu)
            menu.popup(made.mapToGlobal(QPoint(0, made.height() + 2)))

        made.clicked.connect(show)
        return made

    def _build_table(self) -> None:
        self._bar = BulkBar(self.picked)
        self._column.addWidget(self._bar)
        self.table = RunsTable(self.model, self.picked, self._preferences)
        self.table.header.show_sort(self.model.question.sort, self.model.question.descending)
        card = Card(margins=(1, 1, 1, 4))
        card.body.addWidget(self.table)
        self.states = RunsStates(lambda: self.navigate.emit("new"), self._run_demo, self._show_all)
        self._stack = QStackedWidget()
        self._stack.addWidget(card)
        self._stack.addWidget(self.states)
        self._stack.setCurrentWidget(self.states)
        self._column.addWidget(self._stack, 1)
        self._cards = QBoxLayout(QBoxLayout.Direction.LeftToRight)
        self._cards.setSpacing(12)
        self._column.addLayout(self._cards)

    def _build_cards(self) -> None:
        self._queue_card = QueueCard(self.queue)
        self._queue_card.opened.connect(self._open)
        self._queue_card.told.connect(self._actions.told)
        self._health = HealthCard(self._session, self._alerts)
        self._cards.addWidget(self._queue_card, 1)
        self._cards.addWidget(self._health, 1)

    def _connect(self) -> None:
        self._filters.chosen.connect(self._filter_chosen)
        self.search.textChanged.connect(self.picked.clear)
        self.table.opened.connect(self._open)
        self.table.menu_wanted.connect(self._menu)
        self.table.header.sort_wanted.connect(self._keep_question)
        self.table.selection.failed.connect(self._failed)
        self.queue.failed.connect(self._actions.failed)
        self.bulk.told.connect(self._actions.told)
        self.bulk.failed.connect(self._actions.failed)
        self._bar.wanted.connect(self._bulk_wanted)
        self.picked.changed.connect(self._refresh_compare)
        self.model.loaded.connect(self._loaded)
        self.model.failed.connect(self._failed)
        self._session.offline.connect(self._offline)

    @Slot()
    def _loaded(self) -> None:
        self._error.show_error(None)
        self._search_error.show_error(None)
        for key, text in FILTER_TEXTS:
            number = self.model.count(key)
            self._filters.set_text(key, f"{tr(text)} {number:,}" if number and key in COUNTED else tr(text))
            self._filters.button(key).setToolTip(f"{number:,}")
        self.table.header.set_costs(self.model.has_costs())
        self._keep_question()
        if self.model.total:
            self._stack.setCurrentIndex(0)
        else:
            searched = bool(self.model.search) or self.model.filter != "all"
            self.states.show_state("no_match" if searched else "empty")
            self._stack.setCurrentWidget(self.states)

    @Slot()
    def _keep_question(self) -> None:
        question = self.model.question
        self.table.header.show_sort(question.sort, question.descending)
        if self._preferences.get(PRESENT) != asdict(question):
            self._preferences.set(PRESENT, asdict(question))

    @Slot(object)
    def _failed(self, error: ErrorBody) -> None:
        if error.code.startswith("search."):
            self._search_error.show_error(error)
        elif self.model.has_loaded or self._session.is_online:
            self._error.show_error(error)

    @Slot(object)
    def _offline(self, _error: ErrorBody) -> None:
        if not self.model.has_loaded:
            self.states.show_state("offline")

    @Slot(str)
    def _filter_chosen(self, key: str) -> None:
        self.picked.clear()
        self.model.set_filter(key)

    def _show_all(self) -> None:
        self._recall(Question(sort=self.model.question.sort, descending=self.model.question.descending))

    def _recall(self, question: Question) -> None:
        self.picked.clear()
        self._filters.set_value(question.filter)
        self.search.blockSignals(True)
        self.search.setText("")
        self.search.blockSignals(False)
        self.search.setText(question.search)
        self.model.set_question(question)

    def _fill_saved(self, menu: QMenu) -> None:
        fill_saved_menu(menu, self._saved, self.model, self._recall, self)

    def _columns_menu(self) -> None:
        menu = self.table.header.menu()
        menu.popup(self._columns.mapToGlobal(QPoint(0, self._columns.height() + 2)))

    @Slot(str)
    def _open(self, uid: str) -> None:
        self.navigate.emit(self._actions.address_of(uid, self.model.runs))

    @Slot(object, QPoint)
    def _menu(self, run: RunSummary, place: QPoint) -> None:
        menu = QMenu(self)
        menu.setObjectName("runs.menu")
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.fill_menu(menu, run)
        menu.popup(place)

    def fill_menu(self, menu: QMenu, run: RunSummary) -> None:
        """What can be done with a run."""
        others = self.picked.runs if len(self.picked) > 1 else self.model.runs
        fill_run_menu(menu, run, others, self._actions, self.bulk, self, self.navigate.emit)

    @Slot(str)
    def _bulk_wanted(self, deed: str) -> None:
        if deed == "compare":
            self._compare_picked()
        else:
            self.bulk.do(deed, self.picked.runs)

    def _compare_picked(self) -> None:
        if len(self.picked) in COMPARED:
            self.navigate.emit("compare/" + ",".join(self.picked.uids))

    @Slot()
    def _refresh_compare(self) -> None:
        set_enabled(self._compare, len(self.picked) in COMPARED, tr("Pick 2 to 10 runs to compare them."))

    def _run_demo(self) -> None:
        self._session.ask(run_the_demo, lambda run: self.navigate.emit(f"run/{run.uid}"), self._failed, owner=self)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Qt's own hook: where room is short, tools and cards stand one above the other."""
        super().resizeEvent(event)
        room = event.size().width() - 56
        across, down = QBoxLayout.Direction.LeftToRight, QBoxLayout.Direction.TopToBottom
        self._cards.setDirection(across if room >= BESIDE else down)
        tools = self._filters.sizeHint().width() + self._tools_holder.minimumSizeHint().width() + 24
        self._tools.setDirection(across if room >= tools else down)
        self.search.setMaximumWidth(SEARCH_WIDTH if room >= tools else room)
