"""Rows of a run as a table: Enter opens one, several can be picked."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import QRect
from PySide6.QtGui import QPainter

from forge_desktop.models.record_model import Column
from forge_desktop.models.row_lines import RowLines
from forge_desktop.panels.record_table import RecordCells, RecordTable
from forge_desktop.panels.run_cells import LEFT, RIGHT, paint_text
from forge_desktop.theme.look import tokens

LEAST_TEXT = 160


class _Cells(RecordCells):
    """Paints the cells: what a row says, and its dataset below."""

    def __init__(self, model: RowLines) -> None:
        super().__init__()
        self._model = model

    def paint_cell(self, painter: QPainter, box: QRect, record: Any, column: Column) -> None:
        """One cell."""
        t, half = tokens(), box.height() // 2
        text = self._model.cell_text(record, column.key)
        if column.key == "text" and record.text:
            paint_text(painter, QRect(box.left(), box.top() + 6, box.width(), half - 6), text, t.text)
            paint_text(
                painter, QRect(box.left(), box.top() + half, box.width(), half - 7), record.dataset, t.muted, pixels=12
            )
            return
        strong = column.key in ("loss", "place")
        paint_text(
            painter, box, text, t.text if strong else t.secondary, 500 if strong else 400,
            align=RIGHT if column.right else LEFT,
        )  # fmt: skip


class RowTable(RecordTable):
    """The table."""

    def __init__(self, model: RowLines, name: str, title: str) -> None:
        super().__init__(model, _Cells(model), name, title, "text", LEAST_TEXT)
