"""Before the first answer: what is being waited for, or why there is no controller and what to do."""

from __future__ import annotations

import json

from PySide6.QtCore import QElapsedTimer, Qt, QTimer, QUrl, Signal, Slot
from PySide6.QtGui import QColor, QDesktopServices, QGuiApplication, QPainter, QPaintEvent
from PySide6.QtWidgets import QStackedWidget, QWidget

from engine.contract.errors import ErrorBody
from forge_desktop.models.last_words import cause
from forge_desktop.panels.page import ErrorCard
from forge_desktop.theme.controls import button, column, label, row, set_enabled
from forge_desktop.theme.language import tr
from forge_desktop.theme.look import tokens
from forge_desktop.theme.measures import duration

LONG_MS, TICK_MS = 8000, 500


class Connecting(QWidget):
    """Stands in for the page until a controller answered once."""

    help_wanted = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("connecting")
        self.setProperty("role", "page")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self._since = QElapsedTimer()
        self._since.start()
        self._log = ""
        self._body: ErrorBody | None = None
        self._title = label("", "title")
        self._text = label("", "hint", wrap=True)
        self._stack = QStackedWidget()
        self._stack.addWidget(Skeleton())
        self._stack.addWidget(self._build_trouble())
        layout = column(self._title, self._text, self._stack, spacing=6, margins=(28, 22, 28, 20))
        layout.setStretch(2, 1)
        self.setLayout(layout)
        self._tick = QTimer(self, interval=TICK_MS)
        self._tick.timeout.connect(self._refresh)
        self._refresh()

    def _build_trouble(self) -> QWidget:
        made = QWidget()
        self.error = ErrorCard("connecting.error")
        self._again = label(tr("It is tried again every few seconds; nothing has to be pressed."), "hint", wrap=True)
        self._show_log = button(tr("Show the log"), "default", "file-text", self._open_log, "connecting.log")
        copy = button(tr("Copy details"), "default", "copy", self._copy, "connecting.copy")
        helping = button(tr("Help"), "quiet", "circle-question-mark", self.help_wanted.emit, "connecting.help")
        layout = column(self.error, row_of(self._show_log, copy, helping), self._again, None, spacing=14)
        made.setLayout(layout)
        layout.setContentsMargins(0, 12, 0, 0)
        return made

    @Slot()
    def wait(self) -> None:
        """Say what is waited for, from now on."""
        self._tick.start()
        self._refresh()

    def show_error(self, error: ErrorBody | None) -> None:
        """Say why there is no controller."""
        self._body = error
        if error is not None:
            found = cause(error)
            self._log = str(error.params.get("log", "") or "")
            self.error.show_error(found)
            set_enabled(self._show_log, bool(self._log), tr("There is no log yet."))
        self._refresh()

    def showEvent(self, event: object) -> None:
        """Qt's own hook."""
        super().showEvent(event)  # type: ignore[arg-type]
        self._tick.start()

    def hideEvent(self, event: object) -> None:
        """Qt's own hook."""
        super().hideEvent(event)  # type: ignore[arg-type]
        self._tick.stop()

    @Slot()
    def _refresh(self) -> None:
        passed = self._since.elapsed()
        self._stack.setCurrentIndex(0 if self._body is None else 1)
        if self._body is not None:
            self._title.setText(tr("There is no job controller"))
            text = tr("It keeps your runs and their history, and the window shows what it knows. Your runs are safe.")
        elif passed < LONG_MS:
            self._title.setText(tr("Starting the job controller"))
            text = tr("It looks after your runs, also while this window is closed. This takes a few seconds.")
        else:
            self._title.setText(tr("Starting the job controller"))
            time = duration(passed / 1000)
            text = tr("This takes longer than usual ({time}): a first start or a busy computer can need half a minute.",
                      time=time)  # fmt: skip
        self._text.setText(text)

    def _open_log(self) -> None:
        QDesktopServices.openUrl(QUrl.fromLocalFile(self._log))

    def _copy(self) -> None:
        if self._body is not None:
            text = json.dumps(self._body.model_dump(mode="json"), ensure_ascii=False, indent=1)
            QGuiApplication.clipboard().setText(text)


def row_of(*widgets: QWidget) -> QWidget:
    """Buttons beside each other."""
    made = QWidget()
    made.setLayout(row(*widgets, None, spacing=10))
    return made


class Skeleton(QWidget):
    """The gray shape of a list that is still to come."""

    def paintEvent(self, _event: QPaintEvent) -> None:
        """Qt's own hook."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        t = tokens()
        painter.setPen(QColor(t.border))
        painter.setBrush(QColor(t.surface))
        width, top = self.width() - 2, 18
        third = (width - 28) // 3
        for place in range(3):
            painter.drawRoundedRect(1 + place * (third + 14), top, third, 84, 12, 12)
        painter.drawRoundedRect(1, top + 104, width, max(60, self.height() - top - 106), 12, 12)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(t.hover))
        for place in range(3):
            painter.drawRoundedRect(17 + place * (third + 14), top + 18, third // 3, 10, 5, 5)
            painter.drawRoundedRect(17 + place * (third + 14), top + 44, third // 2, 18, 6, 6)
        y = top + 126
        for place in range(max(0, (self.height() - y - 20) // 52)):
            share = (0.30, 0.24, 0.34, 0.27)[place % 4]
            painter.drawRoundedRect(18, y + place * 52 + 8, round(width * share), 12, 6, 6)
            painter.drawRoundedRect(round(width * 0.46), y + place * 52 + 4, 86, 20, 6, 6)
            painter.drawRoundedRect(round(width * 0.66), y + place * 52 + 10, round(width * 0.2), 8, 4, 4)
        painter.end()
