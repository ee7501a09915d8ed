"""All ended runs in a picture or as a table: one value against the other, with the best so far."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QAbstractTableModel, QModelIndex, QPersistentModelIndex, QPoint, QSize, Qt, Signal, Slot
from PySide6.QtGui import QContextMenuEvent, QKeyEvent, QPainter
from PySide6.QtWidgets import QHeaderView, QMenu, QSizePolicy, QStackedWidget, QTableView, QToolTip, QWidget

from engine.contract.errors import ErrorBody, UserError
from forge_desktop.bridge.series_files import write_picture
from forge_desktop.bridge.session import Session
from forge_desktop.models.run_picture import Picture, table_heads
from forge_desktop.panels.chart_export import ChartExport
from forge_desktop.theme.controls import column, label
from forge_desktop.theme.language import explain, tr
from forge_desktop.theme.slices import Slices
from forge_desktop.theme.spoken import speak_as
from forge_desktop.theme.staged_import import StagedPackage, name_slices

if TYPE_CHECKING:
    from forge_desktop.panels.scatter_plot import ScatterPlot

HEIGHT = 300
Index = QModelIndex | QPersistentModelIndex


class CompareScatter(QStackedWidget):
    """A click, or Enter on the one chosen by the arrows, opens the run. `show_table` says the same in words."""

    opened = Signal(str)
    drawn = Signal()
    """The plot is there."""

    def __init__(self, session: Session) -> None:
        super().__init__()
        self.setObjectName("compare.scatter")
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setMinimumSize(220, HEIGHT)
        speak_as(self, "chart")
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setAccessibleName(tr("All runs"))
        self.picture = Picture()
        self.plot: ScatterPlot | None = None
        self._chosen, self._is_table = -1, False
        self._said = label("", "hint", wrap=True)
        self._said.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self._empty = QWidget()
        self._empty.setLayout(column(None, self._said, None, margins=(20, 0, 20, 0)))
        self._rows = _Rows(self)
        self.table = self._make_table()
        self.addWidget(self._empty)
        self.addWidget(self.table)
        self.export = _PointsExport(session, self)
        self._slices = Slices(self)
        self._slices.begin(self._coming(), now=False)
        self._refresh()

    def sizeHint(self) -> QSize:
        """Qt's own hook."""
        return QSize(330, HEIGHT)

    def show_picture(self, picture: Picture) -> None:
        """Show other runs."""
        chosen = self.picture.points[self._chosen].uid if self._chosen >= 0 else ""
        self.picture = picture
        self._rows.show_picture(picture)
        self._chosen = next((place for place, one in enumerate(picture.points) if one.uid == chosen), -1)
        if self.plot is not None:
            self.plot.show_picture(picture)
            self.plot.choose(self._chosen)
        self._refresh()

    def show_table(self, table: bool) -> None:
        """As a table, or as a picture."""
        self._is_table = table
        self._refresh()
        if table:
            self.table.setFocus()

    def has_points(self) -> bool:
        """Anything to draw."""
        return bool(self.picture.points)

    def paint_export(self, painter: QPainter) -> None:
        """The picture, for files."""
        if self.plot is not None:
            self.plot.paint_export(painter)

    def fill_menu(self, menu: QMenu) -> None:
        """What can be done with the picture."""
        whole = menu.addAction(tr("Show everything"), self._show_everything)
        whole.setObjectName("scatter.reset")
        menu.addSeparator()
        self.export.fill(menu, self, (), "all-runs")

    def _show_everything(self) -> None:
        if self.plot is not None:
            self.plot.reset_view()

    def _coming(self) -> Iterator[Callable[[], object]]:
        """A fifth of a second of Python, in slices."""
        names = (name_slices(f"PySide6.{module}") for module in ("QtCore", "QtGui", "QtWidgets"))
        for work in chain(*names, StagedPackage.of("pyqtgraph").slices()):
            yield partial(self._try, work)
        yield self._make_plot

    def _try(self, work: Callable[[], object]) -> None:
        try:
            work()
        except ImportError as bug:
            self._slices.stop()
            self._no_plot(UserError("desktop.bug", detail=f"{type(bug).__name__}: {bug}").body())

    def _make_plot(self) -> None:
        from forge_desktop.panels.scatter_plot import ScatterPlot  # not before somebody compares runs

        self.plot = plot = ScatterPlot()
        plot.hovered.connect(self._hovered)
        plot.pressed.connect(self._open)
        self.addWidget(plot)
        plot.show_picture(self.picture)
        self._refresh()
        self.drawn.emit()

    def _no_plot(self, error: ErrorBody) -> None:
        self._is_table = True
        self._said.setText(explain(error)[0])
        self._refresh()

    def _make_table(self) -> QTableView:
        made = QTableView()
        made.setObjectName("compare.scatter.table")
        made.setProperty("role", "boxed")
        made.setAccessibleName(tr("All runs"))
        made.setModel(self._rows)
        made.setSelectionBehavior(QTableView.SelectionBehavior.SelectRows)
        made.setSelectionMode(QTableView.SelectionMode.SingleSelection)
        made.verticalHeader().hide()
        made.setShowGrid(False)
        made.setTabKeyNavigation(False)
        made.horizontalHeader().setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        made.activated.connect(lambda index: self._open(index.row()))
        return made

    def _refresh(self) -> None:
        plot = self.plot
        if not self.has_points() or (plot is None and not self._is_table):
            waits = self.has_points() and plot is None
            self._said.setText(tr("Loading all runs…") if waits else tr("No ended run has both values yet."))
            self.setCurrentWidget(self._empty)
        else:
            self.setCurrentWidget(self.table if self._is_table or plot is None else plot)

    def _choose(self, place: int) -> None:
        if place == self._chosen:
            return
        self._chosen = place
        self.setAccessibleDescription(self.picture.said(place) if place >= 0 else "")
        if self.plot is not None:
            self.plot.choose(place)
            self.plot.setCursor(Qt.CursorShape.PointingHandCursor if place >= 0 else Qt.CursorShape.ArrowCursor)

    @Slot(int, QPoint)
    def _hovered(self, place: int, at: QPoint) -> None:
        self._choose(place)
        if place >= 0:
            QToolTip.showText(at, self.picture.said(place), self)
        else:
            QToolTip.hideText()

    @Slot(int)
    def _open(self, place: int) -> None:
        if 0 <= place < len(self.picture.points):
            self.opened.emit(self.picture.points[place].uid)

    def contextMenuEvent(self, event: QContextMenuEvent) -> None:
        """Qt's own hook."""
        menu = QMenu(self)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.fill_menu(menu)
        menu.popup(event.globalPos())

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Qt's own hook: arrows choose a run by what it took, Enter opens it."""
        last, key = len(self.picture.points) - 1, Qt.Key(event.key())
        to = {
            Qt.Key.Key_Right: min(self._chosen + 1, last), Qt.Key.Key_Left: max(self._chosen - 1, 0),
            Qt.Key.Key_Home: 0, Qt.Key.Key_End: last,
        }.get(key)  # fmt: skip
        if to is not None and last >= 0:
            self._choose(to)
            if self.plot is not None:
                spot = self.plot.viewport().mapToGlobal(self.plot.place_of(to))
                QToolTip.showText(spot, self.picture.said(to), self)
        elif key in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and self._chosen >= 0:
            self._open(self._chosen)
        else:
            super().keyPressEvent(event)


