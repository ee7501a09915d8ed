"""Where the data lies, what takes the room, and moving it to another folder."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from PySide6.QtCore import QRectF, QSize, Qt, Slot
from PySide6.QtGui import QColor, QPainter, QPaintEvent
from PySide6.QtWidgets import QFileDialog, QGridLayout, QLabel, QWidget

from engine.contract.errors import ErrorBody
from engine.contract.storage import PARTS, Part, Storage
from forge_desktop.bridge.backend_settings import MoveProgress, MoveWish
from forge_desktop.bridge.preferences import Preferences
from forge_desktop.bridge.session import Session
from forge_desktop.models.storage_model import StorageModel
from forge_desktop.panels.page import ErrorCard
from forge_desktop.panels.questions import ask_before
from forge_desktop.theme.controls import Bar, Card, Elided, button, column, label, row, set_enabled
from forge_desktop.theme.language import sentences, tr, word
from forge_desktop.theme.look import tokens
from forge_desktop.theme.measures import percent, size

MENDABLE = {"home.runs_live": "Pause them and move", "home.target_network": "Move all the same"}
"""Why a move was refused, and what the person may agree to."""


class DataPanel(QWidget):
    """Folder, sizes, and the move."""

    def __init__(self, session: Session, preferences: Preferences) -> None:
        super().__init__()
        self._session = session
        self.model = StorageModel(session, preferences, self)
        self._error = ErrorCard("data.error")
        self._agree: MoveWish | None = None
        self._yes = button("", "primary", on_click=self._agreed, name="data.agree")
        self._yes.hide()
        self._error.body.addLayout(row(None, self._yes))
        self.setLayout(column(self._error, self._place_card(), self._old_card(), self._sizes_card(), spacing=14))
        self.model.changed.connect(self._refresh)
        self.model.failed.connect(self._error.show_error)
        self.model.refused.connect(self._refused)
        self.model.progressed.connect(self._progressed)
        self.model.moved.connect(self._moved)
        self._refresh()
        self.model.fetch()

    def _place_card(self) -> Card:
        card = Card(tr("Folder"), margins=(20, 16, 20, 18))
        self._folder = Elided(tr("The job controller is being asked."), "strong")
        self._folder.setObjectName("data.folder")
        self._free = label("", "hint", wrap=True)
        self._move = button(tr("Move…"), icon="hard-drive", on_click=self._choose, name="data.move")
        self._cancel = button(tr("Cancel"), on_click=self.model.cancel, name="data.cancel")
        self._bar, self._step = Bar(8), label("", "hint", wrap=True)
        self._step.setObjectName("data.step")
        texts = column(self._folder, self._free, spacing=4)
        head = row(spacing=16)
        head.addLayout(texts, 1)
        head.addWidget(self._move)
        card.body.addLayout(head)
        self._progress = QWidget()
        last = row(spacing=12)
        last.addLayout(column(self._step, self._bar, spacing=6), 1)
        last.addWidget(self._cancel)
        self._progress.setLayout(last)
        self._progress.hide()
        card.body.addWidget(self._progress)
        return card

    def _old_card(self) -> Card:
        self._old = Card(tr("The old folder is still there"), margins=(20, 16, 20, 18))
        self._old.setObjectName("data.old")
        self._old_text = label("", "hint", wrap=True, select=True)
        delete = button(tr("Delete it…"), "danger", "trash-2", self._delete_old, name="data.old.delete")
        layout = row(self._old_text, delete, spacing=16)
        layout.setStretch(0, 1)
        self._old.body.addLayout(layout)
        self._old.hide()
        return self._old

    def _sizes_card(self) -> Card:
        card = Card(tr("What takes the room"), margins=(20, 16, 20, 18))
        count = button(tr("Count again"), "link", "refresh-cw", lambda: self.model.fetch(True), name="data.count")
        card.head.addStretch(1)
        card.head.addWidget(count)
        self._stack = StackedBar()
        self._grid = QGridLayout()
        self._grid.setHorizontalSpacing(12)
        self._grid.setVerticalSpacing(8)
        self._grid.setColumnStretch(1, 1)
        self._values: dict[str, tuple[QLabel, QLabel]] = {}
        for place, part in enumerate(PARTS):
            dot, value, part_share = Dot(colour_of(part)), label("—", "strong"), label("", "hint")
            value.setObjectName(f"data.size.{part}")
            for number in (value, part_share):
                number.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
            for at, widget in enumerate((dot, label(word("storage", part)), part_share, value)):
                self._grid.addWidget(widget, place, at)
            self._values[part] = (value, part_share)
        card.body.addWidget(self._stack)
        card.body.addLayout(self._grid)
        return card

    @Slot()
    def _refresh(self) -> None:
        model = self.model
        known = model.known
        why = tr("FORGE_HOME names the folder; change it there.") if model.fixed_by else ""
        why = why or tr("The job controller does not answer.")
        set_enabled(self._move, known is not None and not model.fixed_by and not model.moving, why)
        self._progress.setVisible(model.moving)
        self._old.setVisible(model.old is not None)
        if model.old is not None:
            text = tr("Everything was copied and checked. '{folder}' can go.", folder=model.old)
            self._old_text.setText(text)
        if known is None:
            return
        self._folder.set_text(known.home)
        text = tr("{size} in all, {free} free on this disk.", size=size(known.total), free=size(known.free))
        fixed = tr("FORGE_HOME names this folder, so it is not moved from here.") if model.fixed_by else ""
        self._free.setText(sentences(text, fixed))
        self._show_sizes(known)

    def _show_sizes(self, known: Storage) -> None:
        self._stack.set([(known.parts.get(part, 0), colour_of(part)) for part in PARTS])
        for part, (value, part_share) in self._values.items():
            number = known.parts.get(part, 0)
            value.setText(size(number))
            part_share.setText(percent(number / known.total) if known.total else "")

    def _choose(self) -> None:
        chosen = QFileDialog.getExistingDirectory(self, tr("Move the data to an empty folder"))
        if chosen:
            self.ask_to_move(Path(chosen))

    def ask_to_move(self, target: Path) -> None:
        """Say what will happen, then do it."""
        text = tr("Everything is copied to '{target}' and checked. Then the job controller goes on there; the old "
                  "folder stays until you delete it.", target=target)  # fmt: skip
        ask_before(self, tr("Move the data?"), text, tr("Move"), "data.yes", lambda: self._begin(MoveWish(target)))

    def _begin(self, wish: MoveWish) -> None:
        self._error.show_error(None)
        self._yes.hide()
        self.model.move(wish)

    @Slot(object, object)
    def _refused(self, error: ErrorBody, wish: MoveWish) -> None:
        if error.code == "home.cancelled":
            return
        self._error.show_error(error)
        self._agree = wish if error.code in MENDABLE else None
        self._yes.setVisible(self._agree is not None)
        if self._agree is not None:
            self._yes.setText(tr(MENDABLE[error.code]))
            live = error.code == "home.runs_live"
            self._agree = replace(wish, pause_runs=wish.pause_runs or live, network=wish.network or not live)

    def _agreed(self) -> None:
        if self._agree is not None:
            self._begin(self._agree)

    @Slot(object)
    def _progressed(self, progress: MoveProgress) -> None:
        text = word("moving", progress.step)
        if progress.total:
            text += " · " + tr("{done} of {total}", done=size(progress.done), total=size(progress.total))
        self._step.setText(text)
        self._bar.set(progress.done / progress.total if progress.total else 0.0)
        set_enabled(self._cancel, progress.step in ("pausing", "stopping", "copying"), tr("It is too late for that."))

    @Slot(object)
    def _moved(self, folder: Path) -> None:
        self._error.show_error(None)
        self._folder.set_text(str(folder))

    def _delete_old(self) -> None:
        text = tr("'{folder}' goes for ever. The data in the new folder stays.", folder=self.model.old)
        ask_before(self, tr("Delete the old folder?"), text, tr("Delete"), "data.old.yes", self.model.delete_old)


def colour_of(part: Part) -> str:
    """The same colour for a part everywhere."""
    colours = (*tokens().series, tokens().ok_fill, tokens().muted)
    return colours[PARTS.index(part)]


class Dot(QWidget):
    """A spot of colour in a legend."""

    def __init__(self, colour: str) -> None:
        super().__init__()
        self._colour = colour
        self.setFixedSize(QSize(10, 18))

    def paintEvent(self, _event: QPaintEvent) -> None:
        """Qt's own hook."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(QColor(self._colour))
        painter.setBrush(QColor(self._colour))
        painter.drawEllipse(QRectF(0, 4, 9, 9))
        painter.end()


class StackedBar(QWidget):
    """Shares of a whole, side by side."""

    def __init__(self) -> None:
        super().__init__()
        self._parts: list[tuple[int, str]] = []
        self.setFixedHeight(14)
        self.setAccessibleName(tr("What takes the room"))

    def set(self, parts: list[tuple[int, str]]) -> None:
        """Numbers and colours."""
        self._parts = parts
        self.update()

    def paintEvent(self, _event: QPaintEvent) -> None:
        """Qt's own hook."""
        painter = QPainter(self)
        whole = sum(number for number, _colour in self._parts)
        left, width = 0.0, float(self.width())
        painter.fillRect(self.rect(), QColor(tokens().hover))
        for number, colour in self._parts:
            part = width * number / whole if whole else 0.0
            if part >= 1:
                painter.fillRect(QRectF(left, 0, part - 1, self.height()), QColor(colour))
            left += part
        painter.end()
