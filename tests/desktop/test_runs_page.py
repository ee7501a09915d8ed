"""The Runs page over replayed journals: rows, states, menus, filters, columns, and what it remembers."""

from __future__ import annotations

from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QAccessible
from PySide6.QtWidgets import QApplication, QLabel, QMenu, QPushButton

from engine.contract.api import Settings
from engine.contract.node_alerts import DEFAULT_RULES
from engine.contract.states import RunState
from engine.contract.stream import Resources
from forge_desktop.models.run_columns import COLUMNS, PLACE, progress
from forge_desktop.models.runs_model import Question
from forge_desktop.pages.compare_page import ComparePage
from forge_desktop.pages.run_page import RunPage
from forge_desktop.pages.runs_page import RunsPage
from tests.helpers.journals import after_training, before_training, demo_spec, steps


def page_of(replay) -> RunsPage:
    assert isinstance(replay.window.page, RunsPage)
    return replay.window.page


def names(page: RunsPage) -> list[str]:
    return [run.name for run in page.model.runs]


def filled(replay, qtbot, *wanted: str, **options) -> RunsPage:
    """The page with runs of these names, the first the newest."""
    for place, name in enumerate(reversed(wanted)):
        replay.backend.add(demo_spec(name), created=100.0 + place, **options)
    page = page_of(replay)
    qtbot.waitUntil(lambda: page.model.total == len(wanted) and page.model.is_current)
    return page


def shown(page: RunsPage) -> list[str]:
    """The columns from left to right."""
    header = page.table.header
    return [key for key in header.order() if not header.isSectionHidden(PLACE[key])]


def popup(name: str) -> QMenu:
    found = [menu for menu in QApplication.topLevelWidgets() if menu.objectName() == name and menu.isVisible()]
    assert len(found) == 1
    assert isinstance(found[0], QMenu)
    return found[0]


def test_that_an_empty_history_says_what_to_do_next(replay, qtbot):
    page = page_of(replay)
    qtbot.waitUntil(lambda: page.model.has_loaded)
    for name in ("runs.demo", "runs.first"):
        assert page.findChild(QPushButton, name).isVisible()


def test_that_the_demo_starts_from_an_empty_history(replay, qtbot):
    page = page_of(replay)
    qtbot.waitUntil(lambda: page.model.has_loaded)
    qtbot.mouseClick(page.findChild(QPushButton, "runs.demo"), Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: isinstance(replay.window.page, RunPage))
    assert replay.backend.runs([], "", 0, 1).runs[0].name == "demo-iso-dates"


def test_that_runs_appear_newest_first(replay, qtbot):
    replay.backend.add(demo_spec("older"), created=100.0)
    replay.backend.add(demo_spec("newer"), created=200.0)
    page = page_of(replay)
    qtbot.waitUntil(lambda: names(page) == ["newer", "older"])


def test_that_a_live_run_moves_in_the_table(replay, qtbot):
    uid = replay.backend.add(demo_spec(), created=100.0)
    replay.backend.play(uid, before_training(100))
    model = page_of(replay).model
    qtbot.waitUntil(lambda: bool(model.runs) and model.runs[0].state is RunState.RUNNING)
    replay.backend.play(uid, steps(1, 40))
    qtbot.waitUntil(lambda: progress(model.runs[0]) == 0.4)
    replay.backend.play(uid, [*steps(41, 100), *after_training()])
    qtbot.waitUntil(lambda: model.runs[0].state is RunState.COMPLETED)


def test_that_progress_asks_the_controller_for_nothing(replay, qtbot):
    uid = replay.backend.add(demo_spec(), created=100.0)
    replay.backend.play(uid, before_training(100))
    model = page_of(replay).model
    qtbot.waitUntil(lambda: bool(model.runs) and model.runs[0].state is RunState.RUNNING and model.is_current)
    asked = len(replay.backend.asked)
    with qtbot.waitSignal(model.dataChanged):
        replay.backend.play(uid, steps(1, 40)[:1])
    replay.backend.play(uid, [line for line in steps(2, 40) if line.kind == "step"])
    qtbot.waitUntil(lambda: model.runs[0].step == 40)
    assert len(replay.backend.asked) == asked


