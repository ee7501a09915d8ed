"""What a widget that paints itself is to a screen reader: a chart, a document …; Qt knows only its own widgets."""

from __future__ import annotations

from PySide6.QtCore import QObject
from PySide6.QtGui import QAccessible, QAccessibleInterface
from PySide6.QtWidgets import QAccessibleWidget, QWidget

PROPERTY = "spokenRole"
ROLES = {
    "chart": QAccessible.Role.Chart,
    "document": QAccessible.Role.Document,
    "headings": QAccessible.Role.ToolBar,  # of a table, where they take the keyboard
}
_installed = False


def speak_as(widget: QWidget, role: str) -> None:
    """Let a widget be announced as a chart or a document, with its accessible name and description."""
    global _installed
    widget.setProperty(PROPERTY, role)
    if not _installed:
        QAccessible.installFactory(_make)
        _installed = True


def _make(_kind: str, found: QObject) -> QAccessibleInterface | None:
    """Qt's own hook: the interface of a widget that was given a role; Qt owns it."""
    if not isinstance(found, QWidget):
        return None
    role = ROLES.get(str(found.property(PROPERTY)))
    return QAccessibleWidget(found, role) if role is not None else None
