"""What nobody looks at is not built, and no page, step, section or tab builds much in one turn of the event loop."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from PySide6.QtCore import QAbstractEventDispatcher, QEvent, QObject
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QLabel, QPushButton, QVBoxLayout, QWidget

from forge_desktop.models.settings_entries import SECTIONS
from forge_desktop.pages.run_page import TABS, RunPage
from forge_desktop.panels.events_panel import AT_ONCE, EventsPanel
from forge_desktop.theme.later import Later
from forge_desktop.theme.slices import Slices
from forge_desktop.wizard.fields import FoldedForm, SettingField
from forge_desktop.wizard.steps import STEPS, Steps
from forge_desktop.wizard.wizard_page import WizardPage
from tests.desktop.conftest import change_look
from tests.helpers.journals import before_training, demo_spec, saved, steps

MOST_AT_ONCE = 330
"""Widgets that come to be in one turn: at 0.15 ms each, within the 50 ms a window may stand still."""


class Polished(QObject):
    """Counts the widgets that Qt dresses in each turn of the event loop: each once, when it is first needed."""

    def __init__(self, app: QApplication) -> None:
        super().__init__()
        self.turns: list[int] = [0]
        dispatcher = QAbstractEventDispatcher.instance(app.thread())
        dispatcher.awake.connect(self._turn)
        app.installEventFilter(self)

    def _turn(self) -> None:
        if self.turns[-1]:
            self.turns.append(0)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Qt's own hook."""
        if event.type() == QEvent.Type.Polish and isinstance(watched, QWidget):
            self.turns[-1] += 1
        return False

    def most(self) -> int:
        """In the busiest turn."""
        return max(self.turns)


@pytest.fixture
def polished(qapp) -> Iterator[Polished]:
    counter = Polished(qapp)
    yield counter
    qapp.removeEventFilter(counter)
    counter.deleteLater()


def settle(replay, qtbot) -> None:
    qtbot.waitUntil(lambda: not replay.desktop.session.is_asking and not replay.desktop.is_changing_look)
    QTest.qWait(1)


def open_wizard(replay, qtbot, address: str = "new") -> WizardPage:
    replay.window.go(address)
    page = replay.window.page
    assert isinstance(page, WizardPage)
    qtbot.waitUntil(lambda: page.is_built)
    return page


def a_run(replay, saves: int = 14) -> str:
    uid = replay.backend.add(demo_spec(), created=1.0)
    lines = [line for n in range(saves) for line in saved(n + 1)]
    replay.backend.play(uid, [*before_training(), *steps(1, 40), *lines])
    return uid


def test_that_a_step_is_built_when_it_is_first_shown(replay, qtbot):
    page = open_wizard(replay, qtbot)
    made = page.findChild(Steps)
    for place, (key, _text, _paths) in enumerate(STEPS):
        assert [made.is_made(other) for other in range(len(STEPS))] == [other < max(place, 1) for other in range(5)]
        page.findChild(QPushButton, f"wizard.step.{key}").click()


def test_that_a_fold_is_built_when_it_is_opened(replay, qtbot):
    page = open_wizard(replay, qtbot)
    page.findChild(QPushButton, "wizard.step.training").click()
    qtbot.waitUntil(lambda: page.is_built)
    assert not any(field.path == "training.weight_decay" for field in page.findChildren(SettingField))
    page.go_to("training.weight_decay")
    field = next(field for field in page.findChildren(SettingField) if field.path == "training.weight_decay")
    assert field.isVisible()
    assert QApplication.focusWidget() is None or field.isAncestorOf(QApplication.focusWidget())


def test_that_a_tab_is_built_when_it_is_opened(replay, qtbot):
    replay.window.go(f"run/{a_run(replay)}")
    page = replay.window.page
    assert isinstance(page, RunPage)
    qtbot.waitUntil(lambda: page.is_built)
    assert page.findChild(EventsPanel) is None
    page.show_tab("events")
    assert page.findChild(EventsPanel).isVisibleTo(page)


def test_that_a_late_step_has_its_place_in_the_order_of_tab(replay, qtbot):
    page = open_wizard(replay, qtbot)
    page.findChild(QPushButton, "wizard.step.training").click()
    qtbot.waitUntil(lambda: page.is_built)
    page.findChild(QPushButton, "wizard.fold.training").click()
    order, at = [], page
    while at.nextInFocusChain() is not page:
        at = at.nextInFocusChain()
        order.append(at.objectName())
    inside = [order.index(f"field.{path}") for path in ("training.epochs", "training.weight_decay")]
    assert order.index("wizard.step.review") < inside[0] < inside[1] < order.index("wizard.fold.tuner")
    assert order.index("wizard.fold.logging") < order.index("wizard.next")


def test_that_a_marked_setting_is_unfolded_at_once(replay, qtbot):
    page = open_wizard(replay, qtbot, "new/draft-marked?training.weight_decay=0.5")
    fold = next(fold for fold in page.findChildren(FoldedForm) if fold.owns("training.weight_decay"))
    assert fold.field("training.weight_decay").isVisible()


