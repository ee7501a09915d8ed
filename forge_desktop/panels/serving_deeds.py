"""What can be done with an instance: stop it, start it again, delete it; asked first where something is lost."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from PySide6.QtCore import QObject, Signal
from PySide6.QtWidgets import QWidget

from engine.contract.api import RunSummary
from engine.contract.states import LIVE, RunState
from forge_desktop.bridge.backend import Backend
from forge_desktop.bridge.session import Session
from forge_desktop.panels.questions import ask_before
from forge_desktop.theme.language import tr

CAN_STOP = (*LIVE, RunState.QUEUED, RunState.PAUSED)
CAN_START = (RunState.DRAFT, RunState.STOPPED, RunState.FAILED, RunState.PAUSED, RunState.COMPLETED)


@dataclass(frozen=True)
class ServingDeed:
    """Something a person may want."""

    key: str
    text: str
    icon: str
    why_not: str = ""


def deeds_of(run: RunSummary, online: bool) -> list[ServingDeed]:
    """Everything that makes sense now, the most wanted first."""
    offline = "" if online else tr("The job controller does not answer.")
    found = []
    if run.state in CAN_STOP:
        found.append(ServingDeed("stop", tr("Stop…"), "square", offline))
    if run.state in CAN_START:
        text = tr("Start") if run.state is RunState.DRAFT else tr("Start again")
        found.append(ServingDeed("start", text, "play", offline))
    busy = tr("It is at work: stop it first.") if run.state in LIVE else ""
    return [*found, ServingDeed("delete", tr("Delete…"), "trash-2", offline or busy)]


class ServingDeeds(QObject):
    """Does them; errors and good news go out as signals."""

    told = Signal(str)
    failed = Signal(object)
    """ErrorBody."""

    def __init__(self, session: Session, parent: QWidget) -> None:
        super().__init__(parent)
        self._session, self._parent = session, parent

    def do(self, key: str, run: RunSummary) -> None:
        """stop, start or delete."""
        uid, name = run.uid, run.name
        match key:
            case "start":
                self._ask(lambda backend: backend.start(uid), tr("'{name}' is being started.", name=name))
            case "stop":
                text = tr("Requests at work are cut off. Its keys and settings stay, and it can be started again.")
                ask_before(self._parent, tr("Stop '{name}'?", name=name), text, tr("Stop"), "serving.stop.yes",
                           partial(self._ask, lambda backend: backend.stop(uid, True)))  # fmt: skip
            case "delete":
                text = tr("Its keys, log and figures are deleted for good. Models and adapters stay.")
                ask_before(self._parent, tr("Delete '{name}'?", name=name), text, tr("Delete"), "serving.delete.yes",
                           partial(self._ask, lambda backend: backend.delete(uid)))  # fmt: skip

    def _ask(self, work: Callable[[Backend], object], said: str = "") -> None:
        self._session.ask(work, lambda _done: self.told.emit(said) if said else None, self.failed.emit, owner=self)
