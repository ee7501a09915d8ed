"""Stopping, killing, removing and adopting instances: asked once where something is lost, refusals in a list."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QObject, Signal
from PySide6.QtWidgets import QMessageBox, QWidget

from engine.contract.errors import ErrorBody
from engine.contract.listing import BulkRefusal
from engine.contract.nodes import DeedResult, Instance, InstanceVerb
from forge_desktop.models.instance_words import VERBS, done_text, kill_loses, remove_loses, run_text, why_not
from forge_desktop.models.instances_model import InstancesModel
from forge_desktop.panels.bulk_actions import RefusedDialog
from forge_desktop.panels.questions import answer_to, question
from forge_desktop.theme.language import count, tr


class InstanceDeeds(QObject):
    """Sends deeds for those of the picked they make sense for."""

    told = Signal(str)
    failed = Signal(object)
    """ErrorBody."""

    def __init__(self, model: InstancesModel, page: QWidget) -> None:
        super().__init__(page)
        self._model, self._page = model, page

    def do(self, wanted: str, some: Sequence[Instance]) -> None:
        """Ask first where something is lost, then do it."""
        verb = next(verb for verb in VERBS if verb == wanted)
        fit = [one for one in some if not why_not(one, verb)]
        if not fit:
            return
        if verb == "kill":
            self._ask_kill(fit)
        elif verb == "remove":
            self._ask_remove(fit)
        else:
            self._send(verb, fit)

    def _ask_kill(self, some: Sequence[Instance]) -> None:
        """The safe way stands first and is the default."""
        title = count(len(some), "Kill 1 instance?", "Kill {n} instances?")
        box = question(self._page, title, kill_loses(some))
        save = box.addButton(tr("Stop and save"), QMessageBox.ButtonRole.AcceptRole)
        save.setObjectName("instances.kill.save")
        kill = box.addButton(tr("Kill"), QMessageBox.ButtonRole.DestructiveRole)
        kill.setObjectName("instances.kill.yes")
        box.addButton(tr("Let it go on"), QMessageBox.ButtonRole.RejectRole)
        box.setDefaultButton(save)

        def answered() -> None:
            match answer_to(box):
                case "instances.kill.yes":
                    self._send("kill", some)
                case "instances.kill.save":
                    self._send("stop", some)

        box.finished.connect(answered)
        box.open()

    def _ask_remove(self, some: Sequence[Instance]) -> None:
        title = count(len(some), "Remove 1 instance?", "Remove {n} instances?")
        box = question(self._page, title, remove_loses(some))
        keep = box.addButton(tr("Keep"), QMessageBox.ButtonRole.RejectRole)
        gone = box.addButton(tr("Remove"), QMessageBox.ButtonRole.DestructiveRole)
        gone.setObjectName("instances.remove.yes")
        box.setDefaultButton(keep)
        box.finished.connect(
            lambda _code: self._send("remove", some) if answer_to(box) == "instances.remove.yes" else None
        )
        box.open()

    def _send(self, verb: InstanceVerb, some: Sequence[Instance]) -> None:
        names = {one.id: run_text(one) for one in some}
        self._model.do(verb, list(names), lambda result: self._done(verb, names, result), self._fail)

    def _done(self, verb: InstanceVerb, names: dict[str, str], result: DeedResult) -> None:
        said = done_text(verb, result.done)
        if result.done:
            self.told.emit(said)
        if not result.errors:
            return
        refused = [BulkRefusal(uid=name, name=names.get(name, name), error=error)
                   for name, error in result.errors.items()]  # fmt: skip
        title = count(len(refused), "1 instance was left as it is", "{n} instances were left as they are")
        RefusedDialog(said if result.done else "", refused, names, self._page, title).open()

    def _fail(self, error: ErrorBody) -> None:
        self.failed.emit(error)
