"""The library of adapters as a table: name, base model, method, size, where it came from, how good it is."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import QRect
from PySide6.QtGui import QPainter
from PySide6.QtWidgets import QAbstractItemView

from forge_desktop.models.adapter_words import below_name, cell_text
from forge_desktop.models.adapters_model import AdaptersModel
from forge_desktop.models.record_model import Column
from forge_desktop.panels.record_table import RecordCells, RecordTable
from forge_desktop.panels.run_cells import LEFT, RIGHT, paint_text
from forge_desktop.theme import icons
from forge_desktop.theme.controls import chip_colours
from forge_desktop.theme.language import tr
from forge_desktop.theme.look import tokens

LEAST_NAME = 190


class _Cells(RecordCells):
    """Paints the cells."""

    def __init__(self, model: AdaptersModel) -> None:
        super().__init__()
        self._model = model

    def paint_cell(self, painter: QPainter, box: QRect, record: Any, column: Column) -> None:
        """One cell of an adapter."""
        t, half = tokens(), box.height() // 2
        match column.key:
            case "name":
                painter.drawPixmap(box.left(), box.center().y() - 7, icons.pixmap("box", t.secondary, 16))
                box, below = box.adjusted(26, 0, 0, 0), below_name(record)
                tone, icon, text, _why = self._model.mark(record)
                below = text or below
                top = QRect(box.left(), box.top() + 6, box.width(), half - 6) if below else box
                paint_text(painter, top, record.name, t.muted if record.missing else t.text, 600)
                if below:
                    under = QRect(box.left(), box.top() + half, box.width(), half - 7)
                    ink = chip_colours(tone)[0] if tone else t.muted
                    if tone:
                        painter.drawPixmap(under.left(), under.center().y() - 5, icons.pixmap(icon, ink, 12))
                        under = under.adjusted(17, 0, 0, 0)
                    paint_text(painter, under, below, ink, 500 if tone else 400, pixels=12)
            case "more":
                painter.drawPixmap(
                    box.center().x() - 8, box.center().y() - 7, icons.pixmap("ellipsis", t.secondary, 16)
                )
            case _:
                text = cell_text(record, column.key)
                ink = t.muted if text == "—" else t.text if column.right else t.secondary
                paint_text(painter, box, text, ink, 500 if column.right else 400, align=RIGHT if column.right else LEFT)


class AdaptersTable(RecordTable):
    """The marked one is shown beside; a click on a head sorts, the menu key shows what can be done."""

    def __init__(self, model: AdaptersModel) -> None:
        super().__init__(model, _Cells(model), "adapters.table", tr("Adapters"), "name", LEAST_NAME)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
