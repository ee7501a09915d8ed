"""What is done to many runs at once: asked once, said how many were done, and which were refused and why."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from PySide6.QtCore import QObject, Qt, Signal, Slot
from PySide6.QtWidgets import QDialog, QListWidget, QMessageBox, QWidget

from engine.contract.api import RunSummary
from engine.contract.errors import ErrorBody
from engine.contract.listing import BulkDeed, BulkRefusal, BulkRequest, BulkResult
from engine.contract.states import LIVE
from forge_desktop.bridge.session import Session
from forge_desktop.panels.questions import answer_to, ask_before, question
from forge_desktop.theme.controls import Field, button, column, label, row, set_enabled
from forge_desktop.theme.language import count, explain, labelled, sentences, tr


class BulkActions(QObject):
    """Sends bulk deeds; the answer is told in a sentence, refusals in a list."""

    told = Signal(str)
    failed = Signal(object)
    """ErrorBody."""

    def __init__(self, session: Session, parent: QWidget) -> None:
        super().__init__(parent)
        self._session, self._window = session, parent
        self.busy = False

    def do(self, deed: str, runs: Sequence[RunSummary]) -> None:
        """start, stop (asks how), pause, tag and untag (ask which), pin, unpin, delete (asks)."""
        match deed:
            case "stop":
                self._stop(runs)
            case "delete":
                self._delete(runs)
            case "tag":
                TagDialog(runs, partial(self._tag, runs), self._window).open()
            case "start" | "pause" | "pin" | "unpin":
                self._send(runs, deed)

    def set_priority(self, runs: Sequence[RunSummary], priority: int) -> None:
        """Another priority for all."""
        self._send(runs, "priority", priority=priority)

    def _tag(self, runs: Sequence[RunSummary], more: list[str], less: list[str]) -> None:
        if more:
            self._send(runs, "tag", more)
        if less:
            self._send(runs, "untag", less)

    def _stop(self, runs: Sequence[RunSummary]) -> None:
        box = question(
            self._window,
            count(len(runs), "Stop 1 run?", "Stop {n} runs?"),
            tr("Stopping and saving keeps what was learned so far. Stopping without saving loses it."),
        )
        save = box.addButton(tr("Stop and save checkpoint"), QMessageBox.ButtonRole.AcceptRole)
        save.setObjectName("bulk.stop.save")
        discard = box.addButton(tr("Stop without saving"), QMessageBox.ButtonRole.DestructiveRole)
        discard.setObjectName("bulk.stop.discard")
        box.addButton(tr("Go on training"), QMessageBox.ButtonRole.RejectRole)
        box.setDefaultButton(save)

        def answered() -> None:
            if answer_to(box) == "bulk.stop.save":
                self._send(runs, "stop")
            elif answer_to(box) == "bulk.stop.discard":
                self._send(runs, "stop_without_saving")

        box.finished.connect(answered)
        box.open()

    def _delete(self, runs: Sequence[RunSummary]) -> None:
        live, pinned = (sum(test) for test in ([run.state in LIVE for run in runs], [run.pinned for run in runs]))
        lost = [tr("Their curves, logs, answers, checkpoints and saved files are deleted for good.")]
        if pinned:
            lost.append(count(pinned, "1 of them is pinned.", "{n} of them are pinned."))
        if live:
            lost.append(count(live, "1 is at work and stays.", "{n} are at work and stay."))
        ask_before(
            self._window,
            count(len(runs), "Delete 1 run?", "Delete {n} runs?"),
            sentences(*lost),
            tr("Delete"),
            "bulk.delete.yes",
            lambda: self._send(runs, "delete"),
        )

    def _send(self, runs: Sequence[RunSummary], deed: BulkDeed, tags: Sequence[str] = (), priority: int = 0) -> None:
        request = BulkRequest(uids=[run.uid for run in runs], deed=deed, tags=list(tags), priority=priority)
        names = {run.uid: run.name for run in runs}
        self._session.ask(
            lambda backend: backend.bulk(request), partial(self._done, deed, names), self._fail, owner=self
        )

    def _done(self, deed: BulkDeed, names: dict[str, str], result: BulkResult) -> None:
        said = done_text(deed, len(result.done))
        if result.refused:
            RefusedDialog(said, result.refused, names, self._window).open()
        else:
            self.told.emit(said)

    @Slot(object)
    def _fail(self, error: ErrorBody) -> None:
        self.failed.emit(error)


def done_text(deed: BulkDeed, number: int) -> str:
    """How many were done."""
    match deed:
        case "start":
            return count(number, "1 run waits for a slot.", "{n} runs wait for a slot.")
        case "stop" | "stop_without_saving":
            return count(number, "1 run is being stopped.", "{n} runs are being stopped.")
        case "pause":
            return count(number, "1 run saves its state and pauses.", "{n} runs save their state and pause.")
        case "delete":
            return count(number, "1 run was deleted.", "{n} runs were deleted.")
    return count(number, "1 run was changed.", "{n} runs were changed.")


class RefusedDialog(QDialog):
    """Which runs (or whatever the title says) a deed was not done to, and why."""

    def __init__(
        self, said: str, refused: Sequence[BulkRefusal], names: dict[str, str], parent: QWidget, title: str = ""
    ) -> None:
        super().__init__(parent)
        self.setObjectName("bulk.refused")
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        runs = count(len(refused), "1 run was left as it is", "{n} runs were left as they are")
        self.setWindowTitle(title or runs)
        self.resize(560, 380)
        self.list = QListWidget()
        self.list.setProperty("role", "boxed")
        self.list.setObjectName("bulk.refused.list")
        self.list.setAccessibleName(self.windowTitle())
        self.list.setWordWrap(True)
        self.list.setTextElideMode(Qt.TextElideMode.ElideNone)
        for one in refused:
            name = one.name or names.get(one.uid, one.uid)
            self.list.addItem(labelled(name, sentences(*explain(one.error)[1:]) or explain(one.error)[0]))
        layout = column(label(self.windowTitle(), "card-title"), label(said, "hint", wrap=True), spacing=10)
        layout.setContentsMargins(20, 18, 20, 18)
        layout.addWidget(self.list, 1)
        close = button(tr("Close"), "primary", on_click=self.accept, name="bulk.refused.close")
        layout.addLayout(row(None, close))
        self.setLayout(layout)


class TagDialog(QDialog):
    """Which tags runs get, and which of theirs they lose."""

    def __init__(self, runs: Sequence[RunSummary], done: object, parent: QWidget) -> None:
        super().__init__(parent)
        self.setObjectName("tags")
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        alone = tr("Tags of '{name}'", name=runs[0].name)
        many = count(len(runs), "Tags of 1 run", "Tags of {n} runs")
        self.setWindowTitle(alone if len(runs) == 1 else many)
        self.setMinimumWidth(460)
        self._done = done
        self.field = Field(hint=tr("nightly, baseline"), name="tags.field")
        self.field.setAccessibleName(tr("Tags to add, with commas between"))
        counts: dict[str, int] = {}
        for run in runs:
            for tag in run.tags:
                counts[tag] = counts.get(tag, 0) + 1
        self._there = QListWidget()
        self._there.setProperty("role", "boxed")
        self._there.setObjectName("tags.there")
        self._there.setAccessibleName(tr("Tags they have; take away the tick to remove one"))
        for tag in sorted(counts):
            self._there.addItem(tag)
            item = self._there.item(self._there.count() - 1)
            item.setFlags(item.flags() | Qt.ItemFlag.ItemIsUserCheckable)
            item.setCheckState(Qt.CheckState.Checked)
        self._there.setMaximumHeight(150)
        self._save = button(tr("Save"), "primary", on_click=self._finish, name="tags.save")
        self._save.setDefault(True)
        layout = column(label(self.windowTitle(), "card-title", wrap=True), spacing=10, margins=(20, 18, 20, 18))
        layout.addWidget(label(tr("Tags to add, with commas between"), "label"))
        layout.addWidget(self.field)
        if counts:
            layout.addWidget(label(tr("Tags they have; take away the tick to remove one"), "label"))
            layout.addWidget(self._there)
        layout.addLayout(row(None, button(tr("Cancel"), on_click=self.reject), self._save))
        self.setLayout(layout)
        self.field.textChanged.connect(self._refresh)
        self._there.itemChanged.connect(self._refresh)
        self._refresh()

    def _more(self) -> list[str]:
        parts = self.field.text().replace("，", ",").split(",")
        return list(dict.fromkeys(part.strip() for part in parts if part.strip()))

    def _less(self) -> list[str]:
        items = [self._there.item(row) for row in range(self._there.count())]
        return [item.text() for item in items if item.checkState() is Qt.CheckState.Unchecked]

    @Slot()
    def _refresh(self) -> None:
        set_enabled(self._save, bool(self._more() or self._less()), tr("Nothing is changed yet."))

    def _finish(self) -> None:
        if callable(self._done):
            self._done(self._more(), self._less())
        self.accept()
