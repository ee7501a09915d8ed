"""The Serving page: models with adapters that answer requests, how they are doing, and new ones."""

from __future__ import annotations

from functools import partial

from PySide6.QtCore import QPoint, QTimer, Signal, Slot
from PySide6.QtGui import QGuiApplication, QHideEvent, QShowEvent
from PySide6.QtWidgets import QMenu

from engine.contract.api import RunDetail, RunSummary
from engine.contract.errors import ErrorBody
from engine.contract.serving import ServeJob
from forge_desktop.bridge.backend_instance import Begun
from forge_desktop.bridge.preferences import Preferences
from forge_desktop.bridge.session import Session
from forge_desktop.models.serving_words import is_live
from forge_desktop.models.servings_model import ServingsModel
from forge_desktop.panels.hint_stack import HintStack
from forge_desktop.panels.key_dialogs import ShowKeyDialog
from forge_desktop.panels.page import ErrorCard, Hint, Page
from forge_desktop.panels.row_menu import add_deeds, pop_up
from forge_desktop.panels.serve_dialog import ServeDialog
from forge_desktop.panels.serving_deeds import ServingDeeds, deeds_of
from forge_desktop.panels.servings_table import ServingsTable
from forge_desktop.theme.controls import Card, Elided, button, column, label, row, set_enabled
from forge_desktop.theme.language import count, tr

NEW, LIKE = "new", "like"


