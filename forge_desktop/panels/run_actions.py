"""What a person can do to a run, with the question asked first where something would be lost."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from PySide6.QtCore import QObject, QStandardPaths, Qt, Signal
from PySide6.QtWidgets import QFileDialog, QMessageBox, QWidget

from engine.contract.api import ArtifactInfo, RunSummary
from engine.contract.errors import ErrorBody
from engine.contract.states import RunState
from forge_desktop.bridge.session import Session
from forge_desktop.theme.language import tr


class RunActions(QObject):
    """Start, stop, copy, delete, download. Errors and good news go to the window as signals."""

    failed = Signal(object)
    """ErrorBody."""
    told = Signal(str)
    """Good news in a sentence."""

    def __init__(self, session: Session, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._session = session

    def address_of(self, uid: str, runs: Sequence[RunSummary]) -> str:
        """Where opening a run leads: a draft to the wizard, any other to its page."""
        run = next((run for run in runs if run.uid == uid), None)
        return f"new/{uid}" if run is not None and run.state is RunState.DRAFT else f"run/{uid}"

    def start(self, run: RunSummary) -> None:
        """Queue a draft."""
        self._session.ask(
            lambda backend: backend.start(run.uid),
            lambda _run: self.told.emit(tr("'{name}' waits for a slot.", name=run.name)),
            self._fail,
            owner=self,
        )

    def stop(self, run: RunSummary, parent: QWidget) -> None:
        """Ask how to stop, then do it."""
        box = _question(
            parent,
            tr("Stop '{name}'?", name=run.name),
            tr("Stopping and saving keeps what was learned so far. Stopping without saving loses it."),
        )
        save = box.addButton(tr("Stop and save"), QMessageBox.ButtonRole.AcceptRole)
        discard = box.addButton(tr("Stop without saving"), QMessageBox.ButtonRole.DestructiveRole)
        box.addButton(tr("Go on training"), QMessageBox.ButtonRole.RejectRole)
        save.setObjectName("stop.save")
        box.setDefaultButton(save)

        def answered() -> None:
            clicked = box.clickedButton()
            if clicked in (save, discard):
                keep = clicked is save
                self._session.ask(lambda backend: backend.stop(run.uid, keep), None, self._fail, owner=self)

        box.finished.connect(answered)
        box.open()

    def copy(self, run: RunSummary, navigate: Callable[[str], object]) -> None:
        """Make a draft with the same settings and open it."""
        self._session.ask(
            lambda backend: backend.copy(run.uid),
            lambda copied: navigate(f"new/{copied.uid}"),
            self._fail,
            owner=self,
        )

    def delete(self, run: RunSummary, parent: QWidget, done: Callable[[], object] | None = None) -> None:
        """Ask, naming what is lost, then delete."""
        box = _question(
            parent,
            tr("Delete '{name}'?", name=run.name),
            tr("Its curve, log, answers and saved files are deleted for good."),
        )
        gone = box.addButton(tr("Delete"), QMessageBox.ButtonRole.DestructiveRole)
        gone.setObjectName("delete.yes")
        keep = box.addButton(tr("Keep"), QMessageBox.ButtonRole.RejectRole)
        box.setDefaultButton(keep)

        def answered() -> None:
            if box.clickedButton() is gone:
                self._session.ask(
                    lambda backend: backend.delete(run.uid),
                    lambda _none: done() if done is not None else None,
                    self._fail,
                    owner=self,
                )

        box.finished.connect(answered)
        box.open()

    def download(self, uid: str, artifact: ArtifactInfo, parent: QWidget) -> None:
        """Ask for a folder, then save into it."""
        start = QStandardPaths.writableLocation(QStandardPaths.StandardLocation.DownloadLocation)
        dialog = QFileDialog(parent, tr("Save into"), start)
        dialog.setFileMode(QFileDialog.FileMode.Directory)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.fileSelected.connect(lambda folder: self.download_to(uid, artifact, Path(folder)))
        dialog.open()

    def download_to(self, uid: str, artifact: ArtifactInfo, folder: Path) -> None:
        """Save a result into a folder."""
        self._session.ask(
            lambda backend: backend.download(uid, artifact.id, folder),
            lambda path: self.told.emit(tr("Saved as {path}", path=str(path))),
            self._fail,
            owner=self,
        )

    def save_log(self, run: RunSummary, parent: QWidget) -> None:
        """Ask for a file, then save the log as it."""
        start = QStandardPaths.writableLocation(QStandardPaths.StandardLocation.DownloadLocation)
        dialog = QFileDialog(parent, tr("Save log"), start)
        dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
        dialog.selectFile(f"{run.name}-{run.uid}.log")
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.fileSelected.connect(lambda file: self.save_log_to(run.uid, Path(file)))
        dialog.open()

    def save_log_to(self, uid: str, file: Path) -> None:
        """Save the log of a run."""
        self._session.ask(
            lambda backend: backend.save_log(uid, file),
            lambda path: self.told.emit(tr("Saved as {path}", path=str(path))),
            self._fail,
            owner=self,
        )

    def _fail(self, error: ErrorBody) -> None:
        self.failed.emit(error)


def _question(parent: QWidget, title: str, text: str) -> QMessageBox:
    box = QMessageBox(parent)
    box.setObjectName("question")
    box.setIcon(QMessageBox.Icon.NoIcon)
    box.setWindowTitle(title)
    box.setText(title)
    box.setInformativeText(text)
    box.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
    return box