def test_that_search_and_filters_ask_the_controller(replay, qtbot):
    replay.backend.add(demo_spec("apples"), created=1.0)
    replay.backend.add(demo_spec("pears"), created=2.0, state=RunState.COMPLETED)
    page = page_of(replay)
    qtbot.waitUntil(lambda: len(page.model.runs) == 2)
    qtbot.keyClicks(page.search, "pear")
    qtbot.waitUntil(lambda: names(page) == ["pears"])
    page.search.clear()
    page.model.set_filter("active")
    qtbot.waitUntil(lambda: names(page) == ["apples"])


def test_that_no_match_offers_all_runs(replay, qtbot):
    page = filled(replay, qtbot, "apples")
    page.search.setText("pears state:failed")
    qtbot.waitUntil(lambda: page.states.isVisible() and page.states.state() == "no_match")
    qtbot.mouseClick(page.findChild(QPushButton, "runs.show_all"), Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: names(page) == ["apples"])
    assert page.search.text() == ""


def test_that_enter_opens_the_selected_run(replay, qtbot):
    uid = replay.backend.add(demo_spec(), created=1.0, state=RunState.COMPLETED)
    page = page_of(replay)
    qtbot.waitUntil(lambda: len(page.model.runs) == 1)
    page.table.selectRow(0)
    qtbot.keyClick(page.table, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: isinstance(replay.window.page, RunPage) and replay.window.page.model.uid == uid)


def test_that_a_live_run_cannot_be_deleted_from_the_menu(replay, qtbot):
    uid = replay.backend.add(demo_spec(), created=1.0)
    replay.backend.play(uid, before_training())
    page = page_of(replay)
    qtbot.waitUntil(lambda: bool(page.model.runs) and page.model.runs[0].state is RunState.RUNNING)
    menu = QMenu(page)
    page.fill_menu(menu, page.model.runs[0])
    enabled = {action.text(): action.isEnabled() for action in menu.actions() if action.text()}
    assert enabled["Delete…"] is False
    assert enabled["Stop…"] is True
    assert enabled["Tags…"] is True
    assert enabled["Priority"] is False


def test_that_the_menu_opens_by_mouse_button_and_keys(replay, qtbot):
    page = filled(replay, qtbot, "apples")
    page.table.setFocus()
    box = page.table.visualRect(page.model.index(0, PLACE["more"]))
    qtbot.mouseClick(page.table.viewport(), Qt.MouseButton.LeftButton, pos=box.center())
    popup("runs.menu").close()
    assert len(page.picked) == 0
    page.table.customContextMenuRequested.emit(QPoint(20, 20))
    popup("runs.menu").close()
    page.table.selectRow(0)
    qtbot.keyClick(page.table, Qt.Key.Key_Menu)
    popup("runs.menu").close()
    qtbot.keyClick(page.table, Qt.Key.Key_F10, Qt.KeyboardModifier.ShiftModifier)
    popup("runs.menu").close()


def test_that_the_menu_sets_a_priority(replay, qtbot):
    page = filled(replay, qtbot, "apples")
    menu = QMenu(page)
    page.fill_menu(menu, page.model.runs[0])
    part = next(action.menu() for action in menu.actions() if action.text() == "Priority")
    next(action for action in part.actions() if action.text() == "Urgent").trigger()
    qtbot.waitUntil(lambda: page.model.runs[0].priority == 20)


