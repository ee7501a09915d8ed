"""The sidebar: name, pages, theme and language. Below a certain width it shows icons only."""

from __future__ import annotations

from functools import partial

from PySide6.QtCore import QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QColor, QLinearGradient, QPainter, QPaintEvent, QPen, QPolygonF
from PySide6.QtWidgets import QFrame, QLabel, QMenu, QPushButton, QVBoxLayout, QWidget

from forge_desktop.panels.bell import Bell
from forge_desktop.theme import icons
from forge_desktop.theme.controls import button, column, face, label, line, row
from forge_desktop.theme.language import LANGUAGES, tr
from forge_desktop.theme.look import tokens

WIDE, NARROW = 224, 64
PAGES = (("runs", "activity", "Runs"), ("new", "plus", "New run"))
LIBRARY = (
    ("datasets", "database", "Datasets"),
    ("adapters", "box", "Adapters"),
    ("playground", "message-square", "Playground"),
    ("serving", "upload", "Serving"),
)
"""Under a heading of their own: what runs learn from, what they made, and where it answers."""
OPERATIONS = (("nodes", "server", "Nodes"), ("instances", "container", "Instances"))
"""Under a heading of their own: what runs work on."""
LAST_PAGES = (("settings", "settings", "Settings"),)
"""At the bottom, apart from the work."""
EVERY_PAGE = (*PAGES, *LIBRARY, *OPERATIONS, *LAST_PAGES)
THEMES = (("system", "Like the system"), ("light", "Light"), ("dark", "Dark"))


class Sidebar(QFrame):
    """Where to go, and how it looks."""

    navigate = Signal(str)
    look_wanted = Signal(str, str)
    notices_wanted = Signal()
    help_wanted = Signal()

    def __init__(self, theme: str, language: str) -> None:
        super().__init__()
        self.setProperty("role", "sidebar")
        self._theme, self._language = theme, language
        self._narrow = False
        self._buttons: dict[str, QPushButton] = {}
        self._counts: dict[str, QLabel] = {}
        layout = QVBoxLayout(self)
        layout.setContentsMargins(14, 18, 14, 14)
        layout.setSpacing(4)
        self._names = QWidget()
        self._names.setLayout(column(label("LoRAForge", "strong"), label("Desktop", "hint"), spacing=0))
        layout.addLayout(row(Logo(), self._names, None, spacing=10))
        layout.addSpacing(14)
        for key, icon, text in PAGES:
            layout.addWidget(self._page_button(key, icon, text))
        self._sections = []
        for title, pages in ((tr("LIBRARY"), LIBRARY), (tr("OPERATIONS"), OPERATIONS)):
            section = label(title, "section")
            section.setContentsMargins(10, 14, 0, 2)
            self._sections.append(section)
            layout.addWidget(section)
            for key, icon, text in pages:
                layout.addWidget(self._page_button(key, icon, text))
        layout.addStretch(1)
        for key, icon, text in LAST_PAGES:
            layout.addWidget(self._page_button(key, icon, text))
        layout.addSpacing(6)
        layout.addWidget(line())
        layout.addSpacing(6)
        self.bell = Bell()
        self.bell.clicked.connect(self.notices_wanted)
        self._help = button(tr("Help"), "nav", "circle-question-mark", self.help_wanted.emit, "nav.help")
        self._help.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        layout.addWidget(self.bell)
        layout.addWidget(self._help)
        self._look = self._menu_button(tr("Theme"), "moon" if tokens().dark else "sun", self._theme_menu(), "nav.theme")
        self._tongue = self._menu_button(tr("Language"), "languages", self._language_menu(), "nav.language")
        layout.addWidget(self._look)
        layout.addWidget(self._tongue)
        self.setFixedWidth(WIDE)

    def _page_button(self, key: str, icon: str, text: str) -> QPushButton:
        made = button(tr(text), "nav", icon, name=f"nav.{key}", on_click=partial(self.navigate.emit, key))
        made.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        made.setCheckable(True)
        self._buttons[key] = made
        number = label("", "hint")
        number.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        made.setLayout(row(None, number, margins=(0, 0, 10, 0)))
        number.hide()
        self._counts[key] = number
        return made

    def set_count(self, page: str, number: int) -> None:
        """How many there are of what a page shows; one or none is not worth a word."""
        self._counts[page].setText(f"{number:,}" if number > 1 else "")
        self._counts[page].setVisible(number > 1 and not self._narrow)

    def mark(self, page: str) -> None:
        """Show which page is open."""
        page = {"run": "runs", "dataset": "datasets"}.get(page, page)
        for key, made in self._buttons.items():
            made.setChecked(key == page)
            icon = next(icon for name, icon, _text in EVERY_PAGE if name == key)
            made.setIcon(icons.icon(icon, tokens().accent_text if key == page else tokens().secondary))

    def set_narrow(self, narrow: bool) -> None:
        """Icons only, or icons with words."""
        if narrow == self._narrow:
            return
        self._narrow = narrow
        self.setFixedWidth(NARROW if narrow else WIDE)
        self._names.setVisible(not narrow)
        for section in self._sections:
            section.setVisible(not narrow)
        for number in self._counts.values():
            number.setVisible(bool(number.text()) and not narrow)
        texts = {key: tr(text) for key, _icon, text in EVERY_PAGE}
        for key, made in self._buttons.items():
            _show_words(made, texts[key], not narrow)
        self.bell.set_words(not narrow)
        _show_words(self._help, tr("Help"), not narrow)
        _show_words(self._look, tr("Theme"), not narrow)
        _show_words(self._tongue, tr("Language"), not narrow)

    def _menu_button(self, text: str, icon: str, menu: QMenu, name: str) -> QPushButton:
        made = button(text, "nav", icon, name=name)
        made.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        made.clicked.connect(lambda: menu.popup(made.mapToGlobal(made.rect().topRight())))
        return made

    def _theme_menu(self) -> QMenu:
        menu = QMenu(self)
        for key, text in THEMES:
            action = menu.addAction(tr(text), partial(self.look_wanted.emit, key, self._language))
            action.setCheckable(True)
            action.setChecked(key == self._theme)
        return menu

    def _language_menu(self) -> QMenu:
        menu = QMenu(self)
        for key, text in (("system", tr("Like the system")), *LANGUAGES.items()):
            action = menu.addAction(text, partial(self.look_wanted.emit, self._theme, key))
            action.setCheckable(True)
            action.setChecked(key == self._language)
        return menu


