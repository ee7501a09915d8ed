"""A plain table over pages of a long list: one row is current, its keys are the usual ones."""

from __future__ import annotations

from PySide6.QtCore import QModelIndex, Qt, Signal, Slot
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QAbstractItemView, QHeaderView, QTableView

from forge_desktop.models.paged_model import PagedModel

ROW, HEAD, LEAST_ROWS = 34, 36, 6


class PagedTable(QTableView):
    """Rows come when they are looked at; the current one is told when it is there."""

    chosen = Signal(object)
    """The item of the current row; None while it is still to come."""
    opened = Signal(object)

    def __init__(self, model: PagedModel, name: str, title: str, widths: dict[str, int], stretched: str) -> None:
        super().__init__()
        self._model = model
        self.setObjectName(name)
        self.setAccessibleName(title)
        self.setProperty("role", "paged")
        self.setModel(model)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setShowGrid(False)
        self.setWordWrap(False)
        self.setTabKeyNavigation(False)
        self.setMinimumHeight(HEAD + LEAST_ROWS * ROW)
        self.verticalHeader().hide()
        self.verticalHeader().setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        self.verticalHeader().setDefaultSectionSize(ROW)
        header = self.horizontalHeader()
        header.setHighlightSections(False)
        header.setSectionsClickable(False)
        header.setFixedHeight(HEAD)
        for place, (key, _title) in enumerate(model.titles):
            stretch = key == stretched
            header.setSectionResizeMode(
                place, QHeaderView.ResizeMode.Stretch if stretch else QHeaderView.ResizeMode.Interactive
            )
            if not stretch:
                header.resizeSection(place, widths.get(key, 120))
        self.selectionModel().currentRowChanged.connect(self._tell)
        self.doubleClicked.connect(self._open)
        model.loaded.connect(self._came)

    def current(self) -> object:
        """The item of the current row; None for none."""
        index = self.currentIndex()
        return self._model.item_at(index.row()) if index.isValid() else None

    @Slot()
    def _came(self) -> None:
        if not self.currentIndex().isValid() and self._model.total:
            self.setCurrentIndex(self._model.index(0, 0))
        self._tell()

    @Slot()
    def _tell(self, *_rows: object) -> None:
        self.chosen.emit(self.current())

    def _open(self, _index: QModelIndex) -> None:
        item = self.current()
        if item is not None:
            self.opened.emit(item)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Qt's own hook."""
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and self.currentIndex().isValid():
            self._open(self.currentIndex())
        else:
            super().keyPressEvent(event)
