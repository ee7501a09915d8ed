"""The table of runs, painted row by row as in the design: name, status, loss, progress, age, time left."""

from __future__ import annotations

from PySide6.QtCore import QModelIndex, QPersistentModelIndex, QRect, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QColor, QFont, QFontMetrics, QKeyEvent, QPainter, QResizeEvent
from PySide6.QtWidgets import (
    QAbstractItemView,
    QHeaderView,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QTableView,
    QWidget,
)

from engine.contract.api import RunSummary
from engine.contract.states import RunState
from forge_desktop.models.runs_model import RunRole, RunsModel, cell_text, progress
from forge_desktop.panels.sparkline import paint_sparkline
from forge_desktop.panels.status import chip_of, fill
from forge_desktop.theme.controls import paint_bar, paint_chip
from forge_desktop.theme.language import tr, word
from forge_desktop.theme.look import tokens, ui_font
from forge_desktop.theme.measures import figure
from forge_desktop.theme.tokens import ROW_HEIGHT

Index = QModelIndex | QPersistentModelIndex
LEFT = int(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
WIDTHS = {1: 140, 2: 150, 3: 170, 4: 116, 5: 108}


class RunDelegate(QStyledItemDelegate):
    """Paints the cells."""

    def sizeHint(self, _option: QStyleOptionViewItem, _index: Index) -> QSize:
        """Qt's own hook."""
        return QSize(80, ROW_HEIGHT)

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        """Qt's own hook."""
        run = index.data(RunRole)
        if not isinstance(run, RunSummary):
            return
        t, box = tokens(), option.rect
        painter.save()
        if option.state & QStyle.StateFlag.State_Selected:
            painter.fillRect(box, QColor(t.surface2))
        elif option.state & QStyle.StateFlag.State_MouseOver:
            painter.fillRect(box, QColor(t.hover if t.dark else t.surface2))
        painter.setPen(QColor(t.border))
        painter.drawLine(box.left() + (16 if index.column() == 0 else 0), box.bottom(), box.right(), box.bottom())
        inner = box.adjusted(15 if index.column() == 0 else 12, 0, -8, 0)
        (_paint_name, _paint_status, _paint_loss, _paint_progress, _paint_text, _paint_text)[index.column()](
            painter, inner, run, index.column()
        )
        painter.restore()


def _text(painter: QPainter, box: QRect, text: str, font: QFont, colour: str) -> None:
    painter.setFont(font)
    painter.setPen(QColor(colour))
    painter.drawText(box, LEFT, QFontMetrics(font).elidedText(text, Qt.TextElideMode.ElideRight, box.width()))


def _paint_name(painter: QPainter, box: QRect, run: RunSummary, _column: int) -> None:
    t = tokens()
    half = box.height() // 2
    _text(painter, QRect(box.left(), box.top() + 6, box.width(), half - 6), run.name, ui_font(13, 600), t.text)
    below = " · ".join(part for part in (run.model, run.dataset, run.method) if part)
    _text(painter, QRect(box.left(), box.top() + half, box.width(), half - 7), below, ui_font(12), t.muted)


def _paint_status(painter: QPainter, box: QRect, run: RunSummary, _column: int) -> None:
    paint_chip(painter, box.left(), box.center().y() - 11, *chip_of(run))


def _paint_loss(painter: QPainter, box: QRect, run: RunSummary, _column: int) -> None:
    t = tokens()
    colour = t.series[0] if run.state in (RunState.RUNNING, RunState.FINISHING) else fill(run.state)
    paint_sparkline(painter, QRectF(box.left() - 4, box.top() + 12, 72, box.height() - 24), run.sparkline, colour)
    ink = t.bad_text if run.state is RunState.FAILED else t.text
    _text(painter, box.adjusted(76, 0, 0, 0), figure(run.loss), ui_font(13, 500), ink)


def _paint_progress(painter: QPainter, box: QRect, run: RunSummary, _column: int) -> None:
    share = progress(run)
    if share is None:
        if run.state is RunState.PREPARING and run.phase is not None:
            _text(painter, box, word("phase", run.phase), ui_font(12), tokens().muted)
        else:
            _text(painter, box, "—", ui_font(13), tokens().muted)
        return
    width = box.width() - 46
    paint_bar(painter, box.left(), box.center().y() - 2, width, 6, share, fill(run.state))
    _text(painter, box.adjusted(width + 8, 0, 0, 0), f"{100 * share:.0f}%", ui_font(13), tokens().secondary)


def _paint_text(painter: QPainter, box: QRect, run: RunSummary, column: int) -> None:
    _text(painter, box, cell_text(run, column), ui_font(13), tokens().secondary)


class RunsTable(QTableView):
    """The list of runs; Enter or a double click opens one."""

    opened = Signal(str)

    def __init__(self, model: RunsModel, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("runs.table")
        self.setAccessibleName(tr("Runs"))
        self.setModel(model)
        self.setItemDelegate(RunDelegate(self))
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setShowGrid(False)
        self.setMouseTracking(True)
        self.setTabKeyNavigation(False)
        self.verticalHeader().hide()
        self.verticalHeader().setDefaultSectionSize(ROW_HEIGHT)
        header = self.horizontalHeader()
        header.setHighlightSections(False)
        header.setSectionsClickable(False)
        header.setFixedHeight(40)
        header.setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        for column, width in WIDTHS.items():
            header.setSectionResizeMode(column, QHeaderView.ResizeMode.Fixed)
            self.setColumnWidth(column, width)
        self.doubleClicked.connect(self._open)
        self.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)

    def _open(self, index: QModelIndex) -> None:
        run = index.data(RunRole)
        if isinstance(run, RunSummary):
            self.opened.emit(run.uid)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Qt's own hook."""
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and self.currentIndex().isValid():
            self._open(self.currentIndex())
            return
        super().keyPressEvent(event)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Qt's own hook: where room is short, the age goes first."""
        super().resizeEvent(event)
        self.setColumnHidden(4, self.viewport().width() < 760)
