"""Whether things may move: reduced motion as the person or the system wants it, and words for screen readers."""

from __future__ import annotations

from PySide6.QtGui import QAccessible, QAccessibleAnnouncementEvent
from PySide6.QtWidgets import QApplication, QStyle, QWidget


def reduced(wish: object = None) -> bool:
    """Nothing slides: the preference `reduced_motion` says so, or the style has no animations."""
    if isinstance(wish, bool):
        return wish
    if wish in ("on", "off"):
        return wish == "on"
    return QApplication.style().styleHint(QStyle.StyleHint.SH_Widget_Animation_Duration) == 0


def announce(widget: QWidget, text: str, urgent: bool = False) -> None:
    """Have a screen reader say something that appeared by itself."""
    event = QAccessibleAnnouncementEvent(widget, text)
    politeness = QAccessible.AnnouncementPoliteness
    event.setPoliteness(politeness.Assertive if urgent else politeness.Polite)
    QAccessible.updateAccessibility(event)
