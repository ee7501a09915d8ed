"""The Adapters page: every adapter there is, what its card says, and what can be done with it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from PySide6.QtCore import QPoint, QTimer, Signal, Slot
from PySide6.QtGui import QDragEnterEvent, QDropEvent
from PySide6.QtWidgets import QFileDialog, QMenu, QWidget

from engine.contract.adapter_library import AdapterEntry
from engine.contract.api import RunDetail
from engine.contract.datasets import DatasetPage
from engine.contract.errors import ErrorBody
from engine.contract.lora_card import SUFFIX
from engine.contract.serving import name_of
from forge_desktop.bridge.preferences import Preferences
from forge_desktop.bridge.session import Session
from forge_desktop.models.adapter_jobs import AdapterJobs
from forge_desktop.models.adapter_words import summary
from forge_desktop.models.adapters_model import COLUMNS, AdaptersModel
from forge_desktop.models.deeds import deeds_of
from forge_desktop.panels.adapter_detail import AdapterDetail
from forge_desktop.panels.adapter_dialogs import ImportAdapterDialog, ModulesDialog, SmallerDialog
from forge_desktop.panels.adapters_table import AdaptersTable
from forge_desktop.panels.hint_stack import HintStack
from forge_desktop.panels.page import ErrorCard, Hint, Page, TwoColumns
from forge_desktop.panels.questions import ask_before
from forge_desktop.panels.row_menu import add_deeds, pop_up
from forge_desktop.panels.run_actions import RunActions
from forge_desktop.theme.controls import Card, Choice, Elided, Field, button, column, label, row, set_enabled
from forge_desktop.theme.language import tr

PREFERENCE = "adapters.order"
MOST_DATASETS = 50


class AdaptersPage(Page):
    """Follows the library while it is shown."""

    told = Signal(str)
    """News for the banner."""
    chat_asked = Signal(str)
    """The run whose adapter somebody wants to talk with; empty: it was brought in."""
    serve_asked = Signal(str)
    """Id of an adapter that is to be served."""

    def __init__(self, session: Session, preferences: Preferences, actions: RunActions, rest: str = "") -> None:
        """`rest` of the address: `import` opens the dialog, another is the id of the one to show."""
        super().__init__()
        self._session, self._preferences, self._actions = session, preferences, actions
        self._wanted = "" if rest == "import" else rest
        self.setAcceptDrops(True)
        self.model = AdaptersModel(session, self)
        self.jobs = AdapterJobs(session, actions.transfers, self)
        self._recall()
        self._build_head()
        self._error = ErrorCard("adapters.error")
        self.outer.addWidget(self._error)
        self.table, self.detail = AdaptersTable(self.model), AdapterDetail()
        self._build_stack()
        self._connect()
        self.model.fetch()
        self._refresh()
        if rest == "import":
            QTimer.singleShot(0, self, self.import_one)

    def _build_head(self) -> None:
        self._summary = Elided("", "hint")
        titles = column(label(tr("Adapters"), "display"), self._summary, spacing=0)
        self._import = button(tr("Import…"), "primary", "download", self.import_one, "adapters.import")
        head = row(spacing=10)
        head.addLayout(titles, 1)
        head.addWidget(self._import)
        self.outer.addLayout(head)
        self.search = Field(hint=tr("Name, run, dataset or description"), name="adapters.search")
        self.search.setAccessibleName(tr("Search the adapters"))
        self.search.setClearButtonEnabled(True)
        self.search.textChanged.connect(self.model.look_for)
        self.bases = Choice()
        self.bases.setObjectName("adapters.base")
        self.bases.setAccessibleName(tr("Base model"))
        self.bases.setMinimumContentsLength(20)
        self.bases.activated.connect(lambda _place: self.model.show_base(self.bases.value()))
        self._filter = QWidget()
        line = row(self.search, self.bases, spacing=10)
        line.setStretch(0, 1)
        self._filter.setLayout(line)
        self.outer.addWidget(self._filter)

    def _build_stack(self) -> None:
        card = Card(margins=(1, 1, 1, 4))
        card.body.addWidget(self.table)
        self._hints = {
            "loading": Hint("loader-circle", tr("Loading the adapters"), tr("One moment.")),
            "offline": Hint("wifi-off", tr("Nobody answers yet"),
                            tr("The job controller is started and asked again by itself.")),
            "error": Hint("circle-alert", tr("The adapters are not known"), tr("It is tried again by itself."),
                          tr("Try again"), self.model.fetch),
            "none": Hint("box", tr("No adapter yet"),
                         tr("A run that ends leaves its adapter here. Drop a .lora.arrow file or the folder of an "
                            "adapter on this page to bring in one from elsewhere."),
                         tr("Import…"), self.import_one),
            "no_match": Hint("search", tr("No adapter matches"), tr("Change the words above."),
                             tr("Show all"), self._show_all),
        }  # fmt: skip
        self._stack = HintStack(TwoColumns(card, self.detail), self._hints)
        self.outer.addWidget(self._stack, 1)

    def _connect(self) -> None:
        self.table.picked_changed.connect(self._show_picked)
        self.table.opened.connect(self._show_picked)
        self.table.menu_wanted.connect(self._menu)
        self.detail.wanted.connect(self._do_shown)
        self.detail.navigate.connect(self.navigate)
        self.detail.dataset_wanted.connect(self._open_dataset)
        self.detail.copied.connect(lambda text: self.told.emit(tr("Copied: {path}", path=text)))
        self.model.loaded.connect(self._loaded)
        self.model.failed.connect(self._failed)
        self.jobs.made.connect(self._brought_in)
        self.jobs.changed.connect(self._refresh)
        self._session.online.connect(self._refresh)
        self._session.offline.connect(self._refresh)

    def import_one(self) -> ImportAdapterDialog:
        """Open the dialog that brings one in."""
        return self.import_all([])

    def import_all(self, paths: list[str]) -> ImportAdapterDialog:
        """The same for several files or folders, one after the other."""
        dialog = ImportAdapterDialog(self.jobs, self._session, self, paths)
        dialog.open()
        return dialog

    @Slot(object)
    def _brought_in(self, one: AdapterEntry) -> None:
        self._wanted = one.id
        known = self.model.find(one.id) is not None
        self.told.emit(
            tr("'{name}' was in the library already: nothing was added.", name=one.name)
            if known else tr("'{name}' is in the library.", name=one.name)
        )  # fmt: skip
        self.model.fetch()

    def _recall(self) -> None:
        kept = self._preferences.get(PREFERENCE)
        if isinstance(kept, dict) and kept.get("by") in {one.key for one in COLUMNS}:
            self.model.sorted_by, self.model.descending = str(kept["by"]), bool(kept.get("descending"))

    @Slot()
    def _loaded(self) -> None:
        self._error.show_error(None)
        self._preferences.set(PREFERENCE, {"by": self.model.sorted_by, "descending": self.model.descending})
        bases = [("", tr("All base models")), *((base, base) for base in self.model.bases())]
        if [self.bases.itemData(place) for place in range(self.bases.count())] != [key for key, _text in bases]:
            self.bases.clear()
            for key, text in bases:
                self.bases.addItem(text, key)
            self.bases.set_value(self.model.base)
        self._pick_one()
        self._refresh()

    def _pick_one(self) -> None:
        """The one that is wanted, else the one that was marked, else the first."""
        keys = [one.id for one in self.model.rows]
        if self._wanted in keys:
            self.table.pick([self._wanted])
            self.table.setCurrentIndex(self.model.index(keys.index(self._wanted), 0))
            self._wanted = ""
        elif keys and not self.table.picked():
            self.table.pick(keys[:1])

    @Slot(object)
    def _failed(self, error: ErrorBody) -> None:
        self._error.show_error(error)
        self._refresh()

    @Slot()
    def _refresh(self, *_news: object) -> None:
        self._summary.set_text(summary(self.model.all) if self.model.has_loaded else "")
        self._filter.setVisible(bool(self.model.all))
        set_enabled(self._import, self._session.is_online, tr("The job controller does not answer."))
        self._stack.show_hint("" if self.model.rows else self._state())
        self._show_picked()

    def _state(self) -> str:
        if self.model.has_loaded:
            return "no_match" if self.model.all else "none"
        if not self._session.is_online:
            return "offline"
        return "error" if self._error.isVisibleTo(self) else "loading"

    def state(self) -> str:
        """Which hint stands instead of rows; empty while rows are shown."""
        return self._stack.state

    def _show_all(self) -> None:
        self.bases.set_value("")
        self.model.base = ""
        self.search.clear()
        self.model.look_for("")

    def picked(self) -> AdapterEntry | None:
        """The one that is marked."""
        found = self.table.picked()
        return found[0] if found else None

    @Slot()
    def _show_picked(self, *_one: object) -> None:
        one = self.picked()
        if one is not None:
            self.detail.show_adapter(one, self.model.mark(one), self.why_not(one))
        else:
            self.detail.show_adapter(None, ("", "", "", ""), {})

    def why_not(self, one: AdapterEntry) -> dict[str, str]:
        """Of each deed why it cannot be done now."""
        offline = "" if self._session.is_online else tr("The job controller does not answer.")
        gone = tr("Its file is gone.") if one.missing else ""
        busy = tr("Another adapter is being read.") if self.jobs.is_busy else ""
        of_run = tr("It belongs to the run '{run}' and goes when that is deleted.", run=one.run_name)
        brought = tr("It was brought in: there is no run to go on with.")
        no_folder = tr("There is no folder of it; save the file.")
        return {
            "serve": offline or gone,
            "chat": offline or gone,
            "export_file": gone,
            "export_folder": "" if one.folder else no_folder,
            "train_on": offline or ("" if one.run else brought),
            "smaller": offline or gone or busy,
            "modules": offline or gone,
            "remove": offline or (of_run if one.origin == "run" else ""),
        }

    @Slot(str)
    def _do_shown(self, key: str) -> None:
        if self.detail.one is not None:
            self.do(key, self.detail.one)

    def do(self, key: str, one: AdapterEntry) -> None:
        """One of the deeds."""
        deeds: dict[str, Callable[[], object]] = {
            "serve": partial(self.serve_asked.emit, one.id),
            "chat": partial(self.chat_asked.emit, one.run),
            "export_file": partial(self._ask_file, one),
            "export_folder": partial(self._ask_folder, one),
            "train_on": partial(self._train_on, one),
            "smaller": lambda: SmallerDialog(self.jobs, self._session, self, one).open(),
            "modules": lambda: ModulesDialog(self._session, one, self).open(),
            "remove": partial(self._remove, one),
        }
        deeds[key]()

    def _ask_file(self, one: AdapterEntry) -> None:
        dialog = QFileDialog(self, tr("Save the adapter"))
        dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
        dialog.selectFile(f"{name_of(one.name)}{SUFFIX}")
        dialog.fileSelected.connect(lambda file: self.export(one, file))
        dialog.finished.connect(dialog.deleteLater)
        dialog.open()

    def export(self, one: AdapterEntry, file: str) -> None:
        """Save its file under a name, which gets the ending it needs."""
        self.jobs.export(one, Path(file if file.endswith(SUFFIX) else f"{file}{SUFFIX}"))

    def _ask_folder(self, one: AdapterEntry) -> None:
        dialog = QFileDialog(self, tr("Save the folder into"))
        dialog.setFileMode(QFileDialog.FileMode.Directory)
        dialog.fileSelected.connect(lambda folder: self.jobs.export(one, Path(folder) / name_of(one.name)))
        dialog.finished.connect(dialog.deleteLater)
        dialog.open()

    def _train_on(self, one: AdapterEntry) -> None:
        """The deed of its run, where that has it."""

        def asked(detail: RunDetail) -> None:
            deed = next((deed for deed in deeds_of(detail.run) if deed.key == "train_on"), None)
            if deed is None:
                self.told.emit(tr("'{name}' cannot be trained further: its run is at work, or of a kind that does not "
                                  "go on.", name=one.name))  # fmt: skip
            else:
                self._actions.do("train_on", detail.run, self, self.navigate.emit)

        self._session.ask(lambda backend: backend.run(one.run), asked, self._error.show_error, owner=self)

    def _remove(self, one: AdapterEntry) -> None:
        text = tr("Its file is deleted from the library. Instances that serve it already go on until they are "
                  "started anew.")  # fmt: skip
        ask_before(self, tr("Remove '{name}'?", name=one.name), text, tr("Remove adapter"), "adapters.remove.yes",
                   partial(self._remove_now, one))  # fmt: skip

    def _remove_now(self, one: AdapterEntry) -> None:
        wanted = one.id
        self._session.ask(lambda backend: backend.remove_adapter(wanted), lambda _done: self.model.fetch(),
                          self._error.show_error, owner=self)  # fmt: skip

    @Slot(str)
    def _open_dataset(self, name: str) -> None:
        """Its page, where the library still has one of that name."""

        def found(page: DatasetPage) -> None:
            uid = next((one.uid for one in page.datasets if one.name == name), "")
            if uid:
                self.navigate.emit(f"dataset/{uid}")
            else:
                self.told.emit(tr("'{name}' is no dataset of the library.", name=name))

        self._session.ask(lambda backend: backend.datasets(name, "name", False, 0, MOST_DATASETS), found,
                          self._error.show_error, owner=self)  # fmt: skip

    @Slot(object, QPoint)
    def _menu(self, one: AdapterEntry, place: QPoint) -> None:
        pop_up(self, "adapters.menu", place, lambda menu: self.fill_menu(menu, one))

    def fill_menu(self, menu: QMenu, one: AdapterEntry) -> None:
        """What can be done with one."""
        whys = self.why_not(one)
        entries = (
            ("serve", "upload", tr("Serve…")),
            ("chat", "message-square", tr("Chat")),
            ("export_file", "download", tr("Save file…")),
            ("export_folder", "folder", tr("Save folder…")),
            ("train_on", "plus", tr("Train further…")),
            ("smaller", "layers", tr("Make smaller…")),
            ("modules", "list-ordered", tr("Modules…")),
            ("remove", "trash-2", tr("Remove…")),
        )
        deeds = [(key, icon, text, partial(self.do, key, one), whys[key]) for key, icon, text in entries]
        add_deeds(menu, "adapters.menu", deeds)

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
