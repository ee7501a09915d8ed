"""Before a model is there: which one, how far it is, and why it could not be had."""

from __future__ import annotations

from PySide6.QtCore import Signal, Slot
from PySide6.QtWidgets import QFileDialog, QWidget

from engine.contract.bundled import MODELS
from engine.contract.catalogue import catalogue
from engine.contract.errors import ErrorBody
from engine.contract.model import ModelConfig
from engine.contract.states import RunState
from forge_desktop.bridge.preferences import Preferences
from forge_desktop.bridge.session import Session
from forge_desktop.models.chat_instance import LAST, InstanceModel
from forge_desktop.models.recents import Place, Recents
from forge_desktop.panels.page import ErrorCard
from forge_desktop.theme.controls import Bar, Card, Choice, Field, button, column, label, row, set_enabled
from forge_desktop.theme.language import tr, word

FOLDER, HUB = "folder", "hub"
HUBS = ("huggingface", "modelscope")
WIDTH = 620


class StartPanel(QWidget):
    """Choose a model or a run; then it says how far the model is."""

    run_wanted = Signal(str)
    """Chat with what this run has taught."""

    def __init__(self, session: Session, preferences: Preferences, instance: InstanceModel) -> None:
        super().__init__()
        self._session, self._instance, self._parent = session, instance, self
        self._card = Card(tr("Which model should answer?"), margins=(20, 18, 20, 20))
        self._card.setMaximumWidth(WIDTH)
        self._places = _places(Recents(preferences))
        self.model = Choice()
        self.model.setObjectName("chat.model")
        self.model.setAccessibleName(tr("Base model"))
        last = preferences.get(LAST)
        if isinstance(last, list) and len(last) == 2 and tuple(last) not in self._places:
            self._places.insert(0, (str(last[0]), str(last[1])))
        self._fill()
        if isinstance(last, list) and len(last) == 2:
            self.model.set_value(f"{last[1]}:{last[0]}")
        self.model.activated.connect(self._chosen)
        self.hub = Choice([(one, word("choice", one)) for one in HUBS], HUBS[0])
        self.hub.setObjectName("chat.hub")
        self.hub.setAccessibleName(tr("Source of the model"))
        self.path = Field("", tr("owner/name"), "chat.path")
        self.path.setAccessibleName(tr("Hub id"))
        self.path.textChanged.connect(self.refresh)
        self._hub_line = QWidget()
        hub = row(self.hub, self.path, spacing=8)
        hub.setStretch(1, 1)
        self._hub_line.setLayout(hub)
        self.go = button(tr("Load model"), "primary", "play", self._start, "chat.start")
        self.run = Choice()
        self.run.setObjectName("chat.run")
        self.run.setAccessibleName(tr("What a run has taught"))
        self.from_run = button(tr("Chat with it"), "default", "message-square", self._from_run, "chat.from_run")
        self._form = self._make_form()
        self._phase = label("", "strong")
        self._phase.setObjectName("chat.phase")
        self._detail = label(tr("The base is loaded once; adapters come and go in a moment."), "hint", wrap=True)
        self._bar = Bar()
        cancel = button(tr("Cancel"), on_click=instance.end, name="chat.cancel_start")
        self._waiting = QWidget()
        waiting = column(self._phase, self._bar, self._detail, spacing=10)
        waiting.addLayout(row(None, cancel))
        self._waiting.setLayout(waiting)
        self._error = ErrorCard("chat.start_error")
        self._retry = button(tr("Try again"), "primary", "refresh-cw", instance.again, "chat.retry")
        other = button(tr("Choose another model"), on_click=instance.end, name="chat.other")
        self._over = label("", wrap=True)
        self._after = QWidget()
        after = column(self._over, self._error, spacing=12)
        after.addLayout(row(None, other, self._retry))
        self._after.setLayout(after)
        for part in (self._form, self._waiting, self._after):
            self._card.body.addWidget(part)
        middle = row(None, self._card, None)
        middle.setStretch(1, 10)
        whole = column(None, spacing=0)
        whole.addLayout(middle)
        whole.addStretch(2)
        self.setLayout(whole)
        instance.changed.connect(self.refresh)
        instance.offers_changed.connect(self._fill_runs)
        session.online.connect(self.refresh)
        session.offline.connect(self._went_off)
        self._fill_runs()
        self._chosen()

    def _make_form(self) -> QWidget:
        made = QWidget()
        said = tr("It is loaded by a run of its own, which ends by itself when nobody has asked for 15 minutes.")
        layout = column(label(said, "hint", wrap=True), label(tr("Base model"), "label"), spacing=8)
        first = row(self.model, self.go, spacing=8)
        first.setStretch(0, 1)
        layout.addLayout(first)
        layout.addWidget(self._hub_line)
        layout.addSpacing(8)
        self._run_title = label(tr("Or what a run has taught"), "label")
        layout.addWidget(self._run_title)
        second = row(self.run, self.from_run, spacing=8)
        second.setStretch(0, 1)
        layout.addLayout(second)
        made.setLayout(layout)
        return made

    def _fill(self) -> None:
        self.model.clear()
        for path, hub in self._places:
            self.model.addItem(_title(path, hub), f"{hub}:{path}")
        self.model.addItem(tr("Folder…"), FOLDER)
        self.model.addItem(tr("Hub id…"), HUB)

    @Slot()
    def _fill_runs(self) -> None:
        chosen = self.run.value()
        self.run.clear()
        for offer in self._instance.offers:
            self.run.addItem(offer.name, offer.run)
        self.run.set_value(chosen)
        self.refresh()

    @Slot()
    def _chosen(self, _place: int = 0) -> None:
        self._hub_line.setVisible(self.model.value() == HUB)
        if self.model.value() == FOLDER:
            self.model.setCurrentIndex(0)
            dialog = QFileDialog(self, tr("Model folder"))
            dialog.setFileMode(QFileDialog.FileMode.Directory)
            dialog.fileSelected.connect(self.take_folder)
            dialog.finished.connect(dialog.deleteLater)
            dialog.open()
        self.refresh()

    @Slot(str)
    def take_folder(self, folder: str) -> None:
        """A model of this computer."""
        if (folder, "local") not in self._places:
            self._places.insert(0, (folder, "local"))
        self._fill()
        self.model.setCurrentIndex(self._places.index((folder, "local")))
        self.refresh()

    def _why_not(self) -> str:
        if not self._session.is_online:
            return tr("The job controller does not answer.")
        if self.model.value() == HUB and "/" not in self.path.text().strip():
            return tr("A hub id has the form owner/name.")
        return ""

    @Slot(object)
    def _went_off(self, _error: ErrorBody) -> None:
        self.refresh()

    @Slot()
    def refresh(self) -> None:
        """Show the state there is now."""
        state = self._instance.state
        self._form.setVisible(state == "none")
        self._waiting.setVisible(state in ("starting", "looking"))
        self._after.setVisible(state in ("failed", "ended"))
        titles = {
            "starting": tr("Loading {model}", model=self._instance.base),
            "failed": tr("{model} could not be loaded", model=self._instance.base),
            "ended": tr("{model} was unloaded", model=self._instance.base),
        }
        self._card.title.setText(titles.get(state, tr("Which model should answer?")))
        why = self._why_not()
        set_enabled(self.go, not why, why)
        offline = tr("The job controller does not answer.") if not self._session.is_online else ""
        none = offline or (tr("No run has made an adapter yet.") if not self._instance.offers else "")
        set_enabled(self.from_run, not none, none)
        self.run.setEnabled(not none)
        phase, share = self._progress()
        self._phase.setText(phase)
        self._bar.set(share)
        ended = state == "ended"
        self._over.setText(tr("Nobody had asked it anything for a while, or somebody stopped its run. "
                              "The chat is still here."))  # fmt: skip
        self._over.setVisible(ended)
        if state == "failed" and self._instance.error is None:
            self._over.setText(tr("The run that was to load the model was stopped."))
            self._over.show()
        self._error.show_error(self._instance.error if state == "failed" else None)

    def _progress(self) -> tuple[str, float]:
        run = self._instance.run
        if self._instance.state == "looking":
            return tr("Looking whether the model is still loaded…"), 0.1
        if run is None:
            return tr("Asking for it…"), 0.05
        if run.state is RunState.QUEUED:
            return tr("Waiting for a free device…"), 0.1
        if run.state is RunState.PREPARING:
            phase = word("phase", run.phase.value) if run.phase is not None else word("state", run.state.value)
            return tr("{phase}…", phase=phase), 0.4
        return tr("Nearly there: the model is asked whether it answers…"), 0.9

    def _start(self) -> None:
        key = self.model.value()
        hub, _, path = key.partition(":")
        if key == HUB:
            hub, path = self.hub.value(), self.path.text().strip()
        self._instance.start(ModelConfig.model_validate({"path": path, "hub": hub}))

    def _from_run(self) -> None:
        if self.run.value():
            self.run_wanted.emit(self.run.value())


def _places(recents: Recents) -> list[Place]:
    """The bundled model, those used lately, and every one of the catalogue."""
    found: list[Place] = [(name, "bundled") for name in MODELS]
    found += [place for place in recents.models() if place not in found]
    listed = [(one.size.huggingface, "huggingface") for one in catalogue().listed() if not one.size.own_code]
    return [*found, *(place for place in listed if place not in found)]


def _title(path: str, hub: str) -> str:
    if hub == "bundled":
        return tr("Bundled demo model")
    return path.rstrip("/").rpartition("/")[2] if hub == "local" else f"{path} · {word('choice', hub)}"
