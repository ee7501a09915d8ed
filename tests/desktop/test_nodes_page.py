"""The Nodes page over a replay: what it shows, follows and does, and what it says when there is little to show."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from PySide6.QtCore import QPointF, Qt
from PySide6.QtGui import QAction, QGuiApplication
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QLabel, QMenu, QMessageBox, QPushButton

from engine.contract.errors import UserError
from engine.contract.node_alerts import DEFAULT_RULES, Alert, AlertRule
from engine.contract.nodes import CostRow, NodeProfile, PlacementAnswer
from engine.contract.states import Mark
from forge_desktop.models import node_figures, node_words
from forge_desktop.models.draft_store import ADDRESS
from forge_desktop.models.node_troubles import clock
from forge_desktop.models.run_columns import below_name
from forge_desktop.pages.nodes_page import NodesPage
from forge_desktop.panels.alert_rules_dialog import AlertRulesDialog
from forge_desktop.panels.doctor_dialog import DoctorDialog
from forge_desktop.panels.node_actions import actions_of, buttons_of, menu_of
from forge_desktop.panels.nodes_chart import Limit
from forge_desktop.panels.nodes_heat import cells_of
from forge_desktop.panels.run_head import RunHead
from forge_desktop.wizard.step_compute import ComputeStep
from forge_desktop.wizard.wizard_page import WizardPage
from tests.desktop.conftest import ReplayDesktop
from tests.helpers.journals import before_training, demo_spec, steps


@pytest.fixture
def page(replay: ReplayDesktop, qtbot) -> NodesPage:
    """The page with the six pretended nodes."""
    replay.backend.use_fleet()
    replay.backend.use_fleet_alerts()
    replay.window.nodes.fetch()
    qtbot.waitUntil(lambda: len(replay.window.nodes.nodes) == 6)
    qtbot.waitUntil(lambda: len(replay.window.nodes.alerts.raised) == 2)
    replay.window.go("nodes")
    made = replay.window.page
    assert isinstance(made, NodesPage)
    return made


def said(page: NodesPage, name: str) -> dict[str, str]:
    """What the card of a node says."""
    card = page.cards.card(name)
    assert card is not None
    return card.texts()


def press(page: NodesPage, name: str) -> None:
    """Press a button by its name; one that is new is shown with the next turn."""
    QApplication.processEvents()
    found = [made for made in page.findChildren(QPushButton, name) if made.isVisibleTo(page)]
    assert found, name
    found[-1].click()


def answer(name: str) -> None:
    """Give an answer to the open question."""
    box = QApplication.activeModalWidget()
    assert isinstance(box, QMessageBox)
    next(made for made in box.findChildren(QPushButton) if made.objectName() == name).click()


def test_every_node_has_a_card_with_its_state_and_figures(page: NodesPage) -> None:
    assert said(page, "h200-a1")["state"] == "Healthy"
    assert said(page, "h200-a1")["memory"] == "318 / 564 GB"
    assert said(page, "h200-a1")["power"] == "2.3 / 2.8 kW"
    assert said(page, "h200-a1")["facts"].startswith("4 × H200 · 141 GB · Docker over TLS")
    assert said(page, "rtx4090-c1")["state"] == "Hot"
    assert said(page, "rtx4090-c1")["temperature"] == "87 °C"
    assert said(page, "a100-d1")["state"] == "Draining"
    assert said(page, "a100-d1")["runs"] == "1 run · 12 min left"
    assert said(page, "rtx4090-c2")["state"] == "Unreachable"
    assert said(page, "rtx4090-c2")["memory"] == "—"
    assert said(page, "rtx4090-c2")["runs"].startswith("Last seen 3 h ago")
    assert said(page, "local")["facts"] == "16 cores · 64 GB · this computer"
    assert page.summary_text() == "6 nodes · 11 GPUs · 3 healthy · 1 unreachable"


def test_the_sidebar_counts_nodes_and_a_key_leads_to_them(replay: ReplayDesktop, page: NodesPage) -> None:
    assert replay.window.sidebar._counts["nodes"].text() == "6"
    replay.window.go("runs")
    QTest.keyClick(replay.window, Qt.Key.Key_4, Qt.KeyboardModifier.ControlModifier)
    assert replay.window.address == "nodes"


def test_alerts_that_are_on_stand_above_the_worst_first_since_when(page: NodesPage) -> None:
    assert page.alert_texts() == ["GPU 0 of 'rtx4090-c1' is hot: 87 °C.", "'rtx4090-c2' does not answer."]
    what = page.findChild(QLabel, "nodes.alert.what")
    assert f"since {clock(page.nodes.alerts.raised[-1].began)}" in what.text()


def test_an_alert_of_another_day_is_told_with_its_day() -> None:
    midnight = time.mktime((2026, 3, 2, 0, 0, 0, 0, 0, -1))
    assert clock(midnight, midnight + 60) == "00:00"
    assert clock(midnight - 60, midnight + 60) == "2026-03-01 23:59"
    assert clock(midnight - 120, midnight - 60) == "23:58"


def test_a_seen_alert_is_kept_on_the_controller_and_comes_again_only_when_raised_again(
    replay: ReplayDesktop, page: NodesPage, qtbot
) -> None:
    press(page, "nodes.alert.seen.901")
    qtbot.waitUntil(lambda: page.alert_text() == "'rtx4090-c2' does not answer.")
    kept = replay.backend.raised[901]
    assert (kept.acknowledged, kept.acknowledged_by) == (True, "ada")
    assert kept.acknowledged_at is not None
    replay.backend.tell_alert(kept.model_copy(update={"value": 91.0, "worst": 91.0}))  # worse, and still seen
    qtbot.waitUntil(lambda: page.nodes.alerts.of("rtx4090-c1")[0].value == 91.0)
    assert len(page.alert_texts()) == 1
    assert said(page, "rtx4090-c1")["state"] == "Hot"
    replay.backend.end_alert(901)
    replay.backend.tell_alert(kept.model_copy(update={"id": 903, "acknowledged": False, "began": time.time()}))
    qtbot.waitUntil(lambda: len(page.alert_texts()) == 2)


def test_what_another_window_has_seen_goes_here_too(replay: ReplayDesktop, page: NodesPage, qtbot) -> None:
    replay.backend.acknowledge(901)
    replay.backend.acknowledge(902)
    qtbot.waitUntil(lambda: page.alert_text() == "")


def test_all_are_acknowledged_at_once(replay: ReplayDesktop, page: NodesPage, qtbot) -> None:
    for number, kind in enumerate(("disk_full", "gpu_lost"), 910):
        replay.backend.tell_alert(Alert(id=number, kind=kind, node="h200-a1", began=time.time()))
    qtbot.waitUntil(lambda: len(page.alert_texts()) == 4)
    QApplication.processEvents()  # what is new is shown with the next turn
    more = next(made for made in page.findChildren(QPushButton, "nodes.alert.all") if made.isVisibleTo(page))
    assert more.text().strip() == "and 1 more"
    press(page, "nodes.alert.seen.all")
    qtbot.waitUntil(lambda: page.alert_text() == "")
    assert all(alert.acknowledged for alert in replay.backend.raised.values())


def test_alerts_from_before_the_window_are_asked_for(make_desktop, qtbot) -> None:
    alert = Alert(id=5, kind="disk_full", node="local", began=time.time() - 60, value=93, threshold=90)
    made = make_desktop(prepare=lambda backend: backend.raised.update({5: alert}))
    qtbot.waitUntil(lambda: made.window.nodes.is_loaded)
    made.window.go("nodes")
    qtbot.waitUntil(lambda: "nearly full: 93 %" in made.window.page.alert_text())


def rule(limit: float, over: float, node: str = "", enabled: bool = True) -> AlertRule:
    values = {"threshold": limit, "recover": over, "node": node, "enabled": enabled}
    return AlertRule(kind="gpu_temperature", **values)


def test_hot_follows_the_rule_in_force_and_its_hysteresis(replay: ReplayDesktop, page: NodesPage, qtbot) -> None:
    replay.backend.read_node("rtx4090-c1", gpu0_temperature=82.0)
    qtbot.waitUntil(lambda: said(page, "rtx4090-c1")["temperature"] == "82 °C")
    assert said(page, "rtx4090-c1")["state"] == "Hot"  # the alert is on until 80 °C
    replay.backend.end_alert(901)
    qtbot.waitUntil(lambda: said(page, "rtx4090-c1")["state"] == "Alert")
    assert said(page, "l40s-b2")["state"] == "Healthy"  # 72 °C
    replay.backend.set_alert_rules([*DEFAULT_RULES, rule(70, 65, "l40s-b2")])  # from whichever window
    qtbot.waitUntil(lambda: said(page, "l40s-b2")["state"] == "Hot")
    assert said(page, "h200-a1")["state"] == "Healthy"
    replay.backend.set_alert_rules([rule(60, 60, enabled=False)])
    qtbot.waitUntil(lambda: said(page, "l40s-b2")["state"] == "Healthy")


def test_the_chart_draws_the_limits_in_force(replay: ReplayDesktop, page: NodesPage, qtbot) -> None:
    qtbot.waitUntil(lambda: len(page.chart.legend()) == 4)
    assert page.chart.chart.limits() == [Limit(85, 80)]
    assert "the limit of 85 °C; an alert is over at 80 °C" in page.chart.hint()
    replay.backend.set_alert_rules([rule(90, 84), rule(70, 65, "l40s-b2")])
    qtbot.waitUntil(lambda: set(page.chart.chart.limits()) == {Limit(90, 84), Limit(70, 65)})
    assert "l40s-b2 70 °C" in page.chart.hint()
    replay.backend.set_alert_rules([rule(90, 84, enabled=False)])
    qtbot.waitUntil(lambda: page.chart.chart.limits() == [])
    press(page, "nodes.metric.utilisation")
    assert page.chart.chart.limits() == []


def rules_dialog() -> AlertRulesDialog:
    dialog = QApplication.activeModalWidget()
    assert isinstance(dialog, AlertRulesDialog)
    return dialog


def test_the_rules_open_with_the_selected_node(page: NodesPage, qtbot) -> None:
    press(page, "nodes.rules")
    assert rules_dialog().scope.value() == ""
    rules_dialog().reject()
    QTest.mouseClick(page.cards.card("l40s-b2"), Qt.MouseButton.LeftButton)
    press(page, "nodes.rules")
    dialog = rules_dialog()
    qtbot.waitUntil(lambda: dialog.scope.value() == "l40s-b2")
    dialog.reject()
    page.deeds.do("alerts", "a100-d1")
    dialog = rules_dialog()
    qtbot.waitUntil(lambda: dialog.scope.value() == "a100-d1")
    dialog.reject()


@pytest.mark.parametrize("view", ["cards", "table"])
def test_a_notice_about_a_node_leads_to_that_node(replay: ReplayDesktop, page: NodesPage, qtbot, view: str) -> None:
    page.show_view(view)
    replay.window.go("runs")
    notice = next(one for one in replay.window.notices.list if one.node == "rtx4090-c2")
    assert notice.address == "nodes/node/rtx4090-c2"
    replay.window._open_notice(notice)
    made = replay.window.page
    assert isinstance(made, NodesPage)
    qtbot.waitUntil(lambda: made.selected() == "rtx4090-c2")


def test_an_address_of_a_node_that_is_gone_says_so(replay: ReplayDesktop, page: NodesPage, qtbot) -> None:
    replay.window.go("nodes/node/gone")
    qtbot.waitUntil(lambda: "There is no node 'gone'" in replay.window.banner.text())


def test_a_reading_moves_the_card_and_its_curve(replay: ReplayDesktop, page: NodesPage, qtbot) -> None:
    replay.backend.read_node("l40s-b2", gpu0_temperature=88.0)
    qtbot.waitUntil(lambda: said(page, "l40s-b2")["temperature"] == "88 °C")
    assert said(page, "l40s-b2")["state"] == "Hot"
    assert page.nodes.recent("l40s-b2")


def test_nodes_that_come_and_go_are_followed(replay: ReplayDesktop, page: NodesPage, qtbot) -> None:
    replay.backend.add_node(NodeProfile(name="gpu-9", kind="docker_ssh", address="ada@gpu-9"))
    qtbot.waitUntil(lambda: page.cards.card("gpu-9") is not None)
    replay.backend.remove_node("gpu-9")
    qtbot.waitUntil(lambda: page.cards.card("gpu-9") is None)


def test_draining_and_back(replay: ReplayDesktop, page: NodesPage, qtbot) -> None:
    press(page, "node.h200-a1.drain")
    qtbot.waitUntil(lambda: said(page, "h200-a1")["state"] == "Draining")
    assert replay.backend.fleet["h200-a1"].state == "draining"
    press(page, "node.h200-a1.online")
    qtbot.waitUntil(lambda: said(page, "h200-a1")["state"] == "Healthy")


def test_going_offline_with_runs_at_work_asks_first(replay: ReplayDesktop, page: NodesPage, qtbot) -> None:
    page.deeds.do("offline", "l40s-b2")
    answer("")  # the safe one: keep
    assert replay.backend.fleet["l40s-b2"].state == "online"
    page.deeds.do("offline", "l40s-b2")
    answer("nodes.offline.yes")
    qtbot.waitUntil(lambda: said(page, "l40s-b2")["state"] == "Offline")
    page.deeds.do("offline", "rtx4090-c2")  # nothing is at work there
    qtbot.waitUntil(lambda: said(page, "rtx4090-c2")["state"] == "Offline")
    assert said(page, "rtx4090-c2")["runs"] == "Takes no runs"


def test_what_cannot_be_done_says_why(page: NodesPage) -> None:
    local = page.nodes.find("local")
    busy = page.nodes.find("h200-a1")
    assert local is not None
    assert busy is not None
    why = {action.key: action.why_not for action in actions_of(local)}
    assert why["remove"] == "It is this computer: it stays."
    assert why["move"] == "Nothing is at work there."
    assert {action.key: action.why_not for action in actions_of(busy)}["remove"]
    menu = menu_of(page, busy, lambda *_names: None)
    remove = next(made for made in menu.actions() if made.objectName() == "node.menu.remove")
    assert not remove.isEnabled()
    assert "Drain it first" in remove.toolTip()
    assert [action.key for action in buttons_of(busy)] == ["drain", "move"]
    menu.deleteLater()


def test_the_menu_opens_by_keyboard_and_removes_after_a_question(replay: ReplayDesktop, page: NodesPage, qtbot) -> None:
    press(page, "node.rtx4090-c2.more")
    menu = next(made for made in page.findChildren(QMenu, "node.menu") if made.isVisible())
    action = menu.findChild(QAction, "node.menu.remove")
    assert isinstance(action, QAction)
    action.trigger()
    menu.close()
    answer("nodes.remove.yes")
    qtbot.waitUntil(lambda: page.cards.card("rtx4090-c2") is None)
    assert "rtx4090-c2" not in replay.backend.fleet


def test_moving_runs_is_only_asked_for(page: NodesPage, qtbot) -> None:
    with qtbot.waitSignal(page.move_wanted) as asked:
        press(page, "node.h200-a1.move")
    assert asked.args == ["h200-a1"]


def test_a_refusal_is_shown_with_its_fix(replay: ReplayDesktop, page: NodesPage, qtbot) -> None:
    page.nodes.remove("h200-a1")
    qtbot.waitUntil(lambda: "cannot be removed" in page.error_text())
    press(page, "node.h200-a1.drain")  # the next deed clears it
    assert page.error_text() == ""


def test_the_table_sorts_and_opens_the_doctor(page: NodesPage, qtbot) -> None:
    page.show_view("table")
    table = page.table
    table.sortByColumn(6, Qt.SortOrder.DescendingOrder)
    first = table.model().index(0, 0).data()
    assert first == "rtx4090-c1"
    assert table.model().index(0, 1).data() == "Hot"
    table.setCurrentIndex(table.model().index(0, 0))
    QTest.keyClick(table, Qt.Key.Key_Return)
    doctor = page.findChild(DoctorDialog)
    qtbot.waitUntil(lambda: doctor.verdict() == "Usable, with 1 remark")
    doctor.accept()


def test_the_view_is_remembered(replay: ReplayDesktop, page: NodesPage) -> None:
    page.show_view("heat")
    replay.window.go("runs")
    replay.window.go("nodes")
    again = replay.window.page
    assert isinstance(again, NodesPage)
    assert again.heat.isVisibleTo(again)
    assert not again.cards.isVisibleTo(again)


def test_the_heat_map_has_a_row_for_every_gpu_and_says_each_cell(page: NodesPage, qtbot) -> None:
    page.show_view("heat")
    qtbot.waitUntil(lambda: bool(page.heat.map.names()))
    names = page.heat.map.names()
    assert len([name for name in names if name.startswith("h200-a1")]) == 4
    assert names[-1] == "This computer"
    page.heat.map.resize(900, 400)
    text = page.heat.map.text_at(QPointF(830, 12))
    assert text.startswith("h200-a1 · GPU 0\n")
    assert "%" in text


def test_cells_are_means_and_gaps_stay_empty() -> None:
    line = [(0.0, 10.0), (1.0, 30.0), (9.0, 50.0)]
    assert cells_of(line, 0.0, 10.0, 5) == [20.0, None, None, None, 50.0]


def test_the_chart_has_a_line_a_node_and_says_a_moment(page: NodesPage, qtbot) -> None:
    qtbot.waitUntil(lambda: len(page.chart.legend()) == 4)  # this computer tells no temperature, one is lost
    assert "rtx4090-c1" in page.chart.legend()
    chart = page.chart.chart
    assert "rtx4090-c1  87 °C" in chart.text_at(page.history.until)
    chart.setFocus()
    QTest.keyClick(chart, Qt.Key.Key_Left)
    assert "°C" in chart.accessibleDescription()
    press(page, "nodes.metric.utilisation")
    qtbot.waitUntil(lambda: len(page.chart.legend()) == 5)


def test_spending_is_summed_with_a_warning_near_the_budget(replay: ReplayDesktop, page: NodesPage, qtbot) -> None:
    replay.backend.spent = [CostRow(key="h200-a1", gpu_hours=100, cost=850.0, runs=4, failed=1)]
    replay.backend.budget = 1000.0
    press(page, "nodes.costs.by.node")
    qtbot.waitUntil(lambda: page.costs.text() == "100 GPU-hours · 4 runs · 1 of them failed")
    assert page.costs._budget.text() == "⚠ Budget: $850.00 of $1,000.00 (85%)"
    assert page.costs._budget.property("tone") == "warn"


def test_one_computer_alone_is_told_what_to_do_next(replay: ReplayDesktop, qtbot) -> None:
    qtbot.waitUntil(lambda: replay.window.nodes.is_loaded)
    replay.window.go("nodes")
    page = replay.window.page
    assert isinstance(page, NodesPage)
    assert page._lone.isVisibleTo(page)
    assert not page.costs.isVisibleTo(page)
    assert replay.window.sidebar._counts["nodes"].text() == ""


def test_an_error_is_shown_and_tried_again(replay: ReplayDesktop, qtbot) -> None:
    qtbot.waitUntil(lambda: replay.window.nodes.is_loaded)
    replay.backend.nodes_error = UserError("nodes.broken", node="x", detail="the disk is gone")
    replay.window.nodes.is_loaded = False
    replay.window.go("nodes")
    replay.window.nodes.fetch()
    page = replay.window.page
    assert isinstance(page, NodesPage)
    qtbot.waitUntil(lambda: "cannot be used" in page.error_text())
    replay.backend.nodes_error = None
    press(page, "nodes.retry")
    qtbot.waitUntil(lambda: page.error_text() == "" and page.cards.card("local") is not None)


def test_offline_nothing_can_be_pressed_and_it_says_why(replay: ReplayDesktop, page: NodesPage) -> None:
    replay.desktop.session.offline.emit(UserError("controller.unreachable", detail="", log="").body())
    assert not page._add.isEnabled()
    assert page._add.toolTip() == "The job controller does not answer."
    replay.desktop.session.online.emit()
    assert page._add.isEnabled()


def test_profiles_are_written_without_secrets_and_read_again(
    replay: ReplayDesktop, page: NodesPage, qtbot, tmp_path: Path
) -> None:
    file = tmp_path / "nodes.json"
    with qtbot.waitSignal(page.told):
        page.deeds.export(str(file))
    kept = json.loads(file.read_text())
    assert [one["name"] for one in kept["nodes"]] == ["h200-a1", "rtx4090-c1", "l40s-b2", "a100-d1", "rtx4090-c2"]
    replay.backend.remove_node("rtx4090-c2")
    with qtbot.waitSignal(page.told) as told:
        page.deeds.take(str(file))
    assert told.args == ["5 nodes were imported."]
    qtbot.waitUntil(lambda: page.cards.card("rtx4090-c2") is not None)


@pytest.mark.parametrize("text", ["{", "[]", '{"version": 2, "nodes": []}', '{"version": 1, "nodes": [{"name": 5}]}'])
def test_a_file_that_is_no_export_is_refused_whole(page: NodesPage, qtbot, tmp_path: Path, text: str) -> None:
    file = tmp_path / "bad.json"
    file.write_text(text)
    page.deeds.take(str(file))
    qtbot.waitUntil(lambda: page.error_text() != "")
    assert len(page.nodes.nodes) == 6


def test_an_import_with_a_bad_node_changes_nothing(replay: ReplayDesktop, page: NodesPage, qtbot, tmp_path) -> None:
    file = tmp_path / "nodes.json"
    good = NodeProfile(name="new-1", kind="docker_ssh", address="ada@new-1").model_dump()
    file.write_text(json.dumps({"version": 1, "nodes": [good, {**good, "name": "new-2", "address": ""}]}))
    page.deeds.take(str(file))
    qtbot.waitUntil(lambda: "not imported" in page.error_text())
    assert "new-1" not in replay.backend.fleet


def test_pushing_the_image_shows_how_far_it_is(replay: ReplayDesktop, page: NodesPage, qtbot) -> None:
    page.deeds.do("push", "h200-a1")
    qtbot.waitUntil(lambda: said(page, "h200-a1")["runs"] == "The worker image is there")
    assert replay.backend.pushed == [("h200-a1", "")]


def test_the_doctor_shows_each_check_and_copies_its_report(page: NodesPage, qtbot) -> None:
    page.deeds.do("doctor", "rtx4090-c2")
    doctor = page.findChild(DoctorDialog)
    qtbot.waitUntil(lambda: doctor.verdict() == "1 thing keeps runs from working there")
    assert doctor.view.state_of("reach") == "bad"
    assert doctor.view.state_of("gpus") == "skipped"
    doctor._copy.click()
    text = QGuiApplication.clipboard().text()
    assert "[node.no_answer]" in text
    assert "left out: 'Reach' comes first" in text
    doctor._again.click()
    qtbot.waitUntil(lambda: not doctor._busy)
    doctor.accept()


def test_an_alert_that_is_on_marks_its_node(replay: ReplayDesktop, page: NodesPage, qtbot) -> None:
    replay.desktop.session.alert_changed.emit(Alert(id=1, kind="disk_full", node="h200-a1", began=time.time()))
    assert [alert.node for alert in page.nodes.alerts.of("h200-a1")] == ["h200-a1"]
    replay.backend.change_node("h200-a1", alerts=1)
    qtbot.waitUntil(lambda: said(page, "h200-a1")["state"] == "Alert")
    for number in (901, 902):  # what is worse goes first
        replay.backend.end_alert(number)
    qtbot.waitUntil(lambda: page.alert_text().startswith("The disk of 'h200-a1' is nearly full"))


def test_figures_are_means_sums_and_the_hottest() -> None:
    values = {
        "gpu0.utilisation": 10.0, "gpu1.utilisation": 30.0, "gpu0.temperature": 50.0, "gpu1.temperature": 70.0,
        "gpu0.memory_used": 1.0, "gpu1.memory_used": 2.0, "gpu0.memory_total": 4.0, "gpu1.memory_total": 4.0,
        "gpu0.power": 100.0, "cpu.utilisation": 99.0,
    }  # fmt: skip
    found = node_figures.figures_of(values)
    assert (found.utilisation, found.temperature, found.memory, found.power) == (20.0, 70.0, 3.0, 100.0)
    assert node_figures.value_of("memory", values) == pytest.approx(37.5)
    assert node_figures.figures_of({"cpu.utilisation": 12.0}).utilisation == 12.0


def test_a_person_who_takes_a_node_offline_matters_more_than_its_heat(page: NodesPage) -> None:
    node = page.nodes.find("rtx4090-c1")
    assert node is not None
    assert node_words.condition(node) == "hot"
    assert node_words.condition(node.model_copy(update={"state": "offline"})) == "offline"


def wizard_at_compute(replay: ReplayDesktop, qtbot, address: str = f"new/{ADDRESS}n1") -> ComputeStep:
    """The wizard's fourth step, complete up to there."""
    replay.window.go(address)
    page = replay.window.page
    assert isinstance(page, WizardPage)
    page.draft.set_model("tiny-qwen3", "bundled")
    page.draft.set_data("demo", "bundled", "demo/held_out", "demo/validation")
    page.go_to("compute.gpus")
    step = page.findChild(ComputeStep)
    qtbot.waitUntil(lambda: step.nodes.answer is not None)
    return step


