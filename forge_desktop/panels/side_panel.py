"""A panel that lies over the right side of the window: notices, or help. The page stays as it is behind it."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QObject, Qt, Signal
from PySide6.QtWidgets import QApplication, QFrame, QGraphicsDropShadowEffect, QVBoxLayout, QWidget

from forge_desktop.theme.controls import button, label, row
from forge_desktop.theme.language import tr

WIDTH = 428


class SidePanel(QFrame):
    """Shows one thing at a time; closing gives the keyboard back to where it was."""

    closed = Signal()

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setObjectName("panel")
        self.setProperty("role", "side-panel")
        self._over = parent
        self._back_to: QWidget | None = None
        self._content: QWidget | None = None
        self.title = label("", "card-title")
        self._close = button("", "quiet", "x", self.dismiss, "panel.close", tr("Close"))
        self._close.setFixedWidth(36)
        self._layout = QVBoxLayout(self)
        self._layout.setContentsMargins(20, 14, 14, 14)
        self._layout.setSpacing(12)
        head = row(self.title, None, self._close)
        self._layout.addLayout(head)
        shadow = QGraphicsDropShadowEffect(self, blurRadius=32, xOffset=-4, yOffset=0)
        colour = self.palette().shadow().color()
        colour.setAlpha(60)
        shadow.setColor(colour)
        self.setGraphicsEffect(shadow)
        parent.installEventFilter(self)
        self.hide()

    @property
    def content(self) -> QWidget | None:
        """What it shows."""
        return self._content if self.isVisibleTo(self._over) else None

    def present(self, content: QWidget, title: str) -> None:
        """Show something, and bring the keyboard there."""
        focus = QApplication.focusWidget()
        if focus is not None and not self.isAncestorOf(focus):
            self._back_to = focus
        if self._content is not None:
            self._layout.removeWidget(self._content)
            self._content.hide()
            self._content.deleteLater()
        self._content = content
        self.title.setText(title)
        self.setAccessibleName(title)
        self._layout.addWidget(content, 1)
        self._place()
        self.show()
        content.show()
        self.raise_()
        content.setFocus(Qt.FocusReason.ShortcutFocusReason)

    def dismiss(self) -> None:
        """Close it."""
        if self.isHidden():
            return
        self.hide()
        if self._content is not None:
            self._layout.removeWidget(self._content)
            self._content.deleteLater()
            self._content = None
        if self._back_to is not None and self._back_to.isVisible():
            self._back_to.setFocus()
        self._back_to = None
        self.closed.emit()

    def _place(self) -> None:
        parent = self._over
        width = min(WIDTH, parent.width() - 80)
        self.setGeometry(parent.width() - width, 0, width, parent.height())

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Qt's own hook: the window grew or shrank."""
        if event.type() == QEvent.Type.Resize:
            self._place()
        return super().eventFilter(watched, event)
