"""The Instances page: what is shown, filtered and picked, what is done to many, strangers, nodes that are silent."""

from __future__ import annotations

import pytest
from PySide6.QtCore import QItemSelectionModel, QPoint, Qt
from PySide6.QtGui import QAction, QGuiApplication
from PySide6.QtWidgets import QApplication, QMenu, QMessageBox, QPushButton

from engine.contract.errors import UserError
from engine.contract.nodes import Instance
from forge_desktop.models import help_topics
from forge_desktop.models.instance_words import cell_text, chip_of, removed_text, why_not
from forge_desktop.models.instances_model import PLACE
from forge_desktop.pages.instances_page import InstancesPage
from forge_desktop.pages.run_page import RunPage
from forge_desktop.panels.bulk_actions import RefusedDialog
from tests.desktop.sheets_fleet import live_run

pytestmark = pytest.mark.slow
AT = 1_790_000_000.0


def opened(replay, qtbot, number: int = 12) -> InstancesPage:
    """The page over the pretended nodes."""
    replay.backend.use_fleet()
    replay.backend.use_instances()
    replay.window.go("instances")
    page = replay.window.page
    assert isinstance(page, InstancesPage)
    qtbot.waitUntil(lambda: len(page.model.all) == number)
    return page


def named(page: InstancesPage, name: str) -> Instance:
    return next(one for one in page.model.all if one.run_name == name)


def names(page: InstancesPage) -> list[str]:
    return [one.run_name for one in page.model.rows]


def press(name: str) -> None:
    """A button of the question that is open."""
    box = QApplication.activeModalWidget()
    assert isinstance(box, QMessageBox)
    box.findChild(QPushButton, name).click()


def test_that_it_says_how_many_there_are_and_shows_the_unknown_first(replay, qtbot):
    page = opened(replay, qtbot)
    assert page._summary.accessibleName() == "12 instances · 9 at work · on 6 nodes"
    assert not page.model.rows[0].known
    nodes = [one.node for one in page.model.rows[1:]]
    assert nodes == sorted(nodes)
    assert page.state() == ""


@pytest.mark.parametrize(
    ("values", "key", "text"),
    [
        ({}, "run", "Unknown run 0c1d"),
        ({"run_name": "a"}, "run", "a"),
        ({"run": ""}, "run", "7be1"),
        ({"devices": ["0", "1"]}, "devices", "GPU 0, 1"),
        ({}, "devices", "—"),
        ({"cpu_percent": 212.4}, "cpu", "212%"),
        ({"memory": 21_000_000_000}, "memory", "21.0 GB"),
        ({"started": AT, "ended": AT + 90}, "age", "1 min 30 s"),
        ({"kind": "spare"}, "kind", "Spare worker"),
        ({"state": "exited", "exit_code": 137}, "state", "Ended, code 137"),
        ({"state": "exited", "exit_code": 0}, "state", "Ended"),
        ({"known": False}, "state", "Unknown"),
        ({"node": "local"}, "node", "This computer"),
    ],
)
def test_what_cells_say(values, key, text):
    one = Instance(**{"id": "l40s-b2/7be1", "node": "l40s-b2", "run": "0c1d", **values})
    assert cell_text(one, key) == text


def test_when_it_is_removed():
    one = Instance(id="a/b", node="a", expires=AT + 5 * 86_400)
    assert removed_text(one, AT) == "5 d 0 h"
    assert removed_text(one, AT + 6 * 86_400) == "soon"
    assert removed_text(one.model_copy(update={"expires": None}), AT) == "—"


def test_that_no_state_is_told_by_colour_alone():
    states = ("created", "running", "paused", "exited", "unreachable", "gone")
    looks = [chip_of(Instance(id="a/b", node="a", state=state)) for state in states]
    assert all(text and icon for text, _tone, icon in looks)
    assert len({icon for _text, _tone, icon in looks}) == len(states)


@pytest.mark.parametrize(
    ("values", "can"),
    [
        ({}, {"stop", "kill"}),
        ({"state": "exited"}, {"remove"}),
        ({"state": "unreachable"}, set()),
        ({"state": "gone"}, set()),
        ({"kind": "spare"}, set()),
        ({"known": False}, {"stop", "kill", "adopt"}),
        ({"known": False, "state": "exited"}, {"remove", "adopt"}),
    ],
)
def test_what_can_be_done_to_which(values, can):
    one = Instance(**{"id": "a/b", "node": "a", **values})
    assert {verb for verb in ("stop", "kill", "remove", "adopt") if not why_not(one, verb)} == can


