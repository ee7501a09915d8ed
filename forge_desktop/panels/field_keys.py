"""Keys that text fields would keep for themselves on some desktops, though they are the program's."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QObject, Qt, Slot
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QApplication, QLineEdit, QPlainTextEdit, QTextEdit, QWidget

OURS = Qt.KeyboardModifier.ControlModifier, Qt.Key.Key_K
"""To the end of the line it deletes elsewhere; here it opens the palette."""


class FieldKeys(QObject):
    """Follows the keyboard, and watches only the field that has it."""

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        app = QApplication.instance()
        if isinstance(app, QApplication):
            app.focusChanged.connect(self._moved)

    @Slot(QWidget, QWidget)
    def _moved(self, old: QWidget | None, new: QWidget | None) -> None:
        if isinstance(old, QLineEdit | QPlainTextEdit | QTextEdit):
            old.removeEventFilter(self)
        if isinstance(new, QLineEdit | QPlainTextEdit | QTextEdit):
            new.installEventFilter(self)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Qt's own hook."""
        claims = event.type() == QEvent.Type.ShortcutOverride and isinstance(event, QKeyEvent)
        if claims and (event.modifiers(), event.key()) == OURS:  # type: ignore[attr-defined]
            event.ignore()
            return True
        return super().eventFilter(watched, event)
