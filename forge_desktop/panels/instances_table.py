"""The table of instances: several can be picked, Enter opens the run, the menu key shows what can be done."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import QRect
from PySide6.QtGui import QPainter
from PySide6.QtWidgets import QHeaderView

from engine.contract.nodes import Instance
from forge_desktop.models.instance_words import KIND_ICONS, below_run, cell_text, chip_of, kind_text, run_text
from forge_desktop.models.instances_model import InstancesModel
from forge_desktop.models.record_model import Column
from forge_desktop.panels.instances_header import InstancesHeader
from forge_desktop.panels.record_table import RecordCells, RecordTable
from forge_desktop.panels.run_cells import LEFT, RIGHT, paint_text
from forge_desktop.theme import icons
from forge_desktop.theme.controls import paint_chip
from forge_desktop.theme.language import tr
from forge_desktop.theme.look import tokens

LEAST_RUN = 150


class _Cells(RecordCells):
    """Paints the cells."""

    def paint_cell(self, painter: QPainter, box: QRect, record: Any, column: Column) -> None:
        """One cell of an instance."""
        _paint_cell(painter, box, record, column.key, column.right)


def _paint_cell(painter: QPainter, box: QRect, one: Instance, key: str, right: bool) -> None:
    t, half = tokens(), box.height() // 2
    faint = one.state in ("exited", "gone", "unreachable")
    ink = t.secondary if faint else t.text
    match key:
        case "kind":
            painter.drawPixmap(box.left(), box.center().y() - 7, icons.pixmap(KIND_ICONS[one.kind], t.secondary, 16))
            paint_text(painter, box.adjusted(24, 0, 0, 0), kind_text(one), ink)
        case "run":
            name = QRect(box.left(), box.top() + 6, box.width(), half - 6)
            paint_text(painter, name, run_text(one), ink, 600)
            below = QRect(box.left(), box.top() + half, box.width(), half - 7)
            paint_text(painter, below, below_run(one), t.muted, pixels=12)
        case "node":
            painter.drawPixmap(box.left(), box.center().y() - 6, icons.pixmap("server", t.muted, 14))
            paint_text(painter, box.adjusted(21, 0, 0, 0), cell_text(one, key), t.secondary)
        case "state":
            paint_chip(painter, box.left(), box.center().y() - 11, *chip_of(one), most=box.width())
        case "more":
            painter.drawPixmap(box.center().x() - 8, box.center().y() - 7, icons.pixmap("ellipsis", t.secondary, 16))
        case _:
            text = cell_text(one, key)
            colour = t.muted if text == "—" else ink if right else t.secondary
            paint_text(painter, box, text, colour, 500 if right else 400, align=RIGHT if right else LEFT)


class InstancesTable(RecordTable):
    """Marks and the place of the keyboard stay with an instance when rows come or go."""

    def __init__(self, model: InstancesModel) -> None:
        self._instances = model
        super().__init__(model, _Cells(), "instances.table", tr("Instances"), "run", LEAST_RUN)

    def make_header(self) -> QHeaderView:
        """It sorts, also by keyboard and menu."""
        self.header = InstancesHeader(self._instances, self)
        self.header.sort_wanted.connect(self._instances.sort_by)
        return self.header