def test_that_two_runs_are_compared_from_the_menu(replay, qtbot):
    page = filled(replay, qtbot, "apples", "pears")
    for run in page.model.runs:
        replay.backend.move(run.uid, attempt=1)
    qtbot.waitUntil(lambda: all(run.attempt for run in page.model.runs))
    menu, gone = QMenu(page), []
    page.navigate.connect(gone.append)
    page.fill_menu(menu, page.model.runs[0])
    part = next(action.menu() for action in menu.actions() if action.text() == "Compare with…")
    next(action for action in part.actions() if action.text() == "pears").trigger()
    assert gone == [f"compare/{page.model.runs[0].uid},{page.model.runs[1].uid}"]
    qtbot.waitUntil(lambda: isinstance(replay.window.page, ComparePage))
    compared = replay.window.page
    qtbot.waitUntil(lambda: compared.is_built and compared.scatter.plot is not None)  # a thread loads what draws it


def test_that_a_lost_line_is_said_and_made_good(replay, qtbot):
    window, uid = replay.window, replay.backend.add(demo_spec(), created=1.0)
    model = page_of(replay).model
    qtbot.waitUntil(lambda: len(model.runs) == 1)
    with qtbot.waitSignals([replay.desktop.session.offline, replay.desktop.session.online], timeout=60_000):
        replay.backend.drop_line()
    replay.backend.delete(uid)
    qtbot.waitUntil(lambda: not model.runs and window.banner.isHidden())


def test_that_nobody_answering_at_first_is_said(replay, qtbot):
    replay.backend.hangs = True
    replay.window.go("new")
    replay.window.go("runs")
    page = page_of(replay)
    qtbot.waitUntil(lambda: page.states.state() == "offline")
    replay.backend.hangs = False
    qtbot.waitUntil(lambda: page.states.state() == "empty", timeout=20_000)


def test_that_a_click_on_a_head_sorts_and_again_turns_it_round(replay, qtbot):
    page = filled(replay, qtbot, "b", "a", "c")
    header = page.table.header
    place = header.sectionViewportPosition(PLACE["run"]) + 20
    qtbot.mouseClick(header.viewport(), Qt.MouseButton.LeftButton, pos=QPoint(place, 20))
    qtbot.waitUntil(lambda: names(page) == ["a", "b", "c"])
    qtbot.mouseClick(header.viewport(), Qt.MouseButton.LeftButton, pos=QPoint(place, 20))
    qtbot.waitUntil(lambda: names(page) == ["c", "b", "a"])
    said = page.model.headerData(PLACE["run"], Qt.Orientation.Horizontal, Qt.ItemDataRole.AccessibleTextRole)
    assert said == "Run, largest first"


def test_that_a_column_without_an_order_does_not_sort(replay, qtbot):
    page = filled(replay, qtbot, "b", "a")
    page.table.header.sectionClicked.emit(PLACE["node"])
    assert page.model.question == Question()


def test_that_columns_sort_filter_and_search_are_remembered(make_desktop, qtbot):
    first = make_desktop()
    first.window.resize(1440, 900)
    qtbot.waitUntil(lambda: first.desktop.session.is_online)
    page = filled(first, qtbot, "b", "a")
    header = page.table.header
    header.choose("tags", True)
    header.choose("node", False)
    header.move_column("eta", -1)
    header.resizeSection(PLACE["status"], 170)
    page.model.set_sort("name", False)
    page._filters.button("active").click()
    page.search.setText("tag:x")
    qtbot.waitUntil(lambda: page.model.is_current)
    order = header.order()
    first.desktop.close()
    second = make_desktop()
    second.window.resize(1440, 900)
    again = page_of(second)
    assert again.table.header.order() == order
    assert "tags" in again.table.header.chosen
    assert "node" not in again.table.header.chosen
    assert again.table.header.sectionSize(PLACE["status"]) == 170
    assert again.model.question == Question("active", "tag:x", "name", False)
    assert again.search.text() == "tag:x"


def test_that_damaged_preferences_of_the_list_are_passed_over(make_desktop, qtbot):
    one = make_desktop()
    for name, value in (
        ("runs.columns", {"order": [7, "gone"], "widths": "wide", "shown": None}),
        ("runs.question", {"filter": "of another version"}),
        ("runs.saved", [1, 2]),
    ):
        one.desktop.preferences.set(name, value)
    one.window.go("runs")
    page = filled(one, qtbot, "a")
    assert names(page) == ["a"]
    assert shown(page)[0] == "run"
    assert shown(page)[-1] == "more"


