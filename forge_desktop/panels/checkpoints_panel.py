"""The checkpoints of a run as a table: where it can go on from, and what can be done with each."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QGridLayout, QMenu, QWidget

from engine.contract.api import CheckpointInfo, RunDetail
from engine.contract.states import LIVE
from forge_desktop.models.run_model import RunModel
from forge_desktop.panels.run_card import RunCard
from forge_desktop.theme.controls import Chip, button, label, line, row, set_enabled
from forge_desktop.theme.language import tr, word
from forge_desktop.theme.measures import ago, figure, moment, size

MAX_SHOWN = 200
Do = Callable[[str, CheckpointInfo], object]
"""resume, download, copy_path or delete, and with which."""


class CheckpointsCard(RunCard):
    """Every checkpoint that is there, newest first."""

    def __init__(self, model: RunModel, do: Do) -> None:
        self._do = do
        super().__init__(model, tr("Checkpoints"), "run.checkpoints", spacing=0)

    def _key(self, detail: RunDetail | None) -> object:
        return (repr(detail.checkpoints), detail.run.state, detail.run.cleaned) if detail else ""

    def _fill(self, detail: RunDetail | None) -> None:
        if detail is None:
            return
        if not detail.checkpoints:
            self._rows.addWidget(label(_nothing(detail), "hint", wrap=True))
            return
        table = QWidget()
        grid = QGridLayout(table)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setHorizontalSpacing(16)
        grid.setVerticalSpacing(4)
        heads = (tr("Step"), tr("Epoch"), tr("Loss"), tr("Validation loss"), tr("On disk"), tr("When"), tr("Why"))
        for column, text in enumerate(heads):
            grid.addWidget(label(text, "label"), 0, column)
            grid.setColumnStretch(column, 1)
        newest = detail.checkpoints[-1]
        for number, found in enumerate(reversed(detail.checkpoints[-MAX_SHOWN:])):
            grid.addWidget(line(), 2 * number + 1, 0, 1, len(heads) + 1)
            self._add(grid, 2 * number + 2, found, found is newest, detail)
        self._rows.addWidget(table)

    def _add(self, grid: QGridLayout, place: int, found: CheckpointInfo, newest: bool, detail: RunDetail) -> None:
        step = row(label(f"{found.step:,}", "strong"), spacing=6)
        if found.best:
            step.addWidget(Chip(tr("Best"), "ok", "check"))
        if newest:
            step.addWidget(Chip(tr("Latest"), "info"))
        if len(detail.attempts) > 1:
            step.addWidget(label(tr("attempt {n}", n=found.attempt), "hint"))
        step.addStretch(1)
        grid.addLayout(step, place, 0)
        facts = (f"{found.epoch:.2f}", figure(found.loss), figure(found.validation_loss), size(found.bytes))
        for column, text in enumerate(facts, 1):
            grid.addWidget(label(text), place, column)
        when = label(ago(found.created), "hint")
        when.setToolTip(moment(found.created))
        grid.addWidget(when, place, 5)
        grid.addWidget(label(word("save", found.cause), "hint"), place, 6)
        grid.addWidget(self._actions(found, detail), place, 7)

    def _actions(self, found: CheckpointInfo, detail: RunDetail) -> QWidget:
        made = QWidget()
        name = f"checkpoint.{found.id}"
        resume = button(
            tr("Resume from here"), "link", "play", lambda: self._do("resume", found), name=f"{name}.resume"
        )  # fmt: skip
        set_enabled(resume, not detail.run.state.live, tr("The run is at work: pause or stop it first."))
        load = button("", "link", "download", lambda: self._do("download", found), f"{name}.download", tr("Download"))
        more = button("", "link", "ellipsis", name=f"{name}.more", tip=tr("More"))
        more.clicked.connect(lambda: self._menu(found, detail).popup(more.mapToGlobal(more.rect().bottomLeft())))
        made.setLayout(row(resume, load, more, spacing=2))
        return made

    def _menu(self, found: CheckpointInfo, detail: RunDetail) -> QMenu:
        menu = QMenu(self)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        menu.addAction(tr("Copy path"), lambda: self._do("copy_path", found))
        delete = menu.addAction(tr("Delete…"), lambda: self._do("delete", found))
        delete.setEnabled(detail.run.state not in LIVE)
        return menu


def _nothing(detail: RunDetail) -> str:
    if detail.run.cleaned is not None:
        return tr("The checkpoints were deleted on {when}. Results are kept.", when=moment(detail.run.cleaned))
    if detail.run.state.ended:
        return tr("This run left no checkpoint.")
    config = getattr(detail.spec.job, "checkpoints", None)
    if config is not None and config.every_minutes:
        return tr(
            "None yet. The whole state of training is saved every {minutes} min, and whenever you ask for it.",
            minutes=f"{config.every_minutes:g}",
        )
    return tr("None yet. The whole state of training is saved whenever you ask for it.")
