"""The sidebar's bell: opens the notices, and says how many nobody has read."""

from __future__ import annotations

from PySide6.QtCore import QRect, QSize, Qt
from PySide6.QtGui import QColor, QFontMetrics, QPainter, QPaintEvent
from PySide6.QtWidgets import QPushButton

from forge_desktop.theme import icons
from forge_desktop.theme.controls import face
from forge_desktop.theme.language import count, tr
from forge_desktop.theme.look import tokens, ui_font

MOST = 99


class Bell(QPushButton):
    """A button of the sidebar with a number on it."""

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("nav.notices")
        self.setProperty("variant", "nav")
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        self.setIcon(icons.icon("bell", tokens().secondary))
        self.setIconSize(QSize(16, 16))
        self._unread, self._words = 0, True
        self._name()

    def set_unread(self, number: int) -> None:
        """So many are new."""
        self._unread = number
        self._name()
        self.update()

    def set_words(self, words: bool) -> None:
        """With its name beside it, or without."""
        self._words = words
        self._name()

    def _name(self) -> None:
        name = tr("Notices")
        if self._unread:
            name = f"{name}, " + count(self._unread, "1 unread notice", "{n} unread notices")
        self.setText(face(tr("Notices"), True) if self._words else "")
        self.setToolTip("" if self._words and not self._unread else name)
        self.setAccessibleName(name)

    def paintEvent(self, event: QPaintEvent) -> None:
        """Qt's own hook: the number, at the right or on the icon."""
        super().paintEvent(event)
        if not self._unread:
            return
        t, font = tokens(), ui_font(11, 600)
        said = str(self._unread) if self._unread <= MOST else f"{MOST}+"
        width = max(18, QFontMetrics(font).horizontalAdvance(said) + 10)
        right = self.width() - 10 if self._words else self.width() - 1
        box = QRect(right - width, self.height() // 2 - 9 if self._words else 0, width, 18)
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(t.accent))
        painter.drawRoundedRect(box, 9, 9)
        painter.setFont(font)
        painter.setPen(QColor(t.on_accent))
        painter.drawText(box, Qt.AlignmentFlag.AlignCenter, said)
        painter.end()