def test_that_words_and_chips_filter_together(replay, qtbot):
    page = opened(replay, qtbot)
    chip = page.findChild(QPushButton, "instances.node.h200-a1")
    qtbot.mouseClick(chip, Qt.MouseButton.LeftButton)
    assert {one.node for one in page.model.rows} == {"h200-a1"}
    qtbot.mouseClick(page.findChild(QPushButton, "instances.kind.train"), Qt.MouseButton.LeftButton)
    assert names(page) == ["qwen3-sql", "gemma3-27b-notes"]
    qtbot.keyClicks(page.search, "GEMMA")
    qtbot.waitUntil(lambda: names(page) == ["gemma3-27b-notes"])
    qtbot.keyClicks(page.search, " nobody")
    qtbot.waitUntil(lambda: page.state() == "no_match")
    qtbot.mouseClick(page._hints["no_match"].findChild(QPushButton, "hint.action"), Qt.MouseButton.LeftButton)
    assert len(page.model.rows) == 12
    assert page.search.text() == ""


def test_that_numbers_on_chips_follow_the_other_filters(replay, qtbot):
    page = opened(replay, qtbot)
    assert page.findChild(QPushButton, "instances.kind.train").text() == "Training 8"
    page.filter.toggle("node", "h200-a1", True)
    assert page.findChild(QPushButton, "instances.kind.train").text() == "Training 2"
    assert page.findChild(QPushButton, "instances.node.l40s-b2").text() == "l40s-b2 3"


def test_that_the_filter_is_kept(replay, qtbot):
    page = opened(replay, qtbot)
    page.filter.toggle("state", "exited", True)
    replay.window.go("runs")
    page = opened(replay, qtbot)
    assert {one.state for one in page.model.rows} == {"exited"}
    assert page.findChild(QPushButton, "instances.state.exited").isChecked()


def test_that_many_nodes_are_a_menu_and_not_a_wall_of_chips(replay, qtbot):
    page = opened(replay, qtbot)
    for n in range(20):
        replay.backend.managed[f"node-{n}/x"] = Instance(id=f"node-{n}/x", node=f"node-{n}")
    page.model.fetch()
    qtbot.waitUntil(lambda: len(page.model.all) == 32)
    assert page.findChild(QPushButton, "instances.filter.nodes").isVisible()
    page.filter._open_nodes()
    menu = page.findChild(QMenu, "instances.nodes.menu")
    next(action for action in menu.actions() if action.text() == "node-7 1").trigger()
    assert [one.node for one in page.model.rows] == ["node-7"]
    menu.close()


def test_that_figures_change_without_losing_what_is_picked(replay, qtbot):
    page = opened(replay, qtbot)
    wanted = [named(page, "qwen3-sql").id, named(page, "llama-legal").id]
    page.table.pick(wanted)
    replay.backend.change_instance(wanted[0], cpu_percent=3.0)
    page.model.fetch()
    qtbot.waitUntil(lambda: named(page, "qwen3-sql").cpu_percent == 3.0)
    assert {one.id for one in page.table.picked()} == set(wanted)
    replay.backend.managed["a100-d1/new"] = Instance(id="a100-d1/new", node="a100-d1", created=AT)
    page.model.fetch()
    qtbot.waitUntil(lambda: len(page.model.rows) == 13)
    assert {one.id for one in page.table.picked()} == set(wanted)
    del replay.backend.managed[wanted[0]]
    page.model.fetch()
    qtbot.waitUntil(lambda: len(page.model.rows) == 12)
    assert [one.id for one in page.table.picked()] == wanted[1:]


def test_that_it_asks_again_by_itself_while_it_is_shown(replay, qtbot):
    page = opened(replay, qtbot)
    assert page.model._again.isActive()
    replay.backend.managed["a100-d1/new"] = Instance(id="a100-d1/new", node="a100-d1")
    qtbot.waitUntil(lambda: len(page.model.all) == 13, timeout=10_000)
    page.leave()
    assert not page.model._again.isActive()


def test_that_many_are_stopped_and_saved_without_a_question(replay, qtbot):
    page = opened(replay, qtbot)
    wanted = [named(page, name).id for name in ("qwen3-sql", "llama-legal")]
    page.table.pick([*wanted, named(page, "legal-notes").id])
    assert page.bar.isVisible()
    qtbot.mouseClick(page.bar.buttons["stop"], Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: bool(replay.backend.deeds))
    verb, ids = replay.backend.deeds[0]
    assert verb == "stop"
    assert set(ids) == set(wanted), "the one that ended is left alone"
    qtbot.waitUntil(lambda: named(page, "qwen3-sql").state == "exited")
    assert replay.window.banner.text() == "2 instances save their state and stop."


