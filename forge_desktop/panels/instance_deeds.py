"""Stopping, killing, removing and adopting instances: asked once where something is lost, refusals in a list."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QObject, Signal
from PySide6.QtWidgets import QMessageBox, QWidget

from engine.contract.errors import ErrorBody
from engine.contract.listing import BulkRefusal
from engine.contract.nodes import DeedResult, Instance, InstanceVerb
from forge_desktop.models.instance_words import (
    VERBS,
    done_text,
    kill_loses,
    names_of,
    remove_loses,
    run_text,
    why_not,
)
from forge_desktop.models.instances_model import InstancesModel
from forge_desktop.panels.bulk_actions import RefusedDialog
from forge_desktop.panels.questions import answer_to, question
from forge_desktop.theme.language import count, tr

OF_ANOTHER_COMPUTER = "instances.other_computer"


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

    def _ask_foreign(self, some: Sequence[Instance], errors: dict[str, ErrorBody]) -> None:
        """Nobody here knows whether the controller that made them lives; only a person can say that it does not."""
        computers = sorted({str(error.params.get("computer") or "?") for error in errors.values()})
        title = count(len(some), "Adopt 1 instance of another computer?", "Adopt {n} instances of other computers?")
        text = tr("A controller on {computers} made this and may be at work there: two would follow it, and each "
                  "would end what the other begins. Adopt it only if that controller is gone for good.",
                  computers=", ".join(computers))  # fmt: skip
        box = question(self._page, title, f"{text}\n\n{names_of(some)}")
        leave = box.addButton(tr("Leave alone"), QMessageBox.ButtonRole.RejectRole)
        adopt = box.addButton(tr("Adopt anyway"), QMessageBox.ButtonRole.DestructiveRole)
        adopt.setObjectName("instances.adopt.anyway")
        box.setDefaultButton(leave)
        box.finished.connect(
            lambda _code: self._send("adopt", some, force=True) if answer_to(box) == "instances.adopt.anyway" else None
        )
        box.open()

    def _send(self, verb: InstanceVerb, some: Sequence[Instance], force: bool = False) -> None:
        names = {one.id: run_text(one) for one in some}
        self._model.do(verb, list(names), lambda result: self._done(verb, some, result), self._fail, force)

    def _done(self, verb: InstanceVerb, some: Sequence[Instance], result: DeedResult) -> None:
        names = {one.id: run_text(one) for one in some}
        said = done_text(verb, result.done)
        if result.done:
            self.told.emit(said)
        foreign = {name: error for name, error in result.errors.items() if error.code == OF_ANOTHER_COMPUTER}
        refused = [BulkRefusal(uid=name, name=names.get(name, name), error=error)
                   for name, error in result.errors.items() if name not in foreign]  # fmt: skip
        strangers = [one for one in some if one.id in foreign]
        if refused:
            title = count(len(refused), "1 instance was left as it is", "{n} instances were left as they are")
            dialog = RefusedDialog(said if result.done else "", refused, names, self._page, title)
            if foreign:
                dialog.finished.connect(lambda _code: self._ask_foreign(strangers, foreign))
            dialog.open()
        elif foreign:
            self._ask_foreign(strangers, foreign)

    def _fail(self, error: ErrorBody) -> None:
        self.failed.emit(error)
