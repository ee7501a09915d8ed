"""The list of runs as a table of any length: pages are fetched as they come into view and kept current by events.

The controller filters, searches and sorts. Rows that are not here yet are empty until their page comes; a page that
was scrolled past before it was asked for is not asked for.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from PySide6.QtCore import QAbstractTableModel, QModelIndex, QObject, QPersistentModelIndex, Qt, QTimer, Signal, Slot

from engine.contract.api import RunPage, RunSummary
from engine.contract.errors import ErrorBody
from engine.contract.states import LIVE, RunState
from forge_desktop.bridge.backend import Backend
from forge_desktop.bridge.session import Session
from forge_desktop.models.run_columns import COLUMNS, PLACE, cell_text, progress, read_aloud, status_text, tooltip
from forge_desktop.models.run_pages import PAGE, RunPages
from forge_desktop.theme.language import tr

__all__ = ["FILTERS", "PAGE", "RunRole", "RunsModel", "cell_text", "progress", "status_text"]
Index = QModelIndex | QPersistentModelIndex
RunRole = int(Qt.ItemDataRole.UserRole) + 1
FILTERS: dict[str, tuple[RunState, ...]] = {
    "all": (),
    "active": (RunState.QUEUED, *sorted(LIVE), RunState.PAUSED),
    "completed": (RunState.COMPLETED,),
    "failed": (RunState.FAILED, RunState.STOPPED),
    "draft": (RunState.DRAFT,),
}
REFRESH_MS = 150
SEARCH_MS = 200
LOOK_MS = 25
REPAINT_MS = 100


@dataclass(frozen=True)
class Question:
    """What is asked of the controller: which runs, in which order."""

    filter: str = "all"
    search: str = ""
    sort: str = "created"
    descending: bool = True

    def ask(self, backend: Backend, page: int) -> RunPage:
        """One page of the answer; for request threads."""
        states = [str(state) for state in FILTERS[self.filter]]
        return backend.runs(states, self.search, page * PAGE, PAGE, self.sort, self.descending)

    def ask_range(self, backend: Backend, offset: int, limit: int) -> RunPage:
        """Any part of the answer; for request threads."""
        states = [str(state) for state in FILTERS[self.filter]]
        return backend.runs(states, self.search, offset, limit, self.sort, self.descending)


class _Ticket:
    """A page that is being asked for; nobody may want it any more when its turn comes."""

    def __init__(self, question: Question) -> None:
        self.question, self.wanted = question, True


class RunsModel(QAbstractTableModel):
    """Runs in the order asked for; `look_at` says which rows are seen."""

    loaded = Signal()
    """A page came: there may be other runs, totals and counts."""
    failed = Signal(object)
    """ErrorBody."""
    arranging = Signal()
    """Rows are about to hold other runs: note what stands where."""
    arranged = Signal(bool)
    """They do now; True: to another question, so that the old place means nothing."""

    def __init__(self, session: Session, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.session = session
        self.counts: dict[str, int] = {}
        self.total = 0
        self.has_loaded = False
        self.currency = "USD"
        self.question = Question()
        self._answered = Question()
        self._pages = RunPages()
        self._tickets: dict[int, _Ticket] = {}
        self._seen = range(1)
        self._changed_rows: set[int] = set()
        self._refresh = QTimer(self, singleShot=True, interval=REFRESH_MS)
        self._refresh.timeout.connect(self._fetch_again)
        self._typed = QTimer(self, singleShot=True, interval=SEARCH_MS)
        self._typed.timeout.connect(self.fetch)
        self._look = QTimer(self, singleShot=True, interval=LOOK_MS)
        self._look.timeout.connect(self._ask_for_seen)
        self._repaint = QTimer(self, singleShot=True, interval=REPAINT_MS)
        self._repaint.timeout.connect(self._tell_changed_rows)
        session.run_changed.connect(self._run_changed)
        session.run_noted.connect(self._run_noted)
        session.run_deleted.connect(self._run_noted)
        session.online.connect(self.fetch)

    @property
    def runs(self) -> list[RunSummary]:
        """The runs that are here, in order."""
        return self._pages.runs()

    @property
    def pages_kept(self) -> int:
        """How many pages are in memory."""
        return len(self._pages)

    @property
    def is_current(self) -> bool:
        """Whether what is shown answers the present question and nothing is on its way."""
        waiting = self._typed.isActive() or self._refresh.isActive() or self._look.isActive()
        return self.question == self._answered and not self._tickets and not waiting

    @property
    def filter(self) -> str:
        """The filter in force."""
        return self.question.filter

    @property
    def search(self) -> str:
        """The text searched for."""
        return self.question.search

    def set_filter(self, name: str) -> None:
        """all, active, completed, failed or draft."""
        self._ask_otherwise(Question(name, self.search, self.question.sort, self.question.descending))
        self.fetch()

    def set_search(self, text: str) -> None:
        """Words and operators; asked for when the person stops typing."""
        if text != self.search:
            self._ask_otherwise(Question(self.filter, text, self.question.sort, self.question.descending))
            self._typed.start()

    def set_sort(self, sort: str, descending: bool) -> None:
        """Another order."""
        self._ask_otherwise(Question(self.filter, self.search, sort, descending))
        self.fetch()

    def set_question(self, question: Question) -> None:
        """Everything at once."""
        self._ask_otherwise(question)
        self.fetch()

    def _ask_otherwise(self, question: Question) -> None:
        self.question = question
        self._forget_requests()

    def _forget_requests(self) -> None:
        for ticket in self._tickets.values():
            ticket.wanted = False
        self._tickets.clear()

    @Slot()
    def fetch(self) -> None:
        """Ask for what is seen again."""
        self._refresh.stop()
        self._typed.stop()
        self._forget_requests()
        self._pages.age()
        self._ask_for_seen()

    @Slot()
    def _fetch_again(self) -> None:
        """Something happened: what is being asked for already is waited for, so that much news starves nobody."""
        if self._tickets:
            self._refresh.start()
        else:
            self.fetch()

    def look_at(self, first: int, last: int) -> None:
        """These rows are seen now; what is missing of them is asked for when scrolling rests a moment."""
        self._seen = range(max(0, first), max(first, last) + 1)
        if any(not self._pages.touch(number) for number in self._pages_seen()):
            self._look.start()

    def _pages_seen(self) -> range:
        if self.question != self._answered:
            return range(1)
        last = min(self._seen.stop - 1, max(0, self.total - 1))
        first = min(self._seen.start, last)
        return range(first // PAGE, last // PAGE + 1)

    @Slot()
    def _ask_for_seen(self) -> None:
        wanted = self._pages_seen()
        for number, ticket in list(self._tickets.items()):
            if number not in wanted:  # scrolled past
                ticket.wanted = False
                del self._tickets[number]
        for number in wanted:
            if number not in self._tickets and not self._pages.touch(number):
                self._ask(number)

    def _ask(self, number: int) -> None:
        ticket = self._tickets[number] = _Ticket(self.question)
        self.session.ask(
            lambda backend: ticket.question.ask(backend, number) if ticket.wanted else None,
            lambda page: self._got(number, ticket, page),
            lambda error: self._fetch_failed(number, ticket, error),
            owner=self,
        )

    def _got(self, number: int, ticket: _Ticket, page: RunPage | None) -> None:
        if page is None or self._tickets.get(number) is not ticket:
            return
        del self._tickets[number]
        other = ticket.question != self._answered
        self.arranging.emit()
        if other:
            self._answered = ticket.question
            self._pages.clear()
            self._seen = range(1)
        elif page.total != self.total:
            self._pages.age()
        self._set_total(page.total)
        self._pages.put(number, page.runs, keep=self._pages_seen())
        self.counts, self.has_loaded = dict(page.counts), True
        if self.total:
            first, last = (0, self.total - 1) if other else (number * PAGE, min(number * PAGE + PAGE, self.total) - 1)
            if first <= last:
                self.dataChanged.emit(self.index(first, 0), self.index(last, len(COLUMNS) - 1))
        self.arranged.emit(other)
        self.loaded.emit()
        self._ask_for_seen()

    def _set_total(self, total: int) -> None:
        """Rows come and go at the end: what a row holds is another matter."""
        if total > self.total:
            self.beginInsertRows(QModelIndex(), self.total, total - 1)
            self.total = total
            self.endInsertRows()
        elif total < self.total:
            self.beginRemoveRows(QModelIndex(), total, self.total - 1)
            self.total = total
            for number in self._pages.numbers():
                if number * PAGE >= total:
                    self._pages.drop(number)
            self.endRemoveRows()

    def _fetch_failed(self, number: int, ticket: _Ticket, error: ErrorBody) -> None:
        if self._tickets.get(number) is ticket:
            del self._tickets[number]
            self.failed.emit(error)

    def count(self, name: str) -> int:
        """How many runs a filter would show."""
        states = FILTERS[name]
        return sum(number for state, number in self.counts.items() if not states or state in states)

    @Slot(object)
    def _run_changed(self, run: RunSummary) -> None:
        """Progress: the row says it, and nothing is asked."""
        row = self._pages.replace(run)
        if row is not None:
            self._changed_rows.add(row)
            if not self._repaint.isActive():
                self._repaint.start()

    @Slot()
    def _tell_changed_rows(self) -> None:
        rows, self._changed_rows = sorted(row for row in self._changed_rows if row < self.total), set()
        for row in rows:
            self.dataChanged.emit(self.index(row, 0), self.index(row, len(COLUMNS) - 1))

    @Slot(str)
    def _run_noted(self, _uid: str) -> None:
        """A run came, went, or is something else now: it may stand elsewhere."""
        if not self._refresh.isActive():  # not put off by more of the kind
            self._refresh.start()

    def run_at(self, index: Index) -> RunSummary | None:
        """The run of a row, if it is here."""
        return self._pages.at(index.row()) if index.isValid() else None

    def run_in(self, row: int) -> RunSummary | None:
        """The same by number."""
        return self._pages.at(row)

    def row_of(self, uid: str) -> int | None:
        """Where a run stands, if it is here."""
        return self._pages.row_of(uid)

    def rowCount(self, parent: Index = QModelIndex()) -> int:
        """Qt's own hook: all of them, here or not."""
        return 0 if parent.isValid() else self.total

    def columnCount(self, parent: Index = QModelIndex()) -> int:
        """Qt's own hook."""
        return 0 if parent.isValid() else len(COLUMNS)

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Qt's own hook."""
        if orientation != Qt.Orientation.Horizontal:
            return None
        column = COLUMNS[section]
        title = tr(COLUMNS[section].title)
        if role == Qt.ItemDataRole.DisplayRole:
            return "" if column.key == "more" else title
        if role == Qt.ItemDataRole.AccessibleTextRole:
            if column.sort and column.sort == self.question.sort:
                return f"{title}, {tr('largest first') if self.question.descending else tr('smallest first')}"
            return title
        if role == Qt.ItemDataRole.ToolTipRole:
            return tr("Sort by this column") if column.sort else ""
        if role == Qt.ItemDataRole.TextAlignmentRole:
            side = Qt.AlignmentFlag.AlignRight if column.right else Qt.AlignmentFlag.AlignLeft
            return int(side | Qt.AlignmentFlag.AlignVCenter)
        return None

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Qt's own hook."""
        run = self.run_at(index)
        if run is None:
            return tr("Loading") if role == Qt.ItemDataRole.AccessibleTextRole and index.isValid() else None
        key = COLUMNS[index.column()].key
        if role == RunRole:
            return run
        if role == Qt.ItemDataRole.DisplayRole:
            return cell_text(run, key, self.currency)
        if role == Qt.ItemDataRole.AccessibleTextRole:
            return read_aloud(run, key, self.currency)
        if role == Qt.ItemDataRole.ToolTipRole:
            return tooltip(run, key)
        return None

    def has_costs(self) -> bool:
        """Whether the cost of any run that is here is known."""
        return any(run.cost is not None for run in self._pages.runs())

    def set_currency(self, currency: str) -> None:
        """Which money costs are in."""
        if currency != self.currency:
            self.currency = currency
            if self.total:
                place = PLACE["cost"]
                self.dataChanged.emit(self.index(0, place), self.index(self.total - 1, place))
