"""The Runs page: what the machine is doing, and every run with its state, loss and progress."""

from __future__ import annotations

from functools import partial

from PySide6.QtCore import QObject, QPoint, Qt, QTimer, Slot
from PySide6.QtWidgets import QHBoxLayout, QMenu, QStackedWidget, QVBoxLayout

from engine.contract.api import RunSummary
from engine.contract.errors import ErrorBody
from engine.contract.events import Resources
from engine.contract.states import RunState
from forge_desktop.bridge.session import Session
from forge_desktop.models.deeds import deeds_of
from forge_desktop.models.runs_model import RunsModel
from forge_desktop.panels.page import ErrorCard, Hint, Page
from forge_desktop.panels.run_actions import RunActions
from forge_desktop.panels.runs_table import RunsTable
from forge_desktop.panels.sparkline import Sparkline
from forge_desktop.theme import icons
from forge_desktop.theme.controls import Card, Field, Segments, button, column, label, row
from forge_desktop.theme.language import count, tr
from forge_desktop.theme.look import tokens
from forge_desktop.theme.measures import size

FILTER_TEXTS = (
    ("all", "All"),
    ("active", "Active"),
    ("completed", "Completed"),
    ("failed", "Failed or stopped"),
    ("draft", "Drafts"),
)


class RunsPage(Page):
    """All runs."""

    def __init__(self, session: Session, actions: RunActions) -> None:
        super().__init__()
        self._session, self._actions = session, actions
        self.model = RunsModel(session, self)
        self._loads = _Loads(self)
        self._build_head()
        self.outer.addLayout(self._loads.layout_of_tiles)
        self._build_filters()
        self._error = ErrorCard("runs.error")
        self.outer.addWidget(self._error)
        self._build_table()
        self.model.loaded.connect(self._loaded)
        self.model.modelReset.connect(self._loaded)
        self.model.rowsRemoved.connect(self._loaded)
        self.model.failed.connect(self._failed)
        session.resources.connect(self._loads.show_resources)
        self._age = QTimer(self, interval=20_000)
        self._age.timeout.connect(self.table.viewport().update)
        self._age.start()
        self.model.fetch()

    def _build_head(self) -> None:
        titles = column(label(tr("Runs"), "title"), label(tr("Fine-tuning on this computer"), "hint"), spacing=2)
        new = button(
            tr("New run"), "primary", "plus", lambda: self.navigate.emit("new"), name="runs.new", tip=tr("Ctrl+N")
        )
        layout = row(spacing=12)
        layout.addLayout(titles, 1)
        layout.addWidget(new)
        self.outer.addLayout(layout)

    def _build_filters(self) -> None:
        self._filters = Segments([(key, tr(text)) for key, text in FILTER_TEXTS], "all", name="runs.filter")
        self._filters.chosen.connect(self.model.set_filter)
        self.search = Field(hint=tr("Search runs, models, tags…"), name="runs.search")
        self.search.setAccessibleName(tr("Search runs"))
        self.search.setClearButtonEnabled(True)
        self.search.addAction(icons.icon("search", tokens().muted), Field.ActionPosition.LeadingPosition)
        self.search.setMinimumWidth(256)
        self.search.setMaximumWidth(320)
        self.search.textChanged.connect(self.model.set_search)
        self.outer.addLayout(row(self._filters, None, self.search, spacing=12))

    def _build_table(self) -> None:
        self.table = RunsTable(self.model)
        self.table.opened.connect(lambda uid: self.navigate.emit(self._actions.address_of(uid, self.model.runs)))
        self.table.customContextMenuRequested.connect(self._menu)
        card = Card(margins=(1, 1, 1, 4))
        card.body.addWidget(self.table)
        self._nothing = Hint("activity", "", "", tr("New run"), lambda: self.navigate.emit("new"))
        self._no_match = Hint("search", tr("No run matches"), tr("Change the search or the filter."))
        self._waiting = Hint("loader-circle", tr("Loading runs"), tr("The job controller is being asked."))
        self._stack = QStackedWidget()
        for widget in (card, self._nothing, self._no_match, self._waiting):
            self._stack.addWidget(widget)
        self._stack.setCurrentWidget(self._waiting)
        self.outer.addWidget(self._stack, 1)

    @Slot()
    def _loaded(self) -> None:
        if not self.model.has_loaded:
            return
        self._error.show_error(None)
        for key, text in FILTER_TEXTS:
            number = self.model.count(key)
            self._filters.set_text(key, f"{tr(text)} {number:,}" if number else tr(text))
        self._loads.show_runs(self.model)
        if self.model.runs:
            self._stack.setCurrentIndex(0)
        elif self.model.search or self.model.filter != "all":
            self._stack.setCurrentWidget(self._no_match)
        else:
            self._nothing.say(
                tr("No runs yet"), tr("Start with the bundled model and data: it takes about two minutes.")
            )
            self._stack.setCurrentWidget(self._nothing)

    @Slot(object)
    def _failed(self, error: ErrorBody) -> None:
        if not self.model.has_loaded and not self._session.is_online:
            return  # the window's banner says it
        self._error.show_error(error)

    @Slot(QPoint)
    def _menu(self, place: QPoint) -> None:
        run = self.model.run_at(self.table.indexAt(place))
        if run is None:
            return
        menu = QMenu(self)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.fill_menu(menu, run)
        menu.popup(self.table.viewport().mapToGlobal(place))

    def fill_menu(self, menu: QMenu, run: RunSummary) -> None:
        """What can be done with a run."""
        menu.addAction(tr("Open"), lambda: self.navigate.emit(self._actions.address_of(run.uid, [run])))
        menu.setToolTipsVisible(True)
        for deed in deeds_of(run):
            if deed.key in ("copy", "delete"):
                menu.addSeparator()
            action = menu.addAction(deed.text, partial(self._actions.do, deed.key, run, self, self.navigate.emit))
            action.setEnabled(not deed.why_not)
            action.setToolTip(deed.why_not)


