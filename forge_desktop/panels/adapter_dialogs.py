"""Dialogs of the Adapters page: bringing one in, writing one smaller, its modules one by one."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, get_args

from PySide6.QtCore import QRect, Qt, Slot
from PySide6.QtGui import QPainter
from PySide6.QtWidgets import QDialog, QFileDialog, QWidget

from engine.contract.adapter_library import AdapterEntry, ImportAdapter
from engine.contract.errors import ErrorBody
from engine.contract.lora_card import SUFFIX
from engine.contract.lora_tools import AdapterModule, AdapterView, WriteAdapter
from forge_desktop.bridge.session import Session
from forge_desktop.models.adapter_jobs import AdapterJobs
from forge_desktop.models.record_model import Column, RecordModel
from forge_desktop.panels.form_line import FormLine
from forge_desktop.panels.page import ErrorCard
from forge_desktop.panels.record_table import RecordCells, RecordTable
from forge_desktop.panels.run_cells import LEFT, RIGHT, paint_text
from forge_desktop.theme.controls import Choice, Field, button, column, label, row, scrolled, set_enabled
from forge_desktop.theme.language import count, tr
from forge_desktop.theme.look import tokens
from forge_desktop.theme.measures import count_of, figure, size

WIDTH, HEIGHT, LOW = 640, 640, 430
MODULES_WIDTH, MODULES_HEIGHT = 820, 640
SAME = "same"
LEAST_PATH = 220
ERRORS = ("0.01", "0.05", "0.1")


class AdapterDialog(QDialog):
    """What both forms share: lines, what is wrong, why not yet, and the button that begins."""

    def __init__(self, jobs: AdapterJobs, session: Session, parent: QWidget, name: str, title: str, go: str) -> None:
        super().__init__(parent)
        self.setObjectName(name)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle(title)
        self.resize(WIDTH, HEIGHT)
        self._jobs, self._session, self._began = jobs, session, False
        self.error = ErrorCard(f"{name}.refused")
        self._why = label("", "hint", wrap=True)
        self._why.setObjectName(f"{name}.why")
        self.go = button(go, "primary", "download", self.begin, f"{name}.go")
        self.lines = column(spacing=12, margins=(0, 0, 10, 0))
        foot = row(self._why, button(tr("Cancel"), on_click=self.reject, name=f"{name}.cancel"), self.go, spacing=10)
        foot.setStretch(0, 1)
        layout = column(label(title, "card-title"), spacing=14, margins=(20, 18, 20, 18))
        inner = QWidget()
        inner.setLayout(self.lines)
        layout.addWidget(scrolled(inner), 1)
        layout.addWidget(self.error)
        layout.addLayout(foot)
        self.setLayout(layout)
        jobs.changed.connect(self.refresh)
        jobs.made.connect(self._made)
        jobs.failed.connect(self._failed)
        session.online.connect(self.refresh)
        session.offline.connect(self.refresh)

    def why_not(self) -> str:
        """Why it cannot begin yet; empty when it can."""
        raise NotImplementedError

    def start(self) -> None:
        """Begin."""
        raise NotImplementedError

    def ended(self, _one: AdapterEntry) -> None:
        """It is there."""
        self.accept()

    @Slot()
    def begin(self) -> None:
        """Begin, unless something is missing."""
        self.error.show_error(None)
        if not self.why_not():
            self._began = True
            self.start()

    @Slot()
    def refresh(self, *_news: object) -> None:
        """Say what is missing."""
        why = self.why_not()
        if self._jobs.is_busy:
            why = tr("It is being read, checked and written. That takes a while for a large one.")
        elif not self._session.is_online:
            why = tr("The job controller does not answer.")
        self._why.setText(why)
        set_enabled(self.go, not why, why)

    @Slot(object)
    def _made(self, one: AdapterEntry) -> None:
        if self._began:
            self._began = False
            self.ended(one)

    @Slot(object)
    def _failed(self, error: ErrorBody) -> None:
        if self._began:
            self._began = False
            self.error.show_error(error)


class ImportAdapterDialog(AdapterDialog):
    """A file or a folder; several come one after the other."""

    def __init__(self, jobs: AdapterJobs, session: Session, parent: QWidget, paths: Sequence[str] = ()) -> None:
        super().__init__(jobs, session, parent, "adapter.import", tr("Import an adapter"), tr("Import"))
        self._waiting: list[str] = list(dict.fromkeys(paths))
        self.path = Field(hint=f"/path/to/adapter{SUFFIX}", name="adapter.import.path")
        pick = (
            button(tr("File…"), on_click=self._pick_file, name="adapter.import.file"),
            button(tr("Folder…"), on_click=partial(self._pick_folder, self.path), name="adapter.import.folder"),
        )
        sentence = tr("A .lora.arrow file, or the folder of an adapter as peft writes it. All of it is read and "
                      "checked; nothing is kept of one that is not whole.")  # fmt: skip
        self.name, self.about, self.licence, self.base = (
            Field(name=f"adapter.import.{name}") for name in ("name", "about", "licence", "base")
        )
        browse = button(tr("Browse…"), on_click=partial(self._pick_folder, self.base), name="adapter.import.browse")
        browse.setAccessibleName(tr("Browse for the base model"))
        self.lines.addWidget(FormLine(tr("File or folder"), self.path, sentence, *pick))
        self.lines.addWidget(FormLine(tr("Name"), self.name, tr("Empty: the one in its card.")))
        self.lines.addWidget(FormLine(tr("Description"), self.about,
                                      tr("What it is good at: the router compares requests with it.")))  # fmt: skip
        self.lines.addWidget(FormLine(tr("Licence"), self.licence))
        self.lines.addWidget(FormLine(tr("Base model's folder"), self.base,
                                      tr("Its weights' hash goes into the card. May stay empty."), browse))  # fmt: skip
        self.path.textChanged.connect(self.refresh)
        self.lines.addStretch(1)
        self._next()
        self.path.setFocus()

    def why_not(self) -> str:
        """Why it cannot begin yet."""
        return "" if self.path.text().strip() else tr("Choose a file or a folder.")

    def start(self) -> None:
        """Begin."""
        texts = [made.text().strip() for made in (self.path, self.name, self.about, self.licence, self.base)]
        path, name, about, licence, base = texts
        self._jobs.bring_in(
            ImportAdapter(path=path, name=name[:200], description=about[:4000], licence=licence[:200], base=base)
        )

    def ended(self, one: AdapterEntry) -> None:
        """On to the next, or done."""
        if self._waiting:
            self._next()
        else:
            super().ended(one)

    def _next(self) -> None:
        if self._waiting:
            self.path.setText(self._waiting.pop(0))
            self.name.clear()
        self.refresh()

    def _pick_file(self) -> None:
        dialog = QFileDialog(self, tr("Choose an adapter"), filter=f"{tr('Adapters')} (*{SUFFIX})")
        dialog.setFileMode(QFileDialog.FileMode.ExistingFile)
        dialog.fileSelected.connect(self.path.setText)
        dialog.finished.connect(dialog.deleteLater)
        dialog.open()

    def _pick_folder(self, field: Field) -> None:
        dialog = QFileDialog(self, tr("Choose a folder"))
        dialog.setFileMode(QFileDialog.FileMode.Directory)
        dialog.fileSelected.connect(field.setText)
        dialog.finished.connect(dialog.deleteLater)
        dialog.open()


class SmallerDialog(AdapterDialog):
    """Fewer bits, smaller ranks, or both; the one it is made from stays."""

    def __init__(self, jobs: AdapterJobs, session: Session, parent: QWidget, one: AdapterEntry) -> None:
        title = tr("Make '{name}' smaller", name=one.name)
        super().__init__(jobs, session, parent, "adapter.smaller", title, tr("Make smaller"))
        self._one = one
        self.resize(WIDTH, LOW)
        kinds = get_args(get_args(WriteAdapter.model_fields["storage"].annotation)[0])
        self.storage = Choice(
            [(SAME, tr("As it is ({dtype})", dtype=one.card.dtype)), *((k, k) for k in kinds)], "int8"
        )
        self.storage.setObjectName("adapter.smaller.storage")
        self.ranks = Choice([("", tr("All ranks stay")), *((e, f"{float(e):.0%}") for e in ERRORS)])
        self.ranks.setObjectName("adapter.smaller.ranks")
        self.name = Field(f"{one.name}-small"[:200], name="adapter.smaller.name")
        stored = tr("int8 and int4 keep a scale beside few bits; the card states the error.")
        ranks = tr("The smallest ranks that change each module by at most this share.")
        self.lines.addWidget(FormLine(tr("Stored as"), self.storage, stored))
        self.lines.addWidget(FormLine(tr("Smaller ranks"), self.ranks, ranks))
        self.lines.addWidget(FormLine(tr("Name"), self.name, tr("The one it is made from stays as it is.")))
        self.lines.addStretch(1)
        for choice in (self.storage, self.ranks):
            choice.currentIndexChanged.connect(self.refresh)
        self.name.textChanged.connect(self.refresh)
        self.refresh()

    def why_not(self) -> str:
        """Why it cannot begin yet."""
        if not self.name.text().strip():
            return tr("Give it a name.")
        same = self.storage.value() in (SAME, self._one.card.dtype) and not self.ranks.value()
        return tr("Nothing would change: choose fewer bits or smaller ranks.") if same else ""

    def start(self) -> None:
        """Begin."""
        storage, error = self.storage.value(), self.ranks.value()
        asked = {"path": self._one.path, "to": "", "name": self.name.text().strip()[:200],
                 "storage": None if storage == SAME else storage, "error": float(error) if error else None}  # fmt: skip
        self._jobs.shrink(WriteAdapter.model_validate(asked))


MODULE_COLUMNS = (
    Column("path", "Module", 300),
    Column("rank", "Rank", 70, right=True),
    Column("scaling", "Scaling", 86, 2, right=True),
    Column("shape", "Shape", 130, 3, right=True),
    Column("extras", "Besides", 120, 4),
)


class _Modules(RecordModel):
    """A row a module."""

    columns = MODULE_COLUMNS

    def key_of(self, record: AdapterModule) -> str:
        """Its path."""
        return record.path

    def cell_text(self, record: AdapterModule, key: str) -> str:
        """What a cell says."""
        return _module_text(record, key)


def _module_text(record: AdapterModule, key: str) -> str:
    match key:
        case "shape":
            return f"{record.outputs:,} × {record.inputs:,}"
        case "scaling":
            return figure(record.scaling)
        case "extras":
            return ", ".join(record.extras)
    return str(getattr(record, key))


class _ModuleCells(RecordCells):
    def paint_cell(self, painter: QPainter, box: QRect, record: Any, column: Column) -> None:
        """One cell of a module."""
        t, text = tokens(), _module_text(record, column.key)
        ink = t.text if column.key == "path" else t.secondary
        paint_text(painter, box, text, ink, align=RIGHT if column.right else LEFT)


class ModulesDialog(QDialog):
    """Reads and checks the whole adapter, then lists what it does to each module."""

    def __init__(self, session: Session, one: AdapterEntry, parent: QWidget) -> None:
        super().__init__(parent)
        self.setObjectName("adapter.modules")
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle(tr("Modules of '{name}'", name=one.name))
        self.resize(MODULES_WIDTH, MODULES_HEIGHT)
        self.model = _Modules(self)
        self.table = RecordTable(self.model, _ModuleCells(), "adapter.modules.table", tr("Modules"), "path", LEAST_PATH)
        self.said = label(tr("The adapter is being read and checked…"), "hint", wrap=True)
        self.error = ErrorCard("adapter.modules.error")
        close = button(tr("Close"), on_click=self.accept, name="adapter.modules.close")
        layout = column(label(self.windowTitle(), "card-title"), self.said, self.error, spacing=12,
                        margins=(20, 18, 20, 18))  # fmt: skip
        layout.addWidget(self.table, 1)
        layout.addLayout(row(None, close))
        self.setLayout(layout)
        self.table.hide()
        wanted = one.id
        session.transfer(lambda backend: backend.adapter_view(wanted), self._got, self._failed, self)

    def _got(self, view: AdapterView) -> None:
        self.model.beginResetModel()
        self.model.rows = list(view.modules)
        self.model.endResetModel()
        texts = [
            count(len(view.modules), "1 module", "{n} modules"),
            tr("{n} parameters", n=count_of(view.parameters)),
            size(view.bytes),
            tr("{n} whole parameters in place of the base's", n=len(view.whole)) if view.whole else "",
            tr("hash and values checked") if view.verified else "",
        ]
        self.said.setText(" · ".join(text for text in texts if text))
        self.table.show()

    def _failed(self, error: ErrorBody) -> None:
        self.said.hide()
        self.error.show_error(error)
