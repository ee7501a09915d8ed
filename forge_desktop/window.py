"""The main window: sidebar, pages, banner, shortcuts. Pages are made anew when theme or language change."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import Qt, QTimer, Signal, Slot
from PySide6.QtGui import QCloseEvent, QKeySequence, QResizeEvent, QShortcut
from PySide6.QtWidgets import QHBoxLayout, QMainWindow, QStackedWidget, QVBoxLayout, QWidget

from engine.contract.errors import ErrorBody
from forge_desktop.bridge.preferences import Preferences
from forge_desktop.bridge.session import UNREACHABLE, Session
from forge_desktop.models.draft_model import marks_of
from forge_desktop.pages.compare_page import ComparePage
from forge_desktop.pages.run_page import RunPage
from forge_desktop.pages.runs_page import RunsPage
from forge_desktop.panels.banner import Banner
from forge_desktop.panels.page import Page
from forge_desktop.panels.run_actions import RunActions
from forge_desktop.panels.sidebar import Sidebar
from forge_desktop.panels.transfers_panel import TransfersPanel
from forge_desktop.theme.language import explain, sentences, tr
from forge_desktop.theme.tokens import NARROW_WIDTH
from forge_desktop.wizard.wizard_page import WizardPage

NEWS_MS = 6000


class Window(QMainWindow):
    """Shows one page at a time; an address says which."""

    look_wanted = Signal(str, str)
    """Theme and language the person chose."""

    def __init__(self, session: Session, preferences: Preferences) -> None:
        super().__init__()
        self.session, self.preferences = session, preferences
        self.setWindowTitle("LoRAForge Desktop")
        self.setMinimumSize(1024, 700)
        self.resize(1440, 900)
        self.actions_of_runs = RunActions(session, self)
        self.actions_of_runs.failed.connect(self._show_error)
        self.actions_of_runs.told.connect(self._show_news)
        self.address = ""
        self.page: Page | None = None
        self._news_over = QTimer(self, singleShot=True, interval=NEWS_MS)
        self._news_over.timeout.connect(self._hide_news)
        self._build()
        self._bind_keys()
        session.online.connect(self._online)
        session.offline.connect(self._offline)
        session.failed.connect(self._show_error)
        self._restore()

    def _build(self) -> None:
        frame = QWidget()
        layout = QHBoxLayout(frame)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        self.sidebar = Sidebar(self.preferences.get("theme", "system"), self.preferences.get("language", "system"))
        self.sidebar.navigate.connect(self.go)
        self.sidebar.look_wanted.connect(self.look_wanted)
        self.banner = Banner()
        self._stack = QStackedWidget()
        right = QVBoxLayout()
        right.setContentsMargins(0, 0, 0, 0)
        right.setSpacing(0)
        right.addWidget(self.banner)
        right.addWidget(self._stack, 1)
        right.addWidget(TransfersPanel(self.actions_of_runs.transfers))
        layout.addWidget(self.sidebar)
        layout.addLayout(right, 1)
        self.setCentralWidget(frame)
        self.sidebar.set_narrow(self.width() < NARROW_WIDTH)

    def rebuild(self) -> None:
        """Make everything again, in another look or language, on the same page."""
        address = self.address
        if self.page is not None:
            self.page.leave()
        self.page = None
        self._build()
        self.go(address or "runs")

    def go(self, address: str) -> None:
        """Show the page an address names: runs, new, new/<draft>, new/<draft>?<marked settings>, run/<uid>."""
        kind, _, uid = address.partition("/")
        if self.page is not None:
            self.page.leave()
            self._stack.removeWidget(self.page)
            self.page.setParent(None)
            self.page.deleteLater()
        self.page = self._make(kind, uid)
        self.page.navigate.connect(self.go, Qt.ConnectionType.QueuedConnection)
        self.address = address
        self._stack.addWidget(self.page)
        self._stack.setCurrentWidget(self.page)
        self.page.setFocus()
        self.sidebar.mark(kind)
        self.preferences.set("page", address)

    def _make(self, kind: str, rest: str) -> Page:
        """The page of an address; one that nobody knows (of a newer version, say) shows the runs."""
        makers: dict[str, Callable[[str], Page]] = {
            "run": self._run_page,
            "new": self._wizard_page,
            "runs": self._runs_page,
            "compare": lambda rest: ComparePage(self.session, self.actions_of_runs, rest),
        }
        return makers.get(kind, self._runs_page)(rest)

    def _runs_page(self, _rest: str) -> Page:
        return RunsPage(self.session, self.actions_of_runs)

    def _run_page(self, uid: str) -> Page:
        return RunPage(self.session, self.actions_of_runs, uid) if uid else self._runs_page("")

    def _wizard_page(self, rest: str) -> Page:
        uid, _, changes = rest.partition("?")
        return WizardPage(self.session, self.actions_of_runs, self.preferences, uid, marks_of(changes))

    def _bind_keys(self) -> None:
        for keys, does in (
            ("Ctrl+N", lambda: self.go("new")),
            ("Ctrl+1", lambda: self.go("runs")),
            ("Ctrl+2", lambda: self.go("new")),
            ("Ctrl+F", self._search),
            ("Esc", self._back),
        ):
            QShortcut(QKeySequence(keys), self, does)

    def _search(self) -> None:
        if not isinstance(self.page, RunsPage):
            self.go("runs")
        if isinstance(self.page, RunsPage):
            self.page.search.setFocus()

    def _back(self) -> None:
        if self.address != "runs":
            self.go("runs")

    @Slot()
    def _online(self) -> None:
        self.banner.hide()

    @Slot(object)
    def _offline(self, error: ErrorBody) -> None:
        what, why, _fix = explain(error)
        text = sentences(what, why)
        self.banner.say(text, tr("Trying again by itself; runs go on meanwhile."), "warn", "wifi-off")

    @Slot(object)
    def _show_error(self, error: ErrorBody) -> None:
        if error.code == UNREACHABLE and not self.session.is_online:
            return  # the banner says so already
        what, why, fix = explain(error)
        self._news_over.stop()
        self.banner.say(sentences(what, why), fix, "bad", "circle-alert", closable=True)

    @Slot(str)
    def _show_news(self, text: str) -> None:
        self.banner.say(text, "", "info", "info", closable=True)
        self._news_over.start()

    @Slot()
    def _hide_news(self) -> None:
        if self.session.is_online:
            self.banner.hide()

    @Slot()
    def come_forward(self) -> None:
        """Be seen: another start asked for it."""
        self.setWindowState((self.windowState() & ~Qt.WindowState.WindowMinimized) | Qt.WindowState.WindowActive)
        self.show()
        self.raise_()
        self.activateWindow()

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Qt's own hook."""
        super().resizeEvent(event)
        self.sidebar.set_narrow(event.size().width() < NARROW_WIDTH)

    def closeEvent(self, event: QCloseEvent) -> None:
        """Qt's own hook: closing the window leaves runs going."""
        size = self.normalGeometry() if self.isMaximized() else self.geometry()
        self.preferences.set("window", [size.width(), size.height(), self.isMaximized()])
        if self.page is not None:
            self.page.leave()
        super().closeEvent(event)

    def _restore(self) -> None:
        match self.preferences.get("window"):
            case [int(width), int(height), bool(maximised)]:
                self.resize(width, height)
                if maximised:
                    self.setWindowState(Qt.WindowState.WindowMaximized)
            case _:
                pass
        address = self.preferences.get("page", "runs")
        self.go(address if isinstance(address, str) and address else "runs")
