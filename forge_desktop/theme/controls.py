"""Small widgets everything else is made of: labels, buttons, cards, chips, segments, fields that ignore the wheel."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from PySide6.QtCore import QEvent, QSize, Qt, Signal
from PySide6.QtGui import QColor, QFontMetrics, QPainter, QPaintEvent, QResizeEvent, QStandardItemModel, QWheelEvent
from PySide6.QtWidgets import (
    QButtonGroup,
    QComboBox,
    QFrame,
    QHBoxLayout,
    QLabel,
    QLayout,
    QLineEdit,
    QPushButton,
    QScrollArea,
    QSizePolicy,
    QStyle,
    QStyleOptionComboBox,
    QStylePainter,
    QVBoxLayout,
    QWidget,
)

from forge_desktop.theme import icons
from forge_desktop.theme.look import tokens
from forge_desktop.theme.plain_tip import plain_tip

NO_LIMIT = 10_000
ARROW = 40
"""What frame and arrow of a closed list take of its width, in pixels."""


def restyle(widget: QWidget, **properties: str) -> None:
    """Set style properties (tone, state …) and have the style sheet look again."""
    changed = False
    for name, value in properties.items():
        if widget.property(name) != value:
            widget.setProperty(name, value)
            changed = True
    if changed:
        widget.style().unpolish(widget)
        widget.style().polish(widget)


def label(text: str = "", role: str = "body", tone: str = "", wrap: bool = False, select: bool = False) -> QLabel:
    """A text. Roles: display, title, card-title, label, hint, section, strong, body."""
    made = QLabel(text)
    made.setTextFormat(Qt.TextFormat.PlainText)
    made.setProperty("role", role)
    if tone:
        made.setProperty("tone", tone)
    made.setWordWrap(wrap)
    if select:
        made.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
    return made


class Elided(QLabel):
    """A one-line text that ends in … where room is short, with the whole text as its tooltip."""

    def __init__(self, text: str = "", role: str = "body") -> None:
        super().__init__()
        self.setProperty("role", role)
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self._whole, self._more = text, ""
        self.set_text(text)

    def set_text(self, text: str) -> None:
        """Show another text."""
        self._whole = text
        self.setAccessibleName(text)
        self._fit()

    def setToolTip(self, text: str) -> None:
        """What there is to say besides, as plain text; the whole text comes before it where it is cut."""
        self._more = text
        self._fit()

    def minimumSizeHint(self) -> QSize:
        """Qt's own hook: it may shrink to a few characters."""
        return QSize(24, super().minimumSizeHint().height())

    def sizeHint(self) -> QSize:
        """Qt's own hook: it would like to show everything."""
        self.ensurePolished()
        return QSize(QFontMetrics(self.font()).horizontalAdvance(self._whole) + 4, super().sizeHint().height())

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Qt's own hook."""
        super().resizeEvent(event)
        self._fit()

    def changeEvent(self, event: QEvent) -> None:
        """Qt's own hook: another font needs another cut."""
        super().changeEvent(event)
        if event.type() in (QEvent.Type.FontChange, QEvent.Type.StyleChange):
            self._fit()

    def _fit(self) -> None:
        self.ensurePolished()
        shown = QFontMetrics(self.font()).elidedText(self._whole, Qt.TextElideMode.ElideRight, max(self.width(), 24))
        self.setText(shown)
        whole = self._whole if shown != self._whole and self._whole not in self._more else ""
        super().setToolTip(plain_tip("\n".join(filter(None, (whole, self._more)))))


def button(
    text: str,
    variant: str = "default",
    icon: str = "",
    on_click: Callable[[], object] | None = None,
    name: str = "",
    tip: str = "",
) -> QPushButton:
    """A push button. Variants: default, primary, danger, quiet, link, nav, fold, segment, tab, choice."""
    made = QPushButton(face(text, bool(icon)))
    made.setProperty("variant", variant)
    made.setObjectName(name)
    made.setAccessibleName(text or tip)
    made.setToolTip(tip)
    made.setCursor(Qt.CursorShape.PointingHandCursor)
    made.setAutoDefault(False)
    if icon:
        t = tokens()
        colour = {"primary": t.on_accent, "danger": t.bad_text, "link": t.accent_text}.get(variant, t.secondary)
        made.setIcon(icons.icon(icon, colour, 16, disabled=t.muted))
        made.setIconSize(QSize(16, 16))
    if on_click is not None:
        made.clicked.connect(lambda _checked=False: on_click())
    return made


