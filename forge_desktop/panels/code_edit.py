"""A field for a text of many lines, with their numbers; one of them can be marked as wrong."""

from __future__ import annotations

from PySide6.QtCore import QRect, QRectF, QSize, Qt, Slot
from PySide6.QtGui import QColor, QFont, QPainter, QPaintEvent, QResizeEvent, QTextCursor, QTextFormat
from PySide6.QtWidgets import QPlainTextEdit, QTextEdit, QWidget

from forge_desktop.theme.look import mono_font, tokens

GAP = 8


class _Numbers(QWidget):
    """The strip on the left."""

    def __init__(self, edit: CodeEdit) -> None:
        super().__init__(edit)
        self._edit = edit

    def sizeHint(self) -> QSize:
        """Qt's own hook."""
        return QSize(self._edit.numbers_width(), 0)

    def paintEvent(self, event: QPaintEvent) -> None:
        """Qt's own hook."""
        self._edit.paint_numbers(QPainter(self), event.rect())


class CodeEdit(QPlainTextEdit):
    """Tab leads on, so that the keyboard finds its way out."""

    def __init__(self, name: str, said: str) -> None:
        super().__init__()
        self.setObjectName(name)
        self.setAccessibleName(said)
        self.setProperty("role", "input")
        font = mono_font()
        for feature in ("liga", "calt"):  # else <| becomes a triangle
            font.setFeature(QFont.Tag(feature), 0)
        self.setFont(font)
        self.setTabChangesFocus(True)
        self.setLineWrapMode(QPlainTextEdit.LineWrapMode.WidgetWidth)
        self._wrong = 0
        self._numbers = _Numbers(self)
        self.blockCountChanged.connect(self._make_room)
        self.updateRequest.connect(self._scrolled)
        self._make_room()

    def numbers_width(self) -> int:
        """Of the strip."""
        return 2 * GAP + self.fontMetrics().horizontalAdvance("9") * max(2, len(str(self.blockCount())))

    def set_text(self, text: str) -> None:
        """Another text; the same one leaves the cursor alone."""
        if self.toPlainText() != text:
            self.setPlainText(text)

    def mark(self, line: int) -> None:
        """Show that a line is wrong; 0: none."""
        self._wrong = line
        marks = list[QTextEdit.ExtraSelection]()
        block = self.document().findBlockByNumber(line - 1)
        if line > 0 and block.isValid():
            made = QTextEdit.ExtraSelection()
            made.format.setBackground(QColor(tokens().bad_soft))
            made.format.setProperty(QTextFormat.Property.FullWidthSelection, True)
            made.cursor = QTextCursor(block)
            marks.append(made)
        self.setExtraSelections(marks)
        self._numbers.update()

    def go_to(self, line: int) -> None:
        """Put the cursor there."""
        block = self.document().findBlockByNumber(line - 1)
        if block.isValid():
            self.setTextCursor(QTextCursor(block))
            self.setFocus(Qt.FocusReason.OtherFocusReason)

    def paint_numbers(self, painter: QPainter, area: QRect) -> None:
        """Draw the numbers of the lines in sight."""
        t = tokens()
        painter.fillRect(area, QColor(t.surface2))
        painter.setFont(self.font())
        block = self.firstVisibleBlock()
        top = self.blockBoundingGeometry(block).translated(self.contentOffset()).top()
        width = self._numbers.width() - GAP
        while block.isValid() and top <= area.bottom():
            height = self.blockBoundingRect(block).height()
            if block.isVisible() and top + height >= area.top():
                wrong = block.blockNumber() + 1 == self._wrong
                painter.setPen(QColor(t.bad_text if wrong else t.muted))
                text = f"✗{block.blockNumber() + 1}" if wrong else str(block.blockNumber() + 1)
                place = QRectF(0, top, width, self.fontMetrics().height())
                painter.drawText(place, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter, text)
            block, top = block.next(), top + height

    @Slot()
    def _make_room(self, *_count: object) -> None:
        self.setViewportMargins(self.numbers_width() + GAP, 0, 0, 0)

    def _scrolled(self, area: QRect, by: int) -> None:
        if by:
            self._numbers.scroll(0, by)
        else:
            self._numbers.update(0, area.y(), self._numbers.width(), area.height())

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Qt's own hook."""
        super().resizeEvent(event)
        inside = self.contentsRect()
        top = self.viewport().geometry()
        self._numbers.setGeometry(QRect(inside.left(), top.top(), self.numbers_width(), top.height()))
