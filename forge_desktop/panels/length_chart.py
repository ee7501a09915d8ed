"""The lengths of rows as a histogram, with the line where they are cut; it can be dragged, or moved by arrow keys."""

from __future__ import annotations

from PySide6.QtCore import QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QColor, QKeyEvent, QMouseEvent, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QSizePolicy, QWidget

from forge_desktop.models.xray_model import buckets, cut_share
from forge_desktop.theme.language import tr
from forge_desktop.theme.look import tokens
from forge_desktop.theme.measures import count_of, percent
from forge_desktop.theme.spoken import speak_as

BARS, HEIGHT, FOOT, HEAD = 48, 220, 26, 22
LEAST = 8


class LengthChart(QWidget):
    """Bars right of the line are rows that are cut."""

    moved = Signal(int)
    """The line stands at so many tokens now."""

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("statistics.lengths")
        speak_as(self, "chart")
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setCursor(Qt.CursorShape.SizeHorCursor)
        self._lengths: list[int] = []
        self._limit, self._top = 1024, 1024

    def sizeHint(self) -> QSize:
        """Qt's own hook."""
        return QSize(480, HEIGHT)

    def show_lengths(self, lengths: list[int], limit: int) -> None:
        """Sorted lengths, and where rows are cut."""
        self._lengths, self._limit = lengths, limit
        longest = lengths[-1] if lengths else limit
        usual = lengths[min(len(lengths) - 1, int(len(lengths) * 0.995))] if lengths else limit
        near = round(limit * 1.06) if limit <= 1.5 * longest else 0
        self._top = max(16, min(longest, round(usual * 1.15)), near)
        rows, lost = cut_share(lengths, limit)
        self.setAccessibleName(tr("Lengths of rows"))
        self.setAccessibleDescription(
            tr("Cut at {n} tokens: {rows} of the rows are cut, {lost} of all tokens are lost.", n=f"{limit:,}",
               rows=percent(rows, 1), lost=percent(lost, 1))
        )  # fmt: skip
        self.update()

    def _area(self) -> QRectF:
        return QRectF(6, HEAD, max(40, self.width() - 12), self.height() - HEAD - FOOT)

    def _x(self, tokens_: float) -> float:
        area = self._area()
        return area.left() + area.width() * min(1.0, tokens_ / self._top)

    def paintEvent(self, _event: QPaintEvent) -> None:
        """Qt's own hook."""
        painter, t, area = QPainter(self), tokens(), self._area()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        found = buckets(self._lengths, BARS, self._top)
        most, width = max(found, default=0) or 1, area.width() / BARS
        painter.setPen(Qt.PenStyle.NoPen)
        for place, number in enumerate(found):
            if not number:
                continue
            high = max(2.0, area.height() * number / most)
            cut = (place + 1) * self._top / BARS > self._limit
            painter.setBrush(QColor(t.warn_fill if cut else t.accent))
            bar = QRectF(area.left() + place * width + 1, area.bottom() - high, max(1.0, width - 2), high)
            painter.drawRoundedRect(bar, 2, 2)
        painter.setPen(QColor(t.border))
        painter.drawLine(area.bottomLeft(), area.bottomRight())
        font = self.font()
        font.setPixelSize(11)
        painter.setFont(font)
        painter.setPen(QColor(t.muted))
        for share in (0.0, 0.25, 0.5, 0.75, 1.0):
            box = QRectF(area.left() + area.width() * share - 40, area.bottom() + 4, 80, 18)
            side = Qt.AlignmentFlag.AlignHCenter
            if share in (0.0, 1.0):
                box = QRectF(area.left() if share == 0 else area.right() - 80, area.bottom() + 4, 80, 18)
                side = Qt.AlignmentFlag.AlignLeft if share == 0 else Qt.AlignmentFlag.AlignRight
            painter.drawText(box, int(side | Qt.AlignmentFlag.AlignTop), count_of(self._top * share))
        self._paint_line(painter, area)
        painter.end()

    def _paint_line(self, painter: QPainter, area: QRectF) -> None:
        t, x = tokens(), self._x(self._limit)
        pen = QPen(QColor(t.bad_fill if not self.hasFocus() else t.accent), 2)
        painter.setPen(pen)
        painter.drawLine(QPointF(x, HEAD - 4), QPointF(x, area.bottom()))
        text = tr("cut at {n}", n=f"{self._limit:,}")
        wide = painter.fontMetrics().horizontalAdvance(text) + 8
        left = min(max(area.left(), x - wide / 2), area.right() - wide)
        painter.setPen(QColor(t.text))
        painter.drawText(QRectF(left, 0, wide, HEAD - 4), int(Qt.AlignmentFlag.AlignCenter), text)

    def _drag(self, event: QMouseEvent) -> None:
        area = self._area()
        share = (event.position().x() - area.left()) / max(1.0, area.width())
        self._move(round(share * self._top / 8) * 8)

    def _move(self, limit: int) -> None:
        limit = max(LEAST, min(limit, self._top))
        if limit != self._limit:
            self.show_lengths(self._lengths, limit)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Qt's own hook."""
        self.setFocus(Qt.FocusReason.MouseFocusReason)
        self._drag(event)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Qt's own hook."""
        if event.buttons() & Qt.MouseButton.LeftButton:
            self._drag(event)

    def mouseReleaseEvent(self, _event: QMouseEvent) -> None:
        """Qt's own hook."""
        self.moved.emit(self._limit)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Qt's own hook."""
        step = max(8, self._top // 64 // 8 * 8)
        by = {Qt.Key.Key_Left: -step, Qt.Key.Key_Right: step}.get(Qt.Key(event.key()))
        if by is None:
            super().keyPressEvent(event)
            return
        self._move(self._limit + by)
        self.moved.emit(self._limit)
