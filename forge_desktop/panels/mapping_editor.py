"""Which column plays which part of a row: a closed list a part, those that are needed first; and the keys in a turn."""

from __future__ import annotations

from functools import partial

from PySide6.QtCore import Slot
from PySide6.QtWidgets import QGridLayout, QWidget

from forge_desktop.models.import_model import ImportModel
from forge_desktop.theme.controls import Choice, Field, label
from forge_desktop.theme.language import labelled, tr, word

LONGEST_KEY = 200


class MappingEditor(QWidget):
    """Made anew when the format or the columns change, not while somebody chooses."""

    def __init__(self, model: ImportModel) -> None:
        super().__init__()
        self._model = model
        self._shape: object = None
        self.choices: dict[str, Choice] = {}
        """By part."""
        self.keys: dict[str, Field] = {}
        """Of the turns, where rows have any: `role_key` and `content_key`."""
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setHorizontalSpacing(12)
        self._grid.setVerticalSpacing(8)
        self._grid.setColumnStretch(1, 1)
        model.inspected.connect(self.refresh)
        self.refresh()

    @Slot()
    def refresh(self) -> None:
        """Show what is taken from where."""
        found = self._model.found
        names = [column.name for column in found.columns] if found else []
        parts = self._model.parts()
        shape = (self._model.chosen_format, tuple(names))
        if shape != self._shape:
            self._shape = shape
            self._build(names, parts)
        for part, needed, column in parts:
            choice = self.choices[part]
            choice.blockSignals(True)
            choice.set_value(column)
            choice.blockSignals(False)
            choice.setProperty("tone", "bad" if needed and not column else "")
        for name, typed, taken in self._model.turn_keys():
            key = self.keys[name]
            if key.text().strip() != typed:
                key.setText(typed)
            key.setPlaceholderText(tr("found: {key}", key=taken) if taken else tr("found by itself"))
        self.setVisible(bool(parts))

    def _build(self, names: list[str], parts: list[tuple[str, bool, str]]) -> None:
        while (item := self._grid.takeAt(0)) is not None:
            if (widget := item.widget()) is not None:
                widget.hide()
                widget.deleteLater()
        self.choices, self.keys = {}, {}
        for place, (part, needed, _column) in enumerate(parts):
            text = word("data_part", part)
            name = label(text if needed else tr("{part} (optional)", part=text), "label")
            choice = Choice([("", tr("none")), *((column, column) for column in names)])
            choice.setObjectName(f"import.part.{part}")
            choice.setAccessibleName(labelled(tr("Column"), text))
            choice.setMinimumContentsLength(10)
            choice.activated.connect(partial(self._choose, part))
            self.choices[part] = choice
            self._grid.addWidget(name, place, 0)
            self._grid.addWidget(choice, place, 1)

        texts = {"role_key": tr("Key of who speaks"), "content_key": tr("Key of what is said")}
        for which, _typed, _taken in self._model.turn_keys():
            key = Field(name=f"import.{which}")
            key.setMaxLength(LONGEST_KEY)
            key.setAccessibleName(texts[which])
            key.setToolTip(tr("In each turn of a conversation; empty: found by itself."))
            key.textEdited.connect(partial(self._model.set_turn_key, which))
            self.keys[which] = key
            place = self._grid.rowCount()
            self._grid.addWidget(label(texts[which], "label"), place, 0)
            self._grid.addWidget(key, place, 1)

    def _choose(self, part: str, _index: int) -> None:
        self._model.set_column(part, self.choices[part].value())
