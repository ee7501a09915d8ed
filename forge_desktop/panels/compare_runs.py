"""The runs that are compared: a chip each with its line and letter, to open or take out, and a field to add one."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QObject, QStringListModel, Qt, QTimer, Signal, Slot
from PySide6.QtGui import QResizeEvent, QShowEvent
from PySide6.QtWidgets import QCompleter, QFrame, QWidget

from engine.contract.api import RunPage
from forge_desktop.models.compare_model import MOST, CompareModel, Entry
from forge_desktop.panels.compare_paint import Swatch
from forge_desktop.panels.status import TONES
from forge_desktop.theme.controls import Chip, Field, button, column, label, row, set_enabled
from forge_desktop.theme.flow import FlowLayout
from forge_desktop.theme.language import explain, tr, word

TYPED_MS = 200
OFFERED = 8
NAME = 24


class AddRun(Field):
    """Searches the history as one types; the run that is chosen is added."""

    added = Signal(str)

    def __init__(self, model: CompareModel) -> None:
        super().__init__(hint=tr("Add a run…"), name="compare.add")
        self.setAccessibleName(tr("Add a run"))
        self.setMinimumWidth(200)
        self._model = model
        self._found: dict[str, str] = {}
        self._asked = 0
        self._texts = QStringListModel(self)
        completer = QCompleter(self._texts, self)
        completer.setCompletionMode(QCompleter.CompletionMode.UnfilteredPopupCompletion)
        completer.activated.connect(self._chosen)
        self.setCompleter(completer)
        self._soon = QTimer(self, singleShot=True, interval=TYPED_MS)
        self._soon.timeout.connect(self.search)
        self.textEdited.connect(lambda _text: self._soon.start())
        self.returnPressed.connect(self._first)

    @Slot()
    def search(self) -> None:
        """Ask for runs with this text."""
        self._asked += 1
        number, text = self._asked, self.text().strip()
        self._model.session.ask(
            lambda backend: backend.runs([], text, 0, OFFERED + MOST), lambda page: self._got(number, page), owner=self
        )

    def _got(self, number: int, page: RunPage) -> None:
        if number != self._asked:
            return
        there = {one.uid for one in self._model.entries}
        self._found = {}
        for run in page.runs:
            if run.uid not in there and run.attempt and len(self._found) < OFFERED:
                self._found[f"{run.name} · {word('state', run.state)} · {run.uid[-6:]}"] = run.uid
        self._texts.setStringList(list(self._found))
        if self._found and self.hasFocus():
            self.completer().complete()

    def offered(self) -> list[str]:
        """What can be chosen."""
        return list(self._found)

    @Slot(str)
    def _chosen(self, text: str) -> None:
        if text in self._found:
            self.added.emit(self._found[text])

    @Slot()
    def _first(self) -> None:
        if self._found:
            self.added.emit(next(iter(self._found.values())))


class CompareRuns(QWidget):
    """The chips and the field."""

    removed = Signal(str)
    added = Signal(str)
    opened = Signal(str)

    def __init__(self, model: CompareModel) -> None:
        super().__init__()
        self.setObjectName("compare.runs")
        self._model = model
        self._shown: list[str] = []
        """What the chip of each run says."""
        self._chips = QWidget()
        self._flow = FlowLayout(self._chips, 8)
        self._fit_soon = QTimer(self, singleShot=True, interval=0)
        self._fit_soon.timeout.connect(self._fit)
        self._chips.installEventFilter(self)
        self.field = AddRun(model)
        self.field.added.connect(self.added)
        full = len(model.entries) >= MOST
        set_enabled(self.field, not full, tr("Ten runs are the most that can be compared."))
        self.setLayout(column(self._chips, spacing=8))
        model.changed.connect(self.refresh)
        self.refresh()

    def showEvent(self, event: QShowEvent) -> None:
        """Qt's own hook: what was arranged while hidden is measured anew."""
        super().showEvent(event)
        self._fit_soon.start()

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Qt's own hook: another width wraps the chips another way."""
        super().resizeEvent(event)
        self._fit()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Qt's own hook: a chip became wider, or was looked at for the first time."""
        if event.type() in (QEvent.Type.LayoutRequest, QEvent.Type.Resize):
            self._fit_soon.start()
        return super().eventFilter(watched, event)

    def _fit(self) -> None:
        """As high as the chips need: Qt learns too late that new ones are there."""
        high = self._flow.heightForWidth(self._chips.width())
        if high != self.minimumHeight():
            self._chips.setFixedHeight(high)
            self.setFixedHeight(high)
            parent = self.parentWidget()
            above = parent.layout() if parent is not None else None
            if above is not None:
                above.activate()  # it would learn of it only with the next change

    @Slot()
    def refresh(self) -> None:
        """Show the runs as they are now."""
        for place, one in enumerate(self._model.entries):
            key = repr((one.name, one.detail.run.state if one.detail else None, one.error))
            if self._shown[place : place + 1] == [key]:
                continue
            self._shown[place : place + 1] = [key]
            chip = self._chip(place, one)
            self._flow.put(place, chip)
            chip.show()
            self._fit_soon.start()

    def _chip(self, place: int, one: Entry) -> QWidget:
        made = QFrame()
        made.setProperty("role", "card")
        made.setObjectName(f"compare.run.{one.uid}")
        layout = row(Swatch(place, one.letter), spacing=6, margins=(10, 3, 4, 3))
        if one.detail is None:
            layout.addWidget(label(_short(one.name), "strong"))
        else:
            tip = tr("Open {name}", name=one.name)
            go = button(_short(one.name), "link", "", lambda: self.opened.emit(one.uid), f"compare.open.{one.uid}", tip)
            layout.addWidget(go)
            state = one.detail.run.state
            layout.addWidget(Chip(word("state", state), *TONES[state]))
        if one.error is not None and one.detail is None:
            what, _why, _fix = explain(one.error)
            chip = Chip(tr("not there"), "bad", "circle-x")
            chip.setToolTip(what)
            layout.addWidget(chip)
        elif one.detail is None:
            layout.addWidget(Chip(tr("loading"), "plain", "loader-circle"))
        gone = button("", "link", "x", lambda: self.removed.emit(one.uid), f"compare.remove.{one.uid}",
                      tr("Take {name} out", name=one.name))  # fmt: skip
        layout.addWidget(gone)
        made.setLayout(layout)
        made.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        return made


def _short(name: str) -> str:
    return name if len(name) <= NAME else f"{name[: NAME - 1]}…"
