"""Widgets where room is short: what is cut is told, and marks stay within their place."""

from __future__ import annotations

import time
from itertools import pairwise

import pytest
from PySide6.QtGui import QColor, QImage, QPainter
from PySide6.QtWidgets import QApplication, QCheckBox, QLabel, QMessageBox, QPushButton, QScrollArea, QWidget

from forge_desktop.bridge import fake_datasets
from forge_desktop.models.compare_table import Line
from forge_desktop.models.xray_model import XrayModel
from forge_desktop.panels.compare_grid import ROW, CompareGrid
from forge_desktop.panels.dataset_xray_panel import DatasetXrayPanel
from forge_desktop.panels.progress_card import ProgressCard
from forge_desktop.panels.questions import ask_before
from forge_desktop.theme import language
from forge_desktop.theme.controls import Choice, paint_chip
from forge_desktop.theme.look import tokens
from tests.desktop.sheets_datasets import FIGURES
from tests.helpers import eyes
from tests.helpers.journals import before_training, demo_spec, steps


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


@pytest.mark.parametrize("tongue", ["pseudo", "zh_CN", "en"])
def test_that_a_runs_figures_are_whole_where_all_of_them_are_long(replay, qtbot, tongue):
    """Days of work, a cost to come, a long name of a node, in the smallest window and in wider ones."""
    language.set_language(tongue)
    window, now = replay.window, time.time()
    window.resize(1024, 700)
    window.rebuild()
    qtbot.waitUntil(lambda: window.page is not None)
    uid = replay.backend.add(demo_spec("long"), created=now - 300_000)
    replay.backend.play(uid, [*before_training(), *steps(1, 60)])
    replay.backend.move(uid, node="gpu-server-in-the-basement-of-building-7", started=now - 287_654.0,
                        seconds=287_654.0, eta_seconds=187_654.0, cost=1234.56)  # fmt: skip
    window.go(f"run/{uid}")
    qtbot.waitUntil(lambda: window.page.findChild(ProgressCard) is not None)
    card, node = window.page.findChild(ProgressCard), window.page.findChild(QLabel, "run.fact.node")
    qtbot.waitUntil(lambda: "gpu-server" in node.accessibleName())
    for wide in (1024, 1100, 1280, 1440):
        window.resize(wide, 700)
        QApplication.processEvents()
        assert [flaw for flaw in eyes.flaws(window) if "run.fact" in flaw or "run.progress" in flaw] == []
        assert card.mapTo(window, card.rect().topRight()).x() < wide
        for name in ("left", "rate", "passed", "cost"):
            fact = card.findChild(QLabel, f"run.fact.{name}")
            assert fact.width() >= fact.sizeHint().width(), (wide, name)
            assert card.rect().contains(fact.mapTo(card, fact.rect().bottomRight())), (wide, name)
    assert "basement" in card._boxes["node"].toolTip()
    language.set_language("en")


@pytest.mark.parametrize("size", [(900, 500), (620, 300), (420, 200), (330, 120)])
def test_that_controls_of_the_x_ray_keep_their_height(replay, qtbot, size):
    model = XrayModel(replay.desktop.session, replay.desktop.preferences, replay.window)
    panel = DatasetXrayPanel(model, replay.desktop.preferences, replay.desktop.session)
    qtbot.addWidget(panel)
    model.try_template("{{ messages }}")  # one control more
    panel.resize(*size)
    panel.show()
    box = panel.findChild(QCheckBox, "xray.answers")
    controls = [box, *(panel.findChild(QPushButton, name) for name in ("xray.template", "xray.own"))]
    qtbot.waitUntil(lambda: all(one.isVisible() for one in controls))
    holder = box.parentWidget()
    qtbot.waitUntil(lambda: holder.height() >= max(one.geometry().bottom() for one in controls))
    assert box.height() >= 24
    # side by side they stand on one middle line; else one below the other
    tops = sorted(one.geometry().center().y() for one in controls)
    assert all(after == before or after - before >= 24 for before, after in pairwise(tops))


def test_that_a_tab_of_a_dataset_is_not_as_tall_as_the_others(replay, qtbot):
    fake_datasets.fill(replay.backend, time.time())
    found = replay.backend.datasets("", "name", False, 0, 50).datasets
    uid = next(one.uid for one in found if one.name == "support-tickets-zh")
    replay.window.resize(1024, 700)
    replay.backend.data_answers["data_statistics"] = FIGURES.model_dump(mode="json")
    replay.window.go(f"dataset/{uid}/statistics")
    page = replay.window.page
    qtbot.waitUntil(lambda: page.tokens.figures is not None)
    assert not page.statistics_panel.findChildren(QScrollArea)  # the page scrolls, and nothing within it
    content = page._content.area.widget()
    bars = page.statistics_panel._bars.values()
    qtbot.waitUntil(lambda: content.height() > sum(bar.sizeHint().height() for bar in bars) + page.facts.height() + 400)
    tall = content.height()
    page.show_tab("rows")
    qtbot.waitUntil(lambda: content.height() < tall)
    assert [key for key, panel in page._panels.items() if panel.isVisible()] == ["rows"]
