"""An answer's text as high as it is: plain while it comes, Markdown when it is there, or coloured by likelihood."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence

from PySide6.QtCore import QEvent, QSize, Qt, QUrl, Signal, Slot
from PySide6.QtGui import QColor, QMouseEvent, QResizeEvent, QTextCharFormat, QTextCursor, QTextDocument, QWheelEvent
from PySide6.QtWidgets import QFrame, QSizePolicy, QTextEdit

from engine.client.serving import Token
from forge_desktop.panels.token_text import shown
from forge_desktop.theme.language import tr
from forge_desktop.theme.look import tokens as look_tokens
from forge_desktop.theme.measures import percent

SURE, LIKELY, UNSURE = 0.8, 0.5, 0.2
"""Shares from which on a token counts as such."""
LEAST_HEIGHT = 20


class AnswerText(QTextEdit):
    """Read only; the page scrolls, not this. `pointed` says what token is under the mouse or the cursor."""

    pointed = Signal(str)

    def __init__(self, name: str, accessible: str) -> None:
        super().__init__()
        self.setObjectName(name)
        self.setAccessibleName(accessible)
        self.setProperty("role", "answer-text")
        self.setReadOnly(True)
        self.setTabChangesFocus(True)
        self.setFrameShape(QFrame.Shape.NoFrame)
        flags = Qt.TextInteractionFlag
        self.setTextInteractionFlags(flags.TextSelectableByMouse | flags.TextSelectableByKeyboard)
        self.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.setMouseTracking(True)
        self.viewport().setMouseTracking(True)
        self.document().setDocumentMargin(0)
        self._tokens: list[Token] = []
        self._starts: list[int] = []
        self._plain: str | None = None
        self.cursorPositionChanged.connect(self._at_cursor)

    def show_plain(self, text: str) -> None:
        """As it is; what only grew is added at its end."""
        if self._plain is not None and text.startswith(self._plain):
            cursor = QTextCursor(self.document())
            cursor.movePosition(QTextCursor.MoveOperation.End)
            cursor.insertText(text[len(self._plain) :])
        else:
            self._forget()
            self.setPlainText(text)
        self._plain = text
        self._fit()

    def show_markdown(self, text: str) -> None:
        """As it was meant; what stands there as HTML is text."""
        self._forget()
        feature = QTextDocument.MarkdownFeature
        self.document().setMarkdown(text, feature.MarkdownDialectGitHub | feature.MarkdownNoHTML)
        self._fit()

    def show_chances(self, found: Sequence[Token]) -> None:
        """Token by token, each on the ground of how likely it was."""
        there = len(self._tokens)
        if not there or self._tokens != list(found[:there]):
            self._forget()
            self.clear()
            there = 0
        self.blockSignals(True)
        cursor = QTextCursor(self.document())
        cursor.movePosition(QTextCursor.MoveOperation.End)
        cursor.beginEditBlock()
        for one in found[there:]:
            self._starts.append(cursor.position())
            cursor.insertText(one.text, ground_of(one))
        cursor.endEditBlock()
        self.blockSignals(False)
        self._tokens = list(found)
        self._fit()

    def _forget(self) -> None:
        self._plain, self._tokens, self._starts = None, [], []
        self.setCurrentCharFormat(QTextCharFormat())

    def _token_at(self, position: int) -> str:
        place = bisect_right(self._starts, position) - 1
        return told(self._tokens[place]) if 0 <= place < len(self._tokens) else ""

    @Slot()
    def _at_cursor(self) -> None:
        if self._tokens:
            self.pointed.emit(self._token_at(self.textCursor().position()))

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Qt's own hook."""
        super().mouseMoveEvent(event)
        if self._tokens:
            said = self._token_at(self.cursorForPosition(event.position().toPoint()).position())
            self.viewport().setToolTip(said)
            self.pointed.emit(said)

    def loadResource(self, _kind: int, _name: QUrl | str) -> object:
        """Qt's own hook: an answer brings no pictures in, neither from this computer nor from elsewhere."""
        return None

    def wheelEvent(self, event: QWheelEvent) -> None:
        """Qt's own hook: the column scrolls."""
        event.ignore()

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Qt's own hook."""
        super().resizeEvent(event)
        if event.size().width() != event.oldSize().width():
            self._fit()

    def changeEvent(self, event: QEvent) -> None:
        """Qt's own hook: another font needs other room."""
        super().changeEvent(event)
        if event.type() in (QEvent.Type.FontChange, QEvent.Type.StyleChange):
            self._fit()

    def minimumSizeHint(self) -> QSize:
        """Qt's own hook."""
        return QSize(60, LEAST_HEIGHT)

    def _fit(self) -> None:
        self.document().setTextWidth(max(60, self.viewport().width()))
        self.setFixedHeight(max(LEAST_HEIGHT, math.ceil(self.document().size().height()) + 2))


def chance(one: Token) -> float:
    """Its probability."""
    return math.exp(min(0.0, one.logprob))


def ground_of(one: Token) -> QTextCharFormat:
    """The darker the less likely; the least likely are underlined, too."""
    t, made, share = look_tokens(), QTextCharFormat(), chance(one)
    if share < SURE:
        pair = (t.info_soft, t.info_text) if share >= LIKELY else (t.warn_soft, t.warn_text)
        ground, ink = pair if share >= UNSURE else (t.bad_soft, t.bad_text)
        made.setBackground(QColor(ground))
        made.setForeground(QColor(ink))
        made.setFontUnderline(share < UNSURE)
    return made


def told(one: Token) -> str:
    """A token and what else was likely there, in words."""
    others = [
        f"{shown(text)!r} {percent(math.exp(min(0.0, logprob)), 1)}" for text, logprob in one.others if text != one.text
    ]
    said = f"{shown(one.text)!r} {percent(chance(one), 1)}"
    return tr("{token} · instead of it: {others}", token=said, others=", ".join(others)) if others else said
