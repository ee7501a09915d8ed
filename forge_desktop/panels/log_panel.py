"""The worker's log: appended as it grows, following its end unless the person scrolled up."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QSize, Qt, Slot
from PySide6.QtGui import QColor, QGuiApplication, QSyntaxHighlighter, QTextCharFormat, QTextCursor, QTextDocument
from PySide6.QtWidgets import QPlainTextEdit

from forge_desktop.models.run_model import RunModel
from forge_desktop.theme.controls import Card, Chip, button
from forge_desktop.theme.language import tr
from forge_desktop.theme.look import mono_font, tokens

MAX_LINES = 20_000


class LogPanel(Card):
    """Shows the newest lines of the log of one run."""

    def __init__(self, model: RunModel, save: Callable[[], object]) -> None:
        super().__init__(tr("Log"))
        self.setObjectName("run.log")
        self._follow = True
        self._pending = ""
        self._chip = Chip(tr("Following"), "ok", "check")
        self.head.addWidget(self._chip)
        self.head.addStretch(1)
        self._end = button(tr("Go to the end"), "link", on_click=self.follow)
        self._end.hide()
        self.head.addWidget(self._end)
        self.head.addWidget(button(tr("Copy all"), "link", on_click=self._copy))
        self.head.addWidget(button(tr("Save log"), "link", "download", save, name="run.log.save"))
        self.text = _Text()
        self.text.setProperty("role", "log")
        self.text.setFont(mono_font())
        self.text.setReadOnly(True)
        self.text.setUndoRedoEnabled(False)
        self.text.setMaximumBlockCount(MAX_LINES)
        self.text.setLineWrapMode(QPlainTextEdit.LineWrapMode.NoWrap)
        self.text.setPlaceholderText(tr("The log appears once the worker runs."))
        self.text.setAccessibleName(tr("Log"))
        self.text.setTextInteractionFlags(
            Qt.TextInteractionFlag.TextSelectableByMouse | Qt.TextInteractionFlag.TextSelectableByKeyboard
        )
        self._colours = _Levels(self.text.document())
        self.text.verticalScrollBar().valueChanged.connect(self._scrolled)
        self.body.addWidget(self.text, 1)
        model.log_appended.connect(self._append)
        model.log_restarted.connect(self._restart)

    @Slot(str)
    def _append(self, text: str) -> None:
        bar = self.text.verticalScrollBar()
        follow, place = self._follow, bar.value()
        cursor = QTextCursor(self.text.document())
        cursor.movePosition(QTextCursor.MoveOperation.End)
        # The last newline waits for the next text, so that no empty line stands at the end.
        cursor.insertText(self._pending + text.removesuffix("\n"))
        self._pending = "\n" if text.endswith("\n") else ""
        bar.setValue(bar.maximum() if follow else place)

    @Slot()
    def _restart(self) -> None:
        self.text.clear()
        self._pending = ""
        self.follow()

    def follow(self) -> None:
        """Stay at the end from now on."""
        self._follow = True
        self.text.verticalScrollBar().setValue(self.text.verticalScrollBar().maximum())
        self._show_follow()

    @Slot(int)
    def _scrolled(self, value: int) -> None:
        self._follow = value >= self.text.verticalScrollBar().maximum() - 1
        self._show_follow()

    def _show_follow(self) -> None:
        self._chip.setVisible(self._follow)
        self._end.setVisible(not self._follow)

    def _copy(self) -> None:
        QGuiApplication.clipboard().setText(self.text.toPlainText())


class _Text(QPlainTextEdit):
    """A text that is content with little room."""

    def sizeHint(self) -> QSize:
        """Qt's own hook."""
        return QSize(300, 130)

    def minimumSizeHint(self) -> QSize:
        """Qt's own hook."""
        return QSize(120, 100)


class _Levels(QSyntaxHighlighter):
    """Colours the level words."""

    def __init__(self, document: QTextDocument) -> None:
        super().__init__(document)
        t = tokens()
        self._tones = {
            " INFO ": t.info_text,
            " SAVE ": t.ok_text,
            " WARNING ": t.warn_text,
            " WARN ": t.warn_text,
            " ERROR ": t.bad_text,
        }

    def highlightBlock(self, text: str) -> None:
        """Qt's own hook."""
        head = text[:32]
        for level, colour in self._tones.items():
            place = head.find(level)
            if place >= 0:
                form = QTextCharFormat()
                form.setForeground(QColor(colour))
                self.setFormat(place, len(level), form)
                return
