"""A layout that fills lines from left to right and wraps, for chips."""

from __future__ import annotations

from PySide6.QtCore import QPoint, QRect, QSize, Qt
from PySide6.QtWidgets import QLayout, QLayoutItem, QWidget


class FlowLayout(QLayout):
    """Wraps its widgets like words."""

    def __init__(self, parent: QWidget | None, spacing: int = 8) -> None:
        super().__init__(parent)
        self.setContentsMargins(0, 0, 0, 0)
        self.setSpacing(spacing)
        self._items: list[QLayoutItem] = []

    def addItem(self, item: QLayoutItem) -> None:
        """Qt's own hook."""
        self._items.append(item)

    def count(self) -> int:
        """Qt's own hook."""
        return len(self._items)

    def itemAt(self, index: int) -> QLayoutItem | None:
        """Qt's own hook."""
        return self._items[index] if 0 <= index < len(self._items) else None

    def takeAt(self, index: int) -> QLayoutItem | None:
        """Qt's own hook."""
        return self._items.pop(index) if 0 <= index < len(self._items) else None

    def put(self, index: int, widget: QWidget) -> None:
        """A widget in the place of another, which goes; at the end if there is none."""
        old = self.takeAt(index)
        self.addWidget(widget)
        self._items.insert(index, self._items.pop())
        gone = old.widget() if old is not None else None
        if gone is not None:
            gone.setParent(None)
            gone.deleteLater()

    def clear(self) -> None:
        """Remove all widgets."""
        widgets = [item.widget() for item in self._items]
        self._items = []  # first: Qt takes an item out itself when its widget goes
        for widget in widgets:
            if widget is not None:
                widget.setParent(None)
                widget.deleteLater()
        self.invalidate()

    def expandingDirections(self) -> Qt.Orientation:
        """Qt's own hook."""
        return Qt.Orientation(0)

    def hasHeightForWidth(self) -> bool:
        """Qt's own hook."""
        return True

    def heightForWidth(self, width: int) -> int:
        """Qt's own hook."""
        return self._arrange(QRect(0, 0, width, 0), apply=False)

    def setGeometry(self, rect: QRect) -> None:
        """Qt's own hook."""
        super().setGeometry(rect)
        self._arrange(rect, apply=True)

    def sizeHint(self) -> QSize:
        """Qt's own hook."""
        return self.minimumSize()

    def minimumSize(self) -> QSize:
        """Qt's own hook."""
        size = QSize()
        for item in self._items:
            size = size.expandedTo(item.minimumSize())
        return size

    def _arrange(self, rect: QRect, apply: bool) -> int:
        y = rect.y()
        for line in self._lines(rect.width()):
            height = max(item.sizeHint().height() for item in line)
            x = rect.x()
            for item in line if apply else ():
                hint = item.sizeHint()
                item.setGeometry(QRect(QPoint(x, y + (height - hint.height()) // 2), hint))
                x += hint.width() + self.spacing()
            y += height + self.spacing()
        return max(0, y - self.spacing() - rect.y())

    def _lines(self, width: int) -> list[list[QLayoutItem]]:
        """What stands side by side; what is hidden takes no room."""
        lines, x = list[list[QLayoutItem]](), 0
        for item in self._items:
            if item.isEmpty():
                continue
            hint = item.sizeHint()
            if not lines or x + hint.width() > width:
                lines.append([])
                x = 0
            lines[-1].append(item)
            x += hint.width() + self.spacing()
        return lines
