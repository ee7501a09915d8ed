"""The library as a table: name, format, size, health, versions, runs that used it."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import QRect
from PySide6.QtGui import QPainter

from forge_desktop.models.dataset_words import below_name, cell_text, health
from forge_desktop.models.datasets_model import DatasetsModel
from forge_desktop.models.record_model import Column
from forge_desktop.panels.record_table import RecordCells, RecordTable
from forge_desktop.panels.run_cells import LEFT, RIGHT, paint_text
from forge_desktop.theme import icons
from forge_desktop.theme.controls import paint_chip
from forge_desktop.theme.language import tr
from forge_desktop.theme.look import tokens

LEAST_NAME = 180


class _Cells(RecordCells):
    """Paints the cells."""

    def paint_cell(self, painter: QPainter, box: QRect, record: Any, column: Column) -> None:
        """One cell of a dataset."""
        t, half = tokens(), box.height() // 2
        match column.key:
            case "name":
                painter.drawPixmap(box.left(), box.center().y() - 7, icons.pixmap("database", t.secondary, 16))
                box, below = box.adjusted(26, 0, 0, 0), below_name(record)
                top = QRect(box.left(), box.top() + 6, box.width(), half - 6) if below else box
                paint_text(painter, top, record.name, t.text, 600)
                if below:
                    under = QRect(box.left(), box.top() + half, box.width(), half - 7)
                    paint_text(painter, under, below, t.muted, pixels=12)
            case "health":
                tone, icon, text = health(record.newest)
                if record.importing:
                    tone, icon, text = "info", "loader-circle", tr("Importing…")
                paint_chip(painter, box.left(), box.center().y() - 11, text, tone or "plain", icon, most=box.width())
            case "more":
                painter.drawPixmap(
                    box.center().x() - 8, box.center().y() - 7, icons.pixmap("ellipsis", t.secondary, 16)
                )
            case _:
                text = cell_text(record, column.key)
                ink = t.muted if text == "—" else t.text if column.right else t.secondary
                paint_text(painter, box, text, ink, 500 if column.right else 400, align=RIGHT if column.right else LEFT)


class DatasetsTable(RecordTable):
    """Enter opens a dataset, a click on a head sorts, the menu key shows what can be done."""

    def __init__(self, model: DatasetsModel) -> None:
        super().__init__(model, _Cells(), "datasets.table", tr("Datasets"), "name", LEAST_NAME)