def test_that_the_button_column_stays_last_and_the_name_first(replay, qtbot):
    page = filled(replay, qtbot, "a")
    header = page.table.header
    header.moveSection(header.visualIndex(PLACE["loss"]), header.count() - 1)
    assert header.order()[-1] == "more"
    for _ in range(20):
        header.move_column("progress", -1)
    assert header.order()[:2] == ["run", "progress"]


def test_that_alt_and_arrows_move_the_column_one_stands_on(replay, qtbot):
    page = filled(replay, qtbot, "a")
    page.table.setCurrentIndex(page.model.index(0, PLACE["loss"]))
    qtbot.keyClick(page.table, Qt.Key.Key_Left, Qt.KeyboardModifier.AltModifier)
    assert page.table.header.order()[:3] == ["run", "loss", "status"]


def test_that_a_narrow_window_keeps_what_matters_most_and_six_rows(replay, qtbot):
    replay.backend.prices = Settings(prices={"gpu": 1.0})
    replay.window.resize(1440, 900)
    page = filled(replay, qtbot, *"abcdefgh")
    replay.backend.move(page.model.runs[0].uid, cost=1.5)
    qtbot.waitUntil(lambda: shown(page) == ["run", "status", "loss", "progress", "node", "eta", "cost", "more"])
    replay.window.resize(1024, 700)
    qtbot.waitUntil(lambda: "node" not in shown(page))
    assert shown(page)[:4] == ["run", "status", "loss", "progress"]
    assert page.table.viewport().height() >= 6 * 52
    header = page.table.header
    assert header.length() <= page.table.viewport().width()


def test_that_a_chosen_column_finds_room_before_the_usual_ones(replay, qtbot):
    replay.window.resize(1024, 700)
    page = filled(replay, qtbot, "a")
    page.table.header.choose("score", True)
    qtbot.waitUntil(lambda: "score" in shown(page))
    assert page.table.header.length() <= page.table.viewport().width()


def test_that_tokens_are_a_column_by_choice_to_order_and_search_by(replay, qtbot):
    replay.window.resize(1440, 900)
    page = filled(replay, qtbot, *"abc")
    uids = {run.name: run.uid for run in page.model.runs}
    replay.backend.move(uids["a"], tokens_seen=2_500_000)
    replay.backend.move(uids["b"], tokens_seen=900)
    assert "tokens" not in shown(page)
    page.table.header.choose("tokens", True)
    qtbot.waitUntil(lambda: "tokens" in shown(page))
    page.model.set_sort("tokens", True)
    texts = lambda: [page.model.data(page.model.index(row, PLACE["tokens"])) for row in range(3)]  # noqa: E731
    qtbot.waitUntil(lambda: texts() == ["2.5 M", "900", "—"])
    page.search.setText("tokens:>1k")
    qtbot.waitUntil(lambda: [run.name for run in page.model.runs] == ["a"])


def test_that_costs_are_shown_only_where_some_are_known(replay, qtbot):
    replay.window.resize(1440, 900)
    page = filled(replay, qtbot, "a")
    assert "cost" not in shown(page)
    replay.backend.move(page.model.runs[0].uid, cost=9.42)
    qtbot.waitUntil(lambda: "cost" in shown(page))
    assert page.model.data(page.model.index(0, PLACE["cost"])) == "$9.42"


def test_that_every_cell_can_be_read_aloud(replay, qtbot):
    page = filled(replay, qtbot, "apples")
    replay.backend.move(page.model.runs[0].uid, pinned=True)
    qtbot.waitUntil(lambda: page.model.runs[0].pinned)
    role = Qt.ItemDataRole.AccessibleTextRole
    said = [page.model.data(page.model.index(0, place), role) for place in range(len(COLUMNS))]
    assert all(said)
    assert "pinned" in said[0]
    assert "apples" in said[0]
    interface = QAccessible.queryAccessibleInterface(page.table)
    assert interface is not None
    assert interface.text(QAccessible.Text.Name) == "Runs"


