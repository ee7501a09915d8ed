"""The queue under the list of runs: who is next and when, moved by dragging or by keys."""

from __future__ import annotations

from functools import partial

from PySide6.QtCore import QModelIndex, QPersistentModelIndex, QPoint, QRect, QSize, Qt, Signal, Slot
from PySide6.QtGui import QColor, QKeyEvent, QPainter
from PySide6.QtWidgets import (
    QAbstractItemView,
    QListView,
    QMenu,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QWidget,
)

from engine.contract.listing import QueueEntry
from forge_desktop.models.queue_model import EntryRole, QueueModel, starts_text
from forge_desktop.models.run_columns import PRIORITIES, priority_word
from forge_desktop.panels.run_cells import PRIORITY_TONES, RIGHT, font_of, paint_text
from forge_desktop.theme import icons
from forge_desktop.theme.controls import Card, Elided, button, label, paint_chip, row
from forge_desktop.theme.language import count, tr, word
from forge_desktop.theme.look import tokens

LINE = 34
LINES = 3
MOST_LINES = 8
Modifier = Qt.KeyboardModifier


class QueueDelegate(QStyledItemDelegate):
    """One line: place, name, priority, lane, likely start."""

    def sizeHint(self, _option: QStyleOptionViewItem, _index: QModelIndex | QPersistentModelIndex) -> QSize:
        """Qt's own hook."""
        return QSize(120, LINE)

    def paint(
        self, painter: QPainter, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex
    ) -> None:
        """Qt's own hook."""
        entry = index.data(EntryRole)
        if not isinstance(entry, QueueEntry):
            return
        t, box = tokens(), option.rect
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        if option.state & (QStyle.StateFlag.State_Selected | QStyle.StateFlag.State_MouseOver):
            chosen = bool(option.state & QStyle.StateFlag.State_Selected) and bool(
                option.state & QStyle.StateFlag.State_HasFocus
            )
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(QColor(t.accent_soft if chosen else t.surface2))
            painter.drawRoundedRect(box.adjusted(0, 1, 0, -1), 6, 6)
        _paint_line(painter, box.adjusted(6, 0, -8, 0), entry)
        painter.restore()


def _paint_line(painter: QPainter, box: QRect, entry: QueueEntry) -> None:
    t, run = tokens(), entry.run
    painter.drawPixmap(box.left(), box.center().y() - 6, icons.pixmap("grip-vertical", t.muted, 14))
    paint_text(painter, QRect(box.left() + 20, box.top(), 26, box.height()), str(entry.position), t.muted)
    when = tr("Retry {n}", n=run.retries) if run.retry_at is not None else starts_text(entry)
    right = QRect(box.right() - 110, box.top(), 110, box.height())
    paint_text(painter, right, when, t.text, 500, align=RIGHT)
    chip = word("priority", priority_word(run.priority))
    chip_width = font_of(12, 600)[1].horizontalAdvance(chip) + 16
    name = QRect(box.left() + 46, box.top(), max(40, right.left() - box.left() - 54 - chip_width - 10), box.height())
    width = min(font_of(13, 600)[1].horizontalAdvance(run.name), name.width())
    paint_text(painter, name, run.name, t.text, 600)
    tone = PRIORITY_TONES[priority_word(run.priority)]
    paint_chip(painter, name.left() + width + 10, box.center().y() - 11, chip, tone, "")