def _show_words(made: QPushButton, text: str, words: bool) -> None:
    made.setText(face(text, True) if words else "")
    made.setToolTip("" if words else text)
    made.setAccessibleName(text)


class Logo(QWidget):
    """The mark of the program."""

    def __init__(self) -> None:
        super().__init__()
        self.setFixedSize(QSize(36, 36))

    def paintEvent(self, _event: QPaintEvent) -> None:
        """Qt's own hook."""
        painter = QPainter(self)
        paint_logo(painter, QRectF(self.rect()))
        painter.end()


def paint_logo(painter: QPainter, box: QRectF) -> None:
    """Draw the mark into a square; also the window's icon."""
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    ground = QLinearGradient(box.topLeft(), box.bottomRight())
    ground.setColorAt(0, QColor("#FF8A4C"))
    ground.setColorAt(1, QColor("#D9480F"))
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(ground)
    painter.drawRoundedRect(box, box.width() * 0.24, box.width() * 0.24)
    unit = box.width() / 36
    pen = QPen(QColor("#FFFFFF"), 3 * unit, Qt.PenStyle.SolidLine, Qt.PenCapStyle.RoundCap, Qt.PenJoinStyle.RoundJoin)
    painter.setPen(pen)

    def at(x: float, y: float) -> QPointF:
        return QPointF(box.left() + x * unit, box.top() + y * unit)

    painter.drawPolyline(QPolygonF([at(11, 9), at(11, 26), at(17, 26)]))
    painter.drawPolyline(QPolygonF([at(18, 19), at(23, 11), at(28, 19)]))