@pytest.mark.parametrize(
    ("answer", "sent"), [("instances.kill.yes", "kill"), ("instances.kill.save", "stop"), ("", None)]
)
def test_that_killing_asks_once_names_what_is_lost_and_offers_to_save_first(replay, qtbot, answer, sent):
    page = opened(replay, qtbot)
    page.table.pick([named(page, "qwen3-sql").id])
    qtbot.mouseClick(page.bar.buttons["kill"], Qt.MouseButton.LeftButton)
    box = QApplication.activeModalWidget()
    assert isinstance(box, QMessageBox)
    assert "since the last checkpoint is lost" in box.informativeText()
    assert "qwen3-sql on h200-a1" in box.informativeText()
    assert box.defaultButton().objectName() == "instances.kill.save"
    if answer:
        press(answer)
        qtbot.waitUntil(lambda: [verb for verb, _ids in replay.backend.deeds] == [sent])
    else:
        box.reject()
        qtbot.waitUntil(lambda: QApplication.activeModalWidget() is None)
        assert not replay.backend.deeds


def test_that_removing_asks_and_keeps_by_default(replay, qtbot):
    page = opened(replay, qtbot)
    one = named(page, "legal-notes").id
    page.table.pick([one])
    qtbot.mouseClick(page.bar.buttons["remove"], Qt.MouseButton.LeftButton)
    box = QApplication.activeModalWidget()
    assert isinstance(box, QMessageBox)
    assert box.defaultButton().text() == "Keep"
    press("instances.remove.yes")
    qtbot.waitUntil(lambda: one not in [one.id for one in page.model.all])


def test_that_what_is_refused_is_listed_by_name(replay, qtbot):
    page = opened(replay, qtbot)
    one = named(page, "qwen3-sql")
    fault = UserError("node.no_answer", node=one.node, address="x", detail="timed out", seconds=5)
    replay.backend.refusals[one.id] = fault
    page.table.pick([one.id, named(page, "llama-legal").id])
    qtbot.mouseClick(page.bar.buttons["stop"], Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: isinstance(QApplication.activeModalWidget(), RefusedDialog))
    dialog = QApplication.activeModalWidget()
    assert dialog.windowTitle() == "1 instance was left as it is"
    assert dialog.list.item(0).text().startswith("qwen3-sql: ")
    dialog.accept()


def test_that_what_cannot_be_done_says_why(replay, qtbot):
    page = opened(replay, qtbot)
    page.table.pick([named(page, "legal-notes").id])
    assert not page.bar.buttons["stop"].isEnabled()
    assert page.bar.buttons["stop"].toolTip() == "It is not at work."
    page.table.pick([named(page, "night-run").id])
    assert page.bar.buttons["kill"].toolTip() == "Its node does not answer now."
    assert not page.bar.buttons["adopt"].isVisible()


def test_that_strangers_are_offered_for_adoption(replay, qtbot):
    page = opened(replay, qtbot)
    assert page.strangers.text() == "1 instance on l40s-b2 is unknown to the history"
    page.filter.toggle("kind", "serve", True)
    qtbot.mouseClick(page.findChild(QPushButton, "instances.strangers"), Qt.MouseButton.LeftButton)
    assert [one.known for one in page.table.picked()] == [False]
    assert page.bar.buttons["adopt"].isVisible()
    qtbot.mouseClick(page.findChild(QPushButton, "instances.adopt"), Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: page.strangers.text() == "")
    assert replay.backend.deeds[0][0] == "adopt"
    assert all(one.known for one in page.model.all)


def test_that_what_another_computer_made_is_adopted_only_when_a_person_says_so(replay, qtbot):
    page = opened(replay, qtbot)
    stranger = page.model.strangers[0]
    error = UserError("instances.other_computer", id=stranger.id, computer="lab-03")
    replay.backend.refusals[stranger.id] = error
    for name in ("", "instances.adopt.anyway"):
        qtbot.mouseClick(page.findChild(QPushButton, "instances.adopt"), Qt.MouseButton.LeftButton)
        qtbot.waitUntil(lambda: isinstance(QApplication.activeModalWidget(), QMessageBox))
        box = QApplication.activeModalWidget()
        assert "lab-03" in box.informativeText()
        assert not page.model.find(stranger.id).known
        (box.findChild(QPushButton, name) if name else box.defaultButton()).click()
    qtbot.waitUntil(lambda: page.model.find(stranger.id).known)