def test_that_every_control_has_a_name(replay, qtbot):
    page = filled(replay, qtbot, "apples", "pears")
    page.picked.set(page.model.runs)
    nameless = [made.objectName() for made in page.findChildren(QPushButton) if not made.accessibleName()]
    assert nameless == []
    for widget in (page.search, page.table, page.queue_card.list, page.table.header):
        assert widget.accessibleName()


def test_that_the_tiles_say_what_the_machine_does(replay, qtbot):
    page = filled(replay, qtbot, "a")
    values = {"gpu0.utilisation": 80.0, "gpu1.utilisation": 84.0, "gpu0.memory_used": 4e9, "gpu0.memory_total": 8e9}
    for used in (1, 5):
        replay.backend.tell_resources(Resources(slots={"gpu": 8}, used={"gpu": used}, waiting=1, values=values))
    tile = {name: page.findChild(object, f"runs.tile.{name}") for name in ("slots", "load", "wait", "memory")}
    qtbot.waitUntil(lambda: tile["slots"].value.text() == "5 of 8")
    assert tile["load"].value.text() == "82%"
    assert tile["memory"].value.text() == "4.0 GB"
    qtbot.waitUntil(lambda: tile["wait"].value.text() == "≈ 10 min")
    assert "Slots in use, 5 of 8" in tile["slots"].accessibleName()


def test_that_the_course_of_the_tiles_outlives_the_page_and_stays_bounded(replay, qtbot):
    page = page_of(replay)
    for n in range(700):
        replay.backend.tell_resources(Resources(slots={"gpu": 1}, used={"gpu": n % 2}, waiting=0))
    from forge_desktop.models.resource_history import MOST, ResourceHistory

    trail = ResourceHistory.of(replay.desktop.session).trails["slots"]
    qtbot.waitUntil(lambda: len(trail.values) * 4 >= 700 - 8)
    replay.window.go("new")
    replay.window.go("runs")
    assert page_of(replay) is not page
    assert ResourceHistory.of(replay.desktop.session).trails["slots"] is trail
    assert len(trail.values) < MOST
    assert abs(sum(trail.values) / len(trail.values) - 0.5) < 0.01


def test_that_the_card_says_how_hot_the_computer_is(replay, qtbot):
    page = page_of(replay)
    values = {"gpu0.utilisation": 97.0, "gpu0.temperature": 88.0, "ram.used": 4e9, "ram.total": 8e9}
    replay.backend.tell_resources(Resources(slots={"gpu": 1}, used={"gpu": 1}, waiting=0, values=values))
    texts = lambda: [made.text() for made in page.health.findChildren(QLabel)]  # noqa: E731
    qtbot.waitUntil(lambda: "97% · 88 °C" in texts())
    assert "4.0 GB / 8.0 GB" in texts()
    assert page.health._chip.text() == "Too hot"


def test_that_what_counts_as_hot_is_what_the_rule_of_alerts_says(replay, qtbot):
    page = page_of(replay)
    values = {"gpu0.utilisation": 97.0, "gpu0.temperature": 88.0}
    replay.backend.tell_resources(Resources(slots={"gpu": 1}, used={"gpu": 1}, waiting=0, values=values))
    chip = page.health._chip
    qtbot.waitUntil(lambda: chip.text() == "Too hot")
    rule = next(one for one in DEFAULT_RULES if one.kind == "gpu_temperature")
    for change, said in (
        ({"threshold": 94.0, "recover": 90.0}, "Under strain"),
        ({"threshold": 97.0, "recover": 90.0}, "Healthy"),
        ({"enabled": False}, "Healthy"),
        ({"threshold": 80.0, "recover": 75.0, "node": "local"}, "Too hot"),
    ):
        replay.backend.set_alert_rules([rule.model_copy(update=change)])
        qtbot.waitUntil(lambda said=said: chip.text() == said)
