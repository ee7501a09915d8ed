"""Widgets where room is short: what is cut is told, and marks stay within their place."""

from __future__ import annotations

from PySide6.QtGui import QColor, QImage, QPainter
from PySide6.QtWidgets import QMessageBox, QWidget

from forge_desktop.models.compare_table import Line
from forge_desktop.panels.compare_grid import ROW, CompareGrid
from forge_desktop.panels.questions import ask_before
from forge_desktop.theme.controls import Choice, paint_chip
from forge_desktop.theme.look import tokens


def test_that_a_closed_list_tells_what_it_cuts(qtbot):
    choice = Choice([("a", "A text that is far too long for the room there is"), ("b", "B")], "a")
    qtbot.addWidget(choice)
    choice.resize(90, 34)
    choice.show()
    assert choice.toolTip() == choice.currentText()
    choice.set_value("b")
    assert choice.toolTip() == ""
    choice.setToolTip("Why not")
    choice.set_value("a")
    assert choice.toolTip() == "Why not"


def test_that_a_chip_stays_in_its_cell(qapp):
    picture = QImage(400, 30, QImage.Format.Format_RGB32)
    painter = QPainter(picture)
    free = paint_chip(painter, 0, 0, "Completed, and a lot more", "ok", "check")
    bound = paint_chip(painter, 0, 0, "Completed, and a lot more", "ok", "check", 90)
    painter.end()
    assert free > 90 >= bound > 40


def test_that_a_changed_value_has_a_ground_of_its_own(qtbot):
    grid = CompareGrid("compare.settings", "Settings")
    qtbot.addWidget(grid)
    grid.resize(600, 200)
    grid.show_lines(["A", "B"], [Line("rank", "Rank", ("8", "16"), unlike=frozenset({1}))])
    grid.show()
    picture = grid.viewport().grab().toImage()
    ground = QColor(tokens().warn_soft).rgb()

    def has_ground(column: int) -> bool:
        left, wide = grid.columnViewportPosition(column), grid.columnWidth(column)
        return any(picture.pixel(x, ROW // 2) == ground for x in range(left, left + wide))

    assert [has_ground(column) for column in (0, 1)] == [False, True]


def test_that_only_the_named_answer_does_it(qtbot):
    parent, done = QWidget(), []
    qtbot.addWidget(parent)
    for press, expected in (("x.yes", ["x.yes"]), ("", ["x.yes"])):
        ask_before(parent, "Delete?", "It goes.", "Delete", "x.yes", lambda: done.append("x.yes"))
        box = parent.findChildren(QMessageBox)[-1]
        next(made for made in box.buttons() if made.objectName() == press).click()
        qtbot.waitUntil(lambda box=box: not box.isVisible())
        assert done == expected
