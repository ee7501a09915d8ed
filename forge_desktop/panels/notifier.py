"""Brings what pops up to where it is seen: the system's tray while the window is not looked at, else a toast."""

from __future__ import annotations

from PySide6.QtCore import QObject, Signal, Slot
from PySide6.QtWidgets import QApplication, QWidget

from forge_desktop.models.notice_book import NoticeBook
from forge_desktop.models.notices import Notice, text, title
from forge_desktop.panels.toast import Toasts
from forge_desktop.panels.tray import Messenger


class Notifier(QObject):
    """Follows a book on behalf of a window."""

    wanted = Signal(object)
    """Somebody wants to see what a notice speaks of."""

    def __init__(self, book: NoticeBook, window: QWidget, tray: Messenger) -> None:
        super().__init__(window)
        self._book, self._window = book, window
        self._tray: Messenger = tray
        self._toasts: Toasts | None = None
        self._last: Notice | None = None
        book.popped.connect(self._popped)
        tray.clicked.connect(self._tray_clicked)

    def use_tray(self, tray: Messenger) -> None:
        """Another one."""
        self._tray.clicked.disconnect(self._tray_clicked)
        self._tray = tray
        tray.clicked.connect(self._tray_clicked)

    def use_toasts(self, toasts: Toasts) -> None:
        """The window made new ones."""
        self._toasts = toasts
        toasts.opened.connect(self.wanted)

    def close(self) -> None:
        """Take down what stands outside the window."""
        self._tray.close()

    @Slot(object)
    def _popped(self, found: list[Notice]) -> None:
        outside = not self._window.isActiveWindow() and self._tray.available()
        for notice in found:
            if outside:
                self._last = notice
                self._tray.say(title(notice), text(notice), notice.kind)
            elif self._toasts is not None:
                self._toasts.show(notice)
        if self._book.wishes.sound:
            QApplication.beep()

    @Slot()
    def _tray_clicked(self) -> None:
        if self._last is not None:
            self.wanted.emit(self._last)
