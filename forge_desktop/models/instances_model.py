"""Every instance as rows of a table: asked for again and again while somebody looks, filtered here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from PySide6.QtCore import QAbstractTableModel, QModelIndex, QObject, QPersistentModelIndex, Qt, QTimer, Signal, Slot

from engine.contract.errors import ErrorBody
from engine.contract.nodes import DeedResult, Instance, Instances, InstanceVerb
from forge_desktop.bridge.session import Session
from forge_desktop.models.instance_words import AT_WORK, cell_text, matches, tip_of
from forge_desktop.theme.language import labelled, tr

Index = QModelIndex | QPersistentModelIndex
InstanceRole = int(Qt.ItemDataRole.UserRole) + 1
EVERY_MS = 3000
FACETS = ("kind", "state", "node")
STATES = ("running", "created", "paused", "unreachable", "exited", "gone")


@dataclass(frozen=True)
class Column:
    """One column; `rank` 0 stays longest where room is short."""

    key: str
    title: str
    width: int
    rank: int = 0
    right: bool = False


COLUMNS = (
    Column("kind", "Kind", 136),
    Column("run", "Run", 180),
    Column("node", "Node", 134),
    Column("state", "State", 160),
    Column("devices", "Devices", 92, 4),
    Column("cpu", "CPU", 66, 3, right=True),
    Column("memory", "Memory", 88, 2, right=True),
    Column("age", "Age", 110, right=True),
    Column("expires", "Removed in", 106, 1, right=True),
    Column("more", "More", 50),
)
PLACE = {column.key: place for place, column in enumerate(COLUMNS)}


@dataclass(frozen=True)
class Filter:
    """What is shown: words, and for each facet the values wanted (none: all)."""

    text: str = ""
    wanted: dict[str, frozenset[str]] = field(default_factory=dict)

    def takes(self, one: Instance, but: str = "") -> bool:
        """It is shown; `but` leaves one facet out of account."""
        fits = all(
            not values or str(getattr(one, facet)) in values for facet, values in self.wanted.items() if facet != but
        )
        return fits and matches(one, self.text)

    @property
    def is_open(self) -> bool:
        """It takes everything."""
        return not self.text.strip() and not any(self.wanted.values())


class InstancesModel(QAbstractTableModel):
    """Rows keep their place while figures change; the table is told when rows come or go."""

    loaded = Signal()
    failed = Signal(object)
    """ErrorBody: they could not be asked for."""
    filtered = Signal()

    def __init__(self, session: Session, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._session = session
        self.all: list[Instance] = []
        self.rows: list[Instance] = []
        self.unreachable: dict[str, ErrorBody] = {}
        self.filter = Filter()
        self.has_loaded = False
        self._asked = 0
        self._is_asking = False
        self._again = QTimer(self, interval=EVERY_MS)
        self._again.timeout.connect(self._tick)
        session.online.connect(self.fetch)

    def watch(self, on: bool) -> None:
        """Somebody looks, or nobody any more."""
        if on:
            self._again.start()
        else:
            self._again.stop()

    @Slot()
    def _tick(self) -> None:
        if self._session.is_online and not self._is_asking:
            self.fetch()

    @Slot()
    def fetch(self) -> None:
        """Ask again; an older answer that comes late is dropped."""
        self._asked += 1
        self._is_asking = True
        asked = self._asked
        self._session.ask(
            lambda backend: backend.instances(),
            lambda found: self._got(asked, found),
            lambda error: self._lost(asked, error),
            owner=self,
        )

    def _got(self, asked: int, found: Instances) -> None:
        if asked != self._asked:
            return
        self._is_asking = False
        self.has_loaded = True
        self.all = sorted(found.instances, key=_rank)
        self.unreachable = dict(found.unreachable)
        self._arrange()
        self.loaded.emit()

    def _lost(self, asked: int, error: ErrorBody) -> None:
        if asked == self._asked:
            self._is_asking = False
            self.failed.emit(error)

    def set_filter(self, wanted: Filter) -> None:
        """Show others."""
        self.filter = wanted
        self._arrange()
        self.filtered.emit()

    def _arrange(self) -> None:
        shown = [one for one in self.all if self.filter.takes(one)]
        if [one.id for one in shown] == [one.id for one in self.rows]:
            self.rows = shown
            if shown:
                self.dataChanged.emit(self.index(0, 0), self.index(len(shown) - 1, len(COLUMNS) - 1))
            return
        self.beginResetModel()
        self.rows = shown
        self.endResetModel()

    def counts(self, facet: str) -> dict[str, int]:
        """The values of a facet, each with how many there would be of it."""
        found = Counter(str(getattr(one, facet)) for one in self.all if self.filter.takes(one, but=facet))
        every = {str(getattr(one, facet)) for one in self.all}
        order = STATES if facet == "state" else sorted(every)
        return {value: found.get(value, 0) for value in order if value in every}

    @property
    def strangers(self) -> list[Instance]:
        """Those the history does not know and that can be adopted."""
        return [one for one in self.all if not one.known and one.state != "unreachable"]

    def find(self, name: str) -> Instance | None:
        """One of them by id."""
        return next((one for one in self.all if one.id == name), None)

    def row_of(self, name: str) -> int:
        """Where it stands; -1 if it is not shown."""
        return next((row for row, one in enumerate(self.rows) if one.id == name), -1)

    def instance_at(self, index: Index) -> Instance | None:
        """The instance of a row."""
        return self.rows[index.row()] if index.isValid() and index.row() < len(self.rows) else None

    def do(self, verb: InstanceVerb, ids: Sequence[str], done: Callable[[DeedResult], object],
           failed: Callable[[ErrorBody], object]) -> None:  # fmt: skip
        """Do it to some, and look again."""

        def answered(result: DeedResult) -> None:
            self.fetch()
            done(result)

        self._session.ask(lambda backend: backend.instance_deed(list(ids), verb), answered, failed, owner=self)

    def rowCount(self, parent: Index = QModelIndex()) -> int:
        """Qt's own hook."""
        return 0 if parent.isValid() else len(self.rows)

    def columnCount(self, parent: Index = QModelIndex()) -> int:
        """Qt's own hook."""
        return 0 if parent.isValid() else len(COLUMNS)

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Qt's own hook."""
        if orientation is not Qt.Orientation.Horizontal:
            return None
        column = COLUMNS[section]
        if role == Qt.ItemDataRole.DisplayRole:
            return "" if column.key == "more" else tr(column.title)
        if role == Qt.ItemDataRole.TextAlignmentRole:
            side = Qt.AlignmentFlag.AlignRight if column.right else Qt.AlignmentFlag.AlignLeft
            return Qt.AlignmentFlag.AlignVCenter | side
        return tr(column.title) if role == Qt.ItemDataRole.AccessibleTextRole else None

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Qt's own hook."""
        one = self.instance_at(index)
        if one is None:
            return None
        column = COLUMNS[index.column()]
        if role == InstanceRole:
            return one
        if role == Qt.ItemDataRole.DisplayRole:
            return cell_text(one, column.key)
        if role == Qt.ItemDataRole.AccessibleTextRole:
            return labelled(tr(column.title), cell_text(one, column.key))
        return tip_of(one) if role == Qt.ItemDataRole.ToolTipRole else None


def _rank(one: Instance) -> tuple[bool, str, bool, float]:
    """Those nobody knows first; then by node, those at work before those that ended, the newest first."""
    return one.known, one.node, one.state not in AT_WORK, -(one.created or 0.0)
