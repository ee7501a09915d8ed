"""Many prompts through every column, as a table that fills."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

from PySide6.QtCore import QStandardPaths, Qt, QTimer, Signal, Slot
from PySide6.QtWidgets import (
    QAbstractItemView,
    QFileDialog,
    QHeaderView,
    QMenu,
    QPlainTextEdit,
    QTableWidget,
    QTableWidgetItem,
    QWidget,
)

from engine.contract.datasets import DatasetPage
from engine.contract.errors import ErrorBody
from forge_desktop.bridge.aside import Aside
from forge_desktop.bridge.backend import Backend
from forge_desktop.bridge.session import Session
from forge_desktop.models.chat_batch import BatchModel, cell_of
from forge_desktop.models.chat_export import write
from forge_desktop.models.chat_prompts import MOST, prompt_of, prompts_in, prompts_of, read_prompts, told, typed
from forge_desktop.panels.page import ErrorCard
from forge_desktop.theme.controls import Bar, Card, button, column, label, row, set_enabled
from forge_desktop.theme.language import count, explain, tr
from forge_desktop.theme.plain_tip import plain_tip

EDITOR_HEIGHT, ROW_HEIGHT = 96, 44
TYPING_MS = 400
SHOWN = 400
"""Characters of an answer in a cell; the whole is in its tooltip and in the export."""
FROM_DATASET = 100
"""Rows that are taken of a dataset."""


class BatchPanel(QWidget):
    """Prompts above, answers below."""

    told = Signal(str)
    failed = Signal(object)

    def __init__(self, session: Session, batch: BatchModel) -> None:
        super().__init__()
        self._session, self._batch, self._aside = session, batch, Aside(self)
        card = Card(tr("Test prompts"))
        self._number = label("", "hint")
        self._too_many = False
        card.head.addStretch(1)
        card.head.addWidget(self._number)
        self.editor = QPlainTextEdit()
        self.editor.setObjectName("batch.prompts")
        self.editor.setAccessibleName(tr("Test prompts"))
        self.editor.setProperty("role", "input")
        self.editor.setPlaceholderText(tr("One prompt a line: type or paste them, or open a .txt or .jsonl file."))
        self.editor.setTabChangesFocus(True)
        self.editor.setFixedHeight(EDITOR_HEIGHT)
        self.editor.setPlainText(typed(batch.prompts))
        self._soon = QTimer(self, singleShot=True, interval=TYPING_MS)
        self._soon.timeout.connect(self._take)
        self.editor.textChanged.connect(self._soon.start)
        self._error = ErrorCard("batch.error")
        self._library = QMenu(self)
        self._datasets = button(tr("Dataset"), "default", "database", name="batch.dataset")
        self._datasets.clicked.connect(self._ask_datasets)
        self.open = button(tr("Open file…"), "default", "folder-open", self._pick, "batch.open")
        self.run = button(tr("Run all"), "primary", "play", self.start, "batch.run")
        self.cancel = button(tr("Cancel"), "default", "square", batch.cancel, "batch.cancel")
        card.body.addWidget(self.editor)
        card.body.addWidget(self._error)
        card.body.addLayout(row(self.open, self._datasets, None, self.cancel, self.run, spacing=8))
        self.table = self._make_table()
        self._bar = Bar()
        self._progress = label("", "hint")
        self._progress.setObjectName("batch.progress")
        self._export = button(tr("Export answers"), "default", "download", name="batch.export")
        self._export.clicked.connect(self._show_export)
        self._results = Card(margins=(0, 0, 0, 8))
        self._results.body.setSpacing(6)
        self._results.body.addWidget(self.table, 1)
        foot = row(self._progress, self._bar, self._export, spacing=14, margins=(14, 2, 12, 4))
        foot.setStretch(1, 1)
        self._results.body.addLayout(foot)
        self._hint = label(
            tr("Every column answers every prompt; the answers come into a table here."), "hint", wrap=True
        )
        self._hint.setAlignment(Qt.AlignmentFlag.AlignCenter)
        layout = column(card, self._hint, spacing=12)
        layout.addWidget(self._results, 100)
        layout.addStretch(1)
        self.setLayout(layout)
        batch.prompts_changed.connect(self._refresh)
        batch.changed.connect(self._refresh)
        batch.reset.connect(self._reset)
        batch.row_changed.connect(self._show_row)
        session.online.connect(self._refresh)
        session.offline.connect(self._refresh)
        self._refresh()

    def _make_table(self) -> QTableWidget:
        made = QTableWidget()
        made.setObjectName("batch.table")
        made.setAccessibleName(tr("Answers"))
        made.setProperty("role", "paged")
        made.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        made.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        made.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        made.setTabKeyNavigation(False)
        made.setShowGrid(False)
        made.verticalHeader().hide()
        made.verticalHeader().setDefaultSectionSize(ROW_HEIGHT)
        made.horizontalHeader().setSectionResizeMode(QHeaderView.ResizeMode.Stretch)
        made.horizontalHeader().setDefaultAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
        return made

    # Prompts

    @Slot()
    def _take(self) -> None:
        self._soon.stop()
        text = self.editor.toPlainText()
        self._too_many = len(prompts_of(text)) > MOST
        self._batch.set_prompts(prompts_in(text))
        self._refresh()

    @Slot()
    def start(self) -> None:
        """Ask all of it."""
        self._take()
        self._batch.start()

    def _pick(self) -> None:
        dialog = QFileDialog(self, tr("Test prompts"), filter=f"{tr('Prompts')} (*.txt *.jsonl);;{tr('All files')} (*)")
        dialog.setFileMode(QFileDialog.FileMode.ExistingFile)
        dialog.fileSelected.connect(self.read)
        dialog.finished.connect(dialog.deleteLater)
        dialog.open()

    @Slot(str)
    def read(self, file: str) -> None:
        """Take the prompts of a file; one with something that is none is refused whole."""
        self._error.show_error(None)
        self._aside.do(
            lambda: read_prompts(Path(file)), lambda found: self._read(Path(file).name, *found), self._error.show_error
        )

    def _read(self, name: str, prompts: list[str], wrong: list[str]) -> None:
        if not wrong:
            self._got(prompts)
            return
        self._error.what.setText(tr("'{name}' was not taken: not every line is a prompt.", name=name))
        self._error.why.setText(told(wrong))
        self._error.why.show()
        self._error.fix.setText(tr("Mend the file and open it again; nothing was changed."))
        self._error.show()

    def _got(self, prompts: list[str]) -> None:
        self._error.show_error(None)
        self.editor.setPlainText(typed(prompts))
        self._take()

    @Slot()
    def _ask_datasets(self) -> None:
        self._session.ask(
            lambda backend: backend.datasets("", "name", False, 0, 100),
            self._show_datasets,
            self.failed.emit,
            owner=self,
        )

    def _show_datasets(self, page: DatasetPage) -> None:
        self._library.clear()
        for one in page.datasets:
            if one.newest is not None:
                self._library.addAction(one.name.replace("&", "&&"), partial(self.take_dataset, one.uid, one.newest.n))
        if self._library.isEmpty():
            self._library.addAction(tr("The library is empty.")).setEnabled(False)
        self._library.popup(self._datasets.mapToGlobal(self._datasets.rect().bottomLeft()))

    def take_dataset(self, uid: str, version: int) -> None:
        """Take the first prompts of a dataset."""

        def work(backend: Backend) -> list[str]:
            rows = backend.dataset_rows(uid, version, 0, FROM_DATASET).rows
            return [prompt for one in rows if not one.cut and (prompt := prompt_of(json.loads(one.content)))]

        self._session.ask(work, self._got, self._error.show_error, owner=self)

    # Answers

    @Slot()
    def _reset(self) -> None:
        batch = self._batch
        self.table.clear()
        self.table.setColumnCount(1 + len(batch.columns))
        self.table.setRowCount(len(batch.rows))
        self.table.setHorizontalHeaderLabels([tr("Prompt"), *batch.names()])
        for place, one in enumerate(batch.rows):
            self.table.setItem(place, 0, _cell(one.prompt))
        self._refresh()

    @Slot(int)
    def _show_row(self, place: int) -> None:
        one = self._batch.rows[place]
        for number, who in enumerate(self._batch.columns, 1):
            said = one.answers.get(who.id)
            if said is not None and said.state != "coming":
                mark = "⚠ " if said.state == "failed" else ""
                self.table.setItem(place, number, _cell(mark + cell_of(said)))

    @Slot()
    def _refresh(self, *_why: object) -> None:
        batch = self._batch
        said = count(len(batch.prompts), "{n} prompt", "{n} prompts") if batch.prompts else ""
        if self._too_many:
            said += " · " + tr("more are left out")
        self._number.setText(said)
        why = batch.why_not()
        set_enabled(self.run, not why, why)
        self.run.setVisible(not batch.running)
        self.cancel.setVisible(batch.running)
        self._results.setVisible(bool(batch.rows))
        self._hint.setVisible(not batch.rows)
        done, total = batch.done, batch.total
        self._bar.set(done / total if total else 0.0)
        said = tr("{done} of {total} answers", done=f"{done:,}", total=f"{total:,}")
        if batch.failed:
            said += " · " + count(batch.failed, "{n} could not be had", "{n} could not be had")
        if not batch.running and done < total:
            said += " · " + tr("cancelled")
        self._progress.setText(said)
        nothing = "" if done else tr("There is no answer yet.")
        set_enabled(self._export, not nothing, nothing)

    @Slot()
    def _show_export(self) -> None:
        menu = QMenu(self)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        menu.addAction(tr("As CSV…"), lambda: self._ask_file("answers.csv", self._batch.as_csv()))
        menu.addAction(tr("As JSONL…"), lambda: self._ask_file("answers.jsonl", self._batch.as_jsonl()))
        menu.popup(self._export.mapToGlobal(self._export.rect().bottomLeft()))

    def _ask_file(self, name: str, content: bytes) -> None:
        ask_file(self, tr("Export answers"), name, lambda file: self.save(file, content))

    def save(self, file: str, content: bytes) -> None:
        """Write a file."""
        self._aside.do(
            write(Path(file), content), lambda path: self.told.emit(tr("Saved: {path}", path=path)), self._fail
        )

    def _fail(self, error: ErrorBody) -> None:
        self._error.show_error(error)
        self._error.setAccessibleName(explain(error)[0])


def ask_file(parent: QWidget, title: str, name: str, take: Callable[[str], object]) -> None:
    """Ask where to write; the dialog asks before it replaces a file."""
    start = QStandardPaths.writableLocation(QStandardPaths.StandardLocation.DownloadLocation)
    dialog = QFileDialog(parent, title, start)
    dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
    dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
    dialog.selectFile(name)
    dialog.fileSelected.connect(take)
    dialog.open()


def _cell(text: str) -> QTableWidgetItem:
    plain = " ".join(text.split())
    made = QTableWidgetItem(plain if len(plain) <= SHOWN else plain[:SHOWN] + "…")
    made.setToolTip(plain_tip(text))
    return made
