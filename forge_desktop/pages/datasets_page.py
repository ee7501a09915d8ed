"""The Datasets page: the library, what is in it and how sound it is; files are dropped here to be brought in."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from PySide6.QtCore import QPoint, Qt, QTimer, Signal, Slot
from PySide6.QtGui import QDragEnterEvent, QDropEvent
from PySide6.QtWidgets import QInputDialog, QLineEdit, QMenu

from engine.contract.api import RunSummary
from engine.contract.datasets import DatasetView, EditDataset
from engine.contract.errors import ErrorBody
from forge_desktop.bridge.preferences import Preferences
from forge_desktop.bridge.session import Session
from forge_desktop.models.dataset_words import summary
from forge_desktop.models.datasets_model import COLUMNS, DatasetsModel
from forge_desktop.panels.datasets_table import DatasetsTable
from forge_desktop.panels.hint_stack import HintStack
from forge_desktop.panels.import_dialog import ImportDialog
from forge_desktop.panels.page import ErrorCard, Hint, Page
from forge_desktop.panels.questions import ask_before
from forge_desktop.panels.row_menu import add_deeds, pop_up
from forge_desktop.panels.sample_dialog import SampleDialog
from forge_desktop.theme.controls import Card, Elided, Field, button, column, label, row, set_enabled
from forge_desktop.theme.language import count, tr

PREFERENCE = "datasets.order"


class DatasetsPage(Page):
    """Follows the library while it is shown."""

    told = Signal(str)
    """News for the banner."""

    def __init__(self, session: Session, preferences: Preferences, rest: str = "") -> None:
        """`rest` of the address: `import` opens the dialog."""
        super().__init__()
        self._session, self._preferences = session, preferences
        self.setAcceptDrops(True)
        self.model = DatasetsModel(session, self)
        self._recall()
        self._summary = Elided("", "hint")
        titles = column(label(tr("Datasets"), "display"), self._summary, spacing=0)
        self._sample = button(tr("Sample…"), "default", "flask-conical", self.sample_one, "datasets.sample",
                              tr("A model answers questions; its answers become a dataset."))  # fmt: skip
        self._import = button(tr("Import…"), "primary", "download", self.import_one, "datasets.import")
        head = row(spacing=10)
        head.addLayout(titles, 1)
        head.addWidget(self._sample)
        head.addWidget(self._import)
        self.outer.addLayout(head)
        self.search = Field(hint=tr("Name or tag"), name="datasets.search")
        self.search.setAccessibleName(tr("Search the datasets"))
        self.search.setClearButtonEnabled(True)
        self.search.textChanged.connect(self.model.look_for)
        self.outer.addWidget(self.search)
        self._error = ErrorCard("datasets.error")
        self.outer.addWidget(self._error)
        self.table = DatasetsTable(self.model)
        self._build_stack()
        self.table.opened.connect(self._open)
        self.table.menu_wanted.connect(self._menu)
        self.model.loaded.connect(self._loaded)
        self.model.failed.connect(self._failed)
        session.online.connect(self._refresh)
        session.offline.connect(self._refresh)
        self.model.fetch()
        self._refresh()
        if rest == "import":
            QTimer.singleShot(0, self, self.import_one)

    def import_one(self, path: str = "", name: str = "") -> ImportDialog:
        """Open the dialog that brings a dataset in; with a name as another version of it."""
        return self.import_all([path] if path else [], name)

    def import_all(self, paths: Sequence[str], name: str = "") -> ImportDialog:
        """The same for several files or folders, one after the other."""
        dialog = ImportDialog(self._session, self, paths, name)
        dialog.started.connect(self._began)
        dialog.open()
        return dialog

    def sample_one(self, name: str = "") -> SampleDialog:
        """Open the dialog that has a model make a dataset; with a name that dataset's questions are asked."""
        dialog = SampleDialog(self._session, self, name)
        dialog.started.connect(self._sampling)
        dialog.open()
        return dialog

    @Slot(object)
    def _sampling(self, run: RunSummary) -> None:
        self.told.emit(tr("'{name}' is being sampled.", name=run.dataset or run.name))
        self.model.fetch()

    @Slot(object)
    def _began(self, run: RunSummary) -> None:
        self.told.emit(tr("Import of '{name}' has begun.", name=run.dataset or run.name))
        self.model.fetch()

    def _build_stack(self) -> None:
        card = Card(margins=(1, 1, 1, 4))
        card.body.addWidget(self.table)
        self._hints = {
            "loading": Hint("loader-circle", tr("Loading the library"), tr("One moment.")),
            "offline": Hint("wifi-off", tr("Nobody answers yet"),
                            tr("The job controller is started and asked again by itself.")),
            "error": Hint("circle-alert", tr("The library is not known"), tr("It is tried again by itself."),
                          tr("Try again"), self.model.fetch),
            "none": Hint("database", tr("Bring in your first dataset"),
                         tr("Drop a file here: JSONL, JSON, CSV, Parquet, Arrow, text, packed or not. You see what is "
                            "in it, what is wrong with it, and what a model would learn, before anything is trained."),
                         tr("Import…"), self.import_one),
            "no_match": Hint("search", tr("No dataset matches"), tr("Change the words above."),
                             tr("Show all"), self.search.clear),
        }  # fmt: skip
        self._stack = HintStack(card, self._hints)
        self.outer.addWidget(self._stack, 1)

    def _recall(self) -> None:
        kept = self._preferences.get(PREFERENCE)
        if isinstance(kept, dict) and kept.get("by") in {one.key for one in COLUMNS}:
            self.model.sorted_by, self.model.descending = str(kept["by"]), bool(kept.get("descending"))

    @Slot()
    def _loaded(self) -> None:
        self._error.show_error(None)
        self._preferences.set(PREFERENCE, {"by": self.model.sorted_by, "descending": self.model.descending})
        self._refresh()

    @Slot(object)
    def _failed(self, error: ErrorBody) -> None:
        self._error.show_error(error)
        self._refresh()

    @Slot()
    def _refresh(self, *_news: object) -> None:
        rows = sum(one.newest.rows for one in self.model.rows if one.newest)
        size = sum(one.newest.bytes for one in self.model.rows if one.newest)
        self._summary.set_text(summary(self.model.total, rows, size) if self.model.has_loaded else "")
        self.search.setVisible(bool(self.model.rows) or bool(self.model.search))
        set_enabled(self._sample, self._session.is_online, tr("The job controller does not answer."))
        set_enabled(self._import, self._session.is_online, tr("The job controller does not answer."))
        self._stack.show_hint("" if self.model.rows else self._state())

    def _state(self) -> str:
        if self.model.has_loaded:
            return "no_match" if self.model.search else "none"
        if not self._session.is_online:
            return "offline"
        return "error" if self._error.isVisibleTo(self) else "loading"

    def state(self) -> str:
        """Which hint stands instead of rows; empty while rows are shown."""
        return self._stack.state

    @Slot(object)
    def _open(self, one: DatasetView) -> None:
        self.navigate.emit(f"dataset/{one.uid}")

    @Slot(object, QPoint)
    def _menu(self, one: DatasetView, place: QPoint) -> None:
        pop_up(self, "datasets.menu", place, lambda menu: self.fill_menu(menu, one))

    def fill_menu(self, menu: QMenu, one: DatasetView) -> None:
        """What can be done with one."""
        offline = "" if self._session.is_online else tr("The job controller does not answer.")
        empty = "" if one.newest else tr("Nothing is in it yet.")
        entries = (
            ("open", "arrow-right", tr("Open"), partial(self._open, one), ""),
            ("train", "plus", tr("New run with it"), partial(self._train, one), empty),
            (
                "sample",
                "flask-conical",
                tr("Sample answers to it…"),
                partial(self.sample_one, one.name),
                offline or empty,
            ),
            ("import", "download", tr("Import a new version…"), partial(self.import_one, "", one.name), offline),
            ("rename", "pencil", tr("Rename…"), partial(self._rename, one), offline),
            ("delete", "trash-2", tr("Delete…"), partial(self._delete, one), offline),
        )
        add_deeds(menu, "datasets.menu", entries)

    def _train(self, one: DatasetView) -> None:
        self.navigate.emit(f"new/?data={one.name}")

    def _rename(self, one: DatasetView) -> None:
        dialog = QInputDialog(self)
        dialog.setObjectName("datasets.rename")
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.setWindowTitle(tr("Rename '{name}'", name=one.name))
        dialog.setLabelText(tr("Runs that learned from it keep what they learned from."))
        dialog.setTextEchoMode(QLineEdit.EchoMode.Normal)
        dialog.setTextValue(one.name)
        dialog.textValueSelected.connect(lambda name: self._renamed(one, name.strip()))
        dialog.open()

    def _renamed(self, one: DatasetView, name: str) -> None:
        if name and name != one.name:
            self.model.edit(one.uid, EditDataset(name=name), self._error.show_error)

    def _delete(self, one: DatasetView) -> None:
        used = count(one.used_by, "1 run learned from it", "{n} runs learned from it") if one.used_by else ""
        text = tr("{versions} with all their rows are deleted from the library. {used}",
                  versions=count(one.versions, "1 version", "{n} versions"),
                  used=f"{used}." if used else "")  # fmt: skip
        ask_before(self, tr("Delete '{name}'?", name=one.name), text.strip(), tr("Delete dataset"), "datasets.delete",
                   partial(self.model.delete, one.uid, self._error.show_error))  # fmt: skip

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        """Qt's own hook."""
        if any(url.isLocalFile() for url in event.mimeData().urls()):
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent) -> None:
        """Qt's own hook."""
        paths = [url.toLocalFile() for url in event.mimeData().urls() if url.isLocalFile()]
        if paths:
            event.acceptProposedAction()
            self.import_all(paths)
