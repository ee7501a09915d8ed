"""One line of a log in full, wrapped, to be read and copied."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QDialog, QPlainTextEdit, QWidget

from forge_desktop.models.log_lines import Row
from forge_desktop.models.log_model import LogModel
from forge_desktop.theme.controls import button, column, label, row
from forge_desktop.theme.language import count, tr
from forge_desktop.theme.look import mono_font


class LineDialog(QDialog):
    """Asks for the whole line and shows it."""

    def __init__(self, model: LogModel, found: Row, told: Callable[[str], object], parent: QWidget) -> None:
        super().__init__(parent)
        self.setObjectName("run.log.line")
        self.setWindowTitle(tr("A line of the log"))
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.resize(760, 360)
        self._told = told
        self.text = QPlainTextEdit(found.text)
        self.text.setProperty("role", "log")
        self.text.setFont(mono_font())
        self.text.setReadOnly(True)
        self.text.setAccessibleName(tr("A line of the log"))
        self._size = label("", "hint")
        copied = button(tr("Copy"), "default", "copy", self._copy, "run.log.line.copy")
        close = button(tr("Close"), "primary", on_click=self.accept, name="run.log.line.close")
        layout = column(self.text, spacing=12, margins=(20, 20, 20, 16))
        layout.addLayout(row(self._size, None, copied, close))
        self.setLayout(layout)
        model.whole_line(found.offset, self._show)

    def _show(self, text: str) -> None:
        self.text.setPlainText(text)
        self._size.setText(count(len(text), "{n} character", "{n} characters"))

    def _copy(self) -> None:
        QGuiApplication.clipboard().setText(self.text.toPlainText())
        self._told(tr("Copied."))
