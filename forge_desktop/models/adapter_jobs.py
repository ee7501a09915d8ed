"""Work on adapters that takes long: bringing one in, writing it smaller, saving a copy."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from PySide6.QtCore import QObject, Signal

from engine.contract.adapter_library import AdapterEntry, ImportAdapter
from engine.contract.errors import ErrorBody
from engine.contract.lora_tools import WriteAdapter
from forge_desktop.bridge.backend import Backend
from forge_desktop.bridge.session import Session
from forge_desktop.models.transfers import Transfers
from forge_desktop.theme.language import tr


class AdapterJobs(QObject):
    """One thing at a time; it goes on when the dialog that began it is closed."""

    changed = Signal()
    """It begins or ends to be busy."""
    made = Signal(object)
    """AdapterEntry: it is in the library now."""
    failed = Signal(object)
    """ErrorBody; nothing was brought in."""

    def __init__(self, session: Session, transfers: Transfers, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._session, self._transfers = session, transfers
        self.is_busy = False

    def bring_in(self, asked: ImportAdapter) -> None:
        """Read, check and keep one."""
        self._begin(lambda backend: backend.import_adapter(asked))

    def shrink(self, asked: WriteAdapter) -> None:
        """Write one smaller, and bring that in."""
        self._begin(lambda backend: backend.shrink_adapter(asked))

    def export(self, one: AdapterEntry, target: Path) -> None:
        """Save a copy; the strip below the pages shows how far it is."""
        title = tr("Adapter {name}", name=one.name)
        self._transfers.write(one.id, title, target, lambda backend, tell: backend.export_adapter(one, target, tell),
                              "bytes")  # fmt: skip

    def _begin(self, work: Callable[[Backend], AdapterEntry]) -> None:
        if self.is_busy:
            return
        self.is_busy = True
        self.changed.emit()
        self._session.transfer(work, self._ended, self._failed, self)

    def _ended(self, one: AdapterEntry) -> None:
        self.is_busy = False
        self.changed.emit()
        self.made.emit(one)

    def _failed(self, error: ErrorBody) -> None:
        self.is_busy = False
        self.changed.emit()
        self.failed.emit(error)
