"""What eyes would find wrong in a window: texts without room, widgets beyond their frame or on one another."""

from __future__ import annotations

from collections.abc import Iterator

from PySide6.QtCore import QCoreApplication, QEvent, QPoint, QRect, Qt
from PySide6.QtGui import QFontMetrics
from PySide6.QtWidgets import (
    QAbstractButton,
    QAbstractScrollArea,
    QComboBox,
    QHeaderView,
    QLabel,
    QLineEdit,
    QScrollArea,
    QWidget,
)

from forge_desktop.theme.controls import Chip, Elided

SLACK = 1
COMBO_FRAME, FIELD_FRAME = 40, 24
LAYOUT_ROOM = 10_000
LAYOUT_ROUNDS = 5
"""A layout may ask the one around it, and that the next."""


def flaws(window: QWidget) -> list[str]:
    """Everything clipped, outside or overlapping in the visible part of a window."""
    for _ in range(LAYOUT_ROUNDS):  # layouts that wait to be done are done before anything is painted
        QCoreApplication.sendPostedEvents(None, QEvent.Type.LayoutRequest)
    found = []
    for widget in shown(window):
        found += [
            f"{name_of(widget)}: {flaw}" for flaw in (*_clipped(widget), *_outside(widget), *_overlapping(widget))
        ]
    return found


def shown(window: QWidget) -> list[QWidget]:
    """All visible widgets of a window."""
    return [widget for widget in window.findChildren(QWidget) if widget.isVisible() and widget.window() is window]


def name_of(widget: QWidget) -> str:
    """How a person would find it: class, name, the named widgets around it."""
    names = [widget.objectName() or type(widget).__name__]
    around = widget.parentWidget()
    while around is not None and len(names) < 4:
        if around.objectName() and not around.objectName().startswith("qt_"):
            names.append(around.objectName())
        around = around.parentWidget()
    return f"{type(widget).__name__} {' in '.join(names)}"


def _clipped(widget: QWidget) -> Iterator[str]:
    room = widget.contentsRect()
    letters = QFontMetrics(widget.font())
    if isinstance(widget, Elided):
        if room.width() < 24:
            yield f"no room at all for '{widget.accessibleName()}'"
    elif isinstance(widget, QLabel):
        yield from _clipped_label(widget, letters, room)
    elif isinstance(widget, QComboBox):
        if letters.horizontalAdvance(widget.currentText()) > room.width() - COMBO_FRAME and not widget.toolTip():
            yield f"'{widget.currentText()}' is cut"
    elif isinstance(widget, QAbstractButton):
        hint = widget.sizeHint()
        if widget.text() and (hint.width() > widget.width() + SLACK or hint.height() > widget.height() + SLACK):
            yield f"'{widget.text()}' needs {hint.toTuple()}, has {widget.size().toTuple()}"
    elif isinstance(widget, QLineEdit):
        buttons = 22 * sum(1 for action in widget.actions() if action.isVisible()) if widget.actions() else 0
        hint_text = widget.placeholderText() if not widget.text() else ""
        if letters.horizontalAdvance(hint_text) > room.width() - FIELD_FRAME - buttons and not widget.toolTip():
            yield f"the hint '{hint_text}' is cut"
    elif isinstance(widget, Chip):
        if widget.text() and widget.sizeHint().width() > widget.width() + SLACK:
            yield f"'{widget.text()}' is cut"
    elif isinstance(widget, QHeaderView) and widget.orientation() == Qt.Orientation.Horizontal:
        yield from _clipped_sections(widget)


def _clipped_label(widget: QLabel, letters: QFontMetrics, room: QRect) -> Iterator[str]:
    text = widget.text()
    if not text or widget.textFormat() == Qt.TextFormat.RichText:
        return
    if widget.wordWrap():
        needed = letters.boundingRect(QRect(0, 0, room.width(), LAYOUT_ROOM), int(Qt.TextFlag.TextWordWrap), text)
        if needed.height() > room.height() + letters.descent():
            yield f"'{text}' needs {needed.height()} px of height, has {room.height()}"
        wide = max((letters.horizontalAdvance(word) for word in text.split()), default=0)
        if wide > room.width() + SLACK and text.isascii():
            yield f"a word of '{text}' needs {wide} px, has {room.width()}"
        return
    wide = max(letters.horizontalAdvance(line) for line in text.split("\n"))
    if wide > room.width() + SLACK:
        yield f"'{text}' needs {wide} px, has {room.width()}"
    if letters.ascent() > room.height():
        yield f"'{text}' needs {letters.height()} px of height, has {room.height()}"


def _clipped_sections(header: QHeaderView) -> Iterator[str]:
    model = header.model()
    for section in range(header.count()):
        text = str(model.headerData(section, Qt.Orientation.Horizontal) or "") if model is not None else ""
        if text and not header.isSectionHidden(section) and header.sectionSize(section) > 0:
            needed = QFontMetrics(header.font()).horizontalAdvance(text) + 16
            if needed > header.sectionSize(section):
                yield f"the heading '{text}' needs {needed} px, has {header.sectionSize(section)}"


def _outside(widget: QWidget) -> Iterator[str]:
    around = widget.parentWidget()
    if around is None or widget.isWindow():
        return
    area = around.parentWidget()
    if isinstance(area, QAbstractScrollArea) and around is area.viewport():
        off = Qt.ScrollBarPolicy.ScrollBarAlwaysOff
        if isinstance(area, QScrollArea) and area.horizontalScrollBarPolicy() == off:
            beyond = widget.width() - around.width()
            if beyond > SLACK:
                yield f"is {beyond} px wider than the area it scrolls in"
        return
    if around.layout() is None:
        return  # placed by hand: a chart's parts, a floating button
    place = widget.geometry()
    if not around.rect().adjusted(-SLACK, -SLACK, SLACK, SLACK).contains(place) and not place.isEmpty():
        yield f"at {place.getRect()} is outside of {name_of(around)} ({around.width()}x{around.height()})"


def _overlapping(widget: QWidget) -> Iterator[str]:
    """Children of one layout that lie on one another."""
    layout = widget.layout()
    if layout is None or layout.metaObject().className() == "QStackedLayout":
        return
    children = [
        child
        for child in widget.findChildren(QWidget, options=Qt.FindChildOption.FindDirectChildrenOnly)
        if child.isVisible() and not child.isWindow() and layout.indexOf(child) >= 0
    ]
    for number, one in enumerate(children):
        for other in children[number + 1 :]:
            common = one.geometry().intersected(other.geometry())
            if common.width() > SLACK and common.height() > SLACK:
                yield f"{name_of(one)} and {name_of(other)} overlap by {common.width()}x{common.height()}"


def in_reading_order(one: QWidget, other: QWidget) -> bool:
    """Whether the first comes before the other as people read: further up, or left on the same line."""
    a, b = (widget.mapTo(widget.window(), QPoint(0, 0)) for widget in (one, other))
    same_line = a.y() < b.y() + other.height() and b.y() < a.y() + one.height()
    return a.x() <= b.x() if same_line else a.y() <= b.y()