def test_that_other_refusals_are_listed_before_the_question(replay, qtbot):
    page = opened(replay, qtbot)
    stranger, other = page.model.strangers[0], named(page, "night-run")
    replay.backend.change_node("rtx4090-c2", reach="reachable", error=None)
    replay.backend.change_instance(other.id, known=False, state="running")
    page.model.fetch()
    qtbot.waitUntil(lambda: len(page.model.strangers) == 2)
    replay.backend.refusals[stranger.id] = UserError("instances.other_computer", id=stranger.id, computer="lab-03")
    replay.backend.refusals[other.id] = UserError("instances.no_run", id=other.id)
    page.deeds.do("adopt", page.model.strangers)
    qtbot.waitUntil(lambda: isinstance(QApplication.activeModalWidget(), RefusedDialog))
    listed = QApplication.activeModalWidget()
    assert listed.list.count() == 1
    listed.accept()
    qtbot.waitUntil(lambda: isinstance(QApplication.activeModalWidget(), QMessageBox))
    QApplication.activeModalWidget().defaultButton().click()


def test_that_silent_nodes_are_named(replay, qtbot):
    page = opened(replay, qtbot)
    assert page.lost.text() == "Not answering: rtx4090-c2"
    assert "gave no answer within 5 s" in page.lost.more()
    replay.backend.change_node("rtx4090-c2", reach="reachable", error=None)
    page.model.fetch()
    qtbot.waitUntil(lambda: page.lost.text() == "")


def test_that_a_row_opens_its_run_and_its_log(replay, qtbot):
    page = opened(replay, qtbot)
    uid = live_run(replay.backend, "here", "local", 1.0)
    replay.backend.managed["local/7"] = Instance(id="local/7", node="local", run=uid, run_name="here")
    page.model.fetch()
    qtbot.waitUntil(lambda: "here" in names(page))
    menu = QMenu(page)
    page.fill_menu(menu, named(page, "here"))
    actions = {action.objectName(): action for action in menu.actions()}
    actions["instances.menu.copy"].trigger()
    assert QGuiApplication.clipboard().text() == "local/7"
    actions["instances.menu.log"].trigger()
    qtbot.waitUntil(lambda: isinstance(replay.window.page, RunPage))
    qtbot.waitUntil(lambda: replay.window.page.is_built)
    assert replay.window.page.findChild(QPushButton, "run.tab.log").isChecked()
    assert replay.window.page.model.uid == uid


def test_that_a_stranger_has_no_run_to_open(replay, qtbot):
    page = opened(replay, qtbot)
    menu = QMenu(page)
    page.fill_menu(menu, page.model.rows[0])
    actions = {action.objectName(): action for action in menu.actions()}
    assert not actions["instances.menu.open"].isEnabled()
    assert actions["instances.menu.open"].toolTip() == "No run of the history belongs to it."
    assert actions["instances.menu.adopt"].isEnabled()


def test_that_the_keyboard_alone_does_it(replay, qtbot):
    page = opened(replay, qtbot)
    page.table.setFocus()
    assert page.table.currentIndex().row() == 0
    qtbot.keyClick(page.table, Qt.Key.Key_Down)
    qtbot.keyClick(page.table, Qt.Key.Key_Down, Qt.KeyboardModifier.ShiftModifier)
    assert len(page.table.picked()) == 2
    qtbot.keyClick(page.table, Qt.Key.Key_Escape)
    assert page.table.picked() == []
    assert replay.window.address == "instances"
    with qtbot.waitSignal(page.table.menu_wanted):
        qtbot.keyClick(page.table, Qt.Key.Key_F10, Qt.KeyboardModifier.ShiftModifier)
    page.findChild(QMenu, "instances.menu").close()
    one = page.model.rows[1]
    index = page.model.index(1, 0)
    page.table.selectionModel().setCurrentIndex(index, QItemSelectionModel.SelectionFlag.NoUpdate)
    with qtbot.waitSignal(page.table.opened) as heard:
        qtbot.keyClick(page.table, Qt.Key.Key_Return)
    assert heard.args[0].id == one.id


def test_that_an_empty_page_says_what_will_be_there(replay, qtbot):
    replay.window.go("instances")
    page = replay.window.page
    qtbot.waitUntil(lambda: page.state() == "none")
    assert not page.filter.isVisible()
    page._hints["none"].findChild(QPushButton, "hint.action").click()
    qtbot.waitUntil(lambda: replay.window.address.startswith("new"))


