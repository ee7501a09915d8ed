"""The notice centre: the last notices by day, to open, mark and clear."""

from __future__ import annotations

from PySide6.QtCore import QModelIndex, QPersistentModelIndex, QRect, QSize, Qt, Signal, Slot
from PySide6.QtGui import QColor, QFontMetrics, QKeyEvent, QPainter
from PySide6.QtWidgets import QListView, QStackedWidget, QStyle, QStyledItemDelegate, QStyleOptionViewItem, QWidget

from forge_desktop.models.notice_book import NoticeBook
from forge_desktop.models.notice_rows import NoticeRole, NoticeRows
from forge_desktop.models.notices import KIND_TEXTS, LOOKS, Notice, text, title
from forge_desktop.panels.page import Hint
from forge_desktop.panels.toast import ink
from forge_desktop.theme import icons
from forge_desktop.theme.controls import Choice, button, column, label, row, set_enabled
from forge_desktop.theme.language import count, tr
from forge_desktop.theme.look import tokens, ui_font
from forge_desktop.theme.measures import ago

DAY_HEIGHT, ROW_HEIGHT, LEFT = 34, 74, 40
Index = QModelIndex | QPersistentModelIndex


class NoticeCenter(QWidget):
    """What was told, and what can be done with it."""

    opened = Signal(object)
    """The notice somebody wants to see."""
    navigate = Signal(str)

    def __init__(self, book: NoticeBook, kind: str = "all") -> None:
        super().__init__()
        self.setObjectName("notices")
        self._book = book
        self._rows = NoticeRows(book, self)
        self.kind = Choice([(key, tr(text)) for key, text in KIND_TEXTS], kind)
        self.kind.setObjectName("notices.kind")
        self.kind.setAccessibleName(tr("Kind of notice"))
        self.kind.setMinimumWidth(172)
        self.kind.currentIndexChanged.connect(self._filter)
        self._read = button(tr("Mark all read"), "link", "check-check", lambda: book.mark_read(), "notices.read")
        self._clear = button("", "quiet", "trash-2", book.clear, "notices.clear", tr("Clear"))
        self._clear.setFixedWidth(38)
        self._quiet = label("", "hint", wrap=True)
        self._quiet.setObjectName("notices.quiet")
        self.view = NoticeList(self._rows)
        self.view.chosen.connect(self._open)
        text_of_none = tr("What happens to your runs while you look elsewhere is told here.")
        self._nothing = Hint("bell", tr("No notices"), text_of_none)
        self._stack = QStackedWidget()
        self._stack.addWidget(self.view)
        self._stack.addWidget(self._nothing)
        settings = button(
            tr("What is told, and when"), "link", "settings",
            lambda: self.navigate.emit("settings/notifications"), "notices.settings",
        )  # fmt: skip
        layout = column(self._quiet, spacing=10)
        layout.insertLayout(0, row(self.kind, None, self._read, self._clear, spacing=6))
        layout.addWidget(self._stack, 1)
        layout.addLayout(row(settings, None))
        self.setLayout(layout)
        self.setFocusProxy(self.view)
        book.changed.connect(self._refresh)
        self._filter()

    @Slot()
    def _filter(self) -> None:
        self._rows.show_kind(self.kind.value())
        self._refresh()

    @Slot()
    def _refresh(self) -> None:
        self._stack.setCurrentWidget(self.view if self._rows.rowCount() else self._nothing)
        until = self._book.wishes.quiet_until
        self._quiet.setText(tr("Quiet hours until {time}: nothing pops up.", time=until) if self._book.quiet else "")
        self._quiet.setVisible(self._book.quiet)
        set_enabled(self._read, self._book.unread > 0, tr("Everything is read."))
        self._clear.setEnabled(bool(self._book.list))
        self._clear.setToolTip(tr("Clear") if self._book.list else tr("There is nothing to clear."))
        self.view.setAccessibleDescription(count(self._book.unread, "1 unread notice", "{n} unread notices"))

    @Slot(object)
    def _open(self, notice: Notice) -> None:
        self._book.mark_read(notice.key)
        if notice.address:
            self.opened.emit(notice)