def test_the_wizard_takes_the_schedulers_choice_and_says_why(replay: ReplayDesktop, page: NodesPage, qtbot) -> None:
    step = wizard_at_compute(replay, qtbot)
    wizard = replay.window.page
    assert isinstance(wizard, WizardPage)
    assert wizard.draft.get("compute.node") == "auto"
    assert step.nodes.choices()[:2] == ["auto", "l40s-b2"]
    assert step.nodes.row("auto").isChecked()
    assert step.nodes.row("auto").why() == "Its GPU is cooler than those of other nodes."
    assert "too hot" in step.nodes.row("rtx4090-c1").why()
    step.nodes.row("h200-a1").click()
    assert wizard.draft.get("compute.node") == "h200-a1"
    replay.backend.change_node("a100-d1", state="online", runs=[])  # another answer in the same breath
    qtbot.waitUntil(lambda: "takes no new runs" not in step.nodes.row("a100-d1").why())
    assert step.nodes.row("h200-a1").isChecked()
    step.nodes.row("rtx4090-c2").click()
    assert step.nodes._said.text() == "The run waits until this node can take it."


def test_a_draft_keeps_the_node_it_has(replay: ReplayDesktop, page: NodesPage, qtbot) -> None:
    step = wizard_at_compute(replay, qtbot)
    step.nodes.row("local").click()
    wizard = replay.window.page
    assert isinstance(wizard, WizardPage)
    qtbot.waitUntil(lambda: bool(wizard.store.all()))
    replay.window.go("runs")
    again = wizard_at_compute(replay, qtbot)
    assert again.nodes.row("local").isChecked()


