"""Every page in every state the pictures show: nothing clipped, all of it named, reachable and safe from the wheel."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from PySide6.QtCore import QCoreApplication, QEvent, QPoint, QPointF, Qt
from PySide6.QtGui import QAccessible, QWheelEvent
from PySide6.QtWidgets import (
    QAbstractButton,
    QAbstractSlider,
    QAbstractSpinBox,
    QApplication,
    QComboBox,
    QScrollBar,
    QWidget,
)

from engine.contract.paths import Home
from forge_desktop.app import Desktop
from forge_desktop.bridge.replay import ReplayBackend
from forge_desktop.panels.toast import Toast
from forge_desktop.theme import language
from tests.desktop.conftest import DATA_FACTS, MODEL_FACTS
from tests.desktop.contact_sheets import pages
from tests.helpers import eyes

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
SMALL, LARGE = (1024, 700), (1440, 900)
LOOKS = [("pseudo", SMALL), ("pseudo", LARGE), ("zh_CN", SMALL), ("en", SMALL)]
LONGEST_CHAIN = 5000


@pytest.fixture
def walk(qapp: QApplication, qtbot, tmp_path: Path) -> Iterator[Callable[..., Iterator[tuple[str, QWidget]]]]:
    """Brings a window to each page in turn and yields its name and what is on top, once nothing is asked any more."""
    made: list[Desktop] = []

    def settle(desktop: Desktop) -> None:
        for _ in range(3):  # an answer may lead to the next question
            qtbot.waitUntil(lambda: not desktop.session.is_asking, timeout=10_000)
            page, online = desktop.window.page, desktop.session.is_online
            qtbot.waitUntil(lambda: page is None or page.is_built or not online, timeout=10_000)  # noqa: B023
            QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
            QCoreApplication.processEvents()
        slides = [toast.slide for toast in desktop.window.findChildren(Toast)]  # they come from outside
        qtbot.waitUntil(lambda: all(one.state() != one.State.Running for one in slides), timeout=10_000)

    def walk(tongue: str, size: tuple[int, int]) -> Iterator[tuple[str, QWidget]]:
        backend = ReplayBackend()
        backend.answers = {"inspect_model": dict(MODEL_FACTS), "preview_data": dict(DATA_FACTS)}
        desktop = Desktop(qapp, Home(tmp_path / "home"), lambda: backend, tongue, "light")
        made.append(desktop)
        desktop.window.resize(*size)
        desktop.open()
        for name in pages(desktop, backend):
            settle(desktop)
            yield name, QApplication.activeModalWidget() or desktop.window

    yield walk
    for desktop in made:
        desktop.close()
        desktop.window.deleteLater()
        desktop.session.deleteLater()
    language.set_language("en")


def clipped(top: QWidget) -> Iterator[str]:
    """Texts without room, widgets outside of their frame or on one another."""
    yield from eyes.flaws(top)


def unnamed(top: QWidget) -> Iterator[str]:
    """Controls without a name or a role, and letters that would be taken for shortcuts."""
    for widget in eyes.shown(top):
        if isinstance(widget, QAbstractButton) and "&" in widget.text().replace("&&", ""):
            yield f"{eyes.name_of(widget)} has a mnemonic in '{widget.text()}'"
        if widget.focusPolicy() & Qt.FocusPolicy.TabFocus and widget.isEnabled():
            yield from (f"{eyes.name_of(widget)} {what}" for what in unheard(widget))


def unheard(widget: QWidget) -> Iterator[str]:
    """What a screen reader would miss of a control."""
    interface = QAccessible.queryAccessibleInterface(widget)
    if interface is None:
        yield "is unknown to screen readers"
        return
    if not interface.text(QAccessible.Text.Name).strip():
        yield "has no accessible name"
    if interface.role() in (QAccessible.Role.NoRole, QAccessible.Role.Client):
        yield f"has no role ({interface.role()})"


def out_of_order(top: QWidget) -> Iterator[str]:
    """Controls that Tab never reaches, or not in the order people read them."""
    wanted = {
        widget: None
        for widget in eyes.shown(top)
        if widget.focusPolicy() & Qt.FocusPolicy.TabFocus
        and widget.isEnabled()
        and not widget.visibleRegion().isEmpty()
    }
    chain, at = [], top.nextInFocusChain()
    while at is not top and len(chain) < LONGEST_CHAIN:
        chain.append(at)
        at = at.nextInFocusChain()
    chain = [widget for widget in chain if widget in wanted]
    for one in set(map(eyes.name_of, wanted)) - set(map(eyes.name_of, chain)):
        yield f"{one} is never reached"
    for one, other in pairwise(chain):
        if one.parentWidget() is other.parentWidget() and not eyes.in_reading_order(one, other):
            yield f"{eyes.name_of(one)} comes before {eyes.name_of(other)}"


def changed_by_the_wheel(top: QWidget) -> Iterator[str]:
    """Closed controls that somebody who scrolls the page would change in passing."""
    for widget in eyes.shown(top):
        if not isinstance(widget, QComboBox | QAbstractSpinBox | QAbstractSlider) or isinstance(widget, QScrollBar):
            continue
        before = value_of(widget)
        QApplication.sendEvent(widget, wheel(widget))
        if value_of(widget) != before:
            yield eyes.name_of(widget)


def value_of(widget: QComboBox | QAbstractSpinBox | QAbstractSlider) -> object:
    """What a control is set to."""
    if isinstance(widget, QComboBox):
        return widget.currentIndex()
    return widget.value() if isinstance(widget, QAbstractSlider) else widget.text()


def wheel(widget: QWidget) -> QWheelEvent:
    """One notch down over the middle of a widget."""
    middle = widget.rect().center()
    return QWheelEvent(
        QPointF(middle), QPointF(widget.mapToGlobal(middle)), QPoint(0, 0), QPoint(0, -120), Qt.MouseButton.NoButton,
        Qt.KeyboardModifier.NoModifier, Qt.ScrollPhase.NoScrollPhase, False,
    )  # fmt: skip


CHECKS = (clipped, unnamed, out_of_order, changed_by_the_wheel)


@pytest.mark.parametrize(("tongue", "size"), LOOKS, ids=str)
def test_that_every_page_is_whole_named_in_order_and_safe_from_the_wheel(walk, tongue, size):
    """One walk for all of it: coming to a page costs more than looking at it."""
    found: dict[str, None] = {}  # each once, in the order of the pages
    for name, top in walk(tongue, size):
        for check in CHECKS:
            found.update({f"{check.__name__}, {name}: {flaw}": None for flaw in check(top)})
    assert not found, "\n".join(found)


@pytest.mark.parametrize("scale", ["1.25", "1.5", "2"])
def test_that_every_page_is_whole_on_a_screen_of_another_scale(scale):
    """Qt takes its scale when the program starts, so each is a program of its own."""
    node = f"{Path(__file__)}::test_that_every_page_is_whole_named_in_order_and_safe_from_the_wheel[en-{SMALL}]"
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", node],
        env={**os.environ, "QT_SCALE_FACTOR": scale},
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-8000:]
