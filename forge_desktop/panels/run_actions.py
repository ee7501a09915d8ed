"""What a person can do to a run, with the question asked first where something would be lost."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from PySide6.QtCore import QObject, QStandardPaths, Qt, Signal
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QFileDialog, QMessageBox, QWidget

from engine.client.sampling import taught_by
from engine.contract.api import ArtifactInfo, CheckpointInfo, Diagnosis, EditRun, ResumeRun, RunDetail, RunSummary
from engine.contract.errors import ErrorBody, UserError
from engine.contract.paths import Home
from engine.contract.run_spec import RunConfig
from engine.contract.states import RunState
from forge_desktop.bridge.backend import Backend, Item
from forge_desktop.bridge.preferences import Preferences
from forge_desktop.bridge.session import Session
from forge_desktop.models.draft_model import address_of_copy, changed_document
from forge_desktop.models.moves_model import MovesModel
from forge_desktop.models.presets import Presets
from forge_desktop.models.transfers import Transfers
from forge_desktop.panels.ask_dialog import AskDialog
from forge_desktop.panels.interval_dialog import IntervalDialog
from forge_desktop.panels.move_dialog import Movable, MoveDialog
from forge_desktop.panels.questions import answer_to, ask_before, ask_name, question
from forge_desktop.panels.resume_dialog import ResumeDialog
from forge_desktop.panels.sample_dialog import SampleDialog
from forge_desktop.theme.language import tr, word

Navigate = Callable[[str], object]


class RunActions(QObject):
    """Everything that is done to runs. Errors and good news go to the window as signals."""

    failed = Signal(object)
    """ErrorBody."""
    told = Signal(str)
    """Good news in a sentence."""

    def __init__(self, session: Session, parent: QObject | None = None, preferences: Preferences | None = None) -> None:
        super().__init__(parent)
        self._session = session
        self._preferences = preferences
        self.transfers = Transfers(session, self)
        self.moves = MovesModel(session, self)
        self.moves.failed.connect(self.failed)

    def address_of(self, uid: str, runs: Sequence[RunSummary]) -> str:
        """Where opening a run leads: a draft to the wizard, any other to its page."""
        run = next((run for run in runs if run.uid == uid), None)
        if run is not None and run.state is RunState.DRAFT:
            return f"serving/{uid}" if run.kind == "serve" else f"new/{uid}"
        return f"run/{uid}"

    def do(self, key: str, run: RunSummary, parent: QWidget, navigate: Navigate) -> None:
        """One of the deeds of `models.deeds`, `retry_now` and `cancel_retry`."""
        asks: dict[str, Callable[[], object]] = {
            "stop": lambda: self.stop(run, parent),
            "delete": lambda: self.delete(run, parent),
            "delete_files": lambda: self.delete_files(run, parent),
            "copy": lambda: self.copy(run, navigate),
            "train_on": lambda: self.copy(run, navigate, goes_on=True),
            "template": lambda: self.save_template(run, parent),
            "move": lambda: self.move([Movable(run.uid, run.name, run.node)], parent),
            "ask": lambda: AskDialog(self._session, run, parent).open(),
            "log_every": lambda: IntervalDialog(
                self._session, run, lambda steps: self._log_every(run, steps), parent
            ).open(),
            "resume_from": lambda: self._resume_dialog(run, False, parent),
            "extend": lambda: self._resume_dialog(run, True, parent),
            "sample": lambda: self.sample(run, parent),
            "chat": lambda: navigate(f"playground/run/{run.uid}"),
            "serving": lambda: navigate(f"serving/{run.uid}"),
        }
        if key in asks:
            asks[key]()
        else:
            self._do_at_once(key, run)

    def _do_at_once(self, key: str, run: RunSummary) -> None:
        uid, name = run.uid, run.name
        works: dict[str, tuple[Callable[[Backend], object], str]] = {
            "start": (lambda backend: backend.start(uid), tr("'{name}' waits for a slot.", name=name)),
            "resume": (lambda backend: backend.resume(uid, ResumeRun()), tr("'{name}' goes on.", name=name)),
            "pause": (lambda backend: backend.pause(uid), tr("'{name}' saves its state and pauses.", name=name)),
            "save": (lambda backend: backend.checkpoint(uid), tr("A checkpoint is saved at the next step.")),
            "retry_now": (lambda backend: backend.start(uid), tr("'{name}' goes on.", name=name)),
            "cancel_retry": (lambda backend: backend.stop(uid, True), tr("'{name}' stays as it is.", name=name)),
            "pin": (lambda backend: backend.edit(uid, EditRun(pinned=True)), tr("Pinned: its files stay.")),
            "unpin": (lambda backend: backend.edit(uid, EditRun(pinned=False)), tr("No longer pinned.")),
        }
        work, said = works[key]
        self._ask(work, said)

    def _ask(self, work: Callable[[Backend], object], said: str = "") -> None:
        self._session.ask(work, lambda _done: self.told.emit(said) if said else None, self._fail, owner=self)

    def resume(self, run: RunSummary, wish: ResumeRun) -> None:
        """Go on with a run as wished."""
        self._ask(lambda backend: backend.resume(run.uid, wish), tr("'{name}' goes on.", name=run.name))

    def _interval_dialog(self, run: RunSummary, parent: QWidget) -> None:
        IntervalDialog(self._session, run, lambda steps: self._log_every(run, steps), parent).open()

    def _log_every(self, run: RunSummary, steps: int) -> None:
        said = tr("Points of the curve come every {steps} steps from the next one on.", steps=f"{steps:,}")
        self._ask(lambda backend: backend.log_every(run.uid, steps), said)

    def _resume_dialog(self, run: RunSummary, extend: bool, parent: QWidget) -> None:
        ResumeDialog(self._session, run.uid, extend, lambda wish: self.resume(run, wish), parent).open()

    def sample(self, run: RunSummary, parent: QWidget) -> None:
        """Have what the run taught answer the questions of a dataset."""

        def ask(detail: RunDetail) -> None:
            try:
                model, adapter = taught_by(detail, Home.find())
            except UserError as error:
                self.failed.emit(error.body())
                return
            dialog = SampleDialog(self._session, parent, "", model, adapter)
            dialog.started.connect(
                lambda made: self.told.emit(tr("'{name}' is being sampled.", name=made.dataset or made.name))
            )
            dialog.open()

        self._session.ask(lambda backend: backend.run(run.uid), ask, self._fail, owner=self)

    def stop(self, run: RunSummary, parent: QWidget) -> None:
        """Ask how to stop, then do it."""
        if run.kind == "serve":
            text = tr("Requests at work are cut off. Its keys and settings stay, and it can be started again.")
            ask_before(parent, tr("Stop '{name}'?", name=run.name), text, tr("Stop"), "stop.serving",
                       lambda: self._ask(lambda backend: backend.stop(run.uid, True)))  # fmt: skip
            return
        box = question(
            parent,
            tr("Stop '{name}'?", name=run.name),
            tr("Stopping and saving keeps what was learned so far. Stopping without saving loses it."),
        )
        save = box.addButton(tr("Stop and save"), QMessageBox.ButtonRole.AcceptRole)
        discard = box.addButton(tr("Stop without saving"), QMessageBox.ButtonRole.DestructiveRole)
        box.addButton(tr("Go on training"), QMessageBox.ButtonRole.RejectRole)
        save.setObjectName("stop.save")
        discard.setObjectName("stop.discard")
        box.setDefaultButton(save)

        def answered() -> None:
            given = answer_to(box)
            if given in ("stop.save", "stop.discard"):
                keep = given == "stop.save"
                self._ask(lambda backend: backend.stop(run.uid, keep))

        box.finished.connect(answered)
        box.open()

    def move(self, runs: Sequence[Movable], parent: QWidget) -> None:
        """Ask where to, then move runs to another node."""
        MoveDialog(self._session, self.moves, runs, parent).open()

    def copy(self, run: RunSummary, navigate: Navigate, goes_on: bool = False) -> None:
        """Make a draft with the same settings, or one that goes on with the adapter, and open it."""
        self._session.ask(
            lambda backend: backend.copy(run.uid, goes_on),
            lambda copied: navigate(f"new/{copied.uid}"),
            self._fail,
            owner=self,
        )

    def save_template(self, run: RunSummary, parent: QWidget) -> None:
        """Keep the recipe of a run under a name, to begin others with; one of that name is replaced when wished."""
        if self._preferences is None:
            return
        presets = Presets(self._preferences, self)

        def named(detail: RunDetail, name: str) -> None:
            def keep() -> None:
                presets.save(name, RunConfig.from_spec(detail.spec).document())
                self.told.emit(tr("Template '{name}' is saved.", name=name))

            if any(one.name == name for one in presets.own()):
                text = tr("Runs made with it stay as they are.")
                title = tr("Replace the template '{name}'?", name=name)
                ask_before(parent, title, text, tr("Replace"), "template.replace", keep)
            else:
                keep()

        def ask(detail: RunDetail) -> None:
            ask_name(parent, tr("Save as template"), run.name, lambda name: named(detail, name))

        self._session.ask(lambda backend: backend.run(run.uid), ask, self._fail, owner=self)

    def copy_with(self, detail: RunDetail, found: Diagnosis, navigate: Navigate) -> None:
        """Make a draft with what a diagnosis suggests, and open it with those settings marked."""
        document = changed_document(RunConfig.from_spec(detail.spec).document(), found.changes)

        def work(backend: Backend) -> str:
            copied = backend.copy(detail.run.uid)
            spec = RunConfig.model_validate(document).to_spec(detail.spec.owner)
            backend.edit(copied.uid, EditRun(spec=spec.model_copy(update={"name": copied.name})))
            return copied.uid

        self._session.ask(work, lambda uid: navigate(address_of_copy(uid, found.changes)), self._fail, owner=self)

    def delete(self, run: RunSummary, parent: QWidget) -> None:
        """Ask, naming what is lost, then delete."""
        ask_before(
            parent,
            tr("Delete '{name}'?", name=run.name),
            tr("Its curve, log, answers and saved files are deleted for good."),
            tr("Delete"),
            "delete.yes",
            lambda: self._ask(lambda backend: backend.delete(run.uid)),
        )

    def delete_files(self, run: RunSummary, parent: QWidget) -> None:
        """Ask, naming what is lost and what stays, then delete the working files."""
        ask_before(
            parent,
            tr("Delete the working files of '{name}'?", name=run.name),
            tr("Checkpoints, log and journal go for good, and it cannot be resumed. Curve and results stay."),
            tr("Delete files"),
            "delete_files.yes",
            lambda: self._ask(lambda backend: backend.delete_files(run.uid)),
        )

    def checkpoint(self, key: str, run: RunSummary, found: CheckpointInfo, parent: QWidget) -> None:
        """resume, keep, release, download, copy_path or delete of one checkpoint."""
        match key:
            case "resume":
                self.resume(run, ResumeRun(checkpoint=found.id))
            case "download":
                title = tr("Checkpoint at step {step} of {run}", step=f"{found.step:,}", run=run.name)
                self._ask_folder(run.uid, title, Item("checkpoint", found.id), parent)
            case "keep" | "release":
                kept = key == "keep"
                said = tr("The checkpoint stays.") if kept else tr("The checkpoint may make room for newer ones.")
                self._ask(lambda backend: backend.keep_checkpoint(run.uid, found.id, kept), said)
            case "copy_path":
                self._copy_path(run.uid, found.name)
            case "delete":
                ask_before(
                    parent,
                    tr("Delete the checkpoint at step {step}?", step=f"{found.step:,}"),
                    tr("'{name}' can no longer go on from there.", name=run.name),
                    tr("Delete"),
                    "delete_checkpoint.yes",
                    lambda: self._ask(lambda backend: backend.delete_checkpoint(run.uid, found.id)),
                )

    def _copy_path(self, uid: str, name: str) -> None:
        def got(home: str) -> None:
            path = Home(Path(home)).run(uid) / "checkpoints" / name.rpartition("/")[2]
            QGuiApplication.clipboard().setText(str(path))
            self.told.emit(tr("Copied: {path}", path=str(path)))

        self._session.ask(lambda backend: backend.health().home, got, self._fail, owner=self)

    def download(self, run: RunSummary, artifact: ArtifactInfo, parent: QWidget) -> None:
        """Ask for a folder, then save a result into it."""
        title = tr("{what} of {run}", what=word("artifact", artifact.kind), run=run.name)
        self._ask_folder(run.uid, title, Item("artifact", artifact.id), parent)

    def _ask_folder(self, uid: str, title: str, item: Item, parent: QWidget) -> None:
        dialog = _file_dialog(parent, tr("Save into"))
        dialog.setFileMode(QFileDialog.FileMode.Directory)
        dialog.fileSelected.connect(lambda folder: self.transfers.start(uid, title, item, Path(folder)))
        dialog.open()

    def save_file(self, run: RunSummary, item: Item, parent: QWidget) -> None:
        """Ask for a file, then save the log or the config as it; the dialog asks before replacing one."""
        texts: dict[str, tuple[str, str]] = {"log": (tr("Save log"), "log"), "config": (tr("Save config"), "yaml")}
        text, ending = texts[item.kind]
        dialog = _file_dialog(parent, text)
        dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
        dialog.selectFile(f"{run.name}-{run.uid}.{ending}")
        dialog.fileSelected.connect(lambda file: self.save_file_as(run, item, Path(file)))
        dialog.open()

    def save_file_as(self, run: RunSummary, item: Item, file: Path) -> None:
        """Save the log or the config under a name."""
        title = tr("Log of {run}", run=run.name) if item.kind == "log" else tr("Config of {run}", run=run.name)
        self.transfers.start(run.uid, title, item, file.parent, file.name, "replace")

    def _fail(self, error: ErrorBody) -> None:
        self.failed.emit(error)


def _file_dialog(parent: QWidget, title: str) -> QFileDialog:
    start = QStandardPaths.writableLocation(QStandardPaths.StandardLocation.DownloadLocation)
    dialog = QFileDialog(parent, title, start)
    dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
    return dialog
