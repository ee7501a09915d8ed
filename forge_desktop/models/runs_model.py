"""The list of runs as a table: one page of the controller's history, kept current by its events."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import QAbstractTableModel, QModelIndex, QObject, QPersistentModelIndex, Qt, QTimer, Signal, Slot

from engine.contract.api import RunPage, RunSummary
from engine.contract.errors import ErrorBody
from engine.contract.states import LIVE, RunState
from forge_desktop.bridge.session import Session
from forge_desktop.theme.language import tr, word
from forge_desktop.theme.measures import ago, duration, figure

Index = QModelIndex | QPersistentModelIndex
RunRole = int(Qt.ItemDataRole.UserRole) + 1
PAGE = 200
FILTERS: dict[str, tuple[RunState, ...]] = {
    "all": (),
    "active": (RunState.QUEUED, *sorted(LIVE), RunState.PAUSED),
    "completed": (RunState.COMPLETED,),
    "failed": (RunState.FAILED, RunState.STOPPED),
    "draft": (RunState.DRAFT,),
}
COLUMNS = ("Run", "Status", "Loss", "Progress", "Created", "Time left")


class RunsModel(QAbstractTableModel):
    """Runs newest first, filtered and searched by the controller."""

    loaded = Signal()
    failed = Signal(object)
    """ErrorBody."""

    def __init__(self, session: Session, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.session = session
        self.runs: list[RunSummary] = []
        self.counts: dict[str, int] = {}
        self.total = 0
        self.has_loaded = False
        self._filter, self._search = "all", ""
        self._asked = 0
        self._refetch = QTimer(self, singleShot=True, interval=150)
        self._refetch.timeout.connect(self.fetch)
        session.run_changed.connect(self._run_changed)
        session.run_deleted.connect(self._run_deleted)
        session.online.connect(self.fetch)

    @property
    def filter(self) -> str:
        """The filter in force."""
        return self._filter

    @property
    def search(self) -> str:
        """The text searched for."""
        return self._search

    def set_filter(self, name: str) -> None:
        """all, active, completed, failed or draft."""
        self._filter = name
        self.fetch()

    def set_search(self, text: str) -> None:
        """Words to look for in name, model, dataset and tags."""
        self._search = text
        self._refetch.start()

    @Slot()
    def fetch(self) -> None:
        """Load the page again; an older answer that comes late is dropped."""
        self._asked += 1
        number, states, search = self._asked, [str(state) for state in FILTERS[self._filter]], self._search
        self.session.ask(
            lambda backend: backend.runs(states, search, 0, PAGE),
            lambda page: self._got(number, page),
            self._fetch_failed,
            owner=self,
        )

    def _got(self, number: int, page: RunPage) -> None:
        if number != self._asked:
            return
        self.beginResetModel()
        self.runs, self.total, self.counts = list(page.runs), page.total, dict(page.counts)
        self.has_loaded = True
        self.endResetModel()
        self.loaded.emit()

    def _fetch_failed(self, error: ErrorBody) -> None:
        self.failed.emit(error)

    def count(self, name: str) -> int:
        """How many runs a filter would show."""
        states = FILTERS[name]
        return sum(number for state, number in self.counts.items() if not states or state in states)

    @Slot(object)
    def _run_changed(self, run: RunSummary) -> None:
        for place, known in enumerate(self.runs):
            if known.uid == run.uid:
                if known.state is not run.state:
                    self._refetch.start()
                self.runs[place] = run
                self.dataChanged.emit(self.index(place, 0), self.index(place, len(COLUMNS) - 1))
                return
        self._refetch.start()

    @Slot(str)
    def _run_deleted(self, uid: str) -> None:
        for place, known in enumerate(self.runs):
            if known.uid == uid:
                self.beginRemoveRows(QModelIndex(), place, place)
                del self.runs[place]
                self.endRemoveRows()
                break
        self._refetch.start()

    def run_at(self, index: Index) -> RunSummary | None:
        """The run of a row."""
        return self.runs[index.row()] if index.isValid() and index.row() < len(self.runs) else None

    def rowCount(self, parent: Index = QModelIndex()) -> int:
        """Qt's own hook."""
        return 0 if parent.isValid() else len(self.runs)

    def columnCount(self, parent: Index = QModelIndex()) -> int:
        """Qt's own hook."""
        return 0 if parent.isValid() else len(COLUMNS)

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Qt's own hook."""
        if orientation == Qt.Orientation.Horizontal and role == Qt.ItemDataRole.DisplayRole:
            return tr(COLUMNS[section])
        if orientation == Qt.Orientation.Horizontal and role == Qt.ItemDataRole.TextAlignmentRole:
            return int(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
        return None

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Qt's own hook."""
        run = self.run_at(index)
        if run is None:
            return None
        if role == RunRole:
            return run
        if role in (Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.AccessibleTextRole):
            return cell_text(run, index.column())
        if role == Qt.ItemDataRole.ToolTipRole and index.column() == 0:
            return f"{run.name}\n{run.model} · {run.dataset} · {run.method}\n{run.uid}"
        if role == Qt.ItemDataRole.ToolTipRole and index.column() == 1:
            return word("reason", run.reason) if run.reason else word("state", run.state)
        return None


def progress(run: RunSummary) -> float | None:
    """The share of its steps a run has done; None before it is known."""
    if run.state is RunState.COMPLETED:
        return 1.0
    if not run.total_steps:
        return None
    return min(1.0, (run.step or 0) / run.total_steps)


def status_text(run: RunSummary) -> str:
    """The state in a word; what matters more than the state where something is the matter."""
    if run.mark is not None:
        return word("mark", run.mark)
    if run.retry_at is not None and run.state is RunState.QUEUED:
        return tr("Retry {n}", n=run.retries)
    return word("state", run.state)


def cell_text(run: RunSummary, column: int) -> str:
    """What a cell says, also to a screen reader."""
    match column:
        case 0:
            return run.name
        case 1:
            return status_text(run)
        case 2:
            return figure(run.loss)
        case 3:
            share = progress(run)
            return "—" if share is None else f"{100 * share:.0f}%"
        case 4:
            return ago(run.created)
        case _:
            return duration(run.eta_seconds) if run.state in LIVE else "—"