def test_with_one_node_there_is_nothing_to_choose(replay: ReplayDesktop, qtbot) -> None:
    step = wizard_at_compute(replay, qtbot)
    assert not step.nodes.isVisibleTo(step)
    qtbot.waitUntil(lambda: step._lines.isVisibleTo(step))
    wizard = replay.window.page
    assert isinstance(wizard, WizardPage)
    assert wizard.draft.get("compute.node") == "local"


def test_where_every_node_is_taken_the_wizard_says_that_it_waits(replay: ReplayDesktop, page: NodesPage, qtbot) -> None:
    found = replay.backend._place("auto").candidates
    replay.backend.answer_placement = PlacementAnswer(
        code="placement.all_busy", params={"nodes": 6}, candidates=[*found]
    )
    step = wizard_at_compute(replay, qtbot)
    assert "6 nodes could take the run" in step.nodes.row("auto").why()


def test_a_run_that_cannot_be_reached_says_how_far_it_was(replay: ReplayDesktop, qtbot) -> None:
    uid = replay.backend.add(demo_spec("gemma"), created=1.0)
    replay.backend.play(uid, [*before_training(), *steps(1, 60)])
    replay.backend.move(uid, mark=Mark.UNREACHABLE, mark_since=time.time() - 40)
    replay.window.go(f"run/{uid}")
    head = replay.window.page.findChild(RunHead)
    qtbot.waitUntil(lambda: "Unreachable · last step 60 · 4" in head._from.accessibleName())
    assert below_name(replay.backend.run(uid).run).startswith("Unreachable · last step 60")
    assert replay.backend.run(uid).run.loss is not None
    replay.backend.move(uid, mark=None, mark_since=None)
    qtbot.waitUntil(lambda: "Unreachable" not in head._from.accessibleName())
