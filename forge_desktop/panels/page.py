"""The frame all pages share: margins, a heading with actions, and narrow or wide layout."""

from __future__ import annotations

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QVBoxLayout, QWidget

from engine.contract.api import RunSummary
from engine.contract.errors import ErrorBody
from forge_desktop.theme import icons
from forge_desktop.theme.controls import Card, button, column, label, row, scrolled
from forge_desktop.theme.language import explain
from forge_desktop.theme.look import tokens

RAIL_WIDTH = 372
NARROW_PAGE = 960


class Page(QWidget):
    """A page of the window."""

    navigate = Signal(str)
    """Address to go to: `runs`, `new`, `run/<uid>`, `new/<uid of a draft>`."""
    goes_in_parts = False
    """It may be deleted a part a turn: all it hears of comes from models of its own, which go first."""

    def __init__(self) -> None:
        super().__init__()
        self.setProperty("role", "page")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self.setFocusPolicy(Qt.FocusPolicy.ClickFocus)
        self.outer = QVBoxLayout(self)
        self.outer.setContentsMargins(28, 22, 28, 20)
        self.outer.setSpacing(14)

    @property
    def is_built(self) -> bool:
        """Everything is made and shown; a large page comes some parts a turn."""
        return True

    @property
    def is_paintable(self) -> bool:
        """It has something to show; a page that makes its content in later turns is painted once it is there."""
        return True

    def shown_run(self) -> RunSummary | None:
        """The one run the page is about, if it is about one."""
        return None

    def leave(self) -> None:
        """The page is no longer shown; let go of what it follows."""


class TwoColumns(QWidget):
    """A main column that scrolls and a rail that stays; in a narrow page the rail moves under the main column."""

    def __init__(self, main: QWidget, rail: QWidget) -> None:
        super().__init__()
        self._rail = rail
        self._content = QWidget()
        self._below = QVBoxLayout(self._content)
        self._below.setContentsMargins(0, 0, 0, 0)
        self._below.setSpacing(14)
        self._below.addWidget(main, 1)
        self.area = scrolled(self._content)
        self._side = scrolled(QWidget())
        self._side.setFixedWidth(RAIL_WIDTH)
        layout = row(self.area, self._side, spacing=14)
        layout.setStretch(0, 1)
        self.setLayout(layout)
        self._narrow: bool | None = None
        self._arrange(False)

    def minimumSizeHint(self) -> QSize:
        """Qt's own hook: it may be small, since it scrolls."""
        return QSize(320, 40)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Qt's own hook."""
        super().resizeEvent(event)
        self._arrange(event.size().width() < NARROW_PAGE)

    def _arrange(self, narrow: bool) -> None:
        if narrow == self._narrow:
            return
        self._narrow = narrow
        if narrow:
            self._side.takeWidget()
            self._below.addWidget(self._rail)
            self._rail.show()
        else:
            self._below.removeWidget(self._rail)
            self._side.setWidget(self._rail)
        self._side.setVisible(not narrow)


class Hint(Card):
    """What a page says when it has nothing to show: an icon, a sentence, and what to do next."""

    def __init__(self, icon: str, title: str, text: str, action: str = "", on_click: object = None) -> None:
        super().__init__(margins=(24, 36, 24, 36))
        picture = label()
        picture.setPixmap(icons.pixmap(icon, tokens().muted, 32))
        picture.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self._title = label(title, "card-title")
        self._title.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self._text = label(text, "hint", wrap=True)
        self._text.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.body.addStretch(1)
        for widget in (picture, self._title, self._text):
            self.body.addWidget(widget)
        if action and callable(on_click):
            self.body.addLayout(row(None, button(action, "primary", on_click=on_click, name="hint.action"), None))
        self.body.addStretch(1)

    def say(self, title: str, text: str) -> None:
        """Other words."""
        self._title.setText(title)
        self._text.setText(text)


class ErrorCard(Card):
    """An error in full: what happened, why, what to do."""

    def __init__(self, name: str = "error") -> None:
        super().__init__()
        self.setObjectName(name)
        picture = label()
        picture.setPixmap(icons.pixmap("circle-alert", tokens().bad_text, 20))
        picture.setAlignment(Qt.AlignmentFlag.AlignTop)
        self.what = label("", "strong", tone="bad", wrap=True, select=True)
        self.why = label("", wrap=True, select=True)
        self.fix = label("", "hint", wrap=True, select=True)
        texts = column(self.what, self.why, self.fix, spacing=4)
        layout = row(picture, spacing=12)
        layout.addLayout(texts, 1)
        self.body.addLayout(layout)
        self.hide()

    def show_error(self, error: ErrorBody | None) -> None:
        """Show an error, or nothing."""
        self.setVisible(error is not None)
        if error is None:
            return
        what, why, fix = explain(error)
        why += "".join(f"\n• {p.field}: {' '.join(part for part in explain(p) if part)}" for p in error.problems)
        self.what.setText(what)
        self.why.setText(why.strip())
        self.why.setVisible(bool(why.strip()))
        self.fix.setText(f"{fix} [{error.code}]".strip())