class _Rows(QAbstractTableModel):
    """The points as rows."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self._picture = Picture()

    def show_picture(self, picture: Picture) -> None:
        """Other points."""
        self.beginResetModel()
        self._picture = picture
        self.endResetModel()

    def rowCount(self, parent: Index = QModelIndex()) -> int:
        """Qt's own hook."""
        return 0 if parent.isValid() else len(self._picture.points)

    def columnCount(self, parent: Index = QModelIndex()) -> int:
        """Qt's own hook."""
        return 0 if parent.isValid() else 3

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Qt's own hook."""
        if role == Qt.ItemDataRole.DisplayRole:
            return self._picture.cells(index.row())[index.column()]
        if role == Qt.ItemDataRole.ToolTipRole:
            return self._picture.said(index.row())
        return None

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Qt's own hook."""
        if role == Qt.ItemDataRole.DisplayRole and orientation is Qt.Orientation.Horizontal:
            return table_heads(self._picture)[section]
        return None


class _PointsExport(ChartExport):
    """The picture and its points as files."""

    def __init__(self, session: Session, scatter: CompareScatter) -> None:
        super().__init__(session, tuple, scatter)
        self._scatter = scatter

    def save_points(self, _metrics: Any, file: Path) -> None:
        """As CSV, one line a run."""
        content = self._scatter.picture.as_csv()
        self.write(file, lambda: write_picture(file, content))
