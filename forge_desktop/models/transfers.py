"""Files on their way to this computer: how far each is, and what became of it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from PySide6.QtCore import QObject, Signal, Slot

from engine.contract.errors import ErrorBody
from forge_desktop.bridge.backend import Backend, Cancelled, Exists, Item, Tell
from forge_desktop.bridge.session import Session

Make = Callable[[Backend, Tell], object]
"""Writes a file whole or not at all; tells how much is done, and stops when that raises Cancelled."""
TransferState = Literal["waiting", "running", "exists", "failed", "cancelled", "done"]
Unit = Literal["points", "rows", "problems", "bytes"]
NEWS_S = 0.1


@dataclass(eq=False)
class Transfer:
    """One file or folder that is being fetched."""

    key: int
    uid: str
    title: str
    item: Item
    folder: Path
    name: str = ""
    state: TransferState = "waiting"
    done: int = 0
    total: int | None = None
    error: ErrorBody | None = None
    path: Path | None = None
    unwanted: threading.Event = field(default_factory=threading.Event)
    make: Make | None = None
    """How it is written, where it is no file of the run; nothing of it is kept when it breaks off."""
    unit: Unit = "points"
    """What is counted of one that is made."""


class Transfers(QObject):
    """Starts transfers, cancels them, tries again; each goes on where it stopped."""

    changed = Signal()
    """A transfer came, went, or is in another state."""
    moved = Signal(object)
    """Transfer: more bytes are here."""
    _heard = Signal(int, object, object)

    def __init__(self, session: Session, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._session = session
        self._made = 0
        self.list: list[Transfer] = []
        self._heard.connect(self._note_progress)

    def start(
        self, uid: str, title: str, item: Item, folder: Path, name: str = "", exists: Exists = "refuse"
    ) -> Transfer:
        """Fetch something of a run into a folder; one that is on its way already is not begun twice."""
        for known in self.list:
            same = (known.uid, known.item, known.folder, known.name) == (uid, item, folder, name)
            if same and known.state in ("waiting", "running", "exists"):
                return known
        self._made += 1
        transfer = Transfer(self._made, uid, title, item, folder, name)
        self.list.append(transfer)
        self._go(transfer, exists)
        return transfer

    def write(self, uid: str, title: str, file: Path, make: Make, unit: Unit = "points") -> Transfer:
        """Have a file made, in place of one of that name; one on its way already is not begun twice."""
        for known in self.list:
            if (known.folder, known.name) == (file.parent, file.name) and known.state in ("waiting", "running"):
                return known
        self._made += 1
        transfer = Transfer(self._made, uid, title, Item("config"), file.parent, file.name, make=make, unit=unit)
        self.list.append(transfer)
        self._go(transfer, "replace")
        return transfer

    def again(self, transfer: Transfer, exists: Exists = "refuse") -> None:
        """Go on with one that failed, was cancelled, or whose name was taken."""
        self._go(transfer, exists)

    def cancel(self, transfer: Transfer) -> None:
        """Stop; what is here already is kept for another try."""
        transfer.unwanted.set()
        if transfer.state == "exists":
            self.forget(transfer)

    def forget(self, transfer: Transfer) -> None:
        """Take it off the list."""
        if transfer in self.list:
            self.list.remove(transfer)
            self.changed.emit()

    def _go(self, transfer: Transfer, exists: Exists) -> None:
        transfer.unwanted = threading.Event()
        transfer.state, transfer.error = "waiting", None
        if transfer.make is not None:
            transfer.done = 0
        self.changed.emit()
        self._session.transfer(
            self._work(transfer, exists),
            lambda path: self._ended(transfer, path),
            lambda error: self._failed(transfer, error),
            owner=self,
        )

    def _work(self, transfer: Transfer, exists: Exists) -> Callable[[Backend], Path | None]:
        closing, unwanted, told = self._session.closing, transfer.unwanted, 0.0

        def tell(done: int, total: int | None) -> None:
            nonlocal told
            if closing.is_set() or unwanted.is_set():
                raise Cancelled
            if time.monotonic() - told > NEWS_S or done == total:
                told = time.monotonic()
                self._heard.emit(transfer.key, done, total)

        def work(backend: Backend) -> Path | None:
            try:
                if transfer.make is not None:
                    transfer.make(backend, tell)
                    return transfer.folder / transfer.name
                return backend.download(
                    transfer.uid, transfer.item, transfer.folder, tell, exists, transfer.name
                )  # fmt: skip
            except Cancelled:
                return None

        return work

    @Slot(int, object, object)
    def _note_progress(self, key: int, done: int, total: int | None) -> None:
        for transfer in self.list:
            if transfer.key == key and transfer.state in ("waiting", "running"):
                transfer.done, transfer.total = done, total if total is not None else transfer.total
                if transfer.state == "waiting":
                    transfer.state = "running"
                    self.changed.emit()
                self.moved.emit(transfer)

    def _ended(self, transfer: Transfer, path: Path | None) -> None:
        transfer.path = path
        transfer.state = "cancelled" if path is None else "done"
        self.changed.emit()

    def _failed(self, transfer: Transfer, error: ErrorBody) -> None:
        transfer.error = error
        transfer.state = "exists" if error.code == "download.exists" else "failed"
        self.changed.emit()