class QueueList(QListView):
    """Drag a line, or Alt+Up and Alt+Down."""

    opened = Signal(str)
    menu_wanted = Signal(object, QPoint)
    told = Signal(str)
    """Why it cannot be moved there."""

    def __init__(self, model: QueueModel) -> None:
        super().__init__()
        self._queue = model
        self.setObjectName("runs.queue.list")
        self.setAccessibleName(tr("Queue"))
        self.setAccessibleDescription(tr("Alt+Up and Alt+Down move a run, the menu key sets its priority."))
        self.setModel(model)
        self.setItemDelegate(QueueDelegate(self))
        self.setMouseTracking(True)
        self.setUniformItemSizes(True)
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setDragDropMode(QAbstractItemView.DragDropMode.InternalMove)
        self.setDefaultDropAction(Qt.DropAction.MoveAction)
        self.setDropIndicatorShown(True)
        self.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        self.customContextMenuRequested.connect(self._menu_at)
        self.doubleClicked.connect(self._open)
        self._chosen = ""
        model.modelAboutToBeReset.connect(self._note_chosen)
        model.modelReset.connect(self._choose_again)

    @Slot()
    def _note_chosen(self) -> None:
        entry = self._entry(self.currentIndex())
        self._chosen = entry.run.uid if entry is not None else ""

    @Slot()
    def _choose_again(self) -> None:
        row = self._queue.row_of(self._chosen)
        if row >= 0:
            self.setCurrentIndex(self._queue.index(row))

    def _entry(self, index: QModelIndex) -> QueueEntry | None:
        found = index.data(EntryRole)
        return found if isinstance(found, QueueEntry) else None

    @Slot(QModelIndex)
    def _open(self, index: QModelIndex) -> None:
        entry = self._entry(index)
        if entry is not None:
            self.opened.emit(entry.run.uid)

    @Slot(QPoint)
    def _menu_at(self, place: QPoint) -> None:
        entry = self._entry(self.indexAt(place))
        if entry is not None:
            self.menu_wanted.emit(entry, self.viewport().mapToGlobal(place))

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Qt's own hook."""
        key, held, index = event.key(), event.modifiers(), self.currentIndex()
        if key in (Qt.Key.Key_Up, Qt.Key.Key_Down) and held & Modifier.AltModifier:
            self.move_by(-1 if key == Qt.Key.Key_Up else 1)
        elif key in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and index.isValid():
            self._open(index)
        elif (key == Qt.Key.Key_Menu or (key == Qt.Key.Key_F10 and held & Modifier.ShiftModifier)) and index.isValid():
            entry = self._entry(index)
            if entry is not None:
                self.menu_wanted.emit(entry, self.viewport().mapToGlobal(self.visualRect(index).center()))
        else:
            super().keyPressEvent(event)

    def move_by(self, by: int) -> None:
        """Let the chosen run go one place up or down."""
        here = self.currentIndex().row()
        if here < 0:
            return
        why = self._queue.why_not(here, here + by)
        if why:
            self.told.emit(why)
            return
        self._queue.move(here, here + by)
        self.setCurrentIndex(self._queue.index(here + by))


class QueueCard(Card):
    """Hidden while nothing waits."""

    opened = Signal(str)
    told = Signal(str)

    def __init__(self, model: QueueModel) -> None:
        super().__init__(margins=(12, 10, 12, 10))
        self.setObjectName("runs.queue")
        self._model, self._whole = model, False
        self.list = QueueList(model)
        self._below = Elided("", "hint")
        self._more = button(tr("Show all"), "link", on_click=self._toggle, name="runs.queue.more")
        head = row(label(tr("Queue"), "card-title"), self._below, self._more, spacing=10, margins=(6, 0, 0, 0))
        head.setStretch(1, 1)
        self.body.setSpacing(6)
        self.body.addLayout(head)
        self.body.addWidget(self.list)
        self.body.addStretch(1)
        self.list.opened.connect(self.opened)
        self.list.told.connect(self.told)
        self.list.menu_wanted.connect(self._menu)
        model.modelReset.connect(self._refresh)
        model.loaded.connect(self._refresh)
        self._refresh()

    def _toggle(self) -> None:
        self._whole = not self._whole
        self._refresh()

    @Slot()
    def _refresh(self) -> None:
        number = len(self._model.entries)
        self.setVisible(bool(number))
        said = count(number, "1 run waits", "{n} runs wait")
        self._below.set_text(tr("{number} · by priority, then first come", number=said))
        self._more.setVisible(number > LINES)
        self._more.setText(tr("Show less") if self._whole else tr("Show all"))
        lines = min(number, MOST_LINES if self._whole else LINES)
        self.list.setFixedHeight(LINE * max(1, lines) + 4)

    @Slot(object, QPoint)
    def _menu(self, entry: QueueEntry, place: QPoint) -> None:
        self.menu_of(entry, self).popup(place)

    def menu_of(self, entry: QueueEntry, parent: QWidget) -> QMenu:
        """Priorities, places, and the run itself."""
        menu = QMenu(parent)
        menu.setObjectName("runs.queue.menu")
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        uid = entry.run.uid
        menu.addAction(tr("Open"), partial(self.opened.emit, uid))
        menu.addSection(tr("Priority"))
        for value, name in PRIORITIES:
            action = menu.addAction(word("priority", name), partial(self._model.set_priority, uid, value))
            action.setCheckable(True)
            action.setChecked(priority_word(entry.run.priority) == name)
        menu.addSeparator()
        menu.setToolTipsVisible(True)
        here = self._model.row_of(uid)
        first = next((n for n, other in enumerate(self._model.entries) if other.run.lane == entry.run.lane), here)
        for text, to in ((tr("Start next"), first), (tr("Move up"), here - 1), (tr("Move down"), here + 1)):
            action = menu.addAction(text, partial(self._model.move, here, to))
            why = tr("It is the first already.") if to == here else self._model.why_not(here, to)
            action.setEnabled(not why)
            action.setToolTip(why)
        return menu
