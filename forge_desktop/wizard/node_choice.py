"""Choosing where a run works: the scheduler's choice first, then every node with what speaks for or against it."""

from __future__ import annotations

from functools import partial
from typing import Any

from PySide6.QtCore import QSize, Qt, QTimer, Signal, Slot
from PySide6.QtWidgets import QAbstractButton, QButtonGroup, QPushButton, QSizePolicy, QWidget

from engine.contract.errors import ErrorBody, Problem
from engine.contract.nodes import Candidate, PlacementAnswer
from forge_desktop.bridge.session import Session
from forge_desktop.models.draft_model import DraftModel
from forge_desktop.models.node_words import title_of
from forge_desktop.theme.controls import Chip, Elided, clear, column, label, row
from forge_desktop.theme.language import explain, labelled, sentences, tr
from forge_desktop.theme.measures import money, size

AUTO = "auto"
SOON_MS = 400
HEIGHT = 62
FIELD = "compute.node"
ASKED_AGAIN = ("", "compute.gpus", "compute.priority", "compute.share", "compute.labels", "model.path", "tuner.kind")


class NodeChoice(QWidget):
    """Follows the draft; empty as long as this computer is the only node."""

    answered = Signal(bool)
    """Whether there is anything to choose."""

    def __init__(self, draft: DraftModel, session: Session) -> None:
        super().__init__()
        self.setObjectName("wizard.nodes")
        self._draft, self._session = draft, session
        self._asked = 0
        self.answer: PlacementAnswer | None = None
        self._group = QButtonGroup(self)
        self._group.buttonToggled.connect(self._mark)
        self._rows: dict[str, _Row] = {}
        self._list = column(spacing=6)
        self._said = label("", "hint", wrap=True)
        layout = column(spacing=8)
        layout.addLayout(self._list)
        layout.addWidget(self._said)
        self.setLayout(layout)
        self._soon = QTimer(self, singleShot=True, interval=SOON_MS)
        self._soon.timeout.connect(self.ask)
        draft.changed.connect(self._changed)
        draft.checked.connect(self._first_time)
        session.node_changed.connect(self._nodes_moved)
        session.node_removed.connect(self._nodes_moved)
        self.hide()

    @property
    def is_needed(self) -> bool:
        """There is more than one node."""
        return self.answer is not None and len(self.answer.candidates) > 1

    @Slot(str)
    def _changed(self, path: str) -> None:
        if path == FIELD:
            self._show_chosen()
        elif path in ASKED_AGAIN:
            self._soon.start()

    @Slot()
    def _nodes_moved(self, *_news: object) -> None:
        self._soon.start()

    @Slot()
    def _first_time(self) -> None:
        if self.answer is None:
            self._soon.start()

    @Slot()
    def ask(self) -> None:
        """Where the run would go now, if the scheduler chose."""
        config = self._draft.config
        if config is None or not self._session.is_online:
            return
        spec = config.to_spec()
        spec = spec.model_copy(update={"compute": spec.compute.model_copy(update={"node": AUTO})})
        self._asked += 1
        asked = self._asked

        def done(answer: PlacementAnswer) -> None:
            if asked == self._asked:
                self._got(answer)

        self._session.ask(lambda backend: backend.plan_placement(spec), done, self._failed, owner=self)

    def _failed(self, error: ErrorBody) -> None:
        """The controller checks it again when the run is made; until then what was known holds."""
        self._said.setText(sentences(*explain(error)[:2]))

    def _got(self, answer: PlacementAnswer) -> None:
        first, self.answer = self.answer is None, answer
        self.setVisible(self.is_needed)
        if not self.is_needed:
            self.answered.emit(False)
            return
        if first and self._draft.is_new and self._draft.get(FIELD) == self._draft.default(FIELD):
            self._draft.set(FIELD, AUTO)  # nobody has chosen yet: the scheduler does
        self._fill(answer)
        self.answered.emit(True)

    def _fill(self, answer: PlacementAnswer) -> None:
        """Rows stay where they are as long as the order is the same, so that nothing flickers under a hand."""
        best = sorted(answer.candidates, key=lambda one: (one.node != answer.node, not one.fits, -one.score))
        if [AUTO, *(one.node for one in best)] != list(self._rows):
            self._make_rows([AUTO, *(one.node for one in best)])
        self._rows[AUTO].show_auto(answer)
        for one in best:
            self._rows[one.node].show_candidate(one, one.node == answer.node)
        self._show_chosen()

    def _make_rows(self, names: list[str]) -> None:
        focused = next((name for name, made in self._rows.items() if made.hasFocus()), "")
        for made in self._rows.values():
            self._group.removeButton(made)
        clear(self._list)
        self._rows = {name: _Row(name) for name in names}
        for name, made in self._rows.items():
            made.clicked.connect(partial(self._choose, name))
            self._group.addButton(made)
            self._list.addWidget(made)
            made.show()
        if focused in self._rows:
            self._rows[focused].setFocus()

    def _show_chosen(self) -> None:
        chosen = str(self._draft.get(FIELD))
        made = self._rows.get(chosen)
        if made is not None:
            made.setChecked(True)
        one = next((one for one in (self.answer.candidates if self.answer else []) if one.node == chosen), None)
        waits = one is not None and not one.fits
        text = tr("The run waits until this node can take it.") if waits else ""
        if self._rows and made is None:
            text = tr("The draft asks for '{node}', which is not there any more. Choose another.", node=chosen)
        self._said.setText(text)
        self._said.setVisible(bool(text))

    @Slot(QAbstractButton, bool)
    def _mark(self, _button: QAbstractButton, _on: bool) -> None:
        for made in self._rows.values():
            made.mark()

    def _choose(self, name: str, _checked: bool = False) -> None:
        self._draft.set(FIELD, name)

    def choices(self) -> list[str]:
        """What can be chosen, in order."""
        return list(self._rows)

    def row(self, name: str) -> _Row:
        """The row of a node, or of `auto`."""
        return self._rows[name]


