"""Instances that serve as a table: model, state, address, and how busy each is."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import QRect
from PySide6.QtGui import QPainter
from PySide6.QtWidgets import QAbstractItemView

from forge_desktop.models.record_model import Column
from forge_desktop.models.serving_words import NONE, models_text, state_of, why_text
from forge_desktop.models.servings_model import ServingsModel
from forge_desktop.panels.record_table import RecordCells, RecordTable
from forge_desktop.panels.run_cells import LEFT, RIGHT, paint_text
from forge_desktop.theme import icons
from forge_desktop.theme.controls import paint_chip
from forge_desktop.theme.language import tr
from forge_desktop.theme.look import tokens

LEAST_NAME = 200


class _Cells(RecordCells):
    """Paints the cells."""

    def __init__(self, model: ServingsModel) -> None:
        super().__init__()
        self._model = model

    def paint_cell(self, painter: QPainter, box: QRect, record: Any, column: Column) -> None:
        """One cell of an instance."""
        t, half = tokens(), box.height() // 2
        seen = self._model.seen.get(record.uid)
        match column.key:
            case "name":
                painter.drawPixmap(box.left(), box.center().y() - 7, icons.pixmap("upload", t.secondary, 16))
                box = box.adjusted(26, 0, 0, 0)
                below = why_text(record) or models_text(seen.instance if seen else None, None) or record.model
                top = QRect(box.left(), box.top() + 6, box.width(), half - 6)
                paint_text(painter, top, record.name, t.text, 600)
                under = QRect(box.left(), box.top() + half, box.width(), half - 7)
                paint_text(painter, under, below, t.muted, pixels=12)
            case "state":
                tone, icon, text = state_of(record, seen)
                paint_chip(painter, box.left(), box.center().y() - 11, text, tone, icon, most=box.width())
            case "more":
                painter.drawPixmap(
                    box.center().x() - 8, box.center().y() - 7, icons.pixmap("ellipsis", t.secondary, 16)
                )
            case _:
                text = self._model.cell_text(record, column.key)
                ink = t.muted if text == NONE else t.text if column.right else t.secondary
                paint_text(painter, box, text, ink, 500 if column.right else 400, align=RIGHT if column.right else LEFT)


class ServingsTable(RecordTable):
    """Enter opens one, the menu key shows what can be done with it."""

    def __init__(self, model: ServingsModel) -> None:
        super().__init__(model, _Cells(model), "serving.table", tr("Instances that serve"), "name", LEAST_NAME)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
