"""The runs a person has picked in the list, by id: they stay picked wherever they move, loaded or not."""

from __future__ import annotations

from collections.abc import Iterable

from PySide6.QtCore import QObject, Signal, Slot

from engine.contract.api import RunSummary
from engine.contract.listing import MAX_BULK
from forge_desktop.bridge.session import Session


class Picked(QObject):
    """At most MAX_BULK runs, in the order they were picked."""

    changed = Signal()

    def __init__(self, session: Session, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._runs: dict[str, RunSummary] = {}
        self.of = 0
        """How many were meant, where more were meant than may be picked."""
        session.run_changed.connect(self._run_changed)
        session.run_deleted.connect(self._run_deleted)

    def __len__(self) -> int:
        return len(self._runs)

    def __contains__(self, uid: str) -> bool:
        return uid in self._runs

    @property
    def uids(self) -> list[str]:
        """Their ids."""
        return list(self._runs)

    @property
    def runs(self) -> list[RunSummary]:
        """What is known of them."""
        return list(self._runs.values())

    def set(self, runs: Iterable[RunSummary], of: int = 0) -> None:
        """These and no others; `of` is how many were meant."""
        self._runs = {}
        self._take(runs)
        self.of = of if of > len(self._runs) else 0
        self.changed.emit()

    def add(self, runs: Iterable[RunSummary]) -> None:
        """These as well."""
        self._take(runs)
        self.changed.emit()

    def remove(self, runs: Iterable[RunSummary]) -> None:
        """These no longer."""
        for run in runs:
            self._runs.pop(run.uid, None)
        self.of = 0
        self.changed.emit()

    def clear(self) -> None:
        """None."""
        if self._runs:
            self.set([])

    def _take(self, runs: Iterable[RunSummary]) -> None:
        meant = 0
        for run in runs:
            meant += 1
            if run.uid in self._runs or len(self._runs) < MAX_BULK:
                self._runs[run.uid] = run
        self.of = meant if meant > len(self._runs) else 0

    @Slot(object)
    def _run_changed(self, run: RunSummary) -> None:
        known = self._runs.get(run.uid)
        if known is not None:
            self._runs[run.uid] = run
            if known.state is not run.state:
                self.changed.emit()

    @Slot(str)
    def _run_deleted(self, uid: str) -> None:
        if self._runs.pop(uid, None) is not None:
            self.changed.emit()