class NoticeList(QListView):
    """Rows of notices; Enter or a click opens one."""

    chosen = Signal(object)

    def __init__(self, rows: NoticeRows) -> None:
        super().__init__()
        self._rows = rows
        self.setObjectName("notices.list")
        self.setAccessibleName(tr("Notices"))
        self.setModel(rows)
        self.setItemDelegate(NoticeDelegate(self))
        self.setMouseTracking(True)
        self.setResizeMode(QListView.ResizeMode.Adjust)
        self.setVerticalScrollMode(QListView.ScrollMode.ScrollPerPixel)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.clicked.connect(self._choose)

    @Slot(QModelIndex)
    def _choose(self, index: QModelIndex) -> None:
        notice = self._rows.notice_at(index)
        if notice is not None:
            self.chosen.emit(notice)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Qt's own hook."""
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter, Qt.Key.Key_Space):
            self._choose(self.currentIndex())
            return
        super().keyPressEvent(event)


class NoticeDelegate(QStyledItemDelegate):
    """Draws a day's heading or a notice: icon, what, the rest, when, and a dot while it is unread."""

    def sizeHint(self, _option: QStyleOptionViewItem, index: Index) -> QSize:
        """Qt's own hook."""
        found = index.data(NoticeRole)
        if not isinstance(found, Notice):
            return QSize(200, DAY_HEIGHT)
        view = self.parent()
        room = (view.viewport().width() if isinstance(view, NoticeList) else 360) - LEFT - 16
        said = QFontMetrics(ui_font(12)).horizontalAdvance(text(found))
        return QSize(200, 40 if not said else 58 if said <= room else ROW_HEIGHT)

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        """Qt's own hook."""
        found = index.data(NoticeRole)
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        box = option.rect
        if isinstance(found, Notice):
            state = option.state
            chosen = bool(state & QStyle.StateFlag.State_Selected)
            over = bool(state & QStyle.StateFlag.State_MouseOver)
            _paint_notice(painter, box, found, chosen, over)
        else:
            painter.setFont(ui_font(11, 600))
            painter.setPen(QColor(tokens().muted))
            painter.drawText(box.adjusted(8, 8, -8, 0), Qt.AlignmentFlag.AlignVCenter, str(found or ""))
        painter.restore()


def _paint_notice(painter: QPainter, box: QRect, notice: Notice, chosen: bool, over: bool) -> None:
    t = tokens()
    inner = box.adjusted(0, 1, -4, -1)
    if chosen or over:
        painter.setPen(QColor(t.accent) if chosen else Qt.PenStyle.NoPen)
        painter.setBrush(QColor(t.surface2))
        painter.drawRoundedRect(inner.adjusted(1, 1, -1, -1), 8, 8)
    painter.drawPixmap(inner.left() + 10, inner.top() + 11, icons.pixmap(LOOKS[notice.kind][1], ink(notice.kind), 18))
    width = inner.width() - LEFT - 12
    when, font = ago(notice.at), ui_font(12)
    painter.setFont(font)
    painter.setPen(QColor(t.muted))
    room = QFontMetrics(font).horizontalAdvance(when)
    top, left = inner.top() + 9, inner.left() + LEFT
    painter.drawText(QRect(inner.right() - 12 - room, top, room + 2, 20), Qt.AlignmentFlag.AlignVCenter, when)
    if not notice.read:
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(t.accent))
        painter.drawEllipse(inner.right() - 12 - room - 14, top + 6, 8, 8)
    bold = ui_font(13, 400 if notice.read else 600)
    painter.setFont(bold)
    painter.setPen(QColor(t.text))
    shown = QFontMetrics(bold).elidedText(title(notice), Qt.TextElideMode.ElideMiddle, width - room - 24)
    painter.drawText(QRect(left, top, width - room - 20, 20), Qt.AlignmentFlag.AlignVCenter, shown)
    painter.setFont(font)
    painter.setPen(QColor(t.secondary))
    _draw_two_lines(painter, QRect(left, top + 20, width, 36), text(notice), QFontMetrics(font))


def _draw_two_lines(painter: QPainter, box: QRect, said: str, metrics: QFontMetrics) -> None:
    """As much as two lines hold, with … where more was said."""
    flags = int(Qt.TextFlag.TextWordWrap | Qt.AlignmentFlag.AlignTop | Qt.AlignmentFlag.AlignLeft)
    shown = said
    if metrics.boundingRect(QRect(0, 0, box.width(), 1000), flags, said).height() > 2 * metrics.lineSpacing():
        low, high = 0, len(said)
        while low < high:
            middle = (low + high + 1) // 2
            tall = metrics.boundingRect(QRect(0, 0, box.width(), 1000), flags, said[:middle] + "…").height()
            low, high = (middle, high) if tall <= 2 * metrics.lineSpacing() else (low, middle - 1)
        shown = said[:low].rstrip() + "…"
    painter.drawText(box, flags, shown)
