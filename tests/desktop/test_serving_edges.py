"""Keys that are waited for, and what is told of them while time goes on."""

from __future__ import annotations

import time

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QApplication, QPushButton

from forge_desktop.panels import serving_panels
from forge_desktop.panels.key_dialogs import ShowKeyDialog
from forge_desktop.theme.controls import Chip
from tests.desktop.test_serving_page import ready

pytestmark = pytest.mark.slow


def test_that_a_key_that_is_being_made_is_shown_whatever_is_pressed(replay, qtbot):
    page, _uid = ready(replay, qtbot)
    dialog = page.keys.make_one()
    dialog.fields["name"].setText("website")
    dialog.go.click()
    dialog.findChild(QPushButton, "key.cancel").click()
    qtbot.waitUntil(lambda: isinstance(QApplication.activeModalWidget(), ShowKeyDialog))
    assert QApplication.activeModalWidget().key.text().startswith("lf-")
    QApplication.activeModalWidget().accept()
    qtbot.waitUntil(lambda: [one.name for one in page.model.keys] == ["website"])
    page.keys.make_one().findChild(QPushButton, "key.cancel").click()
    assert QApplication.activeModalWidget() is None


def test_that_the_first_key_is_shown_whatever_is_pressed_while_it_starts(replay, qtbot):
    replay.window.go("serving/new")
    qtbot.waitUntil(lambda: QApplication.activeModalWidget() is not None)
    dialog = QApplication.activeModalWidget()
    qtbot.waitUntil(dialog.go.isEnabled)
    dialog.go.click()
    qtbot.keyClick(dialog, Qt.Key.Key_Escape)
    qtbot.waitUntil(lambda: isinstance(QApplication.activeModalWidget(), ShowKeyDialog))
    QApplication.activeModalWidget().accept()


def test_that_how_long_a_key_is_good_for_goes_on(replay, qtbot, monkeypatch):
    page, _uid = ready(replay, qtbot)
    dialog = page.keys.make_one()
    dialog.fields["days"].setText("1")
    dialog.go.click()
    qtbot.waitUntil(lambda: isinstance(QApplication.activeModalWidget(), ShowKeyDialog))
    QApplication.activeModalWidget().accept()
    qtbot.waitUntil(lambda: [one.text() for one in page.keys.findChildren(Chip)] == ["24 h left"])
    later = time.time() + 25 * 3600
    monkeypatch.setattr(serving_panels.time, "time", lambda: later)
    page.model.look()
    qtbot.waitUntil(lambda: [one.text() for one in page.keys.findChildren(Chip)][-1:] == ["over"])
