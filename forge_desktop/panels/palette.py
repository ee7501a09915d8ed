"""The command palette: type a few letters, choose with the arrows, Enter. Esc gives the keyboard back."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QEvent, QModelIndex, QObject, QPersistentModelIndex, QRect, QSize, Qt, Slot
from PySide6.QtGui import QColor, QFont, QFontMetrics, QKeyEvent, QMouseEvent, QPainter, QPaintEvent
from PySide6.QtWidgets import (
    QApplication,
    QFrame,
    QGraphicsDropShadowEffect,
    QLineEdit,
    QListView,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QWidget,
)

from forge_desktop.models.palette_model import Offer, OfferRole, PaletteModel
from forge_desktop.theme import icons
from forge_desktop.theme.controls import column, label, line, row
from forge_desktop.theme.language import tr
from forge_desktop.theme.look import tokens, ui_font

WIDTH, TOP, ROW_HEIGHT, ROWS = 660, 84, 46, 9
MOVES = {Qt.Key.Key_Down: 1, Qt.Key.Key_Up: -1, Qt.Key.Key_PageDown: ROWS - 1, Qt.Key.Key_PageUp: 1 - ROWS}
Index = QModelIndex | QPersistentModelIndex


class Palette(QWidget):
    """Lies over the window while it is open; everything else waits."""

    def __init__(self, parent: QWidget, make_model: Callable[[QObject], PaletteModel]) -> None:
        super().__init__(parent)
        self.setObjectName("palette")
        self.setAccessibleName(tr("All commands"))
        self._over, self._make_model = parent, make_model
        self._back_to: QWidget | None = None
        self.model: PaletteModel | None = None
        self.field = QLineEdit()
        self.field.setObjectName("palette.field")
        self.field.setProperty("role", "palette")
        self.field.setAccessibleName(tr("Command, or name of a run"))
        self.field.setPlaceholderText(tr("Type a command, or the name of a run…"))
        self.field.installEventFilter(self)
        self.view = QListView()
        self.view.setObjectName("palette.list")
        self.view.setAccessibleName(tr("Commands"))
        self.view.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.view.setItemDelegate(OfferDelegate(self.view))
        self.view.setMouseTracking(True)
        self.view.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.view.clicked.connect(self._give)
        self._none = label("", "hint")
        self._none.setObjectName("palette.none")
        self._none.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self._none.setMinimumHeight(ROW_HEIGHT)
        self._build()
        parent.installEventFilter(self)
        self.hide()

    def _build(self) -> None:
        self._card = QFrame(self)
        self._card.setProperty("role", "overlay")
        glass = label()
        glass.setPixmap(icons.pixmap("search", tokens().muted, 18))
        keys = label(tr("↑ ↓ to choose · Enter to do it · Esc to close"), "hint")
        head = row(glass, self.field, spacing=10, margins=(18, 10, 18, 10))
        layout = column(spacing=0)
        layout.addLayout(head)
        layout.addWidget(line())
        layout.addLayout(column(self.view, self._none, margins=(8, 8, 8, 8), spacing=0))
        layout.addWidget(line())
        layout.addLayout(row(keys, None, margins=(18, 8, 18, 8)))
        self._card.setLayout(layout)
        shadow = QGraphicsDropShadowEffect(self, blurRadius=48, xOffset=0, yOffset=12)
        colour = self.palette().shadow().color()
        colour.setAlpha(110)
        shadow.setColor(colour)
        self._card.setGraphicsEffect(shadow)

    def open(self) -> None:
        """Appear, empty, with the keyboard."""
        if self.isVisible():
            return
        self._back_to = QApplication.focusWidget()
        self.model = self._make_model(self)
        self.view.setModel(self.model)
        self.model.offered.connect(self._offered)
        self.field.clear()
        self.field.textChanged.connect(self.model.set_text)
        self.setGeometry(self._over.rect())
        self.show()
        self.raise_()
        self._offered()
        self.field.setFocus(Qt.FocusReason.ShortcutFocusReason)

    def dismiss(self) -> None:
        """Go, and give the keyboard back to where it was."""
        if self.isHidden():
            return
        self.hide()
        self.view.setModel(None)
        if self.model is not None:
            self.field.textChanged.disconnect(self.model.set_text)
            self.model.deleteLater()
            self.model = None
        if self._back_to is not None and self._back_to.isVisible():
            self._back_to.setFocus()
        self._back_to = None

    @Slot()
    def _offered(self) -> None:
        if self.model is None:
            return
        number = len(self.model.offers)
        self.view.setVisible(number > 0)
        self._none.setVisible(number == 0)
        self._none.setText(tr("Searching the runs…") if self.model.searching else tr("Nothing fits. Try other words."))
        self.view.setFixedHeight(ROW_HEIGHT * min(max(number, 1), ROWS) + 4)
        if number:
            self.view.setCurrentIndex(self.model.index(0))
        self._place()

    def _place(self) -> None:
        width = min(WIDTH, self.width() - 80)
        layout = self._card.layout()
        if layout is not None:
            self._card.setFixedWidth(width)
            layout.invalidate()
            layout.activate()
            self._card.setFixedHeight(layout.totalSizeHint().height())
        self._card.move((self.width() - width) // 2, min(TOP, max(12, self.height() - self._card.height() - 12)))

    def _move(self, by: int) -> None:
        if self.model is None or not self.model.offers:
            return
        last = len(self.model.offers) - 1
        now = self.view.currentIndex().row()
        wraps = abs(by) == 1
        place = (now + by) % (last + 1) if wraps else min(max(now + by, 0), last)
        self.view.setCurrentIndex(self.model.index(place))
        self.view.scrollTo(self.view.currentIndex())

    @Slot(QModelIndex)
    def _give(self, index: QModelIndex) -> None:
        """Do what a line says; a line that cannot act stays, and says why."""
        offer = index.data(OfferRole)
        if not isinstance(offer, Offer) or offer.why_not or self.model is None:
            return
        self.model.choose(offer)
        self.dismiss()
        offer.do()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Qt's own hook: the window's size, and the keys of the field."""
        if watched is self._over and event.type() == QEvent.Type.Resize:
            self.setGeometry(self._over.rect())
            self._place()
        if watched is self.field and isinstance(event, QKeyEvent) and event.type() == QEvent.Type.KeyPress:
            return self._key(event)
        return super().eventFilter(watched, event)

    def _key(self, event: QKeyEvent) -> bool:
        key = Qt.Key(event.key())
        if key in MOVES:
            self._move(MOVES[key])
        elif key in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            self._give(self.view.currentIndex())
        elif key == Qt.Key.Key_Escape:
            self.dismiss()
        elif key not in (Qt.Key.Key_Tab, Qt.Key.Key_Backtab):
            return False
        return True

    def focusNextPrevChild(self, _next: bool) -> bool:
        """Qt's own hook: the keyboard stays in the field."""
        return True

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Qt's own hook: a click beside it closes it."""
        if not self._card.geometry().contains(event.position().toPoint()):
            self.dismiss()

    def paintEvent(self, _event: QPaintEvent) -> None:
        """Qt's own hook: what lies behind is dimmed."""
        painter = QPainter(self)
        colour = self.palette().shadow().color()
        colour.setAlpha(90 if tokens().dark else 50)
        painter.fillRect(self.rect(), colour)
        painter.end()


