"""Starting the desktop: the application object, look, session, window; and reporting bugs instead of dying."""

from __future__ import annotations

import importlib
import locale
import logging
import os
import sys
import threading
import traceback
from collections.abc import Sequence
from logging.handlers import RotatingFileHandler
from types import TracebackType

from PySide6.QtCore import QLibraryInfo, QObject, QRectF, Qt, QTimer, QTranslator, Slot
from PySide6.QtGui import QIcon, QPainter, QPixmap
from PySide6.QtWidgets import QApplication, QMessageBox

from engine.contract.catalogue import catalogue
from engine.contract.errors import UserError
from engine.contract.paths import Home
from engine.contract.templates import template_titles
from forge_desktop.bridge.aside import Aside
from forge_desktop.bridge.backend import Connect
from forge_desktop.bridge.garbage import Garbage
from forge_desktop.bridge.preferences import Preferences, kept_value
from forge_desktop.bridge.session import Session
from forge_desktop.bridge.watchdog import Watchdog
from forge_desktop.panels.sidebar import paint_logo
from forge_desktop.theme import language, look
from forge_desktop.theme.slices import Slices
from forge_desktop.theme.staged_import import import_order, module_slices
from forge_desktop.window import Window
from forge_desktop.window_pages import LATER

log = logging.getLogger(__name__)
READ_AHEAD_MS = 100
"""The window is painted before anything else is read."""


class Desktop(QObject):
    """Everything that lives as long as the window does."""

    def __init__(
        self, app: QApplication, home: Home, connect: Connect, language_code: str = "", theme: str = ""
    ) -> None:
        super().__init__()
        self.app = app
        self._closed = False
        self._garbage = Garbage()
        self._watchdog = Watchdog(parent=self) if os.environ.get("FORGE_DEBUG") == "1" else None
        self.preferences = Preferences(home.desktop_folder / "preferences.json")
        self._theme = theme or self.preferences.get("theme", "system")
        self._language = language_code or self.preferences.get("language", "system")
        look.load_fonts()
        language.set_language(self._language)
        look.apply(app, self._theme)
        app.setWindowIcon(_window_icon())
        self._qt_texts = QTranslator(app)
        self._translate_qt()
        self.session = Session(connect)
        self.window = Window(self.session, self.preferences)
        self.window.look_wanted.connect(self.change_look, Qt.ConnectionType.QueuedConnection)
        self._aside = Aside(self)
        self._look_soon = QTimer(self, singleShot=True, interval=0)
        self._look_soon.timeout.connect(self._change_look)
        self._slices = Slices(self)
        self._read_ahead_soon = QTimer(self, singleShot=True, interval=READ_AHEAD_MS)
        self._read_ahead_soon.timeout.connect(self._read_ahead)
        hints = app.styleHints()
        if hints is not None:
            hints.colorSchemeChanged.connect(self._system_changed)

    def open(self) -> None:
        """Show the window and connect."""
        self.window.show()
        self.session.open()
        self._read_ahead_soon.start()
        if self._watchdog is not None:
            self._watchdog.start()

    def close(self) -> None:
        """End threads; runs and controller go on. Once is enough: whoever closes again finds it closed."""
        if self._closed:
            return
        self._closed = True
        self._look_soon.stop()
        self._read_ahead_soon.stop()
        self._slices.stop()
        self.window.close()
        self.preferences.close()
        self.session.close()
        self.app.removeTranslator(self._qt_texts)
        if self._watchdog is not None:
            self._watchdog.close()
        self._garbage.close()
        self.deleteLater()

    @Slot(str, str)
    def change_look(self, theme: str, language_code: str) -> None:
        """Another theme or language, within a few turns of the event loop, none of them long."""
        self._theme, self._language = theme, language_code
        self.preferences.set("theme", theme)
        self.preferences.set("language", language_code)
        self.window.clear_page()
        self._look_soon.start()

    @Slot()
    def _read_ahead(self) -> None:
        self._aside.do(_read_ahead, self._import_ahead, lambda error: log.error("read ahead: %s", error.code))

    def _import_ahead(self, order: list[str]) -> None:
        """What pages are made of, a module a turn: whoever opens one sooner imports what is left with it."""
        self._slices.begin(module_slices(order), now=False)

    @property
    def is_changing_look(self) -> bool:
        """The page is gone and not yet there again."""
        return self._look_soon.isActive() or self.window.page is None

    @Slot()
    def _change_look(self) -> None:
        language.set_language(self._language)
        self._translate_qt()
        look.apply(self.app, self._theme)
        self.window.rebuild()

    def _translate_qt(self) -> None:
        """Qt's own texts: standard buttons, file dialogs, context menus."""
        self.app.removeTranslator(self._qt_texts)
        folder = QLibraryInfo.path(QLibraryInfo.LibraryPath.TranslationsPath)
        if language.language() != "en" and self._qt_texts.load(f"qtbase_{language.language()}", folder):
            self.app.installTranslator(self._qt_texts)

    @Slot()
    def _system_changed(self) -> None:
        if self._theme == "system":
            self.change_look(self._theme, self._language)