def ways(replay, qtbot) -> Iterator[tuple[str, Callable[[], object]]]:
    """Every page, and every part of one."""
    window, uid = replay.window, a_run(replay)
    replay.backend.use_instances()
    for address in ("runs", f"run/{uid}", f"compare/{uid}", "instances", "welcome", "new/draft-x"):
        yield address, lambda address=address: window.go(address)  # type: ignore[misc]
    for key, _text, _paths in STEPS:
        yield f"step {key}", window.page.findChild(QPushButton, f"wizard.step.{key}").click
    for fold in window.page.findChildren(FoldedForm):
        yield "a fold", fold.open
    yield "dark", lambda: replay.desktop.change_look("dark", "zh_CN")
    for section in SECTIONS:
        yield f"settings {section.key}", lambda key=section.key: window.go(f"settings/{key}")  # type: ignore[misc]
    yield "a run again", lambda: window.go(f"run/{uid}")
    for tab, _text in TABS:
        yield f"tab {tab}", lambda tab=tab: window.page.show_tab(tab)  # type: ignore[misc]


def test_that_no_turn_of_the_event_loop_builds_much(replay, qtbot, polished):
    found = {}
    for name, deed in ways(replay, qtbot):
        settle(replay, qtbot)
        polished.turns = [0]
        deed()
        settle(replay, qtbot)
        found[name] = polished.most()
    assert max(found.values()) > 50, f"nothing is counted: {found}"
    assert {name: most for name, most in found.items() if most > MOST_AT_ONCE} == {}


def test_that_the_application_has_no_style_sheet(replay, qapp):
    """With one, each widget restyles all it holds whenever something around it gets a parent."""
    assert qapp.styleSheet() == ""
    assert replay.window.styleSheet()
    change_look(replay.desktop, "dark", "en")
    assert qapp.styleSheet() == ""
    assert "#" in replay.window.styleSheet()


def test_that_a_page_that_goes_is_gone_and_says_nothing_more(replay, qtbot):
    uid = a_run(replay)
    replay.window.go(f"run/{uid}")
    settle(replay, qtbot)
    for tab, _text in TABS:
        replay.window.page.show_tab(tab)
    gone: list[str] = []
    replay.window.page.destroyed.connect(lambda: gone.append("page"))
    replay.window.go("runs")
    replay.backend.play(uid, steps(41, 60))
    qtbot.waitUntil(lambda: gone == ["page"])


def test_that_slices_are_done_one_a_turn_and_a_new_beginning_forgets_the_rest(qtbot):
    holder, done = QObject(), list[int]()
    slices = Slices(holder)
    slices.begin(lambda n=n: done.append(n) for n in range(10**6))
    assert done == [0]
    qtbot.waitUntil(lambda: len(done) >= 2)
    slices.begin([lambda: done.append(-1), lambda: done.append(-2)])
    qtbot.waitUntil(lambda: slices.is_done)
    assert done[-2:] == [-1, -2]
    assert 10**6 - 1 not in done


def test_that_what_is_due_at_once_is_done_in_turns_of_its_own(qtbot, qapp):
    holder, done = QObject(), [[]]
    dispatcher = QAbstractEventDispatcher.instance(qapp.thread())
    awake = dispatcher.awake.connect(lambda: done.append([]))
    every = [Slices(holder) for _ in range(3)]
    for name, slices in enumerate(every):
        slices.begin([lambda name=name: done[-1].append(name) for _ in range(5)], now=False)
    qtbot.waitUntil(lambda: all(slices.is_done for slices in every))
    dispatcher.disconnect(awake)
    assert sorted(name for turn in done for name in turn) == sorted([0, 1, 2] * 5)
    assert max(len(turn) for turn in done) == 1


def test_that_a_page_that_goes_while_it_is_made_is_made_no_further(replay, qtbot):
    uid = a_run(replay)
    for address in (f"compare/{uid}", f"run/{uid}"):
        replay.window.go(address)
        page = replay.window.page
        made = page.findChildren(Slices)
        replay.window.go("instances")
        assert all(work.is_done for work in made)
        settle(replay, qtbot)


def test_that_many_events_come_by_and_by_and_new_ones_above(replay, qtbot):
    uid = a_run(replay, saves=30)
    replay.window.go(f"run/{uid}")
    page = replay.window.page
    qtbot.waitUntil(lambda: page.is_built)
    page.show_tab("events")

    def rows() -> list[str]:
        found = [made for made in page.findChildren(QWidget) if made.objectName().startswith("event.")]
        return [made.objectName() for made in sorted(found, key=lambda made: made.y()) if made.isVisible()]

    qtbot.waitUntil(lambda: len(rows()) > AT_ONCE, timeout=20_000)
    settle(replay, qtbot)
    qtbot.waitUntil(lambda: page.findChild(EventsPanel).is_filled)
    before = rows()
    kept = page.findChild(QWidget, before[-1])
    replay.backend.play(uid, saved(99))
    qtbot.waitUntil(lambda: len(rows()) > len(before))
    assert rows()[-len(before) :] == before
    assert page.findChild(QWidget, before[-1]) is kept, "what was there is not made anew"


def test_that_a_widget_made_later_fills_its_place(qtbot):
    frame = QWidget()
    qtbot.addWidget(frame)
    made: list[QLabel] = []

    def make() -> QLabel:
        made.append(QLabel("here"))
        return made[-1]

    later = Later(make)
    QVBoxLayout(frame).addWidget(later)
    assert not later.is_made
    frame.show()
    qtbot.waitUntil(lambda: bool(made) and made[0].isVisible())
    assert later.made() is made[0]
    assert len(made) == 1