def face(text: str, icon: bool) -> str:
    """A button's text as Qt wants it: no mnemonic, and air between icon and words."""
    return f" {text}".replace("&", "&&") if icon and text else text.replace("&", "&&")


def set_enabled(widget: QWidget, enabled: bool, why_not: str = "") -> None:
    """Enable a control, or disable it with the reason as its tooltip."""
    widget.setEnabled(enabled)
    widget.setToolTip("" if enabled else why_not)


def column(*items: QWidget | int | None, spacing: int = 8, margins: Sequence[int] = (0, 0, 0, 0)) -> QVBoxLayout:
    """A vertical layout; a number is a gap, None a stretch."""
    layout = QVBoxLayout()
    _fill(layout, items, spacing, margins)
    return layout


def row(*items: QWidget | int | None, spacing: int = 8, margins: Sequence[int] = (0, 0, 0, 0)) -> QHBoxLayout:
    """A horizontal layout; a number is a gap, None a stretch."""
    layout = QHBoxLayout()
    _fill(layout, items, spacing, margins)
    return layout


def _fill(
    layout: QVBoxLayout | QHBoxLayout, items: Sequence[QWidget | int | None], spacing: int, margins: Sequence[int]
) -> None:
    layout.setSpacing(spacing)
    layout.setContentsMargins(*margins)
    for item in items:
        if item is None:
            layout.addStretch(1)
        elif isinstance(item, int):
            layout.addSpacing(item)
        else:
            layout.addWidget(item)


def clear(layout: QLayout) -> None:
    """Take everything out of a layout, and out of those in it."""
    while layout.count():
        item = layout.takeAt(0)
        inner, widget = (item.layout(), item.widget()) if item is not None else (None, None)
        if inner is not None:
            clear(inner)
        if widget is not None:
            widget.hide()  # it stays until the event loop turns, and must not be painted under what comes instead
            widget.deleteLater()


def line() -> QFrame:
    """A thin divider."""
    made = QFrame()
    made.setProperty("role", "line")
    made.setFixedHeight(1)
    return made


class Card(QFrame):
    """A rounded surface with an optional title row; add content to `body`."""

    def __init__(self, title: str = "", margins: Sequence[int] = (16, 14, 16, 16)) -> None:
        super().__init__()
        self.setProperty("role", "card")
        self.body = QVBoxLayout(self)
        self.body.setContentsMargins(*margins)
        self.body.setSpacing(12)
        self.head = QHBoxLayout()
        self.head.setSpacing(10)
        self.title = label(title, "card-title")
        if title:
            self.head.addWidget(self.title)
            self.body.addLayout(self.head)


class Chip(QWidget):
    """A status with an icon and a word on a soft ground; tones: ok, warn, bad, info, accent, plain."""

    def __init__(self, text: str = "", tone: str = "plain", icon: str = "") -> None:
        super().__init__()
        self._text, self._tone, self._icon = text, tone, icon
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        self.set(text, tone, icon)

    def set(self, text: str, tone: str = "plain", icon: str = "") -> None:
        """Show something else."""
        self._text, self._tone, self._icon = text, tone, icon
        self.setAccessibleName(text)
        self.updateGeometry()
        self.update()

    def text(self) -> str:
        """The word shown."""
        return self._text

    def sizeHint(self) -> QSize:
        """Qt's own hook."""
        font = self.font()
        font.setPixelSize(12)
        font.setWeight(font.Weight.DemiBold)
        return QSize(QFontMetrics(font).horizontalAdvance(self._text) + 16 + (18 if self._icon else 0), 24)

    def paintEvent(self, _event: QPaintEvent) -> None:
        """Qt's own hook."""
        painter = QPainter(self)
        paint_chip(painter, self.rect().x(), self.rect().y(), self._text, self._tone, self._icon)
        painter.end()


def chip_colours(tone: str) -> tuple[str, str]:
    """Text and ground of a tone."""
    t = tokens()
    return {
        "ok": (t.ok_text, t.ok_soft),
        "warn": (t.warn_text, t.warn_soft),
        "bad": (t.bad_text, t.bad_soft),
        "info": (t.info_text, t.info_soft),
        "accent": (t.accent_text, t.accent_soft),
    }.get(tone, (t.secondary, t.hover))


