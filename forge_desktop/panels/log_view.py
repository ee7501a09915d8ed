"""The lines of a log on the screen: paints those that can be seen only, so a million cost no more than fifty."""

from __future__ import annotations

from collections.abc import Iterator

from PySide6.QtCore import QEvent, QPoint, QRectF, QSize, Qt, Signal, Slot
from PySide6.QtGui import (
    QColor,
    QContextMenuEvent,
    QFocusEvent,
    QFontMetricsF,
    QGuiApplication,
    QHelpEvent,
    QKeyEvent,
    QKeySequence,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QResizeEvent,
    QWheelEvent,
)
from PySide6.QtWidgets import QAbstractScrollArea, QMenu, QToolTip

from forge_desktop.models.log_copy import Spot, copy_between
from forge_desktop.models.log_lines import ERROR, WARNING, Needle, Row
from forge_desktop.models.log_model import LogModel, Place
from forge_desktop.panels.log_paint import column_of, paint_row, width_of
from forge_desktop.theme.language import tr
from forge_desktop.theme.look import mono_font, tokens
from forge_desktop.theme.spoken import speak_as

LEFT, GAP = 6, 4
END = 1 << 40
"""A row or column behind all others."""


class LogView(QAbstractScrollArea):
    """Scrolls by lines; follows the end until somebody moves away from it."""

    follow_changed = Signal(bool)
    told = Signal(str)
    """What was copied, in a sentence."""
    whole_wanted = Signal(object)
    """Row that somebody wants to read in full."""
    search_wanted = Signal()

    def __init__(self, model: LogModel) -> None:
        super().__init__()
        self.setObjectName("run.log.lines")
        self.setProperty("role", "log-lines")
        self.setFrameShape(QAbstractScrollArea.Shape.NoFrame)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.viewport().setCursor(Qt.CursorShape.IBeamCursor)
        self.viewport().setAutoFillBackground(False)
        self.setAccessibleName(tr("Log"))
        speak_as(self, "document")
        self.model = model
        self.needle = Needle("")
        self._top: Place = (0, 0)
        self._follow = True
        self._caret: Spot | None = None
        self._anchor: Spot | None = None
        self._widest = 0.0
        self.setFont(mono_font())
        self.verticalScrollBar().valueChanged.connect(self._scrolled)
        self.horizontalScrollBar().valueChanged.connect(self.viewport().update)
        model.changed.connect(self._changed)
        model.restarted.connect(self._restarted)

    @property
    def line_height(self) -> int:
        """Pixels a line takes."""
        return round(QFontMetricsF(self.font()).height()) + GAP

    @property
    def page(self) -> int:
        """Whole lines that can be seen."""
        return max(1, self.viewport().height() // self.line_height)

    @property
    def following(self) -> bool:
        """It stays at the end."""
        return self._follow

    def sizeHint(self) -> QSize:
        """Qt's own hook."""
        return QSize(300, 130)

    def minimumSizeHint(self) -> QSize:
        """Qt's own hook."""
        return QSize(120, 100)

    # What is seen

    def visible(self) -> Iterator[tuple[Place, Row | None]]:
        """Places and rows from the top down; a row is None while it is on its way."""
        yield from self._from(self._top, self.page + 1)

    def visible_text(self) -> str:
        """The text on the screen."""
        return "\n".join(row.text for _place, row in self.visible() if row is not None)

    def _from(self, place: Place, number: int) -> Iterator[tuple[Place, Row | None]]:
        chunk, at = place
        left = number
        while left > 0 and chunk < self.model.chunks:
            rows = self.model.chunk(chunk)
            if rows is None:
                for ahead in range(left):
                    yield (chunk, at + ahead), None
                return
            for row in rows[at : at + left]:
                yield (chunk, at), row
                at, left = at + 1, left - 1
            chunk, at = chunk + 1, 0

    def _row_at(self, place: Place) -> Row | None:
        rows = self.model.chunk(place[0])
        return rows[place[1]] if rows is not None and 0 <= place[1] < len(rows) else None

    # Scrolling

    def follow(self) -> None:
        """Stay at the end from now on."""
        self._set_follow(True)
        self._changed()

    def _set_follow(self, on: bool) -> None:
        if on != self._follow:
            self._follow = on
            self.follow_changed.emit(on)

    def show_place(self, place: Place, middle: bool = False) -> None:
        """Scroll so that a line can be seen; in the middle, if it cannot be seen yet and that is wished."""
        first, row = self.model.row(self._top), self.model.row(place)
        if first <= row < first + self.page:
            return
        wanted = row - (self.page // 2 if middle or abs(row - first) > 2 * self.page else 0)
        if not middle and first + self.page <= row <= first + 2 * self.page:
            wanted = row - self.page + 1
        self._scroll_to(wanted)

    def _scroll_to(self, row: int) -> None:
        last = max(0, self.model.rows() - self.page)
        self._set_follow(row >= last)
        self._top = self.model.place(min(max(0, row), last))
        self._changed()

    @Slot(int)
    def _scrolled(self, value: int) -> None:
        bar = self.verticalScrollBar()
        self._set_follow(value >= bar.maximum())
        self._top = self.model.place(value)
        self.viewport().update()

    @Slot()
    def _changed(self) -> None:
        """Rows came or were counted: keep the same line at the top, or the end at the bottom."""
        rows, page = self.model.rows(), self.page
        bar = self.verticalScrollBar()
        bar.blockSignals(True)
        bar.setRange(0, max(0, rows - page))
        bar.setPageStep(page)
        if self._follow:
            self._top = self.model.place(max(0, rows - page))
        bar.setValue(self.model.row(self._top))
        bar.blockSignals(False)
        self._fit_width()
        self.viewport().update()

    def _fit_width(self) -> None:
        metrics = QFontMetricsF(self.font())
        shown = [width_of(metrics, row.text) for _place, row in self.visible() if row is not None]
        self._widest = max([self._widest, *shown])
        bar = self.horizontalScrollBar()
        bar.setRange(0, max(0, round(self._widest) + 3 * LEFT - self.viewport().width()))
        bar.setPageStep(self.viewport().width())
        bar.setSingleStep(24)

    @Slot()
    def _restarted(self) -> None:
        self._top, self._caret, self._anchor, self._widest = (0, 0), None, None, 0.0
        self.horizontalScrollBar().setValue(0)
        self.follow()

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Qt's own hook."""
        super().resizeEvent(event)
        self._changed()

    def wheelEvent(self, event: QWheelEvent) -> None:
        """Qt's own hook: three lines a notch, and nothing for the page around while there is something to scroll."""
        bar = self.horizontalScrollBar() if event.modifiers() & Qt.KeyboardModifier.ShiftModifier else None
        bar = bar or self.verticalScrollBar()
        if bar.maximum() == 0:
            event.ignore()
            return
        turned = event.angleDelta().y() or event.angleDelta().x()
        bar.setValue(bar.value() - round(turned / 120 * 3 * (1 if bar is self.verticalScrollBar() else 24)))
        event.accept()

    # Painting

    def paintEvent(self, _event: QPaintEvent) -> None:
        """Qt's own hook: the lines that can be seen."""
        painter = QPainter(self.viewport())
        painter.setFont(self.font())
        t = tokens()
        height, left = self.line_height, LEFT - self.horizontalScrollBar().value()
        wide = self.viewport().width()
        begin, end = self._selected()
        for number, (place, row) in enumerate(self.visible()):
            area = QRectF(0, number * height, wide, height)
            if row is None:
                painter.fillRect(
                    QRectF(LEFT, area.top() + height / 2 - 3, 60 + 37 * (place[1] % 5), 6), QColor(t.hover)
                )
                continue
            here = self._caret is not None and self._caret[0] == place
            if here and self.hasFocus() and begin == end:
                painter.fillRect(area, QColor(t.hover))
            chosen = None
            if begin is not None and end is not None and begin[0] <= place <= end[0] and begin != end:
                chosen = (begin[1] if place == begin[0] else 0, end[1] if place == end[0] else END)
            paint_row(painter, area, left, row, self.needle, chosen, here)
        painter.end()

    # Selecting and copying

    def _selected(self) -> tuple[Spot | None, Spot | None]:
        if self._caret is None or self._anchor is None:
            return None, None
        return min(self._caret, self._anchor), max(self._caret, self._anchor)

    def has_selection(self) -> bool:
        """Something is selected."""
        return self._caret is not None and self._anchor is not None and self._caret != self._anchor

    def select_all(self) -> None:
        """Select the whole log."""
        self._anchor, self._caret = ((0, 0), 0), ((max(0, self.model.chunks - 1), END), END)
        self.viewport().update()

    def copy(self) -> None:
        """Put what is selected, or the line with the caret, on the clipboard."""
        begin, end = self._selected()
        if begin is None or end is None:
            return
        if begin == end:
            begin, end = (begin[0], 0), (end[0], END)
        copy_between(self.model, begin, end, self._copied)

    def _copied(self, text: str, cut: bool) -> None:
        QGuiApplication.clipboard().setText(text)
        lines = f"{text.count(chr(10)) + 1:,}" if text else "0"
        said = tr("Copied {lines} lines.", lines=lines)
        if cut:
            said = tr("Copied the first {lines} lines; save the log to have all of it.", lines=lines)
        self.told.emit(said)

    def set_caret(self, place: Place, column: int = 0, extend: bool = False) -> None:
        """Put the caret somewhere and show it."""
        self._caret = (place, column)
        if not extend or self._anchor is None:
            self._anchor = self._caret
        row = self._row_at(place)
        self.setAccessibleDescription(row.text if row is not None else "")
        self.viewport().update()

    def caret(self) -> Place | None:
        """The line with the caret."""
        return self._caret[0] if self._caret is not None else None

    def spot_at(self, point: QPoint) -> Spot:
        """The character under a point."""
        number = max(-1, point.y() // self.line_height)
        seen = list(self.visible())
        if not seen:
            return (0, 0), 0
        place, row = seen[min(max(number, 0), len(seen) - 1)]
        x = point.x() - LEFT + self.horizontalScrollBar().value()
        column = column_of(QFontMetricsF(self.font()), row.text, x) if row is not None else 0
        return place, column

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Qt's own hook."""
        if event.button() == Qt.MouseButton.LeftButton:
            place, column = self.spot_at(event.position().toPoint())
            self.set_caret(place, column, bool(event.modifiers() & Qt.KeyboardModifier.ShiftModifier))

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Qt's own hook: select, scrolling where the mouse leaves the view."""
        if not event.buttons() & Qt.MouseButton.LeftButton:
            return
        point, bar = event.position().toPoint(), self.verticalScrollBar()
        if point.y() < 0:
            bar.setValue(bar.value() - 1)
        elif point.y() > self.viewport().height():
            bar.setValue(bar.value() + 1)
        place, column = self.spot_at(point)
        self.set_caret(place, column, extend=True)

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        """Qt's own hook: the word, or the whole of a line that was cut."""
        place, column = self.spot_at(event.position().toPoint())
        row = self._row_at(place)
        if row is None:
            return
        if row.hidden and column >= len(row.text):
            self.whole_wanted.emit(row)
            return
        begin = end = column
        while begin > 0 and not row.text[begin - 1].isspace():
            begin -= 1
        while end < len(row.text) and not row.text[end].isspace():
            end += 1
        self._anchor, self._caret = (place, begin), (place, end)
        self.viewport().update()

    def contextMenuEvent(self, event: QContextMenuEvent) -> None:
        """Qt's own hook."""
        place, _column = self.spot_at(self.viewport().mapFromGlobal(event.globalPos()))
        row = self._row_at(place)
        menu = QMenu(self)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        copied = menu.addAction(tr("Copy"), self.copy)
        copied.setEnabled(self._caret is not None)
        menu.addAction(tr("Select all"), self.select_all)
        if row is not None:
            menu.addAction(tr("Show the whole line…"), lambda: self.whole_wanted.emit(row))
        menu.popup(event.globalPos())

    # The keyboard

    def event(self, event: QEvent) -> bool:
        """Qt's own hook: the window leaves Ctrl+F, Ctrl+A and Ctrl+C to the log while it has the focus."""
        if event.type() == QEvent.Type.ShortcutOverride and isinstance(event, QKeyEvent):
            keys = (QKeySequence.StandardKey.Find, QKeySequence.StandardKey.Copy, QKeySequence.StandardKey.SelectAll)
            if any(event.matches(key) for key in keys):
                event.accept()
                return True
        return bool(super().event(event))

    def viewportEvent(self, event: QEvent) -> bool:
        """Qt's own hook: a tooltip for a line that is longer than the view."""
        if event.type() == QEvent.Type.ToolTip and isinstance(event, QHelpEvent):
            place, _column = self.spot_at(event.pos())
            row = self._row_at(place)
            if row is not None and (row.hidden or width_of(QFontMetricsF(self.font()), row.text) > self.width()):
                QToolTip.showText(event.globalPos(), row.text[:600], self)
            return True
        return bool(super().viewportEvent(event))

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Qt's own hook."""
        key, extend = event.key(), bool(event.modifiers() & Qt.KeyboardModifier.ShiftModifier)
        if event.matches(QKeySequence.StandardKey.Copy):
            self.copy()
        elif event.matches(QKeySequence.StandardKey.SelectAll):
            self.select_all()
        elif event.matches(QKeySequence.StandardKey.Find) or key == Qt.Key.Key_Slash:
            self.search_wanted.emit()
        elif key in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            row = self._row_at(self._caret[0]) if self._caret is not None else None
            if row is not None:
                self.whole_wanted.emit(row)
        elif not self._move(Qt.Key(key), extend):
            super().keyPressEvent(event)

    def _move(self, key: Qt.Key, extend: bool) -> bool:
        steps = {
            Qt.Key.Key_Up: -1, Qt.Key.Key_Down: 1, Qt.Key.Key_PageUp: -self.page, Qt.Key.Key_PageDown: self.page,
            Qt.Key.Key_Home: -END, Qt.Key.Key_End: END,
        }  # fmt: skip
        place, column = self._caret or (self._first_seen(key), 0)
        if key in (Qt.Key.Key_Left, Qt.Key.Key_Right):
            self._sideways(place, column, -1 if key == Qt.Key.Key_Left else 1, extend)
            return True
        if key not in steps:
            return False
        row = self.model.row(place) + (steps[key] if self._caret is not None or abs(steps[key]) > 1 else 0)
        place = self.model.place(min(max(0, row), max(0, self.model.rows() - 1)))
        self.set_caret(place, column if extend else 0, extend)
        if key == Qt.Key.Key_End:
            self.follow()
        else:
            self.show_place(place)
        return True

    def _first_seen(self, key: Qt.Key) -> Place:
        seen = [place for place, row in self.visible() if row is not None][: self.page]
        return (seen[-1] if key == Qt.Key.Key_Up else seen[0]) if seen else (0, 0)

    def _sideways(self, place: Place, column: int, step: int, extend: bool) -> None:
        if not extend:
            bar = self.horizontalScrollBar()
            bar.setValue(bar.value() + step * bar.singleStep())
            return
        row = self._row_at(place)
        length = len(row.text) if row is not None else 0
        self.set_caret(place, min(max(0, min(column, length) + step), length), extend=True)

    def focusInEvent(self, event: QFocusEvent) -> None:
        """Qt's own hook: by Tab, the caret goes to the newest line."""
        super().focusInEvent(event)
        if self._caret is None and event.reason() in (Qt.FocusReason.TabFocusReason, Qt.FocusReason.BacktabFocusReason):
            self.set_caret(self._first_seen(Qt.Key.Key_Up))
        self.viewport().update()

    def levels_seen(self) -> set[int]:
        """The levels of the lines on the screen that are no mere information."""
        return {row.level for _place, row in self.visible() if row is not None} & {WARNING, ERROR}
