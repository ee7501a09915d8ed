"""The main window: sidebar, pages, banner, shortcuts. All is made anew when theme or language change."""

from __future__ import annotations

from functools import partial

from PySide6.QtCore import QElapsedTimer, QObject, Qt, QTimer, Slot
from PySide6.QtGui import QCloseEvent, QKeySequence, QResizeEvent, QShortcut
from PySide6.QtWidgets import (
    QApplication,
    QHBoxLayout,
    QLineEdit,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from engine.contract.api import RunPage as PageOfRuns
from engine.contract.api import RunSummary
from engine.contract.errors import ErrorBody
from forge_desktop.bridge.preferences import Preferences
from forge_desktop.bridge.session import UNREACHABLE, Session
from forge_desktop.models import help_topics, notices
from forge_desktop.models.command_table import ALL_ENTRIES
from forge_desktop.models.nodes_model import NodesModel
from forge_desktop.models.notice_book import NoticeBook
from forge_desktop.models.notices import Notice
from forge_desktop.models.palette_model import PaletteModel
from forge_desktop.models.visited import Visited
from forge_desktop.panels import onboarding
from forge_desktop.panels.banner import Banner
from forge_desktop.panels.connecting import Connecting
from forge_desktop.panels.field_keys import FieldKeys
from forge_desktop.panels.notifier import Notifier
from forge_desktop.panels.overlays import Overlays
from forge_desktop.panels.page import Page
from forge_desktop.panels.run_actions import RunActions
from forge_desktop.panels.shortcuts_sheet import ShortcutsSheet
from forge_desktop.panels.sidebar import Sidebar
from forge_desktop.panels.transfers_panel import TransfersPanel
from forge_desktop.panels.tray import Tray
from forge_desktop.panels.window_commands import bind_all
from forge_desktop.theme import look
from forge_desktop.theme.farewell import Farewell
from forge_desktop.theme.language import explain, sentences, tr
from forge_desktop.theme.motion import reduced
from forge_desktop.theme.slices import Slices
from forge_desktop.theme.tokens import NARROW_WIDTH
from forge_desktop.window_pages import WindowPages

NEWS_MS = 6000
COVER_AFTER_MS = 350
"""A controller that answers sooner is not worth a word."""
LONG_GONE_MS = 1500
NEED_NO_CONTROLLER = ("settings", "welcome")


class Window(WindowPages):
    """Shows one page at a time; an address says which."""

    def __init__(self, session: Session, preferences: Preferences) -> None:
        super().__init__()
        self.session, self.preferences = session, preferences
        self.setWindowTitle("LoRAForge Desktop")
        self.setMinimumSize(1024, 700)
        self.resize(1440, 900)
        self.actions_of_runs = RunActions(session, self, preferences)
        self.actions_of_runs.failed.connect(self._show_error)
        self.actions_of_runs.told.connect(self._show_news)
        self.address = ""
        self.page: Page | None = None
        self.nodes = NodesModel(session, self)
        self.nodes.changed.connect(self._count_nodes)
        self.notices = NoticeBook(session, preferences, self)
        self.notifier = Notifier(self.notices, self, Tray(QApplication.windowIcon(), self))
        self.notifier.wanted.connect(self._open_notice)
        self.notices.changed.connect(self._show_unread)
        self.commands = bind_all(self)
        self._visited = Visited()
        self._kinds: frozenset[str] = frozenset()
        self._was_online = False
        self._start_error: ErrorBody | None = None
        self._gone = QElapsedTimer()
        self._cover_soon = QTimer(self, singleShot=True, interval=COVER_AFTER_MS)
        self._cover_soon.timeout.connect(self._cover)
        self._cover_soon.start()
        self._news_over = QTimer(self, singleShot=True, interval=NEWS_MS)
        self._news_over.timeout.connect(self._hide_news)
        self._page_soon = QTimer(self, singleShot=True, interval=0)
        self._page_soon.timeout.connect(self._come_back)
        self._paint_soon = QTimer(self, singleShot=True, interval=0)
        self._paint_soon.timeout.connect(self._paint_page)
        look.dress(self)
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
        self.sidebar.notices_wanted.connect(self.toggle_notices)
        self.sidebar.help_wanted.connect(self.toggle_help)
        self.banner = Banner()
        self._stack = QStackedWidget()
        self._farewell = Farewell(self._stack)
        right = QVBoxLayout()
        right.setContentsMargins(0, 0, 0, 0)
        right.setSpacing(0)
        right.addWidget(self.banner)
        self.connecting = Connecting()
        self.connecting.help_wanted.connect(partial(self.show_help, "trouble"))
        self.connecting.hide()
        right.addWidget(self.connecting, 1)
        right.addWidget(self._stack, 1)
        right.addWidget(TransfersPanel(self.actions_of_runs.transfers))
        layout.addWidget(self.sidebar)
        layout.addLayout(right, 1)
        self.setCentralWidget(frame)
        self.sidebar.set_narrow(self.width() < NARROW_WIDTH)
        still = reduced(self.preferences.get("reduced_motion"))
        self.overlays = Overlays(frame, self.notices, self._palette_model, still)
        self.overlays.navigate.connect(self.go)
        self.overlays.command.connect(self.commands.give)
        self.overlays.notice_opened.connect(self._open_notice)
        self.notifier.use_toasts(self.overlays.toasts)
        self._show_unread()
        self._count_nodes()

    def _palette_model(self, parent: QObject) -> PaletteModel:
        return PaletteModel(self.commands, self.session, self.preferences, self.go, parent)

    def clear_page(self) -> None:
        """Another look comes: the page goes first, so that nobody restyles it; the picture stays until there is one."""
        self.setUpdatesEnabled(False)
        if self.page is not None:
            self.page.leave()
            self._put_away(self.page)
            self.page = None

    def rebuild(self) -> None:
        """Make everything again, in another look or language; the page comes with the next turn."""
        self.clear_page()
        look.dress(self)
        self._build()
        self._page_soon.start()

    @Slot()
    def _come_back(self) -> None:
        if self.page is None:
            self.go(self.address or "runs")
        if not self._was_online:
            self.connecting.show_error(self._start_error)
            self._cover()
        self.setUpdatesEnabled(True)

    @Slot(str)
    def go(self, address: str) -> None:
        """Show the page an address names: runs, new, new/<draft>, new/<draft>?<marked settings>, run/<uid>."""
        self._visited.note(address)
        self._show_page(address)

    def back(self) -> None:
        """The page before."""
        self._show_page(self._visited.step(-1))

    def forward(self) -> None:
        """The page after."""
        self._show_page(self._visited.step(1))

    def can_go(self, by: int) -> bool:
        """There is a page before or after."""
        return self._visited.can_step(by)

    def _show_page(self, address: str) -> None:
        kind, _, uid = address.partition("/")
        self._stack.setUpdatesEnabled(False)  # made and laid out in this turn, painted in the next: neither is too long
        self._paint_soon.start()
        if self.page is not None:
            self.page.leave()
            self._put_away(self.page)
        self.page = self._make(kind, uid)
        self.page.navigate.connect(self.go, Qt.ConnectionType.QueuedConnection)
        self.address = address
        self._stack.addWidget(self.page)
        self._stack.setCurrentWidget(self.page)
        self.page.setFocus()
        self.sidebar.mark(kind)
        self.preferences.set("page", "runs" if kind == "welcome" else address)
        for shortcut in self._history_keys:
            shortcut.setEnabled(kind != "new")  # there they lead from step to step
        if kind == "run":
            run = uid.partition("/")[0]
            self.notices.mark_read(*(notice.key for notice in self.notices.list if notice.run == run), "")
        if not self._was_online and not self._cover_soon.isActive():
            self._cover()

    @Slot()
    def _paint_page(self) -> None:
        if self.page is not None and not self.page.is_paintable:
            self._paint_soon.start()
            return
        self._stack.setUpdatesEnabled(True)

    def _put_away(self, page: Page) -> None:
        """It goes in the turns that come."""
        self._stack.removeWidget(page)
        page.hide()
        for work in page.findChildren(Slices):
            work.stop()  # else it goes on with what is gone already
        self._farewell.take(page, page.goes_in_parts)

    def _bind_keys(self) -> None:
        self._history_keys: list[QShortcut] = []
        FieldKeys(self)
        for entry in ALL_ENTRIES:
            for keys in entry.keys:
                made = QShortcut(QKeySequence(keys), self, partial(self._key, entry.key))
                if keys in ("Alt+Left", "Alt+Right"):
                    self._history_keys.append(made)

    def _key(self, key: str) -> None:
        if self.overlays.palette.isVisible() and key not in ("palette", "escape"):
            self.overlays.palette.dismiss()
        self.commands.give(key)

    def knows(self, kind: str) -> bool:
        """There is such a page."""
        return kind in self._kinds

    def search_runs(self) -> None:
        """Bring the keyboard to the search."""
        if not isinstance(getattr(self.page, "search", None), QLineEdit):
            self.go("runs")
        field = getattr(self.page, "search", None)
        if isinstance(field, QLineEdit):
            field.setFocus(Qt.FocusReason.ShortcutFocusReason)

    def escape(self) -> None:
        """Close what lies over the page, or go back to the runs."""
        if not self.overlays.close_one() and self.address != "runs":
            self.go("runs")

    def show_palette(self) -> None:
        """Open the palette, or close it."""
        if self.overlays.palette.isVisible():
            self.overlays.palette.dismiss()
        else:
            self.overlays.palette.open()

    @Slot()
    def toggle_notices(self) -> None:
        """Open the notice centre, or close it."""
        self.overlays.toggle_notices()

    def focus_toast(self) -> None:
        """Bring the keyboard to the newest message; without one, open the centre."""
        if not self.overlays.toasts.focus_newest():
            self.overlays.show_notices()

    def read_notices(self) -> None:
        """Mark all as read."""
        self.notices.mark_read()

    def unread(self) -> int:
        """How many notices nobody has read."""
        return self.notices.unread

    @Slot()
    def toggle_help(self) -> None:
        """Open help for the page, or close it."""
        self.overlays.toggle_help(help_topics.topic_of(self.address))

    def show_help(self, topic: str) -> None:
        """Open a help topic."""
        self.overlays.show_help(topic)

    def show_shortcuts(self) -> None:
        """Open the sheet of shortcuts."""
        sheet = ShortcutsSheet(self.session, self)
        sheet.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        sheet.open()

    def choose_look(self, theme: str, language: str) -> None:
        """Another theme or language; an empty one stays."""
        get = self.preferences.get
        self.look_wanted.emit(theme or get("theme", "system"), language or get("language", "system"))

    def open_run(self) -> RunSummary | None:
        """The run whose page is open."""
        return self.page.shown_run() if self.page is not None else None

    def do_deed(self, key: str) -> None:
        """Do something to the run whose page is open."""
        run = self.open_run()
        if run is not None and self.page is not None:
            self.actions_of_runs.do(key, run, self.page, self.go)

    def tell(self, text: str) -> None:
        """Say something in the banner for a while."""
        self._show_news(text)

    @Slot()
    def _show_unread(self) -> None:
        self.sidebar.bell.set_unread(self.notices.unread)

    @Slot()
    def _count_nodes(self) -> None:
        self.sidebar.set_count("nodes", len(self.nodes.nodes))

    @Slot(object)
    def _open_notice(self, notice: Notice) -> None:
        if not self.isActiveWindow():
            self.come_forward()
        self.notices.mark_read(notice.key)
        if notice.address:
            self.overlays.panel.dismiss()
            self.go(notice.address)
        else:
            self.overlays.show_notices(notice.kind if notice.what == notices.FOLDED else "all")

    @Slot()
    def _cover(self) -> None:
        """Until a controller answered once, say what is waited for instead of an empty page."""
        needs = self.address.partition("/")[0] not in NEED_NO_CONTROLLER
        covered = needs and not self._was_online
        self.connecting.setVisible(covered)
        self._stack.setVisible(not covered)

    def _begin(self) -> None:
        """The first answer of all: show the page, or the first steps to whoever has no runs yet."""
        self._was_online = True
        self._cover_soon.stop()
        self._cover()
        if self.page is not None:
            self.page.setFocus()
        if not onboarding.is_over(self.preferences):
            self.session.ask(lambda backend: backend.runs((), "", 0, 1), self._welcome, owner=self)

    def _welcome(self, page: PageOfRuns) -> None:
        if page.total or sum(page.counts.values()):
            self.preferences.set(onboarding.PREFERENCE, onboarding.DONE)
        elif self.address == "runs":
            self.go("welcome")

    @Slot()
    def _online(self) -> None:
        self.banner.hide()
        if not self._was_online:
            self._begin()
        elif self._gone.isValid() and self._gone.elapsed() > LONG_GONE_MS:
            self.overlays.toasts.show(notices.connected_again())
        self._gone.invalidate()

    @Slot(object)
    def _offline(self, error: ErrorBody) -> None:
        if not self._was_online:
            self._start_error = error
            self._cover_soon.stop()
            self.connecting.show_error(error)
            self._cover()
            return
        if not self._gone.isValid():
            self._gone.start()
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
        self._page_soon.stop()
        if self.page is not None:
            self.page.leave()
        self.notifier.close()
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
