"""Picking rows of the list of runs: what Qt marks by row is kept by run, also of rows that are not here yet."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial

from PySide6.QtCore import QItemSelection, QItemSelectionModel, QItemSelectionRange, QObject, Signal, Slot

from engine.contract.api import RunPage, RunSummary
from engine.contract.errors import ErrorBody
from engine.contract.listing import MAX_BULK
from forge_desktop.models.picked import Picked
from forge_desktop.models.run_columns import COLUMNS
from forge_desktop.models.runs_model import RunsModel

Flag = QItemSelectionModel.SelectionFlag


class RunSelection(QObject):
    """Follows the marks of a view's selection model, and sets them anew where runs have moved."""

    failed = Signal(object)
    """ErrorBody: rows that are not here could not be had."""

    def __init__(
        self,
        model: RunsModel,
        marks: QItemSelectionModel,
        picked: Picked,
        clears: Callable[[], bool],
        parent: QObject,
    ) -> None:
        super().__init__(parent)
        self._model, self._marks, self.picked = model, marks, picked
        self._setting = False
        self._asked = 0
        self._clears = clears
        """Tells whether what is picked so far is given up."""
        marks.selectionChanged.connect(self._marked)
        model.arranging.connect(self._arranging)
        model.arranged.connect(self._arranged)
        picked.changed.connect(self.show_picked)

    @Slot(QItemSelection, QItemSelection)
    def _marked(self, more: QItemSelection, less: QItemSelection) -> None:
        if self._setting:
            return
        clears = self._clears()
        self._setting = True  # what follows from the marks does not set them
        self._asked += 1
        if clears:
            ranges = _rows(self._marks.selection())
            self.picked.set(self._loaded(ranges), of=sum(part.height() for part in ranges))
            self._ask_for_missing(ranges)
        else:
            self.picked.remove(self._loaded(_rows(less)))
            self.picked.add(self._loaded(_rows(more)))
            self._ask_for_missing(_rows(more))
        self._setting = False

    def _loaded(self, ranges: Iterable[QItemSelectionRange]) -> list[RunSummary]:
        found: list[RunSummary] = []
        for part in ranges:
            for row in range(part.top(), min(part.bottom() + 1, part.top() + MAX_BULK)):
                run = self._model.run_in(row)
                if run is not None:
                    found.append(run)
        return found

    def _ask_for_missing(self, ranges: Iterable[QItemSelectionRange]) -> None:
        for part in ranges:
            first, number = part.top(), min(part.height(), MAX_BULK)
            if any(self._model.run_in(row) is None for row in range(first, first + number)):
                self._ask(first, number, part.height(), replace=False)

    def pick_all(self) -> None:
        """Every run that matches, here or not, up to what can be done at once."""
        self._ask(0, MAX_BULK, self._model.total, replace=True)

    def _ask(self, first: int, number: int, meant: int, replace: bool) -> None:
        self._asked += 1
        asked, question = self._asked, self._model.question
        self._model.session.ask(
            lambda backend: question.ask_range(backend, first, number),
            partial(self._got, asked, meant, replace),
            self._failed,
            owner=self,
        )

    def _got(self, asked: int, meant: int, replace: bool, page: RunPage) -> None:
        if asked != self._asked:
            return
        runs = page.runs if replace else [*self.picked.runs, *page.runs]
        self.picked.set(runs, of=page.total if replace else meant)

    def _failed(self, error: ErrorBody) -> None:
        self.failed.emit(error)

    @Slot()
    def _arranging(self) -> None:
        """Rows go at the end of the list, and their marks with them: it does not mean that runs were unpicked."""
        self._setting = True

    @Slot(bool)
    def _arranged(self, _other: bool) -> None:
        self._setting = False
        self.show_picked()

    @Slot()
    def show_picked(self) -> None:
        """Mark the rows that the picked runs have now."""
        if self._setting:
            return
        rows = sorted(row for uid in self.picked.uids if (row := self._model.row_of(uid)) is not None)
        marks, begin = QItemSelection(), 0
        for place, row in enumerate(rows):
            if place + 1 == len(rows) or rows[place + 1] != row + 1:
                last = self._model.index(row, len(COLUMNS) - 1)
                marks.append(QItemSelectionRange(self._model.index(rows[begin], 0), last))
                begin = place + 1
        self._setting = True
        self._marks.select(marks, Flag.ClearAndSelect)
        self._setting = False


def _rows(ranges: QItemSelection) -> list[QItemSelectionRange]:
    """Each stretch of rows once: a row that is marked has its columns in one range or in several."""
    seen: dict[tuple[int, int], QItemSelectionRange] = {}
    for place in range(ranges.count()):
        part = ranges.at(place)
        if part.isValid():
            seen.setdefault((part.top(), part.bottom()), part)
    return list(seen.values())
