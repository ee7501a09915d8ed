"""Every instance as rows of a table: asked for again and again while somebody looks, filtered here."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from PySide6.QtCore import QObject, QTimer, Signal, Slot

from engine.contract.errors import ErrorBody
from engine.contract.nodes import DeedResult, Instance, Instances, InstanceVerb
from forge_desktop.bridge.session import Session
from forge_desktop.models.instance_words import AT_WORK, age_of, cell_text, matches, tip_of
from forge_desktop.models.record_model import Column, RecordModel

EVERY_MS = 3000
FACETS = ("kind", "state", "node")
STATES = ("running", "created", "paused", "unreachable", "exited", "gone")


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
SORTED = frozenset(column.key for column in COLUMNS if column.key != "more")
LARGEST_FIRST = frozenset({"cpu", "memory", "age"})
"""Of these somebody looks for the most."""


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


class InstancesModel(RecordModel):
    """Rows keep their place while figures change; the table is told when rows come or go."""

    columns = COLUMNS
    loaded = Signal()
    failed = Signal(object)
    """ErrorBody: they could not be asked for."""
    filtered = Signal()
    sorted = Signal()

    def __init__(self, session: Session, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._session = session
        self.all: list[Instance] = []
        self.unreachable: dict[str, ErrorBody] = {}
        self.filter = Filter()
        self.sort_key, self.falling = "", False
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

    def sort_by(self, key: str, falling: bool | None = None) -> None:
        """Another order. Again the same: the other way round, then the usual one; an empty key is that at once."""
        first = key in LARGEST_FIRST
        if falling is not None or key != self.sort_key:
            self.sort_key, self.falling = key, first if falling is None else falling
        elif self.falling is first:
            self.falling = not first
        else:
            self.sort_key = ""
        if self.sort_key not in SORTED:
            self.sort_key, self.falling = "", False
        self._arrange()
        self.sorted.emit()

    def _in_order(self) -> list[Instance]:
        if not self.sort_key:
            return self.all
        now = time.time()
        values = {one.id: sort_value(one, self.sort_key, now) for one in self.all}
        known = [one for one in self.all if values[one.id] is not None]
        known.sort(key=lambda one: values[one.id], reverse=self.falling)
        return [*known, *(one for one in self.all if values[one.id] is None)]  # what is not known is never the most

    def _arrange(self) -> None:
        shown = [one for one in self._in_order() if self.filter.takes(one)]
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

    def do(self, verb: InstanceVerb, ids: Sequence[str], done: Callable[[DeedResult], object],
           failed: Callable[[ErrorBody], object], force: bool = False) -> None:  # fmt: skip
        """Do it to some, and look again; `force`: adopt also what a controller of another computer made."""

        def answered(result: DeedResult) -> None:
            self.fetch()
            done(result)

        self._session.ask(lambda backend: backend.instance_deed(list(ids), verb, force), answered, failed, owner=self)

    def cell_text(self, record: Instance, key: str) -> str:
        """What a cell says."""
        return cell_text(record, key)

    def tip_of(self, record: Instance, key: str) -> str:  # noqa: ARG002
        """The same for all cells of a row."""
        return tip_of(record)

    def key_of(self, record: Instance) -> str:
        """What an instance is known by."""
        return record.id


def sort_value(one: Instance, key: str, now: float) -> Any:
    """What rows are sorted by; None where it is not known."""
    match key:
        case "state":
            return not one.known, STATES.index(one.state) if one.state in STATES else len(STATES), one.exit_code or 0
        case "devices":
            return (len(one.devices), one.devices) if one.devices else None
        case "cpu":
            return one.cpu_percent
        case "memory":
            return one.memory
        case "age":
            return age_of(one, now)
        case "expires":
            return one.expires
    return cell_text(one, key).casefold()


def _rank(one: Instance) -> tuple[bool, str, bool, float]:
    """Those nobody knows first; then by node, those at work before those that ended, the newest first."""
    return one.known, one.node, one.state not in AT_WORK, -(one.created or 0.0)