def paint_chip(painter: QPainter, x: int, y: int, text: str, tone: str, icon: str, most: int = NO_LIMIT) -> int:
    """Draw a chip 24 pixels high, at most so wide, and return its width; also used by item delegates."""
    ink, ground = chip_colours(tone)
    font = painter.font()
    font.setPixelSize(12)
    font.setWeight(font.Weight.DemiBold)
    painter.save()
    painter.setFont(font)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    letters, around = QFontMetrics(font), 16 + (18 if icon else 0)
    text = letters.elidedText(text, Qt.TextElideMode.ElideRight, most - around)
    width = letters.horizontalAdvance(text) + around
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(QColor(ground))
    painter.drawRoundedRect(x, y, width, 24, 6, 6)
    left = x + 8
    if icon:
        painter.drawPixmap(left, y + 5, icons.pixmap(icon, ink, 14))
        left += 18
    painter.setPen(QColor(ink))
    painter.drawText(left, y, width, 24, int(Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft), text)
    painter.restore()
    return width


class Segments(QFrame):
    """One choice of a few, all visible."""

    chosen = Signal(str)

    def __init__(self, choices: Sequence[tuple[str, str]], value: str = "", name: str = "") -> None:
        super().__init__()
        self.setProperty("role", "segments")
        self.setSizePolicy(QSizePolicy.Policy.Maximum, QSizePolicy.Policy.Fixed)
        self._buttons: dict[str, QPushButton] = {}
        self._group = QButtonGroup(self)
        layout = row(spacing=2, margins=(3, 3, 3, 3))
        for key, text in choices:
            made = button(text, "segment", name=f"{name}.{key}" if name else "")
            made.setCheckable(True)
            made.clicked.connect(lambda _checked=False, key=key: self.chosen.emit(key))
            self._group.addButton(made)
            self._buttons[key] = made
            layout.addWidget(made)
        self.setLayout(layout)
        self.set_value(value)

    def value(self) -> str:
        """The key that is chosen, or an empty text."""
        return next((key for key, made in self._buttons.items() if made.isChecked()), "")

    def set_value(self, key: str) -> None:
        """Choose without a signal."""
        if key in self._buttons:
            self._buttons[key].setChecked(True)
        self._tab_stop(key)

    def _tab_stop(self, key: str) -> None:
        """Tab comes to the chosen one, or to the first where none is; arrows go on from there."""
        stop = self._buttons.get(key) or next(iter(self._buttons.values()), None)
        for made in self._buttons.values():
            made.setFocusPolicy(Qt.FocusPolicy.StrongFocus if made is stop else Qt.FocusPolicy.ClickFocus)

    def grey(self, key: str, why_not: str) -> None:
        """Take a choice away with the reason, or give it back; one that is chosen can still be seen."""
        if key in self._buttons:
            set_enabled(self._buttons[key], not why_not, why_not)

    def choose_none(self) -> None:
        """Leave every choice open."""
        self._group.setExclusive(False)
        for made in self._buttons.values():
            made.setChecked(False)
        self._group.setExclusive(True)
        self._tab_stop("")

    def set_text(self, key: str, text: str) -> None:
        """Another text for a choice."""
        self._buttons[key].setText(text.replace("&", "&&"))

    def button(self, key: str) -> QPushButton:
        """The button of a choice, to disable it with a reason."""
        return self._buttons[key]


