"""The library of adapters as rows of a table: asked for whole, searched and sorted here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from PySide6.QtCore import QObject, Qt, QTimer, Signal, Slot

from engine.contract.adapter_library import AdapterEntry, AdapterShelf
from engine.contract.api import RunSummary
from forge_desktop.bridge.session import Session
from forge_desktop.models.adapter_words import base_of, below_name, cell_text, datasets_of, mark_of, others_of
from forge_desktop.models.record_model import Column, RecordModel
from forge_desktop.theme.measures import moment

SOON_MS = 300
"""News of runs come in crowds."""

COLUMNS = (
    Column("name", "Name", 220),
    Column("base", "Base model", 150, 2),
    Column("method", "Method", 96, 3),
    Column("bytes", "On disk", 86, 4, right=True),
    Column("run", "Run", 130, 7),
    Column("dataset", "Dataset", 130, 8),
    Column("score", "Score", 78, 5, right=True),
    Column("loss", "Loss", 74, 6, right=True),
    Column("created", "Created", 104, 1, right=True),
    Column("more", "More", 50),
)
PLACE = {column.key: place for place, column in enumerate(COLUMNS)}
FALLING = ("bytes", "score", "created")
"""Columns whose greatest value comes first at the first click."""


class AdaptersModel(RecordModel):
    """Asks again when a run ends or goes, so that what it made appears by itself."""

    columns = COLUMNS
    loaded = Signal()
    failed = Signal(object)
    """ErrorBody: the library could not be asked for."""

    def __init__(self, session: Session, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._session = session
        self.all: list[AdapterEntry] = []
        self.others = set[str]()
        """Ids of those made for other weights of their base."""
        self.search, self.base = "", ""
        self.sorted_by, self.descending = "created", True
        self.has_loaded = False
        self._asked = 0
        self._states: dict[str, tuple[object, str]] = {}
        self._soon = QTimer(self, singleShot=True, interval=SOON_MS)
        self._soon.timeout.connect(self.fetch)
        session.online.connect(self.fetch)
        session.run_changed.connect(self._run_changed)
        session.run_deleted.connect(self._soon.start)

    @Slot()
    def fetch(self) -> None:
        """Ask again."""
        self._asked += 1
        number = self._asked
        self._session.ask(
            lambda backend: backend.adapters(),
            lambda shelf: self._got(number, shelf),
            lambda error: self.failed.emit(error) if number == self._asked else None,
            owner=self,
        )

    @Slot(object)
    def _run_changed(self, run: RunSummary) -> None:
        """Adapters come when a run ends, and change their name with it."""
        now = (run.state, run.name)
        if self._states.get(run.uid) != now and run.kind == "train":
            self._states[run.uid] = now
            self._soon.start()

    def _got(self, number: int, shelf: AdapterShelf) -> None:
        if number != self._asked:
            return
        self.has_loaded = True
        if shelf.adapters != self.all:
            self.all, self.others = list(shelf.adapters), others_of(shelf.adapters)
            self.arrange()
        self.loaded.emit()

    def bases(self) -> list[str]:
        """Names of base models there are adapters of."""
        return sorted({base_of(one) for one in self.all} - {""}, key=str.casefold)

    def arrange(self) -> None:
        """Search and sort anew."""
        words = self.search.casefold().split()
        found = [one for one in self.all if (not self.base or base_of(one) == self.base) and _matches(one, words)]
        value = SORTS.get(self.sorted_by, SORTS["created"])
        known = [one for one in found if value(one) is not None]
        known.sort(key=value, reverse=self.descending)
        self.beginResetModel()
        self.rows = [*known, *(one for one in found if value(one) is None)]
        self.endResetModel()

    def look_for(self, text: str) -> None:
        """Show those with these words."""
        self.search = text
        self.arrange()
        self.loaded.emit()

    def show_base(self, base: str) -> None:
        """Show those of one base model; empty: all."""
        self.base = base
        self.arrange()
        self.loaded.emit()

    def sort_by(self, key: str) -> None:
        """Sort by a column, or the other way round."""
        self.descending = not self.descending if key == self.sorted_by else key in FALLING
        self.sorted_by = key
        self.headerDataChanged.emit(Qt.Orientation.Horizontal, 0, len(COLUMNS) - 1)
        self.arrange()
        self.loaded.emit()

    def find(self, adapter_id: str) -> AdapterEntry | None:
        """One of them, by its id."""
        return next((one for one in self.all if one.id == adapter_id), None)

    def mark(self, one: AdapterEntry) -> tuple[str, str, str, str]:
        """Tone, icon, words and sentence of what is the matter with one."""
        return mark_of(one, self.others)

    def key_of(self, record: AdapterEntry) -> str:
        """What an adapter is known by."""
        return record.id

    def cell_text(self, record: AdapterEntry, key: str) -> str:
        """What a cell says, with what is the matter."""
        text = cell_text(record, key)
        marked = self.mark(record)[2] if key == "name" else ""
        return f"{text}, {marked}" if marked else text

    def tip_of(self, record: AdapterEntry, key: str) -> str:
        """More about a cell."""
        match key:
            case "name":
                return "\n".join(part for part in (record.name, below_name(record), self.mark(record)[3]) if part)
            case "created":
                return moment(record.created)
        return cell_text(record, key)


def _matches(one: AdapterEntry, words: list[str]) -> bool:
    parts = (one.name, one.run_name, base_of(one), one.card.description, one.card.tuner, *datasets_of(one))
    text = " ".join(parts).casefold()
    return all(word in text for word in words)


SORTS: dict[str, Callable[[AdapterEntry], Any]] = {
    "name": lambda one: one.name.casefold(),
    "base": lambda one: base_of(one).casefold(),
    "method": lambda one: (one.card.tuner, one.card.rank),
    "bytes": lambda one: one.bytes,
    "run": lambda one: one.run_name.casefold() or None,
    "dataset": lambda one: ", ".join(datasets_of(one)).casefold() or None,
    "score": lambda one: one.score,
    "loss": lambda one: one.loss,
    "created": lambda one: one.created,
}