class _Row(QPushButton):
    """A node that can be chosen: its name, what it has free, and why or why not."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.setProperty("variant", "choice")
        self.setObjectName(f"wizard.node.{name}")
        self.setCheckable(True)
        self.setAutoDefault(False)
        self.setFixedHeight(HEIGHT)
        self._name = name
        self._title = Elided("", "strong")
        self._title.setSizePolicy(QSizePolicy.Policy.Maximum, QSizePolicy.Policy.Preferred)
        self._chip = Chip()
        self._facts = label("", "label")
        self._why = Elided("", "hint")
        head = row(self._title, self._chip, None, self._facts, spacing=10)
        layout = column(spacing=2, margins=(14, 8, 14, 8))
        layout.addLayout(head)
        layout.addWidget(self._why)
        self.setLayout(layout)

    def minimumSizeHint(self) -> QSize:
        """Qt's own hook."""
        return QSize(240, HEIGHT)

    def show_auto(self, answer: PlacementAnswer) -> None:
        """The scheduler's own choice."""
        self._title.set_text(tr("Automatic"))
        self._chip.set(tr("Proposed"), "accent", "check")
        where = labelled(tr("now"), title_of(answer.node)) if answer.node else tr("it waits now")
        self._facts.setText(where)
        what, why, fix = _explained(answer.code, answer.params)
        self._say(sentences(why or what, fix if answer.node is None else ""), where)

    def show_candidate(self, one: Candidate, is_best: bool) -> None:
        """What speaks for a node, or against it."""
        self._title.set_text(title_of(one.node))
        self._chip.set(*((tr("Free"), "ok", "check") if one.fits else (tr("Not now"), "warn", "hourglass")))
        self._facts.setText(facts_of(one))
        what, why, fix = _explained(one.code, one.params)
        text = tr("The scheduler would take it now.") if is_best else what if one.fits else sentences(what, why, fix)
        self._say(text, self._facts.text())

    def _say(self, why: str, facts: str) -> None:
        self._why.set_text(why)
        self.setAccessibleName(f"{self._title.accessibleName()}, {self._chip.text()}, {facts}")
        self.setAccessibleDescription(why)

    def mark(self) -> None:
        """Tab comes to the one that is chosen; arrows go on from there."""
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus if self.isChecked() else Qt.FocusPolicy.ClickFocus)

    def why(self) -> str:
        """What speaks for it or against it."""
        return self._why.accessibleName()


def _explained(code: str, params: dict[str, Any]) -> tuple[str, str, str]:
    """What the scheduler says, with nodes as people call them."""
    if not code:
        return "", "", ""
    named = {key: title_of(str(value)) if key == "node" else value for key, value in params.items()}
    return explain(Problem(code=code, params=named))


def facts_of(one: Candidate) -> str:
    """Free GPUs, room, warmth, price, and whether the data is there."""
    parts = []
    if one.gpus:
        parts.append(tr("{free} of {n} GPUs free", free=one.free_gpus, n=one.gpus))
    if one.free_memory is not None:
        parts.append(size(one.free_memory))
    if one.temperature is not None:
        parts.append(f"{one.temperature:.0f} °C")
    if one.price:
        parts.append(tr("{price} an hour", price=money(one.price, one.currency)))
    if one.data_there:
        parts.append(tr("data is there"))
    return " · ".join(parts)