def test_that_a_failure_is_shown_and_tried_again(replay, qtbot):
    replay.backend.instances_error = UserError("request.invalid", detail="no such thing")
    replay.window.go("instances")
    page = replay.window.page
    qtbot.waitUntil(lambda: page.state() == "error")
    assert page.error_text() == "The request cannot be understood."
    replay.backend.instances_error = None
    page._hints["error"].findChild(QPushButton, "hint.action").click()
    qtbot.waitUntil(lambda: page.state() == "none")
    assert page.error_text() == ""


def test_that_nothing_is_sent_to_a_controller_that_is_gone(replay, qtbot):
    page = opened(replay, qtbot)
    page.table.pick([named(page, "qwen3-sql").id])
    replay.desktop.session.offline.emit(UserError("controller.unreachable", detail="", log="").body())
    assert not page.bar.buttons["stop"].isEnabled()
    assert page.bar.buttons["stop"].toolTip() == "The job controller does not answer."
    assert page.state() == "", "what was known stays"
    replay.desktop.session.online.emit()
    qtbot.waitUntil(lambda: page.bar.buttons["stop"].isEnabled())


def test_that_it_has_a_command_a_place_in_the_sidebar_and_help(replay, qtbot):
    assert replay.window.commands.give("go.instances")
    assert isinstance(replay.window.page, InstancesPage)
    assert replay.window.sidebar.findChild(QPushButton, "nav.instances").isChecked()
    assert help_topics.topic_of("instances") == "instances"
    assert help_topics.topic("instances").title == "Instances"


def test_that_room_that_is_short_hides_what_matters_least(replay, qtbot):
    page = opened(replay, qtbot)
    assert not page.table.isColumnHidden(PLACE["devices"])
    replay.window.resize(1024, 700)
    qtbot.waitUntil(lambda: page.table.isColumnHidden(PLACE["devices"]) or page.table.width() > 900)
    assert not any(page.table.isColumnHidden(PLACE[key]) for key in ("kind", "run", "node", "state", "age", "more"))


def test_that_a_click_on_a_heading_sorts_both_ways_and_then_as_usual(replay, qtbot):
    page = opened(replay, qtbot)
    usual, header = [one.id for one in page.model.rows], page.table.header

    def click(key: str) -> None:
        x = header.sectionViewportPosition(PLACE[key]) + 20
        qtbot.mouseClick(header.viewport(), Qt.MouseButton.LeftButton, pos=QPoint(x, 12))

    click("memory")
    found = [one.memory for one in page.model.rows]
    known = [number for number in found if number is not None]
    assert known == sorted(known, reverse=True)
    assert found[: len(known)] == known  # what is not known comes last
    click("memory")
    again = [one.memory for one in page.model.rows if one.memory is not None]
    assert again == sorted(again)
    assert page.model.rows[-1].memory is None
    click("memory")
    assert [one.id for one in page.model.rows] == usual
    click("node")
    nodes = [cell_text(one, "node").casefold() for one in page.model.rows]
    assert nodes == sorted(nodes)


def test_that_the_keyboard_sorts_and_marks_stay_with_their_rows(replay, qtbot):
    page = opened(replay, qtbot)
    marked = named(page, "qwen3-sql").id
    page.table.pick([marked])
    header = page.table.header
    header.setFocus(Qt.FocusReason.TabFocusReason)
    qtbot.waitUntil(header.hasFocus)
    for key in (Qt.Key.Key_Right, Qt.Key.Key_Space):
        qtbot.keyClick(header, key)
    assert page.model.sort_key == "run"
    assert "Run" in header.accessibleDescription()
    assert "rising" in header.accessibleDescription()
    assert [one.id for one in page.table.picked()] == [marked]
    qtbot.keyClick(header, Qt.Key.Key_Return)
    assert page.model.falling
    texts = [cell_text(one, "run").casefold() for one in page.model.rows]
    assert texts == sorted(texts, reverse=True)


def test_that_the_order_is_kept_and_a_damaged_one_is_the_usual(replay, qtbot):
    page = opened(replay, qtbot)
    menu = QMenu()
    page.fill_menu(menu, page.model.rows[0])
    action = menu.findChild(QAction, "instances.sort.age")
    action.trigger()
    assert (page.model.sort_key, page.model.falling) == ("age", True)
    replay.window.go("runs")
    page = opened(replay, qtbot)
    assert (page.model.sort_key, page.model.falling) == ("age", True)
    replay.desktop.preferences.set("instances.sort", {"key": "nonsense", "falling": 7})
    replay.window.go("runs")
    assert opened(replay, qtbot).model.sort_key == ""