class Choice(QComboBox):
    """A closed list that the mouse wheel leaves alone."""

    def __init__(self, choices: Sequence[tuple[str, str]] = (), value: str = "") -> None:
        super().__init__()
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self._told = ""
        self.currentTextChanged.connect(self._tell_whole)
        for key, text in choices:
            self.addItem(text, key)
        self.set_value(value)

    def value(self) -> str:
        """The key that is chosen."""
        return str(self.currentData() or "")

    def set_value(self, key: str) -> None:
        """Choose by key."""
        place = self.findData(key)
        if place >= 0:
            self.setCurrentIndex(place)

    def tell(self, key: str, text: str, can_be_chosen: bool) -> None:
        """What is said of one of the choices, and whether it can be chosen."""
        place, model = self.findData(key), self.model()
        if place < 0 or not isinstance(model, QStandardItemModel):
            return
        self.setItemData(place, text, Qt.ItemDataRole.ToolTipRole)
        self.setItemData(place, text, Qt.ItemDataRole.AccessibleDescriptionRole)
        model.item(place).setEnabled(can_be_chosen)

    def wheelEvent(self, event: QWheelEvent) -> None:
        """Qt's own hook: scrolling a page must not change a setting under the cursor."""
        event.ignore()

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Qt's own hook."""
        super().resizeEvent(event)
        self._tell_whole()

    def paintEvent(self, _event: QPaintEvent) -> None:
        """Qt's own hook: where a text has no room it ends with an ellipsis, which a stylesheet's lists leave out."""
        painter, option = QStylePainter(self), QStyleOptionComboBox()
        self.initStyleOption(option)
        kind, part = QStyle.ComplexControl.CC_ComboBox, QStyle.SubControl.SC_ComboBoxEditField
        room = self.style().subControlRect(kind, option, part, self).width()
        option.currentText = self.fontMetrics().elidedText(option.currentText, Qt.TextElideMode.ElideRight, room)
        painter.drawComplexControl(kind, option)
        painter.drawControl(QStyle.ControlElement.CE_ComboBoxLabel, option)

    def _tell_whole(self) -> None:
        """The whole text is the tooltip where it has no room, unless there is another."""
        wide = QFontMetrics(self.font()).horizontalAdvance(self.currentText())
        whole = plain_tip(self.currentText()) if wide > self.width() - ARROW else ""
        if self.toolTip() == self._told:
            self.setToolTip(whole)
            self._told = whole


class Field(QLineEdit):
    """A line of text with an accessible name."""

    def __init__(self, text: str = "", hint: str = "", name: str = "") -> None:
        super().__init__(text)
        self.setPlaceholderText(hint)
        self.setObjectName(name)
        self.setMinimumWidth(60)


def scrolled(content: QWidget) -> QScrollArea:
    """The widget in an area that scrolls up and down only."""
    area = QScrollArea()
    area.setWidgetResizable(True)
    area.setFrameShape(QFrame.Shape.NoFrame)
    area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
    area.setWidget(content)
    area.setFocusPolicy(Qt.FocusPolicy.NoFocus)
    return area


class Number(Field):
    """A whole number between two others; what is typed counts at Enter or when the keyboard leaves."""

    changed = Signal(int)

    def __init__(self, least: int, most: int, value: int, name: str) -> None:
        super().__init__(name=name)
        self._least, self._most, self._value = least, most, value
        self.setAlignment(Qt.AlignmentFlag.AlignRight)
        self.setFixedWidth(112)
        self.editingFinished.connect(self._typed)
        self._show()

    def value(self) -> int:
        """The number."""
        return self._value

    def set_value(self, value: int, most: int | None = None) -> None:
        """Another number, and perhaps another limit; nobody is told."""
        self._most = self._most if most is None else max(self._least, most)
        self._value = max(self._least, min(value, self._most))
        if not self.hasFocus():
            self._show()

    def _show(self) -> None:
        self.setText(f"{self._value:,}")

    def _typed(self) -> None:
        digits = "".join(letter for letter in self.text() if letter.isdigit())
        value = max(self._least, min(int(digits or self._value), self._most))
        told, self._value = value != self._value, value
        self._show()
        if told:
            self.changed.emit(value)


class Bar(QWidget):
    """A thin progress bar."""

    def __init__(self, height: int = 8) -> None:
        super().__init__()
        self._share, self._colour = 0.0, ""
        self.setFixedHeight(height)
        self.setMinimumWidth(60)

    def set(self, share: float, colour: str = "") -> None:
        """Fill it by a share of one, in a colour (accent if none)."""
        self._share, self._colour = min(max(share, 0.0), 1.0), colour
        self.setAccessibleName(f"{100 * self._share:.0f}%")
        self.update()

    def paintEvent(self, _event: QPaintEvent) -> None:
        """Qt's own hook."""
        painter = QPainter(self)
        paint_bar(painter, 0, 0, self.width(), self.height(), self._share, self._colour)
        painter.end()


def paint_bar(painter: QPainter, x: int, y: int, width: int, height: int, share: float, colour: str) -> None:
    """Draw a progress bar; also used by item delegates."""
    t = tokens()
    painter.save()
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(QColor(t.hover))
    painter.drawRoundedRect(x, y, width, height, height / 2, height / 2)
    filled = round(width * share)
    if filled > 0:
        painter.setBrush(QColor(colour or t.accent))
        painter.drawRoundedRect(x, y, max(filled, height), height, height / 2, height / 2)
    painter.restore()
