"""One adapter of the library: what can be done with it, where it came from, and everything on its card."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtGui import QGuiApplication, QResizeEvent
from PySide6.QtWidgets import QGridLayout, QPushButton, QVBoxLayout, QWidget

from engine.contract.adapter_library import AdapterEntry
from forge_desktop.models.adapter_words import HASH, base_of, datasets_of, hashes_of, last_part, lines_of
from forge_desktop.theme import icons
from forge_desktop.theme.controls import Card, Chip, Elided, button, clear, label, row, set_enabled
from forge_desktop.theme.language import tr
from forge_desktop.theme.look import tokens

NAME_WIDTH, KIND_WIDTH, GAP = 116, 88, 8


class AdapterDetail(QWidget):
    """Cards for the rail; made anew when another adapter is marked."""

    wanted = Signal(str)
    """A deed: serve, chat, export_file, export_folder, train_on, smaller, modules, remove."""
    navigate = Signal(str)
    dataset_wanted = Signal(str)
    """Name of a dataset whose page is wanted."""
    copied = Signal(str)

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("adapters.detail")
        self._layout = QVBoxLayout(self)
        self._layout.setContentsMargins(0, 0, 0, 0)
        self._layout.setSpacing(14)
        self._shown: object = None
        self.one: AdapterEntry | None = None

    def show_adapter(self, one: AdapterEntry | None, mark: tuple[str, str, str, str], why_not: dict[str, str]) -> None:
        """Show one; `why_not` says of each deed why it cannot be done, and is empty where it can."""
        key = (one, mark, tuple(sorted(why_not.items())))
        if key == self._shown:
            return
        self._shown, self.one = key, one
        clear(self._layout)
        self.setVisible(one is not None)
        if one is None:
            return
        for card in (self._head(one, mark, why_not), self._lineage(one), self._facts(one)):
            self._layout.addWidget(card)
        self._layout.addStretch(1)

    def _head(self, one: AdapterEntry, mark: tuple[str, str, str, str], why_not: dict[str, str]) -> Card:
        card = Card()
        title = row(Elided(one.name, "card-title"), spacing=8)
        title.setStretch(0, 1)
        tone, icon, text, sentence = mark
        if tone:
            title.addWidget(Chip(text, tone, icon))
        card.body.addLayout(title)
        for said in (sentence, one.card.description):
            if said:
                card.body.addWidget(label(said, "hint", wrap=True, select=True))
        deeds = (
            (("serve", tr("Serve…"), "primary", "upload"), ("chat", tr("Chat"), "default", "message-square")),
            (("export_file", tr("Save file…"), "default", "download"),
             ("export_folder", tr("Save folder…"), "default", "folder")),
            (("train_on", tr("Train further…"), "default", "plus"),
             ("smaller", tr("Make smaller…"), "default", "layers")),
            (("modules", tr("Modules…"), "default", "list-ordered"), ("remove", tr("Remove…"), "danger", "trash-2")),
        )  # fmt: skip
        buttons = []
        for key, text, variant, icon in (deed for pair in deeds for deed in pair):
            made = button(text, variant, icon, partial(self.wanted.emit, key), f"adapters.{key}")
            set_enabled(made, not why_not.get(key), why_not.get(key, ""))
            buttons.append(made)
        card.body.addWidget(_Pairs(buttons))
        return card

    def _lineage(self, one: AdapterEntry) -> Card:
        """Dataset, run, adapter, base, one below the other."""
        card = Card(tr("Where it came from"))
        card.body.setSpacing(6)
        for name in datasets_of(one) or [""]:
            link = partial(self.dataset_wanted.emit, name) if name else None
            card.body.addWidget(_step("database", tr("Dataset"), last_part(name) or tr("not known"), link, "dataset"))
        opened = partial(self.navigate.emit, f"run/{one.run}") if one.run else None
        named = one.run_name or one.card.run or tr("brought in")
        card.body.addWidget(_step("activity", tr("Run"), named, opened, "run"))
        card.body.addWidget(_step("box", tr("Adapter"), one.name, None, "self"))
        card.body.addWidget(_step("layers", tr("Base model"), base_of(one) or tr("not known"), None, "base"))
        return card

    def _facts(self, one: AdapterEntry) -> Card:
        card = Card(tr("Card"))
        grid = QGridLayout()
        grid.setHorizontalSpacing(14)
        grid.setVerticalSpacing(7)
        grid.setColumnMinimumWidth(0, NAME_WIDTH)
        grid.setColumnStretch(1, 1)
        for name, value, tip in lines_of(one):
            said = label(value, "body", wrap=True, select=True)
            said.setToolTip(tip)
            _add(grid, name, said)
        for key, name, value in hashes_of(one):
            _add(grid, name, self._copyable(name, value, f"{value[:HASH]}…", key))
        _add(grid, tr("Place"), self._copyable(tr("Place"), one.path, one.path, "path"))
        card.body.addLayout(grid)
        return card

    def _copyable(self, name: str, value: str, shown: str, what: str) -> QWidget:
        made = QWidget()
        text = Elided(shown)
        text.setToolTip(value)
        copy = button("", "link", "copy", partial(self._copy, value), f"adapters.copy.{what}",
                      tr("Copy: {name}", name=name))  # fmt: skip
        line = row(text, copy, spacing=4)
        line.setStretch(0, 1)
        made.setLayout(line)
        return made

    def _copy(self, value: str) -> None:
        QGuiApplication.clipboard().setText(value)
        self.copied.emit(value)


class _Pairs(QWidget):
    """Buttons two by two, or one below the other where their words are long."""

    def __init__(self, buttons: Sequence[QPushButton]) -> None:
        super().__init__()
        self._buttons, self._beside = buttons, 0
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setSpacing(GAP)
        self._arrange(2)

    def minimumSizeHint(self) -> QSize:
        """Qt's own hook: as wide as one of them."""
        return QSize(max(made.sizeHint().width() for made in self._buttons), super().minimumSizeHint().height())

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Qt's own hook."""
        super().resizeEvent(event)
        widest = max(made.sizeHint().width() for made in self._buttons)
        self._arrange(2 if 2 * widest + GAP <= event.size().width() else 1)

    def _arrange(self, beside: int) -> None:
        if beside == self._beside:
            return
        self._beside = beside
        for place, made in enumerate(self._buttons):
            self._grid.removeWidget(made)
            self._grid.addWidget(made, place // beside, place % beside)
        for place in range(2):
            self._grid.setColumnStretch(place, 1 if place < beside else 0)


def _add(grid: QGridLayout, name: str, value: QWidget) -> None:
    place = grid.rowCount()
    said = label(name, "label", wrap=True)
    grid.addWidget(said, place, 0, Qt.AlignmentFlag.AlignTop)
    grid.addWidget(value, place, 1)


def _step(icon: str, kind: str, text: str, on_click: partial[None] | None, name: str) -> QWidget:
    """A station of the way: its picture, what it is, and a link where there is a page of it."""
    picture = label()
    picture.setPixmap(icons.pixmap(icon, tokens().secondary, 16))
    said = label(kind, "label")
    said.setMinimumWidth(KIND_WIDTH)
    made = QWidget()
    if on_click is not None:
        value: QWidget = button(text, "link", on_click=on_click, name=f"adapters.of.{name}")
        value.setMaximumWidth(210)
        value.setToolTip(text)
        made.setLayout(row(picture, said, value, None, spacing=8))
    else:
        line = row(picture, said, Elided(text), spacing=8)
        line.setStretch(2, 1)
        made.setLayout(line)
    return made
