"""The rows of a version: a list of any length, searched, and the current row in full."""

from __future__ import annotations

from PySide6.QtCore import Signal, Slot
from PySide6.QtWidgets import QVBoxLayout, QWidget

from engine.contract.dataset_queries import ShownRow
from engine.contract.datasets import RowView
from engine.contract.errors import ErrorBody
from forge_desktop.models.dataset_rows import RowsModel, turns_of
from forge_desktop.models.dataset_words import problem_text
from forge_desktop.panels.page import ErrorCard
from forge_desktop.panels.paged_table import PagedTable
from forge_desktop.panels.shown_rows import show_rows
from forge_desktop.theme.controls import Card, Chip, Choice, Field, button, clear, column, label, row, scrolled
from forge_desktop.theme.language import tr
from forge_desktop.theme.measures import count_of


class DatasetRowsPanel(QWidget):
    """Rows as they came in; what a model makes of one is the X-ray's business."""

    xray_wanted = Signal(int)
    """A row, by its place."""
    export_wanted = Signal()

    def __init__(self, model: RowsModel) -> None:
        super().__init__()
        self.model = model
        self.search = Field(hint=tr("Words in a row"), name="dataset.rows.search")
        self.search.setAccessibleName(tr("Search the rows"))
        self.search.setClearButtonEnabled(True)
        self.search.textChanged.connect(model.look_for)
        self.kinds = Choice([("", tr("All rows"))])
        self.kinds.setObjectName("dataset.rows.kind")
        self.kinds.setAccessibleName(tr("Only rows with"))
        self.kinds.setMinimumContentsLength(16)
        self.kinds.activated.connect(lambda _index: model.only_with(self.kinds.value()))
        self._found = label("", "hint")
        self._error = ErrorCard("dataset.rows.error")
        self.table = PagedTable(
            model, "dataset.rows.table", tr("Rows"), {"row": 88, "problems": 168}, stretched="content"
        )
        self.table.chosen.connect(self._show)
        card = Card(margins=(1, 1, 1, 4))
        card.body.addWidget(self.table)
        self._place = label("", "card-title")
        self._marks = row(spacing=6)
        self._xray = button(tr("X-ray"), "default", "search", self._look, "dataset.rows.xray")
        self._turns = QVBoxLayout()
        self._turns.setSpacing(8)
        inner = QWidget()
        inside = column(spacing=8, margins=(0, 0, 8, 0))
        inside.addLayout(self._turns)
        inside.addStretch(1)
        inner.setLayout(inside)
        self._detail = Card()
        head = row(self._place, spacing=8)
        head.addLayout(self._marks)
        head.addStretch(1)
        head.addWidget(self._xray)
        self._detail.body.addLayout(head)
        self._detail.body.addWidget(scrolled(inner), 1)
        self._detail.setMinimumHeight(190)
        self._export = button(tr("Export…"), "default", "download", self.export_wanted.emit, "dataset.rows.export",
                              tr("All rows of this version as a file of JSON lines"))  # fmt: skip
        line = row(self.search, self.kinds, self._found, self._export, spacing=10)
        line.setStretch(0, 1)
        layout = column(spacing=12)
        layout.addLayout(line)
        layout.addWidget(self._error)
        layout.addWidget(card, 3)
        layout.addWidget(self._detail, 2)
        self.setLayout(layout)
        model.loaded.connect(self._loaded)
        model.failed.connect(self._failed)

    def offer(self, problems: dict[str, int]) -> None:
        """Kinds of problems to choose rows by."""
        self.kinds.clear()
        self.kinds.addItem(tr("All rows"), "")
        for kind, number in sorted(problems.items(), key=lambda one: -one[1]):
            self.kinds.addItem(f"{problem_text(kind)} ({count_of(number)})", kind)
        self.kinds.set_value(self.model.problem)

    @Slot()
    def _loaded(self) -> None:
        self._error.show_error(None)
        more = "" if self.model.complete else "+"
        searched = bool(self.model.search or self.model.problem)
        self._found.setText(tr("{n} found", n=f"{self.model.total:,}{more}") if searched else "")
        self._detail.setVisible(self.model.total > 0)

    @Slot(object)
    def _failed(self, error: ErrorBody) -> None:
        self._error.show_error(error)

    @Slot(object)
    def _show(self, found: RowView | None) -> None:
        clear(self._marks)
        if found is None:
            return
        self._place.setText(tr("Row {n}", n=f"{found.row + 1:,}"))
        for kind in found.problems:
            self._marks.addWidget(Chip(problem_text(kind), "warn", "triangle-alert"))
        turns, extra = turns_of(found.content)
        show_rows(self._turns, [ShownRow(row=found.row, file=found.file, line=found.line, turns=turns, extra=extra)])

    def _look(self) -> None:
        found = self.table.current()
        if isinstance(found, RowView):
            self.xray_wanted.emit(found.row)
