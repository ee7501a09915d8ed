"""Moving runs to another node: which, where to, why there, and what will happen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from PySide6.QtCore import Qt, Slot
from PySide6.QtWidgets import QDialog, QListWidget, QListWidgetItem, QWidget

from engine.contract.errors import ErrorBody
from engine.contract.nodes import MoveView, PlacementAnswer
from engine.contract.run_spec import RunSpec
from forge_desktop.bridge.backend import Backend
from forge_desktop.bridge.session import Session
from forge_desktop.models.move_words import what_happens
from forge_desktop.models.moves_model import MovesModel
from forge_desktop.models.node_words import title_of
from forge_desktop.panels.node_choice import NodeChoice, options_of
from forge_desktop.panels.page import ErrorCard
from forge_desktop.theme import icons
from forge_desktop.theme.controls import button, column, face, label, row, set_enabled
from forge_desktop.theme.language import count, tr
from forge_desktop.theme.look import tokens

RUN_LINE = 30
MOST_RUNS_SEEN = 4
AUTO = "auto"
STEP_ICONS = ("save", "arrow-left-right", "play", "shield")
"""Of what will happen."""


@dataclass(frozen=True)
class Movable:
    """A run at work somewhere."""

    uid: str
    name: str
    node: str


def ask_where(backend: Backend, uid: str) -> PlacementAnswer:
    """For request threads: where a live run would go if it were free to."""
    spec: RunSpec = backend.run(uid).spec
    free = spec.compute.model_copy(update={"node": AUTO})
    return backend.plan_placement(spec.model_copy(update={"compute": free}))


class MoveDialog(QDialog):
    """Nothing happens before Move is pressed."""

    def __init__(self, session: Session, moves: MovesModel, runs: Sequence[Movable], parent: QWidget) -> None:
        super().__init__(parent)
        self.setObjectName("move")
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setMinimumWidth(620)
        self._session, self._moves = session, moves
        self._runs = list(runs)
        self._waiting, self._sent, self._loaded = 0, 0, False
        self._asked = 0
        self._title = label("", "card-title", wrap=True)
        self.runs = QListWidget()
        self.nodes = NodeChoice()
        self._said = label(tr("The scheduler is being asked where it could go."), "hint", wrap=True)
        self._said.setObjectName("move.said")
        self._error = ErrorCard("move.error")
        self._go = button(tr("Move runs"), "primary", "arrow-left-right", self._confirm, name="move.go")
        self._go.setDefault(True)
        self._build()
        self.nodes.currentRowChanged.connect(self._refresh)
        self._ask()

    def _build(self) -> None:
        self._fill_runs()
        layout = column(self._title, spacing=10, margins=(20, 18, 20, 18))
        layout.addWidget(self.runs)
        layout.addWidget(label(tr("To"), "label"))
        layout.addWidget(self.nodes)
        layout.addWidget(self._said)
        layout.addSpacing(4)
        layout.addWidget(label(tr("What a move does"), "label"))
        steps = column(spacing=6)
        for icon, text in zip(STEP_ICONS, what_happens(len(self._runs)), strict=True):
            picture = label()
            picture.setPixmap(icons.pixmap(icon, tokens().secondary, 16))
            picture.setAlignment(Qt.AlignmentFlag.AlignTop)
            picture.setFixedWidth(18)
            line = row(picture, spacing=8)
            line.addWidget(label(text, wrap=True), 1)
            steps.addLayout(line)
        layout.addLayout(steps)
        layout.addWidget(self._error)
        cancel = button(tr("Cancel"), on_click=self.reject, name="move.close")
        layout.addLayout(row(None, cancel, self._go, spacing=10))
        self.setLayout(layout)
        self._refresh()

    def _fill_runs(self) -> None:
        """Which runs; a single one stands in the title."""
        names = {run.node for run in self._runs}
        if len(self._runs) == 1:
            only = self._runs[0]
            text = tr("Move '{name}' from {node}", name=only.name, node=title_of(only.node))
        else:
            text = tr("Move runs from {node}", node=title_of(next(iter(names)))) if len(names) == 1 else tr("Move runs")
        self._title.setText(text)
        self.setWindowTitle(text)
        self.runs.setObjectName("move.runs")
        self.runs.setProperty("role", "boxed")
        self.runs.setAccessibleName(tr("Runs to move"))
        self.runs.blockSignals(True)
        self.runs.clear()
        for run in self._runs:
            item = QListWidgetItem(run.name)
            item.setData(Qt.ItemDataRole.UserRole, run)
            item.setFlags(item.flags() | Qt.ItemFlag.ItemIsUserCheckable)
            item.setCheckState(Qt.CheckState.Checked)
            self.runs.addItem(item)
        self.runs.blockSignals(False)
        self.runs.setFixedHeight(RUN_LINE * min(MOST_RUNS_SEEN, len(self._runs)) + 14)
        self.runs.setVisible(len(self._runs) > 1)
        self.runs.itemChanged.connect(self._picked_others)

    def picked(self) -> list[Movable]:
        """Those with a tick."""
        items = [self.runs.item(place) for place in range(self.runs.count())]
        return [item.data(Qt.ItemDataRole.UserRole) for item in items if item.checkState() is Qt.CheckState.Checked]

    @Slot()
    def _picked_others(self) -> None:
        if self.picked() and len(self._runs) > 1:
            self._ask()
        self._refresh()

    def _ask(self) -> None:
        picked = self.picked()
        if not picked:
            return
        self._asked += 1
        asked = self._asked
        self._session.ask(
            lambda backend: ask_where(backend, picked[0].uid),
            lambda answer: self._answered(asked, picked, answer),
            self._show_error,
            owner=self,
        )

    def _answered(self, asked: int, picked: list[Movable], answer: PlacementAnswer) -> None:
        if asked != self._asked:
            return
        before = self.nodes.chosen()
        options = options_of(answer, picked[0].node, several=len(picked) > 1)
        self.nodes.show_options(options)
        if self._loaded and before is not None:
            self.nodes.choose(before.node)
        self._loaded = True
        self._refresh()
        if not self.runs.isVisibleTo(self):
            self.nodes.setFocus()

    @Slot()
    def _refresh(self, *_place: object) -> None:
        why = self._why_not()
        number = len(self.picked())
        text = count(number, "Move 1 run", "Move {n} runs")
        self._go.setText(face(text, True))
        self._go.setAccessibleName(text)
        set_enabled(self._go, not why, why)
        self._said.setText(why)
        self._said.setVisible(bool(why))

    def _why_not(self) -> str:
        if self._sent:
            return tr("The controller is being asked.")
        if not self.picked():
            return tr("Pick a run first.")
        if not self._loaded:
            return tr("The scheduler is being asked where it could go.")
        if not self.nodes.count():
            return tr("There is no other node. Add one on the Nodes page.")
        chosen = self.nodes.chosen()
        if chosen is None:
            return tr("No other node can take it now. Choose one to read why.")
        return "" if chosen.fits else chosen.why

    def _confirm(self) -> None:
        chosen, picked = self.nodes.chosen(), self.picked()
        if chosen is None or self._why_not():
            return
        self._error.show_error(None)
        self._sent = len(picked)
        self._refresh()
        for run in picked:
            self._moves.begin(run.uid, chosen.node, lambda move: self._begun(move), self._refused, self)

    def _begun(self, move: MoveView) -> None:
        self._runs = [run for run in self._runs if run.uid != move.run]
        self._settle()

    def _refused(self, error: ErrorBody) -> None:
        self._error.show_error(error)
        self._settle()

    def _settle(self) -> None:
        """All that were asked for are answered: done, or what was refused stays to be tried again."""
        self._sent -= 1
        if self._sent:
            return
        if not self._error.isVisibleTo(self):
            self.accept()
            return
        self.runs.itemChanged.disconnect(self._picked_others)
        if self._runs:
            self._fill_runs()
        self._refresh()

    @Slot(object)
    def _show_error(self, error: ErrorBody) -> None:
        self._error.show_error(error)
        self._said.setText("")

    def error_text(self) -> str:
        """What went wrong, if anything."""
        return self._error.what.text() if self._error.isVisibleTo(self) else ""
