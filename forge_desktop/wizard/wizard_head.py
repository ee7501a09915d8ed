"""The wizard's heading: its drafts, config files in and out, and starting over."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

from PySide6.QtCore import Signal, Slot
from PySide6.QtWidgets import QMenu, QMessageBox, QPushButton, QWidget

from engine.contract.api import RunPage
from engine.contract.ids import new_id
from engine.contract.states import RunState
from forge_desktop.bridge.session import Session
from forge_desktop.models.draft_model import DraftModel
from forge_desktop.models.draft_store import ADDRESS, DraftStore
from forge_desktop.panels.questions import answer_to, ask_before, question
from forge_desktop.theme.controls import Elided, button, column, label, row, set_enabled
from forge_desktop.theme.language import tr
from forge_desktop.theme.measures import ago
from forge_desktop.wizard.places import short

MOST_SAVED = 12


class WizardHead(QWidget):
    """Title, what the run is made of, and what can be done with the whole draft."""

    navigate = Signal(str)
    import_wanted = Signal()
    export_wanted = Signal()

    def __init__(
        self, session: Session, draft: DraftModel, store: DraftStore, own: Callable[[], str], title: str
    ) -> None:
        """`own` gives the id of the draft that is open; empty for one the controller keeps."""
        super().__init__()
        self._session, self._draft, self._store, self._own = session, draft, store, own
        self._saved: list[tuple[str, str]] = []
        self._under = Elided("", "hint")
        titles = column(label(title, "title"), self._under, spacing=2)
        self._drafts = button(tr("Drafts"), "quiet", "layers", name="wizard.drafts")
        self._menu = QMenu(self._drafts)
        self._menu.aboutToShow.connect(self._fill)
        self._drafts.setMenu(self._menu)
        self._export = button(tr("Export"), "quiet", "download", name="wizard.export", tip=tr("Export config"))
        self._export.clicked.connect(self.export_wanted)
        bring = button(tr("Import config"), "quiet", "upload", name="wizard.import")
        bring.clicked.connect(self.import_wanted)
        again = button(tr("Start over"), "quiet", "rotate-ccw", self.start_over, name="wizard.again")
        layout = row(spacing=6)
        layout.addLayout(titles, 1)
        for made in (self._drafts, bring, self._export, again):
            layout.addWidget(made)
        self.setLayout(layout)
        draft.checked.connect(self.refresh)
        session.online.connect(self._ask_saved)
        self._ask_saved()
        self._fill()
        self.refresh()

    @Slot()
    def refresh(self) -> None:
        """Show what the draft is made of."""
        document = self._draft.document
        data = [short(str(source["path"])) for source in document["data"]["train"] if source["path"]]
        parts = [str(document["name"] or ""), short(str(document["model"]["path"])), ", ".join(data)]
        self._under.set_text(" · ".join(part for part in parts if part) or tr("Pick a model, a dataset and a recipe"))
        set_enabled(self._export, self._draft.config is not None, tr("Complete the settings first."))
        number = len(self._others()) + len(self._saved)
        self._drafts.setText(f" {tr('Drafts')} ({number})" if number else f" {tr('Drafts')}")

    def drafts_button(self) -> QPushButton:
        """The button with the menu of drafts."""
        return self._drafts

    def _others(self) -> list[tuple[str, str]]:
        mine = self._own()
        now = time.time()
        return [
            (f"new/{ADDRESS}{kept.id}", f"{kept.title or tr('Unnamed')} · {ago(kept.changed, now)}")
            for kept in self._store.all()
            if kept.id != mine
        ]

    @Slot()
    def _ask_saved(self) -> None:
        """Drafts that the controller keeps."""
        states = [RunState.DRAFT]
        self._session.ask(
            lambda backend: backend.runs(states, "", 0, MOST_SAVED), self._got_saved, lambda _error: None, owner=self
        )

    def _got_saved(self, page: RunPage) -> None:
        self._saved = [(f"new/{run.uid}", f"{run.name} · {ago(run.created)}") for run in page.runs]
        self._fill()
        self.refresh()

    @Slot()
    def _fill(self) -> None:
        self._menu.clear()
        self._menu.addAction(tr("New draft"), self._begin_new)
        for title, found in ((tr("Unfinished"), self._others()), (tr("Saved drafts"), self._saved)):
            if found:
                self._menu.addSeparator()
                self._menu.addAction(title).setEnabled(False)
            for address, text in found:
                self._menu.addAction(text.replace("&", "&&"), partial(self.navigate.emit, address))
        if self._own() and not self._draft.is_blank:
            self._menu.addSeparator()
            self._menu.addAction(tr("Delete this draft…"), self._delete)

    def _begin_new(self) -> None:
        self.navigate.emit(f"new/{ADDRESS}{new_id()}")

    def _delete(self) -> None:
        title = tr("Delete this draft?")
        ask_before(self, title, tr("Its settings are gone for good."), tr("Delete"), "draft.delete", self._discard)

    def _discard(self) -> None:
        self._store.forget(self._own())
        self._begin_new()

    def start_over(self) -> None:
        """Begin anew; asks when there is something to lose."""
        if self._draft.is_blank or not self._own():
            self._begin_new()  # what the controller keeps stays there
            return
        text = tr("The settings made so far can stay among the drafts.")
        box = question(self, tr("Start over?"), text)
        keep = box.addButton(tr("Keep as draft and begin anew"), QMessageBox.ButtonRole.AcceptRole)
        gone = box.addButton(tr("Discard"), QMessageBox.ButtonRole.DestructiveRole)
        back = box.addButton(tr("Cancel"), QMessageBox.ButtonRole.RejectRole)
        for made, name in ((keep, "again.keep"), (gone, "again.discard"), (back, "again.cancel")):
            made.setObjectName(name)
        box.setDefaultButton(keep)

        def answered() -> None:
            if answer_to(box) == "again.keep":
                self._begin_new()
            elif answer_to(box) == "again.discard":
                self._discard()

        box.finished.connect(answered)
        box.open()
