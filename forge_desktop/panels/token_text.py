"""Tokens as text that is read only: the arrow keys and the mouse walk through it, and what stands there is told."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable

from PySide6.QtCore import Qt, Signal, Slot
from PySide6.QtGui import QFont, QMouseEvent, QTextCharFormat, QTextCursor
from PySide6.QtWidgets import QTextEdit

from forge_desktop.theme.look import mono_font

SHOWN_BREAK, SHOWN_TAB = "⏎\n", "⇥"


class TokenText(QTextEdit):
    """Who makes one says what a token is in words, in `describe`."""

    pointed = Signal(str)
    """The token under the mouse or the cursor, in words; empty for none."""

    def __init__(self, name: str, accessible: str, height: int) -> None:
        super().__init__()
        self.setObjectName(name)
        self.setAccessibleName(accessible)
        self.setReadOnly(True)
        self.setTextInteractionFlags(
            Qt.TextInteractionFlag.TextSelectableByMouse | Qt.TextInteractionFlag.TextSelectableByKeyboard
        )
        self.setTabChangesFocus(True)
        self.setProperty("role", "tokens")
        font = mono_font()
        font.setFeature(QFont.Tag("calt"), 0)  # else <| becomes a triangle
        self.setFont(font)
        self.setMouseTracking(True)
        self.viewport().setMouseTracking(True)
        self.setMinimumHeight(height)
        self._starts: list[int] = []
        self.cursorPositionChanged.connect(self._at_cursor)

    def write(self, found: Iterable[tuple[str, QTextCharFormat]]) -> None:
        """These tokens instead of those that are there."""
        self._starts = []
        self.blockSignals(True)
        self.clear()
        cursor = QTextCursor(self.document())
        cursor.beginEditBlock()
        for text, look in found:
            self._starts.append(cursor.position())
            cursor.insertText(shown(text), look)
        cursor.endEditBlock()
        self.moveCursor(QTextCursor.MoveOperation.Start)
        self.blockSignals(False)
        self.pointed.emit("")

    def describe(self, place: int) -> str:
        """A token in words; empty where there is none."""
        raise NotImplementedError

    def token_at(self, position: int) -> int:
        """The number of the token at a place in the text; -1 for none."""
        return bisect_right(self._starts, position) - 1 if self._starts else -1

    @Slot()
    def _at_cursor(self) -> None:
        self.pointed.emit(self.describe(self.token_at(self.textCursor().position())))

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Qt's own hook."""
        super().mouseMoveEvent(event)
        said = self.describe(self.token_at(self.cursorForPosition(event.position().toPoint()).position()))
        self.viewport().setToolTip(said)
        self.pointed.emit(said)


def shown(text: str) -> str:
    """A token's text with what cannot be seen."""
    return text.replace("\t", SHOWN_TAB).replace("\n", SHOWN_BREAK)