class ServingPage(Page):
    """Looks every two seconds while it is shown. `new/<id>` of its address serves an adapter, `like/<uid>` the same

    as another instance.
    """

    told = Signal(str)
    """News for the banner."""

    def __init__(self, session: Session, preferences: Preferences, rest: str = "") -> None:
        """`rest` of the address: `new` opens the dialog, `new/<id>` with that adapter in it."""
        super().__init__()
        self._session, self._preferences = session, preferences
        self.model = ServingsModel(session, self)
        self.deeds = ServingDeeds(session, self)
        self._list_failed = False
        self._summary = Elided("", "hint")
        titles = column(label(tr("Serving"), "display"), self._summary, spacing=0)
        self._new = button(tr("Serve a model…"), "primary", "plus", self.serve_one, "serving.new")
        head = row(spacing=10)
        head.addLayout(titles, 1)
        head.addWidget(self._new)
        self.outer.addLayout(head)
        self._error = ErrorCard("serving.error")
        self.outer.addWidget(self._error)
        self.table = ServingsTable(self.model)
        self._build_stack()
        self.table.opened.connect(self._open)
        self.table.menu_wanted.connect(self._menu)
        self.model.loaded.connect(self._loaded)
        self.model.failed.connect(self._list_lost)
        self.deeds.told.connect(self.told)
        self.deeds.failed.connect(self._failed)
        session.online.connect(self._refresh)
        session.offline.connect(self._refresh)
        self.model.fetch()
        self._refresh()
        wanted, _, adapter = rest.partition("/")
        if wanted == NEW:
            QTimer.singleShot(0, self, partial(self.serve_one, adapter))
        elif wanted == LIKE:
            session.ask(lambda backend: backend.run(adapter), self.serve_like, self._failed, owner=self)

    def _build_stack(self) -> None:
        card = Card(margins=(1, 1, 1, 4))
        card.body.addWidget(self.table)
        self._hints = {
            "loading": Hint("loader-circle", tr("Loading the instances"), tr("One moment.")),
            "offline": Hint("wifi-off", tr("Nobody answers yet"),
                            tr("The job controller is started and asked again by itself. Instances that are at work "
                               "go on answering meanwhile.")),
            "error": Hint("circle-alert", tr("The instances are not known"), tr("It is tried again by itself."),
                          tr("Try again"), self.model.fetch),
            "none": Hint("upload", tr("Nothing is served yet"),
                         tr("Serve a model with any of your adapters as an OpenAI-compatible server: with keys, "
                            "limits, and adapters that come and go while it answers."),
                         tr("Serve a model…"), self.serve_one),
        }  # fmt: skip
        self._stack = HintStack(card, self._hints)
        self.outer.addWidget(self._stack, 1)

    def serve_one(self, adapter: str = "") -> ServeDialog:
        """Open the dialog that starts an instance; with an adapter's id that one is chosen."""
        dialog = ServeDialog(self._session, self._preferences, self, adapter)
        dialog.started.connect(self._began)
        dialog.open()
        return dialog

    def serve_like(self, detail: RunDetail) -> ServeDialog | None:
        """Open the dialog with what another instance was asked to serve."""
        job = detail.spec.job
        if not isinstance(job, ServeJob):
            return None
        dialog = ServeDialog(self._session, self._preferences, self, like=(detail.run.name, job))
        dialog.started.connect(self._began)
        dialog.open()
        return dialog

    @Slot(object)
    def _began(self, begun: Begun) -> None:
        self.told.emit(tr("'{name}' is being started.", name=begun.run.name))
        self.model.fetch()
        if begun.key is not None:
            ShowKeyDialog(begun.key, self).open()

    @Slot()
    def _loaded(self) -> None:
        if self._list_failed:
            self._list_failed = False
            self._error.show_error(None)
        self._refresh()

    @Slot(object)
    def _list_lost(self, error: ErrorBody) -> None:
        """It goes again with the next list; what a deed was refused for stays."""
        self._list_failed = True
        self._failed(error)

    @Slot(object)
    def _failed(self, error: ErrorBody) -> None:
        self._error.show_error(error)
        self._refresh()

    @Slot()
    def _refresh(self, *_news: object) -> None:
        ready = sum(1 for run in self.model.rows if is_live(run) and _answers(self.model, run))
        texts = [count(len(self.model.rows), "1 instance", "{n} instances"), count(ready, "1 ready", "{n} ready")]
        self._summary.set_text(" · ".join(texts) if self.model.rows else "")
        set_enabled(self._new, self._session.is_online, tr("The job controller does not answer."))
        self._stack.show_hint("" if self.model.rows else self._state())

    def _state(self) -> str:
        if self.model.has_loaded:
            return "none"
        if not self._session.is_online:
            return "offline"
        return "error" if self._error.isVisibleTo(self) else "loading"

    def state(self) -> str:
        """Which hint stands instead of rows; empty while rows are shown."""
        return self._stack.state

    @Slot(object)
    def _open(self, run: RunSummary) -> None:
        self.navigate.emit(f"serving/{run.uid}")

    @Slot(object, QPoint)
    def _menu(self, run: RunSummary, place: QPoint) -> None:
        pop_up(self, "serving.menu", place, lambda menu: self.fill_menu(menu, run))

    def fill_menu(self, menu: QMenu, run: RunSummary) -> None:
        """What can be done with one."""
        seen = self.model.seen.get(run.uid)
        address = seen.instance.address if seen and seen.instance else ""
        silent = "" if address else tr("It has no address yet.")
        again = f"serving/{LIKE}/{run.uid}"
        entries = [
            ("open", "arrow-right", tr("Open"), partial(self._open, run), ""),
            ("like", "plus", tr("Serve another like it…"), partial(self.navigate.emit, again), ""),
            ("address", "copy", tr("Copy the address"), partial(self._copy, f"{address}/v1"), silent),
            *((deed.key, deed.icon, deed.text, partial(self._do, deed.key, run), deed.why_not)
              for deed in deeds_of(run, self._session.is_online)),
        ]  # fmt: skip
        add_deeds(menu, "serving.menu", entries)

    def _do(self, key: str, run: RunSummary) -> None:
        self._error.show_error(None)
        self.deeds.do(key, run)

    def _copy(self, text: str) -> None:
        QGuiApplication.clipboard().setText(text)
        self.told.emit(tr("Copied: {path}", path=text))

    def showEvent(self, event: QShowEvent) -> None:
        """Qt's own hook."""
        super().showEvent(event)
        self.model.set_watching(True)

    def hideEvent(self, event: QHideEvent) -> None:
        """Qt's own hook: nobody looks."""
        super().hideEvent(event)
        self.model.set_watching(False)


def _answers(model: ServingsModel, run: RunSummary) -> bool:
    seen = model.seen.get(run.uid)
    return seen is not None and seen.status is not None
