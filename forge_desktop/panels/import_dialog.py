"""Bringing a dataset in: where it is, what was found there, how it is read, and what it will be called."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QCoreApplication, QEvent, Qt, Signal, Slot
from PySide6.QtGui import QDragEnterEvent, QDropEvent
from PySide6.QtWidgets import QCheckBox, QDialog, QFileDialog, QVBoxLayout, QWidget

from engine.contract.api import RunSummary
from engine.contract.data_format import FORMATS
from engine.contract.dataset_queries import FormatReason, Inspection
from engine.contract.errors import ErrorBody, Problem
from engine.contract.preflight import DATA_SUFFIXES
from forge_desktop.bridge.session import Session
from forge_desktop.models.import_model import KINDS, ImportModel
from forge_desktop.panels.mapping_editor import MappingEditor
from forge_desktop.panels.page import ErrorCard
from forge_desktop.panels.shown_rows import show_rows
from forge_desktop.theme.controls import (
    Card,
    Chip,
    Choice,
    Field,
    Segments,
    button,
    clear,
    column,
    label,
    row,
    scrolled,
    set_enabled,
)
from forge_desktop.theme.language import labelled, note_text, problem_text, tr, word
from forge_desktop.theme.measures import count_of, percent, size

WIDTH, HEIGHT = 980, 660
MOST_ROWS, MOST_PROBLEMS = 6, 5
BAR = 20
"""Room for a scroll bar."""
FILES = " ".join(f"*{ending}" for ending in DATA_SUFFIXES)
HINTS = {
    "path": "/path/to/rows.jsonl",
    "huggingface": "owner/name",
    "modelscope": "owner/name",
    "url": "https://…",
}


class ImportDialog(QDialog):
    """Nothing is copied before Import; then a run of its own brings the rows in."""

    started = Signal(object)
    """RunSummary of the import."""

    def __init__(self, session: Session, parent: QWidget, paths: Sequence[str] = (), name: str = "") -> None:
        super().__init__(parent)
        self.setObjectName("import")
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle(tr("Import a dataset"))
        self.setAcceptDrops(True)
        self.resize(WIDTH, HEIGHT)
        self.model = ImportModel(session, self, name)
        self._shown: object = None
        self._build_source()
        self._build_found()
        self._build_right()
        left = column(*self._left, None, spacing=12)
        self._form = QWidget()
        self._form.setLayout(left)
        left.setContentsMargins(0, 0, 8, 0)
        self._area = scrolled(self._form)
        sides = row(self._area, self._right, spacing=16)
        sides.setStretch(0, 5)
        sides.setStretch(1, 6)
        self._waiting: list[str] = []
        """Files and folders that come after the one that is shown."""
        self._place_of = (1, 1)
        self._keeps_name = bool(name)
        self._order = label("", "hint", wrap=True)
        self._order.setObjectName("import.order")
        self._error = ErrorCard("import.refused")
        self._why = label("", "hint", wrap=True)
        self._go = button(tr("Import"), "primary", "download", self._start, "import.start")
        cancel = button(tr("Cancel"), on_click=self.reject, name="import.cancel")
        self._skip = button(tr("Skip this one"), on_click=self._next, name="import.skip")
        foot = row(self._why, cancel, self._skip, self._go, spacing=10)
        foot.setStretch(0, 1)
        layout = column(label(self.windowTitle(), "card-title"), spacing=12, margins=(20, 18, 20, 18))
        layout.addWidget(self._order)
        layout.addLayout(sides, 1)
        layout.addWidget(self._error)
        layout.addLayout(foot)
        self.setLayout(layout)
        self.model.changed.connect(self._refresh)
        self.model.inspected.connect(self._refresh)
        self.model.failed.connect(self._refused)
        self.model.started.connect(self._began)
        if paths:
            self.take_all(paths)
        self._refresh()
        self.place.setFocus(Qt.FocusReason.OtherFocusReason)

    def _build_source(self) -> None:
        texts = {"path": tr("Computer"), "url": tr("Address")}
        self._kinds = Segments(
            [(kind, texts.get(kind) or word("choice", kind)) for kind in KINDS], "path", "import.kind"
        )
        self._kinds.setAccessibleName(tr("Source"))
        self._kinds.chosen.connect(lambda _kind: self._typed())
        self.place = Field(hint=HINTS["path"], name="import.place")
        self.place.setAccessibleName(tr("Where the rows are"))
        self.place.textChanged.connect(lambda _text: self._typed())
        self._browse = button(tr("Browse…"), "default", "folder-open", self._pick, "import.browse")
        place = row(self.place, self._browse, spacing=8)
        place.setStretch(0, 1)
        self._place = QWidget()
        self._place.setLayout(place)
        place.setContentsMargins(0, 0, 0, 0)
        self.subset = self._more(tr("Subset"), "subset")
        self.split = self._more(tr("Split"), "split")
        self.revision = self._more(tr("Revision"), "revision")
        self._hub = QWidget()
        self._hub.setLayout(row(self.subset, self.split, self.revision, spacing=8))
        self.name = Field(hint=tr("What it is called in the library"), name="import.name")
        self.name.setAccessibleName(tr("Name"))
        self.name.textEdited.connect(self.model.set_name)
        self._becomes = label("", "hint", wrap=True)

    def _more(self, text: str, name: str) -> Field:
        made = Field(hint=text, name=f"import.{name}")
        made.setAccessibleName(text)
        made.textChanged.connect(lambda value: setattr(self.model, name, value.strip()))
        return made

    def _build_found(self) -> None:
        self.format = Choice([("auto", word("choice", "auto")), *((key, word("choice", key)) for key in FORMATS)])
        self.format.setObjectName("import.format")
        self.format.setAccessibleName(tr("Format"))
        self.format.activated.connect(lambda _index: self.model.set_format(self.format.value()))
        self._reason = label("", "hint", wrap=True)
        self.mapping = MappingEditor(self.model)
        self._near = self._check(tr("Look for near duplicates"), "near_duplicates", 0.85, None)
        self._private = self._check(tr("Look for private data"), "private", True, False)
        self._languages = self._check(tr("Tell the languages"), "languages", True, False)
        self._left = (
            column_of(label(tr("Source"), "label"), self._kinds, self._place, self._hub),
            column_of(label(tr("Name"), "label"), self.name, self._becomes),
            column_of(label(tr("Format"), "label"), self.format, self._reason),
            self.mapping,
            column_of(label(tr("Checks"), "label"), self._near, self._private, self._languages),
        )

    def _check(self, text: str, name: str, on: object, off: object) -> QCheckBox:
        made = QCheckBox(text)
        made.setObjectName(f"import.check.{name}")
        made.setChecked(bool(getattr(self.model.checks, name)))
        made.toggled.connect(lambda ticked: self.model.set_checks(**{name: on if ticked else off}))
        return made

    def _build_right(self) -> None:
        self._facts = Chip("", "plain")
        self._say = label("", "hint", wrap=True)
        self._problems = QVBoxLayout()
        self._problems.setSpacing(6)
        self._rows = QVBoxLayout()
        self._rows.setSpacing(10)
        self._trouble = ErrorCard("import.unreadable")
        self._inner = inner = QWidget()
        inside = column(self._say, self._trouble, spacing=10, margins=(0, 0, 8, 0))
        inside.addLayout(self._problems)
        inside.addLayout(self._rows)
        inside.addStretch(1)
        inner.setLayout(inside)
        self._right = Card(tr("What is there"))
        self._right.head.addStretch(1)
        self._right.head.addWidget(self._facts)
        self._scroll = scrolled(inner)
        self._right.body.addWidget(self._scroll)

    def take(self, path: str) -> None:
        """A file or folder of this computer."""
        self._kinds.set_value("path")
        self.place.setText(path)
        self.model.set_source("path", path, at_once=True)

    def take_all(self, paths: Sequence[str]) -> None:
        """One after the other; each becomes a dataset, or a version, of its own."""
        first, *self._waiting = dict.fromkeys(paths)
        self._place_of = (1, 1 + len(self._waiting))
        self.take(first)

    def _next(self) -> None:
        """On to the one that waits."""
        self._error.show_error(None)
        if not self._keeps_name:
            self.model.forget_name()
        self._place_of = (self._place_of[0] + 1, self._place_of[1])
        self.take(self._waiting.pop(0))
        self.place.setFocus(Qt.FocusReason.OtherFocusReason)

    @Slot()
    def _typed(self) -> None:
        kind = self._kinds.value()
        self.place.setPlaceholderText(HINTS[kind])
        self.model.set_source(kind, self.place.text())

    def _pick(self) -> None:
        dialog = QFileDialog(self, tr("Dataset files"), filter=f"{tr('Datasets')} ({FILES});;{tr('All files')} (*)")
        dialog.setFileMode(QFileDialog.FileMode.ExistingFile)
        dialog.fileSelected.connect(self.take)
        dialog.finished.connect(dialog.deleteLater)
        dialog.open()

    @Slot()
    def _refresh(self) -> None:
        model = self.model
        self._hub.setVisible(model.kind in ("huggingface", "modelscope"))
        self._browse.setVisible(model.kind == "path")
        if self.name.text().strip() != model.name:
            self.name.setText(model.name)
        known = model.becomes > 1
        self._becomes.setText(
            tr("It becomes version {n} of '{name}'.", n=model.becomes, name=model.name) if known else
            tr("A new dataset.") if model.name else ""
        )  # fmt: skip
        self.format.set_value(model.format)
        self._reason.setText(self._format_text())
        n, of = self._place_of
        self._order.setText(tr("{n} of {all} that were dropped. Each becomes a dataset of its own; to make one of "
                               "several files, drop the folder they lie in.", n=n, all=of))  # fmt: skip
        self._order.setVisible(of > 1)
        self._skip.setVisible(bool(self._waiting))
        why = model.why_not()
        self._why.setText(why if model.place else "")
        set_enabled(self._go, not why, why)
        self._show_found()
        self._area.setMinimumWidth(self._form.minimumSizeHint().width() + BAR)

    def _format_text(self) -> str:
        found = self.model.found
        if self.model.kind != "path":
            return tr("Its format is found when the rows are read.")
        if found is None or found.chosen is None:
            return ""
        text = reason_of(found.chosen)
        others = ", ".join(word("choice", other.format) for other in found.others[:3])
        return text + (" " + tr("It could also be: {formats}.", formats=others) if others else "")

    def _show_found(self) -> None:
        model = self.model
        found = model.found
        self._trouble.show_error(None if model.is_offline else model.error)
        text = ""
        if not model.place:
            text = tr("Drop a file here, or say where the rows are. You see the first ones before anything is copied.")
        elif model.is_offline:
            text = model.why_not()
        elif model.kind != "path":
            text = tr("The import fetches it and reads it then; every row that cannot be used is listed.")
        elif model.looking and found is None:
            text = tr("Looking at the first rows…")
        self._say.setText(text)
        self._say.setVisible(bool(text))
        self._facts.set(facts_of(found) if found else "", "plain")
        self._facts.setVisible(found is not None)
        if found is self._shown:
            return
        self._shown = found
        clear(self._problems)
        if found is not None and found.refused:
            share = percent(found.refused / max(1, found.looked_at))
            text = tr(
                "{n} of the first {all} rows cannot be used ({share}).",
                n=found.refused,
                all=found.looked_at,
                share=share,
            )
            self._problems.addWidget(label(text, "strong", tone="bad", wrap=True))
            for problem in [one for one in found.problems if one.severity == "refused"][:MOST_PROBLEMS]:
                said = problem_text(Problem(code=problem.code, line=problem.line, params=problem.params))
                self._problems.addWidget(label(labelled(tr("Line {n}", n=problem.line), said), "hint", wrap=True))
        show_rows(self._rows, found.shown[:MOST_ROWS] if found is not None else [])
        self._settle()

    def _settle(self) -> None:
        """Rows that just came have their room at once: until Qt asks for it they would be squeezed."""
        for layout in (self._problems, self._rows):
            for place in range(layout.count()):
                item = layout.itemAt(place)
                widget = item.widget() if item is not None else None
                if widget is not None and self._inner.isVisible():
                    widget.show()
        QCoreApplication.sendEvent(self._scroll, QEvent(QEvent.Type.LayoutRequest))

    def _start(self) -> None:
        self._error.show_error(None)
        self.model.start()

    @Slot(object)
    def _refused(self, error: ErrorBody) -> None:
        self._error.show_error(error)

    @Slot(object)
    def _began(self, run: RunSummary) -> None:
        self.started.emit(run)
        if self._waiting:
            self._next()
        else:
            self.accept()

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        """Qt's own hook."""
        if any(url.isLocalFile() for url in event.mimeData().urls()):
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent) -> None:
        """Qt's own hook."""
        paths = [url.toLocalFile() for url in event.mimeData().urls() if url.isLocalFile()]
        if paths:
            event.acceptProposedAction()
            self.take_all(paths)


def column_of(*parts: QWidget) -> QWidget:
    """Parts below each other."""
    made = QWidget()
    made.setLayout(column(*parts, spacing=6))
    return made


def reason_of(found: FormatReason) -> str:
    """Why a format was found."""
    said = note_text(found.code, found.params)
    return said if found.fits >= 1 else f"{said} " + tr("{share} of the first rows fit.", share=percent(found.fits))


def facts_of(found: Inspection) -> str:
    """Kind, size, rows and encoding in a line."""
    rows = found.rows if found.rows is not None else found.rows_estimated
    about = "" if found.rows is not None else "≈ "
    parts = [found.kind.upper() + (f".{found.compression}" if found.compression else ""), size(found.bytes)]
    if rows is not None:
        parts.append(tr("{n} rows", n=f"{about}{rows:,}" if found.rows is not None else f"{about}{count_of(rows)}"))
    if found.encoding and found.encoding != "utf-8":
        parts.append(found.encoding.upper())
    return " · ".join(parts)
