"""Instances that serve as rows of a table: runs of that kind, looked at every two seconds while the page is open."""

from __future__ import annotations

from collections.abc import Mapping

from PySide6.QtCore import QObject, Qt, QTimer, Signal, Slot

from engine.contract.api import RunPage, RunSummary
from engine.contract.errors import ErrorBody
from forge_desktop.bridge.backend_instance import Seen
from forge_desktop.bridge.session import Session
from forge_desktop.models.record_model import Column, RecordModel
from forge_desktop.models.serving_words import FIGURES, cell_text, is_live, state_of, why_text
from forge_desktop.theme.measures import moment

EVERY_MS, SOON_MS = 2000, 200
MOST = 200
KIND = "serve"

COLUMNS = (
    Column("name", "Instance", 230),
    Column("state", "State", 170),
    Column("address", "Address", 190, 1),
    Column("rate", "Requests", 112, 2, right=True),
    Column("first", "First token, p50 / p95", 176, 3, right=True),
    Column("tokens", "tok/s", 76, 4, right=True),
    Column("hits", "Cache hits", 96, 6, right=True),
    Column("queue", "At work + waiting", 144, 5, right=True),
    Column("created", "Created", 104, 7, right=True),
    Column("more", "More", 50),
)
PLACE = {column.key: place for place, column in enumerate(COLUMNS)}


class ServingsModel(RecordModel):
    """A row is a run; `seen` says how it is doing."""

    columns = COLUMNS
    loaded = Signal()
    failed = Signal(object)
    """ErrorBody: the list could not be asked for."""

    def __init__(self, session: Session, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._session = session
        self.seen: dict[str, Seen] = {}
        self.sorted_by, self.descending = "created", True
        self.has_loaded = False
        self._asked, self._looking = 0, False
        self._soon = QTimer(self, singleShot=True, interval=SOON_MS)
        self._soon.timeout.connect(self.fetch)
        self._again = QTimer(self, interval=EVERY_MS)
        self._again.timeout.connect(self.look)
        session.online.connect(self.fetch)
        session.run_changed.connect(self._run_changed)
        session.run_deleted.connect(self._run_deleted)

    def set_watching(self, on: bool) -> None:
        """Look every two seconds, or no longer."""
        if on:
            self._again.start()
            self.look()
        else:
            self._again.stop()

    @Slot()
    def fetch(self) -> None:
        """Ask for the list again."""
        self._asked += 1
        number = self._asked
        self._session.ask(
            lambda backend: backend.runs((), f"method:{KIND}", 0, MOST),
            lambda page: self._got(number, page),
            lambda error: self.failed.emit(error) if number == self._asked else None,
            owner=self,
        )

    def _got(self, number: int, page: RunPage) -> None:
        if number != self._asked:
            return
        self.has_loaded = True
        self._show([run for run in page.runs if run.kind == KIND])
        self.look()

    def _show(self, runs: list[RunSummary]) -> None:
        def value(run: RunSummary) -> str:
            return state_of(run, self.seen.get(run.uid))[2] if self.sorted_by == "state" else run.name.casefold()

        self.beginResetModel()
        if self.sorted_by == "created":
            self.rows = sorted(runs, key=lambda run: run.created, reverse=self.descending)
        else:
            self.rows = sorted(runs, key=value, reverse=self.descending)
        self.endResetModel()
        self.loaded.emit()

    def sort_by(self, key: str) -> None:
        """Sort by name, state or age; figures change too fast to sort by."""
        if key not in ("name", "state", "created"):
            return
        self.descending = not self.descending if key == self.sorted_by else key == "created"
        self.sorted_by = key
        self.headerDataChanged.emit(Qt.Orientation.Horizontal, 0, len(COLUMNS) - 1)
        self._show(self.rows)

    @Slot()
    def look(self) -> None:
        """See how those at work are doing; one look at a time."""
        uids = [run.uid for run in self.rows if is_live(run)]
        if self._looking or not uids or not self._session.is_online:
            return
        self._looking = True
        self._session.ask(lambda backend: backend.look_at_instances(uids), self._saw, self._blind, owner=self)

    def _saw(self, seen: Mapping[str, Seen]) -> None:
        self._looking = False
        self.seen = dict(seen)
        if self.rows:
            self.dataChanged.emit(self.index(0, 0), self.index(len(self.rows) - 1, len(COLUMNS) - 1))
        self.loaded.emit()

    def _blind(self, _error: ErrorBody) -> None:
        self._looking = False

    @Slot(object)
    def _run_changed(self, run: RunSummary) -> None:
        if run.kind != KIND:
            return
        place = next((row for row, one in enumerate(self.rows) if one.uid == run.uid), -1)
        if place < 0:
            self._soon.start()
            return
        self.rows[place] = run
        if not is_live(run):
            self.seen.pop(run.uid, None)
        self.dataChanged.emit(self.index(place, 0), self.index(place, len(COLUMNS) - 1))
        self.loaded.emit()

    @Slot(str)
    def _run_deleted(self, uid: str) -> None:
        if any(run.uid == uid for run in self.rows):
            self._show([run for run in self.rows if run.uid != uid])

    def key_of(self, record: RunSummary) -> str:
        """Its run."""
        return record.uid

    def cell_text(self, record: RunSummary, key: str) -> str:
        """What a cell says."""
        return cell_text(record, self.seen.get(record.uid), key)

    def tip_of(self, record: RunSummary, key: str) -> str:
        """More about a cell."""
        match key:
            case "state":
                return why_text(record) or self.cell_text(record, key)
            case "created":
                return moment(record.created)
        return "" if key in FIGURES else self.cell_text(record, key)
