"""Walking through the checkpoints of a run in one column: each is loaded once, and answers the same question."""

from __future__ import annotations

from dataclasses import replace

from PySide6.QtCore import QObject, QTimer, Signal, Slot

from engine.contract.api import RunDetail
from engine.contract.errors import ErrorBody
from engine.contract.stream import RunEvent
from forge_desktop.bridge.session import Session
from forge_desktop.models.chat_instance import InstanceModel
from forge_desktop.models.chat_model import ChatModel
from forge_desktop.models.chat_turns import Column

SETTLE_MS = 250
"""So long the slider must rest before a checkpoint is asked."""
NEWS = ("checkpoint", "checkpoint_removed")


class ScrubModel(QObject):
    """The steps there are, the one that answers, and the one that is wanted."""

    changed = Signal()
    failed = Signal(object)

    def __init__(
        self, session: Session, instance: InstanceModel, chat: ChatModel, column: Column, parent: QObject
    ) -> None:
        super().__init__(parent)
        self._session, self._instance, self._chat, self._column = session, instance, chat, column
        self.steps: list[int] = [0]
        """Of the checkpoints; 0 stands for the base."""
        self.wanted = column.step
        self.loading = False
        self.live = False
        self._soon = QTimer(self, singleShot=True, interval=SETTLE_MS)
        self._soon.timeout.connect(self._load)
        session.run_event.connect(self._event)
        instance.failed.connect(self.tell)
        instance.refused.connect(self.tell)
        self.fetch()

    def fetch(self) -> None:
        """Ask which checkpoints there are."""
        uid = self._column.run
        self._session.ask(lambda backend: backend.run(uid), self._got, self.failed.emit, owner=self)

    def _got(self, detail: RunDetail) -> None:
        if detail.run.uid == self._column.run:
            self.steps = [0, *sorted({one.step for one in detail.checkpoints})]
            self.live = not detail.run.state.ended
            self.changed.emit()

    @Slot(object)
    def _event(self, event: RunEvent) -> None:
        if event.run == self._column.run and event.kind in NEWS:
            self.fetch()

    def want(self, place: int) -> None:
        """The slider stands there now."""
        self.wanted = self.steps[max(0, min(place, len(self.steps) - 1))]
        self._soon.start()
        self.changed.emit()

    def reload(self) -> None:
        """Load the checkpoint that is wanted, though the slider did not move."""
        self._soon.start()

    @property
    def place(self) -> int:
        """Where the slider stands; a checkpoint that is gone stands at the base."""
        return self.steps.index(self.wanted) if self.wanted in self.steps else 0

    @Slot()
    def _load(self) -> None:
        step = self.wanted
        if not step:
            self._answer("", 0)
            return
        self.loading = True
        self.changed.emit()
        self._instance.load_run(self._column.run, step, lambda name: self._answer(name, step))

    def _answer(self, name: str, step: int) -> None:
        self.loading = False
        if step == self.wanted:  # else the slider went on while it was loaded
            self._chat.set_answerer(self._column.id, replace(self._column, name=name, step=step))
            self._chat.ask_last(self._column)
        self.changed.emit()

    @Slot(object)
    def tell(self, _what: ErrorBody | str) -> None:
        """A checkpoint could not be loaded: the card of adapters says why."""
        self.loading = False
        self.changed.emit()
