"""Taking everything out of a layout."""

from __future__ import annotations

from PySide6.QtCore import QCoreApplication, QEvent
from PySide6.QtWidgets import QLabel, QWidget

from forge_desktop.theme.controls import clear, column, row


def test_that_what_stands_in_a_layout_of_a_layout_goes_too(qtbot):
    whole = QWidget()
    qtbot.addWidget(whole)
    layout = column(QLabel("below"))
    layout.addLayout(row(QLabel("beside"), QLabel("it"), None))
    whole.setLayout(layout)
    whole.show()
    clear(layout)
    assert [made.text() for made in whole.findChildren(QLabel) if made.isVisible()] == []
    QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
    assert whole.findChildren(QLabel) == []
    assert layout.count() == 0