class _Loads(QObject):
    """The tiles above the table: slots, waiting runs, processor or GPU, memory."""

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        t = tokens()
        self.layout_of_tiles = QHBoxLayout()
        self.layout_of_tiles.setSpacing(12)
        self._slots = _Tile("activity", tr("Slots in use"), t.series[0])
        self._waiting = _Tile("clock", tr("Waiting"), t.series[5])
        self._load = _Tile("cpu", tr("Processor"), t.series[4])
        self._memory = _Tile("memory-stick", tr("Memory"), t.series[2])
        for tile in (self._slots, self._waiting, self._load, self._memory):
            self.layout_of_tiles.addWidget(tile, 1)

    def show_runs(self, model: RunsModel) -> None:
        """What the list of runs tells."""
        live = model.count("active") - model.counts.get(RunState.QUEUED, 0) - model.counts.get(RunState.PAUSED, 0)
        self._slots.below.setText(count(live, "1 run at work", "{n} runs at work"))

    @Slot(object)
    def show_resources(self, now: Resources) -> None:
        """What the controller measured."""
        used, slots = now.used.get("gpu", 0), now.slots.get("gpu", 0)
        self._slots.set(tr("{used} of {slots}", used=used, slots=slots), used)
        self._waiting.set(str(now.waiting), now.waiting)
        self._waiting.below.setText(tr("nothing waits") if not now.waiting else tr("by priority, then first come"))
        gpu = now.values.get("gpu0.utilisation")
        share = gpu if gpu is not None else now.values.get("cpu.utilisation")
        self._load.title.setText(tr("GPU") if gpu is not None else tr("Processor"))
        if share is not None:
            self._load.set(f"{share:.0f}%", share)
        self._load.below.setText(now.names.get("gpu0" if gpu is not None else "cpu", ""))
        memory, total = ("gpu0.memory_used", "gpu0.memory_total") if gpu is not None else ("ram.used", "ram.total")
        if memory in now.values:
            self._memory.title.setText(tr("GPU memory") if gpu is not None else tr("Memory"))
            self._memory.set(size(now.values[memory]), now.values[memory])
            self._memory.below.setText(tr("of {limit}", limit=size(now.values.get(total))))


class _Tile(Card):
    def __init__(self, icon: str, title: str, colour: str) -> None:
        super().__init__(margins=(14, 10, 14, 10))
        picture = label()
        picture.setPixmap(icons.pixmap(icon, tokens().muted, 14))
        self.title = label(title, "label")
        self.value = label("—", "title")
        self.below = label("", "hint")
        self._values: list[float] = []
        self._spark = Sparkline(colour, low=0)
        self._spark.setMaximumWidth(96)
        texts = QVBoxLayout()
        texts.setSpacing(2)
        texts.addLayout(row(picture, self.title, None, spacing=6))
        texts.addWidget(self.value)
        texts.addWidget(self.below)
        layout = row(spacing=8)
        layout.addLayout(texts, 1)
        layout.addWidget(self._spark, 0, Qt.AlignmentFlag.AlignBottom)
        self.body.addLayout(layout)

    def set(self, text: str, value: float) -> None:
        self.value.setText(text)
        self.setAccessibleName(f"{self.title.text()}: {text}")
        self._values = [*self._values[-59:], value]
        self._spark.set_values(self._values)
