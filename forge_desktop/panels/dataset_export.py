"""A version of a dataset as files: its rows as JSON lines, its problems as a table. The downloads say how far it is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from PySide6.QtCore import QStandardPaths, Qt
from PySide6.QtWidgets import QFileDialog, QWidget

from engine.contract.datasets import VersionView
from forge_desktop.models.transfers import Transfers
from forge_desktop.theme.language import tr


class DatasetExport:
    """Asks for a file, then has it written aside and put in its place."""

    def __init__(self, transfers: Transfers, parent: QWidget) -> None:
        self._transfers, self._parent = transfers, parent

    def ask_rows(self, uid: str, name: str, version: VersionView) -> None:
        """All rows."""
        self._ask(f"{name}-v{version.n}.jsonl", lambda file: self.rows(uid, version, file))

    def ask_problems(self, uid: str, name: str, version: VersionView, kind: str) -> None:
        """The problems of one kind, or all."""
        suffix = f"-{kind}" if kind else "-problems"
        self._ask(f"{name}-v{version.n}{suffix}.csv", lambda file: self.problems(uid, version, kind, file))

    def rows(self, uid: str, version: VersionView, file: Path) -> None:
        """Write all rows."""
        n, rows = version.n, version.rows
        self._transfers.write(
            uid, tr("Rows of the dataset {name}", name=file.name), file,
            lambda backend, tell: backend.export_dataset(uid, n, rows, file, tell), "rows",
        )  # fmt: skip

    def problems(self, uid: str, version: VersionView, kind: str, file: Path) -> None:
        """Write the problems."""
        n, number = version.n, version.problems.get(kind, 0) if kind else sum(version.problems.values())
        self._transfers.write(
            uid, tr("Problems of the dataset {name}", name=file.name), file,
            lambda backend, tell: backend.export_problems(uid, n, kind, number, file, tell), "problems",
        )  # fmt: skip

    def _ask(self, name: str, then: Callable[[Path], None]) -> None:
        start = QStandardPaths.writableLocation(QStandardPaths.StandardLocation.DownloadLocation)
        dialog = QFileDialog(self._parent, tr("Save as"), start)
        dialog.setObjectName("dataset.export")
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
        dialog.setDefaultSuffix(name.rpartition(".")[2])
        dialog.selectFile(name.replace("/", "-"))
        dialog.fileSelected.connect(lambda file: then(Path(file)))
        dialog.open()
