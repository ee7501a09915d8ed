"""A long list as rows of a table: pages are asked for when they come into sight, a few are kept."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any

from PySide6.QtCore import QAbstractTableModel, QModelIndex, QObject, QPersistentModelIndex, Qt, QTimer, Signal, Slot

from engine.contract.errors import ErrorBody
from forge_desktop.bridge.backend import Backend
from forge_desktop.bridge.session import Session
from forge_desktop.theme.language import labelled, tr

Index = QModelIndex | QPersistentModelIndex
ItemRole = int(Qt.ItemDataRole.UserRole) + 1
PAGE, KEPT = 200, 12
TYPING_MS = 250


class PagedModel(QAbstractTableModel):
    """Knows how many rows there are; which ones, only around those somebody looks at."""

    loaded = Signal()
    failed = Signal(object)
    """ErrorBody."""
    titles: tuple[tuple[str, str], ...] = ()
    """Key and English title of each column."""

    def __init__(self, session: Session, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._session = session
        self.total = 0
        self.complete = True
        self.has_loaded = False
        self._pages: OrderedDict[int, Sequence[Any]] = OrderedDict()
        self._on_the_way: set[int] = set()
        self._asked = 0
        self._soon = QTimer(self, singleShot=True, interval=TYPING_MS)
        self._soon.timeout.connect(self.fetch)

    def request(self, offset: int, limit: int) -> Callable[[Backend], Any] | None:
        """The question for a piece; None: there is nothing to ask yet."""
        raise NotImplementedError

    def items(self, answer: Any) -> Sequence[Any]:
        """The rows in an answer."""
        raise NotImplementedError

    def cell_text(self, item: Any, key: str) -> str:
        """What a cell says."""
        raise NotImplementedError

    @Slot()
    def fetch(self) -> None:
        """Ask anew, from the beginning."""
        self._asked += 1
        self._on_the_way.clear()
        self._ask(0, fresh=True)

    def fetch_soon(self) -> None:
        """When nobody types any more."""
        self._soon.start()

    def _ask(self, number: int, fresh: bool = False) -> None:
        work = self.request(number * PAGE, PAGE)
        if work is None or number in self._on_the_way:
            return
        self._on_the_way.add(number)
        asked = self._asked
        self._session.ask(
            work,
            lambda answer: self._got(asked, number, answer, fresh),
            lambda error: self._missed(asked, number, error),
            owner=self,
        )

    def _got(self, asked: int, number: int, answer: Any, fresh: bool) -> None:
        if asked != self._asked:
            return
        self._on_the_way.discard(number)
        found, total = self.items(answer), int(answer.total)
        self.complete = bool(getattr(answer, "complete", True))
        if fresh or total != self.total:
            self.beginResetModel()
            self._pages = OrderedDict({number: found})
            self.total, self.has_loaded = total, True
            self.endResetModel()
        else:
            self._pages[number] = found
            while len(self._pages) > KEPT:
                self._pages.popitem(last=False)
            first, last = number * PAGE, number * PAGE + len(found) - 1
            self.dataChanged.emit(self.index(first, 0), self.index(max(first, last), self.columnCount() - 1))
        self.loaded.emit()

    def _missed(self, asked: int, number: int, error: ErrorBody) -> None:
        if asked == self._asked:
            self._on_the_way.discard(number)
            self.failed.emit(error)

    def item_at(self, row: int) -> Any:
        """What stands in a row; None while it is still to come, and it is asked for."""
        number, place = divmod(row, PAGE)
        page = self._pages.get(number)
        if page is None:
            if 0 <= row < self.total:
                self._ask(number)
            return None
        self._pages.move_to_end(number)
        return page[place] if place < len(page) else None

    def rowCount(self, parent: Index = QModelIndex()) -> int:
        """Qt's own hook."""
        return 0 if parent.isValid() else self.total

    def columnCount(self, parent: Index = QModelIndex()) -> int:
        """Qt's own hook."""
        return 0 if parent.isValid() else len(self.titles)

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Qt's own hook."""
        if orientation is Qt.Orientation.Horizontal and role == Qt.ItemDataRole.DisplayRole:
            return tr(self.titles[section][1])
        if orientation is Qt.Orientation.Horizontal and role == Qt.ItemDataRole.TextAlignmentRole:
            return Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft
        return None

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Qt's own hook."""
        if not index.isValid() or role not in (
            Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.AccessibleTextRole, ItemRole
        ):  # fmt: skip
            return None
        item = self.item_at(index.row())
        if role == ItemRole or item is None:
            return item if role == ItemRole else ""
        key, title = self.titles[index.column()]
        text = self.cell_text(item, key)
        return text if role == Qt.ItemDataRole.DisplayRole else labelled(tr(title), text)
