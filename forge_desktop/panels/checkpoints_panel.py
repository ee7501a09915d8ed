"""The checkpoints of a run as a table: where it can go on from, and what can be done with each."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QGridLayout, QMenu, QWidget

from engine.contract.api import CheckpointInfo, RunDetail
from engine.contract.states import LIVE
from forge_desktop.models.run_model import RunModel
from forge_desktop.panels.run_card import RunCard
from forge_desktop.theme.controls import Chip, Elided, button, column, label, line, row, set_enabled
from forge_desktop.theme.language import tr, word
from forge_desktop.theme.measures import ago, figure, moment, size

MAX_SHOWN = 200
RAIL_SHOWN = 4
Do = Callable[[str, CheckpointInfo], object]
"""resume, keep, release, chat, download, copy_path or delete, and with which."""


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
        grid.setHorizontalSpacing(10)
        grid.setVerticalSpacing(4)
        heads = (tr("Step"), tr("Epoch"), tr("Loss"), tr("Validation loss"), tr("On disk"), tr("When"), tr("Why"))
        for place, text in enumerate(heads):
            grid.addWidget(Elided(text, "label"), 0, place)
            grid.setColumnStretch(place, 1)
        newest = detail.checkpoints[-1]
        for number, found in enumerate(reversed(detail.checkpoints[-MAX_SHOWN:])):
            grid.addWidget(line(), 2 * number + 1, 0, 1, len(heads) + 1)
            self._add(grid, 2 * number + 2, found, found is newest, detail)
        self._rows.addWidget(table)

    def _add(self, grid: QGridLayout, place: int, found: CheckpointInfo, newest: bool, detail: RunDetail) -> None:
        step = row(label(f"{found.step:,}", "strong"), spacing=6)
        for chip in _chips(found, newest):
            step.addWidget(chip)
        if len(detail.attempts) > 1:
            step.addWidget(label(tr("attempt {n}", n=found.attempt), "hint"))
        step.addStretch(1)
        grid.addLayout(step, place, 0)
        facts = (f"{found.epoch:.2f}", figure(found.loss), figure(found.validation_loss), size(found.bytes))
        for number, text in enumerate(facts, 1):
            grid.addWidget(label(text), place, number)
        when = label(ago(found.created), "hint")
        when.setToolTip(moment(found.created))
        grid.addWidget(when, place, 5)
        grid.addWidget(label(word("save", found.cause), "hint"), place, 6)
        grid.addWidget(self._actions(found, detail), place, 7)

    def _actions(self, found: CheckpointInfo, detail: RunDetail) -> QWidget:
        made = QWidget()
        name = f"checkpoint.{found.id}"
        resume = button(tr("Resume"), "link", "play", lambda: self._do("resume", found), f"{name}.resume")
        set_enabled(resume, not detail.run.state.live, tr("The run is at work: pause or stop it first."))
        resume.setAccessibleName(tr("Resume from here"))
        if resume.isEnabled():
            resume.setToolTip(tr("Resume from here"))
        load = button("", "link", "download", lambda: self._do("download", found), f"{name}.download", tr("Download"))
        more = button("", "link", "ellipsis", name=f"{name}.more", tip=tr("More"))
        more.clicked.connect(
            lambda: menu_of(self, self._do, found, detail).popup(more.mapToGlobal(more.rect().bottomLeft()))
        )
        made.setLayout(row(resume, load, more, spacing=2))
        return made


class LatestCheckpoints(RunCard):
    """The newest checkpoints in the rail, and the best one where it is older."""

    def __init__(self, model: RunModel, do: Do, show_all: Callable[[], object]) -> None:
        self._do = do
        super().__init__(model, tr("Checkpoints"), "run.checkpoints.latest", spacing=0)
        self._kept = Elided("", "hint")
        self.head.addWidget(self._kept, 1)
        self.head.addWidget(button(tr("All"), "link", on_click=show_all, name="run.checkpoints.all"))
        self._show_kept()

    def _key(self, detail: RunDetail | None) -> object:
        return (repr(detail.checkpoints), detail.run.state, detail.run.cleaned) if detail else ""

    def _show_kept(self) -> None:
        detail = self._model.detail
        number = len(detail.checkpoints) if detail else 0
        rhythm = _rhythm(detail) if detail else ""
        kept = tr("{n} kept", n=number) if number else ""
        self._kept.set_text(" · ".join(filter(None, [kept, rhythm])))

    def _fill(self, detail: RunDetail | None) -> None:
        if hasattr(self, "_kept"):
            self._show_kept()
        if detail is None or not detail.checkpoints:
            self._rows.addWidget(label(_nothing(detail) if detail else "", "hint", wrap=True))
            return
        newest = list(reversed(detail.checkpoints))
        best = next((found for found in newest if found.best), None)
        shown = newest[:RAIL_SHOWN]
        if best is not None and best not in shown:
            shown = [*shown[:-1], best]
        for number, found in enumerate(shown):
            if number:
                self._rows.addWidget(line())
            self._rows.addWidget(self._row(found, found is newest[0], detail))

    def _row(self, found: CheckpointInfo, newest: bool, detail: RunDetail) -> QWidget:
        made = QWidget()
        head = row(label(tr("Step {step}", step=f"{found.step:,}"), "strong"), spacing=6)
        for chip in _chips(found, newest):
            head.addWidget(chip)
        head.addStretch(1)
        texts = column(spacing=0)
        texts.addLayout(head)
        value = found.validation_loss if found.validation_loss is not None else found.loss
        name = tr("validation {value}", value=figure(value)) if found.validation_loss is not None else tr(
            "loss {value}", value=figure(value)
        )  # fmt: skip
        below = Elided(" · ".join([name, size(found.bytes), ago(found.created)]), "hint")
        texts.addWidget(below)
        more = button("", "link", "ellipsis", name=f"checkpoint.rail.{found.id}", tip=tr("More"))
        more.clicked.connect(
            lambda: menu_of(self, self._do, found, detail).popup(more.mapToGlobal(more.rect().bottomLeft()))
        )  # fmt: skip
        layout = row(spacing=8, margins=(0, 6, 0, 6))
        layout.addLayout(texts, 1)
        layout.addWidget(more)
        made.setLayout(layout)
        return made


def _chips(found: CheckpointInfo, newest: bool) -> list[Chip]:
    chips = [Chip(tr("Latest"), "info", "clock")] if newest else []
    chips += [Chip(tr("Best"), "ok", "check")] if found.best else []
    return [*chips, Chip(tr("Kept"), "plain", "pin")] if found.kept else chips


def _rhythm(detail: RunDetail) -> str:
    """`every 10 min · every 500 steps`: when one is saved by itself."""
    config = getattr(detail.spec.job, "checkpoints", None)
    parts = []
    if config is not None and config.every_minutes:
        parts.append(tr("every {minutes} min", minutes=f"{config.every_minutes:g}"))
    if config is not None and config.every_steps:
        parts.append(tr("every {steps} steps", steps=f"{config.every_steps:,}"))
    return " · ".join(parts)


def menu_of(parent: QWidget, do: Do, found: CheckpointInfo, detail: RunDetail) -> QMenu:
    """Everything that can be done with a checkpoint."""
    menu = QMenu(parent)
    menu.setToolTipsVisible(True)
    menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
    busy = detail.run.state in LIVE
    resume = menu.addAction(tr("Resume from here"), lambda: do("resume", found))
    resume.setEnabled(not busy)
    resume.setToolTip(tr("The run is at work: pause or stop it first.") if busy else "")
    keep = menu.addAction(
        tr("No longer keep") if found.kept else tr("Keep for good"),
        lambda: do("release" if found.kept else "keep", found),
    )
    keep.setObjectName("checkpoint.keep")
    menu.addAction(tr("Chat with it…"), lambda: do("chat", found))
    menu.addAction(tr("Download"), lambda: do("download", found))
    menu.addAction(tr("Copy path"), lambda: do("copy_path", found))
    menu.addSeparator()
    delete = menu.addAction(tr("Delete…"), lambda: do("delete", found))
    delete.setEnabled(not busy)
    delete.setToolTip(tr("The run is at work: pause or stop it first.") if busy else "")
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