def _read_ahead() -> list[str]:
    """The bundled tables a page would have to wait for, what numpy imports for `unique`; in which order pages come."""
    for name in ("numpy.ma", "engine.contract.pyramid"):
        importlib.import_module(name)
    catalogue()
    template_titles()
    return import_order(LATER)


def use_scale(home: Home) -> None:
    """Take the size a person chose; Qt reads it once, before there is a window."""
    scale = kept_value(home.desktop_folder / "preferences.json", "scale")
    if str(scale).isdecimal() and 100 < int(scale) <= 200:
        os.environ.setdefault("QT_SCALE_FACTOR", f"{int(scale) / 100:g}")


def say_and_end(error: UserError) -> int:
    """Say why there can be no window, in a box and in the terminal."""
    app = make_application(sys.argv[:1])
    language.set_language("system")
    look.load_fonts()
    look.apply(app, "system")
    what, why, fix = language.explain(error.body())
    print(error.text, file=sys.stderr)  # noqa: T201 - there is no log yet
    if app.platformName() != "offscreen":
        QMessageBox.critical(None, "LoRAForge Desktop", f"{what}\n\n{why}\n\n{fix}")
    return 1


def make_application(arguments: Sequence[str]) -> QApplication:
    """The one QApplication; offscreen where there is no display."""
    if sys.platform.startswith("linux") and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    app = QApplication.instance()
    made = app if isinstance(app, QApplication) else QApplication(list(arguments))
    locale.setlocale(locale.LC_NUMERIC, "C")  # Qt took the system's, where a decimal point may be a comma
    made.setApplicationName("LoRAForge Desktop")
    made.setDesktopFileName("loraforge-desktop")
    made.setQuitOnLastWindowClosed(True)
    return made


def report_bugs(home: Home) -> None:
    """Log what nobody caught; the window stays."""
    folder = home.root / "logs"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handler: logging.Handler = RotatingFileHandler(folder / "desktop.log", maxBytes=2_000_000, backupCount=3)
    except OSError:
        handler = logging.StreamHandler()
    logging.basicConfig(level=logging.INFO, handlers=[handler], format="%(asctime)s %(levelname)s %(name)s %(message)s")

    logging.getLogger("httpx").setLevel(logging.WARNING)  # a line for every request says nothing

    def report(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if issubclass(kind, KeyboardInterrupt):
            sys.__excepthook__(kind, error, trace)
            return
        log.error("a bug: %s", "".join(traceback.format_exception(kind, error, trace)))
        for widget in QApplication.topLevelWidgets():
            if isinstance(widget, Window):
                bug = UserError("desktop.bug", detail=f"{kind.__name__}: {error}")
                widget.session.failed.emit(bug.body())

    sys.excepthook = report
    threading.excepthook = lambda details: log.error(
        "a bug in thread %s: %s",
        details.thread.name if details.thread else "?",
        "".join(traceback.format_exception(details.exc_type, details.exc_value, details.exc_traceback)),
    )


def _window_icon() -> QIcon:
    image = QPixmap(128, 128)
    image.fill(Qt.GlobalColor.transparent)
    painter = QPainter(image)
    paint_logo(painter, QRectF(0, 0, 128, 128))
    painter.end()
    return QIcon(image)