class OfferDelegate(QStyledItemDelegate):
    """Draws a line: icon, name with the letters that were typed, group, shortcut, or why it cannot act."""

    def sizeHint(self, _option: QStyleOptionViewItem, _index: Index) -> QSize:
        """Qt's own hook."""
        return QSize(200, ROW_HEIGHT)

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        """Qt's own hook."""
        offer = index.data(OfferRole)
        if not isinstance(offer, Offer):
            return
        t, box = tokens(), option.rect
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        if option.state & QStyle.StateFlag.State_Selected:
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(QColor(t.accent_soft))
            painter.drawRoundedRect(box.adjusted(0, 1, 0, -1), 8, 8)
        weak = bool(offer.why_not)
        painter.drawPixmap(
            box.left() + 12, box.center().y() - 8, icons.pixmap(offer.icon, t.muted if weak else t.secondary)
        )
        right = _right(painter, box, offer)
        room = QRect(box.left() + 42, box.top(), right - box.left() - 54, box.height())
        below = offer.why_not or offer.detail
        if below:
            upper, lower = room.adjusted(0, 4, 0, -22), room.adjusted(0, 22, 0, -4)
            places = frozenset() if offer.why_not else offer.detail_places
            _letters(painter, lower, below, places, ui_font(11), t.muted)
            room = upper
        _letters(painter, room, offer.text, offer.places, ui_font(13, 500), t.muted if weak else t.text)
        painter.restore()


def _right(painter: QPainter, box: QRect, offer: Offer) -> int:
    """The shortcut as a key and the group before it; where they begin."""
    t, font = tokens(), ui_font(11, 500)
    painter.setFont(font)
    right = box.right() - 12
    if offer.keys:
        width = QFontMetrics(font).horizontalAdvance(offer.keys) + 14
        cap = QRect(right - width, box.center().y() - 11, width, 22)
        painter.setPen(QColor(t.border_strong))
        painter.setBrush(QColor(t.surface2))
        painter.drawRoundedRect(cap, 5, 5)
        painter.setPen(QColor(t.secondary))
        painter.drawText(cap, Qt.AlignmentFlag.AlignCenter, offer.keys)
        right -= width + 10
    width = QFontMetrics(font).horizontalAdvance(offer.group) + 2
    painter.setPen(QColor(t.muted))
    painter.drawText(QRect(right - width, box.top(), width, box.height()), Qt.AlignmentFlag.AlignVCenter, offer.group)
    return right - width


def _letters(painter: QPainter, box: QRect, text: str, places: frozenset[int], font: QFont, colour: str) -> None:
    """A text whose found letters are bold, underlined and in the accent colour; it ends in … where room is short."""
    strong = QFont(font)
    strong.setWeight(QFont.Weight.Bold)
    strong.setUnderline(True)
    metrics, bold = QFontMetrics(font), QFontMetrics(strong)
    x = box.left()
    for place, letter in enumerate(text):
        hit = place in places
        width = (bold if hit else metrics).horizontalAdvance(letter)
        if x + width > box.right() - metrics.horizontalAdvance("…") and place < len(text) - 1:
            letter, hit, width = "…", False, box.right() - x
        painter.setFont(strong if hit else font)
        painter.setPen(QColor(tokens().accent_text if hit else colour))
        painter.drawText(QRect(x, box.top(), width + 2, box.height()), Qt.AlignmentFlag.AlignVCenter, letter)
        if letter == "…" and width == box.right() - x:
            break
        x += width
