"""A chart under mouse and keys: the wheel zooms, dragging moves or (with Shift) frames, arrows move the crosshair."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QPoint, QPointF, QRectF, Qt, Signal
from PySide6.QtGui import QContextMenuEvent, QCursor, QFocusEvent, QKeyEvent, QMouseEvent, QPixmap, QWheelEvent
from PySide6.QtWidgets import QLabel, QWidget

from forge_desktop.panels.chart_series import ChartLink, Range

ZOOM = 0.85
"""Of one notch of the wheel."""
DRAG_PX, BOX_PX = 3, 6
WIDEST = 1.5
"""How far out one may zoom, in widths of everything there is."""
FINEST = 1e-7
PAGE = 0.25
KEYS_ZOOM = {Qt.Key.Key_Plus: ZOOM**2, Qt.Key.Key_Equal: ZOOM**2, Qt.Key.Key_Minus: ZOOM**-2}
KEYS_MOVE = {Qt.Key.Key_Left: -1, Qt.Key.Key_Right: 1}
KEYS_PAGE = {Qt.Key.Key_PageUp: -PAGE, Qt.Key.Key_PageDown: PAGE}


class ChartHands(QLabel):
    """The part of a chart that people touch. What it changes it changes in the link that all charts of a page share."""

    menu_wanted = Signal(QPoint)
    """Where on the screen."""
    chosen = Signal(float)
    """The x of a point that was clicked, or at which Enter was pressed."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.link = ChartLink(self)
        self.y_zoom: Range | None = None
        self.box: QRectF | None = None
        self._pressed: QPointF | None = None
        self._origin: Range | None = None
        self._y_origin: Range | None = None
        nothing = QPixmap(1, 1)
        nothing.fill(Qt.GlobalColor.transparent)
        self.setPixmap(nothing)  # a label with a picture is what screen readers call a graphic; it is painted over
        self.setMouseTracking(True)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)

    def plot_area(self) -> QRectF:
        """Where the lines are."""
        raise NotImplementedError

    def seen(self) -> tuple[Range, Range]:
        """The piece of x and of values (exponents, on a logarithmic scale) that is seen."""
        raise NotImplementedError

    def everything(self) -> Range:
        """The whole of x."""
        raise NotImplementedError

    def x_at(self, pixel: float) -> float:
        """x under a pixel."""
        raise NotImplementedError

    def point_near(self, x: float) -> float | None:
        """The point next to an x."""
        raise NotImplementedError

    def point_beside(self, x: float, direction: int) -> float | None:
        """The next point, at least a pixel away."""
        raise NotImplementedError

    def reset_view(self) -> None:
        """Show what the switches say, and follow the end again."""
        self.y_zoom = None
        self.link.look_at(None)
        self.update()

    def zoom(self, factor: float, about: float) -> bool:
        """See less (below 1) or more around an x; whether that changed anything."""
        (low, high), whole = self.seen()[0], self.everything()
        widest = WIDEST * (whole[1] - whole[0])
        if factor > 1 and self.link.zoom is None:
            return False
        if (high - low) * factor >= widest:
            self.reset_view()
            return True
        if (high - low) * factor < FINEST * max(1.0, abs(about)):
            return False
        self.link.look_at((about - (about - low) * factor, about + (high - about) * factor))
        return True

    def pan(self, by: float) -> None:
        """Move what is seen, at most until half of it is empty."""
        (low, high), whole = self.seen()[0], self.everything()
        half = (high - low) / 2
        by = min(max(by, whole[0] - half - low), whole[1] + half - high)
        self.link.look_at((low + by, high + by))

    def wheelEvent(self, event: QWheelEvent) -> None:
        """Qt's own hook: zoom about the cursor; sideways or with Shift, move."""
        delta = event.angleDelta()
        (low, high), _ = self.seen()
        sideways = delta.x() or (delta.y() if event.modifiers() & Qt.KeyboardModifier.ShiftModifier else 0)
        if sideways and self.link.zoom is not None:
            self.pan(-sideways / 120 * (high - low) / 10)
            event.accept()
        elif delta.y() and not sideways and self.zoom(ZOOM ** (delta.y() / 120), self.x_at(event.position().x())):
            event.accept()
        else:
            event.ignore()  # the page scrolls

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Qt's own hook."""
        if event.button() != Qt.MouseButton.LeftButton or not self.plot_area().contains(event.position()):
            super().mousePressEvent(event)
            return
        self._pressed = event.position()
        (self._origin, y) = self.seen()
        self._y_origin = y if self.y_zoom is not None else None
        if event.modifiers() & Qt.KeyboardModifier.ShiftModifier:
            self.box = QRectF(self._pressed, self._pressed)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Qt's own hook: the crosshair follows, a drag moves or frames."""
        area, place = self.plot_area(), event.position()
        if self._pressed is None or self._origin is None:
            self.link.point_at(self.point_near(self.x_at(place.x())) if area.contains(place) else None)
        elif self.box is not None:
            inside = QPointF(
                min(max(place.x(), area.left()), area.right()), min(max(place.y(), area.top()), area.bottom())
            )
            self.box = QRectF(self._pressed, inside).normalized()
            self.update()
        elif (place - self._pressed).manhattanLength() > DRAG_PX or self.cursor().shape() != Qt.CursorShape.ArrowCursor:
            self.setCursor(QCursor(Qt.CursorShape.ClosedHandCursor))
            self._drag(place, self._origin, area)

    def _drag(self, place: QPointF, origin: Range, area: QRectF) -> None:
        assert self._pressed is not None
        moved = place - self._pressed
        by = -moved.x() * (origin[1] - origin[0]) / max(1.0, area.width())
        (low, _), _ = self.seen()
        self.pan(origin[0] + by - low)
        if self._y_origin is not None:
            bottom, top = self._y_origin
            up = moved.y() * (top - bottom) / max(1.0, area.height())
            self.y_zoom = (bottom + up, top + up)
            self.update()

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        """Qt's own hook: see what was framed."""
        box, self.box, pressed, self._pressed = self.box, None, self._pressed, None
        self.unsetCursor()
        if pressed is not None and box is None and (event.position() - pressed).manhattanLength() <= DRAG_PX:
            self._choose(self.point_near(self.x_at(event.position().x())))
        if box is not None and box.width() > BOX_PX and box.height() > BOX_PX:
            area, (bottom, top) = self.plot_area(), self.seen()[1]
            scale = (top - bottom) / area.height()
            self.y_zoom = (top - (box.bottom() - area.top()) * scale, top - (box.top() - area.top()) * scale)
            self.link.look_at((self.x_at(box.left()), self.x_at(box.right())))
        self.update()
        super().mouseReleaseEvent(event)

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        """Qt's own hook."""
        if event.button() == Qt.MouseButton.LeftButton:
            self._pressed = None
            self.reset_view()

    def leaveEvent(self, event: QEvent) -> None:
        """Qt's own hook: the crosshair goes with the mouse."""
        self.link.point_at(None)
        super().leaveEvent(event)

    def contextMenuEvent(self, event: QContextMenuEvent) -> None:
        """Qt's own hook: by mouse where it is, by keyboard in the middle."""
        by_key = event.reason() == QContextMenuEvent.Reason.Keyboard
        self.menu_wanted.emit(self.mapToGlobal(self.rect().center()) if by_key else event.globalPos())

    def event(self, event: QEvent) -> bool:
        """Qt's own hook: Esc takes the crosshair or the zoom away before it leaves the page."""
        if (
            event.type() == QEvent.Type.ShortcutOverride
            and isinstance(event, QKeyEvent)
            and event.key() == Qt.Key.Key_Escape
            and (self.link.x is not None or self.link.zoom is not None)
        ):
            event.accept()
            return True
        return super().event(event)

    def focusOutEvent(self, event: QFocusEvent) -> None:
        """Qt's own hook."""
        self.update()
        super().focusOutEvent(event)

    def focusInEvent(self, event: QFocusEvent) -> None:
        """Qt's own hook."""
        self.update()
        super().focusInEvent(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Qt's own hook: arrows, Home and End move the crosshair; + - 0 zoom; Page Up and Down move."""
        key, (low, high) = Qt.Key(event.key()), self.seen()[0]
        far = 10 if event.modifiers() & Qt.KeyboardModifier.ControlModifier else 1
        if key in KEYS_MOVE:
            self._step(KEYS_MOVE[key], far)
        elif key in (Qt.Key.Key_Home, Qt.Key.Key_End):
            self.link.point_at(self.point_near(low if key == Qt.Key.Key_Home else high))
        elif key in KEYS_ZOOM:
            self.zoom(KEYS_ZOOM[key], (low + high) / 2 if self.link.x is None else self.link.x)
        elif key in KEYS_PAGE:
            self.pan(KEYS_PAGE[key] * (high - low))
        elif key == Qt.Key.Key_0:
            self.reset_view()
        elif key in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and self.link.x is not None:
            self._choose(self.link.x)
        elif key == Qt.Key.Key_Escape and self.link.x is not None:
            self.link.point_at(None)
        elif key == Qt.Key.Key_Escape and self.link.zoom is not None:
            self.reset_view()
        else:
            super().keyPressEvent(event)

    def _choose(self, x: float | None) -> None:
        """Somebody wants to know more about a point."""
        if x is not None:
            self.chosen.emit(x)

    def _step(self, direction: int, times: int) -> None:
        (low, high), x = self.seen()[0], self.link.x
        if x is None or not low <= x <= high:
            x = self.point_near(high)
        else:
            for _ in range(times):
                x = self.point_beside(x, direction) if x is not None else None
        if x is None:
            return
        if self.link.zoom is not None and not low <= x <= high:
            self.pan(x - (high if x > high else low))
        self.link.point_at(x)
