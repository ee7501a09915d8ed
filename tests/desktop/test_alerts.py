"""Alerts in the window: notices, the section of the settings, the rules and the addresses."""

from __future__ import annotations

import contextlib
import time
from typing import Any

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QApplication, QCheckBox, QLabel, QPushButton

from engine.contract.node_alerts import DEFAULT_RULES, Alert
from engine.contract.nodes import NodeProfile
from forge_desktop.models.alert_draft import AlertDraft
from forge_desktop.panels.alert_rules_dialog import AlertRulesDialog
from forge_desktop.panels.settings_alerts import AlertsPanel
from forge_desktop.theme.controls import Chip, Field


def hot(number: int = 1, **more: Any) -> Alert:
    values = {"node": "box", "device": "1", "began": time.time(), "value": 91.0, "worst": 92.0, "threshold": 85.0}
    return Alert(id=number, kind="gpu_temperature", **{**values, **more})


def words(widget) -> str:
    return " ".join(made.text() for made in widget.findChildren(QLabel) if made.isVisible())


def press(qtbot, parent, name):
    made = parent.findChild(QPushButton, name)
    qtbot.waitUntil(made.isEnabled)
    qtbot.mouseClick(made, Qt.MouseButton.LeftButton)


def write(qtbot, dialog, name, text):
    made = dialog.findChild(Field, name)
    made.selectAll()
    qtbot.keyClicks(made, text)


@pytest.fixture
def panel(replay, qtbot) -> AlertsPanel:
    replay.window.go("settings/alerts")
    found = replay.window.findChild(AlertsPanel)
    qtbot.waitUntil(lambda: "Watched" in words(found))
    return found


@pytest.fixture
def dialog(panel, qtbot) -> AlertRulesDialog:
    press(qtbot, panel, "alerts.edit")
    made = QApplication.activeModalWidget()
    assert isinstance(made, AlertRulesDialog)
    qtbot.waitUntil(lambda: len(made.rows) == len(DEFAULT_RULES))
    yield made
    with contextlib.suppress(RuntimeError):  # it closed itself
        made.reject()


def test_an_alert_becomes_one_notice_and_is_read_when_it_is_over(replay, qtbot):
    book = replay.window.notices
    with qtbot.waitSignal(book.popped) as popped:
        replay.backend.tell_alert(hot())
    (notice,) = popped.args[0]
    assert (notice.kind, notice.what) == ("alert", "alarm")
    replay.backend.tell_alert(hot(began=notice.at, value=95.0))  # it got worse
    replay.backend.tell_alert(hot(2, device="0"))
    qtbot.waitUntil(lambda: len(book.list) == 2)
    assert book.unread == 2
    replay.backend.end_alert(1)
    qtbot.waitUntil(lambda: book.unread == 1)
    over = next(one for one in book.list if one.key == notice.key)
    assert over.facts["over"]
    replay.backend.acknowledge(2)
    qtbot.waitUntil(lambda: book.unread == 0)
    assert len(book.list) == 2


def test_an_alert_from_before_the_start_is_told_once_over_two_starts(make_desktop, qtbot):
    alert = hot()
    first = make_desktop(prepare=lambda backend: backend.raised.update({1: alert}))
    qtbot.waitUntil(lambda: len(first.window.notices.list) == 1)
    first.desktop.close()
    second = make_desktop(prepare=lambda backend: backend.raised.update({1: alert}))
    qtbot.waitUntil(lambda: second.desktop.session.is_online)
    second.backend.tell_alert(hot(2, device="0"))
    qtbot.waitUntil(lambda: len(second.window.notices.list) == 2)


def test_a_notice_leads_to_the_run_or_to_the_alerts(replay, qtbot):
    replay.backend.tell_alert(hot())
    replay.backend.tell_alert(Alert(id=2, kind="run_stalled", run="abc", run_name="sql", began=time.time(), value=12.0))
    qtbot.waitUntil(lambda: len(replay.window.notices.list) == 2)
    assert {one.address for one in replay.window.notices.list} == {"nodes/node/box", "run/abc"}
    replay.backend.tell_alert(Alert(id=3, kind="budget", began=time.time(), value=84.0, threshold=80.0))
    qtbot.waitUntil(lambda: replay.window.notices.list[0].address == "settings/alerts")


def test_the_panel_says_what_is_wrong_and_that_somebody_saw_it(panel, replay, qtbot):
    assert "Nothing is out of order." in words(panel)
    replay.backend.tell_alert(hot())
    qtbot.waitUntil(lambda: "GPU 1 of 'box' is hot: 91 °C." in words(panel))
    assert "85 °C" in words(panel)
    press(qtbot, panel, "alerts.seen.1")
    qtbot.waitUntil(lambda: replay.backend.raised[1].acknowledged)
    qtbot.waitUntil(lambda: any(one.isVisible() and one.text() == "Seen" for one in panel.findChildren(Chip)))
    replay.backend.end_alert(1)
    qtbot.waitUntil(lambda: "Nothing is out of order." in words(panel))
    assert "GPU 1 of 'box' is hot" in words(panel)  # among those that are over


def test_rules_are_changed_and_kept(dialog, panel, replay, qtbot):
    assert not dialog.save.isEnabled()
    write(qtbot, dialog, "alerts.gpu_temperature.threshold", "90")
    box = dialog.findChild(QCheckBox, "alerts.gpu_idle.enabled")
    assert not dialog.findChild(Field, "alerts.gpu_idle.minutes").isEnabled()
    box.click()
    assert dialog.findChild(Field, "alerts.gpu_idle.minutes").isEnabled()
    write(qtbot, dialog, "alerts.gpu_idle.minutes", "12.5")
    press(qtbot, dialog, "alerts.save")
    qtbot.waitUntil(lambda: replay.backend.rules[0].threshold == 90.0)
    assert replay.backend.rules[1].enabled
    assert replay.backend.rules[1].minutes == 12.5
    qtbot.waitUntil(lambda: "GPU is hardly used" in words(panel))


def test_everything_wrong_is_marked_where_it_is(dialog, qtbot):
    write(qtbot, dialog, "alerts.gpu_temperature.threshold", "hot")
    write(qtbot, dialog, "alerts.disk_full.recover", "95")
    assert not dialog.save.isEnabled()
    assert dialog.save.toolTip() == "Correct what is marked first."
    first = dialog.findChild(QLabel, "alerts.gpu_temperature.wrong")
    assert first.text() == "Limit: 'hot' is not a number. Write a number."
    assert "above its limit (90)" in dialog.findChild(QLabel, "alerts.disk_full.wrong").text()
    assert dialog.findChild(QLabel, "alerts.budget.wrong").isHidden()
    assert dialog.findChild(Field, "alerts.disk_full.recover").accessibleDescription()
    press(qtbot, dialog, "alerts.restore")
    assert first.text() == "" or not first.isVisible()
    assert not dialog.draft.problems()
    assert not dialog.save.isEnabled()  # they are the usual ones already


def test_addresses_are_kept_tried_and_never_shown(dialog, replay, qtbot):
    addresses = dialog.addresses
    assert not addresses.test.isEnabled()
    qtbot.keyClicks(addresses.text, "foo://x")
    press(qtbot, dialog, "alerts.addresses.keep")
    said = dialog.findChild(QLabel, "alerts.addresses.said")
    qtbot.waitUntil(lambda: "Line 1" in said.text())
    assert addresses.text.toPlainText() == "foo://x"  # to be corrected
    addresses.text.setPlainText("json://lin:pa55word@host\nmailto://dead")
    press(qtbot, dialog, "alerts.addresses.keep")
    qtbot.waitUntil(lambda: dialog.findChild(Chip, "alerts.addresses.state").text() == "2 addresses are set")
    assert addresses.text.toPlainText() == ""
    press(qtbot, dialog, "alerts.addresses.test")
    qtbot.waitUntil(lambda: "mailto (2)" in said.text())
    assert "pa55word" not in words(dialog)
    replay.backend.addresses = ["json://fine"]
    press(qtbot, dialog, "alerts.addresses.test")
    qtbot.waitUntil(lambda: said.text() == "1 address has taken it.")


def test_addresses_are_deleted_after_a_question(dialog, replay, qtbot):
    replay.backend.addresses = ["json://fine"]
    dialog.addresses.show_rules(replay.backend.alert_rules())
    press(qtbot, dialog, "alerts.addresses.delete")
    qtbot.waitUntil(lambda: QApplication.activeModalWidget() not in (None, dialog))
    press(qtbot, QApplication.activeModalWidget(), "alerts.addresses.yes")
    qtbot.waitUntil(lambda: replay.backend.addresses == [])
    qtbot.waitUntil(lambda: not dialog.addresses.test.isEnabled())


def test_the_dialog_works_by_keyboard_alone(dialog, replay, qtbot):
    dialog.findChild(QCheckBox, "alerts.gpu_temperature.enabled").setFocus()
    qtbot.keyClick(QApplication.focusWidget(), Qt.Key.Key_Space)
    assert not dialog.draft.rows[0].enabled
    for name in ("alerts.gpu_idle.enabled", "alerts.gpu_memory_full.enabled"):
        qtbot.keyClick(QApplication.focusWidget(), Qt.Key.Key_Tab)
        assert QApplication.focusWidget().objectName() == name
        if name == "alerts.gpu_idle.enabled":
            continue
    for made in dialog.findChildren(Field):
        assert made.accessibleName(), made.objectName()
    qtbot.keyClick(dialog, Qt.Key.Key_Escape)
    qtbot.waitUntil(lambda: QApplication.activeModalWidget() is None)
    assert replay.backend.rules == list(DEFAULT_RULES)


def test_rules_of_one_node_have_rows_of_their_own(replay, qtbot):
    mine = DEFAULT_RULES[0].model_copy(update={"node": "box"})
    draft = AlertDraft([*DEFAULT_RULES, mine])
    draft.set(len(DEFAULT_RULES), "threshold", "70")
    assert list(draft.problems()) == [(len(DEFAULT_RULES), "recover")]
    replay.backend.rules = [*DEFAULT_RULES, mine]
    replay.backend.add_node(NodeProfile(name="box", kind="docker_ssh", address="ada@box"))
    made = AlertRulesDialog(replay.desktop.session, replay.window, node="box")
    made.open()
    qtbot.waitUntil(lambda: len(made.rows) == len(DEFAULT_RULES) - 2)  # queue and budget are of no node
    assert made.rows[0].switch.isEnabled()
    assert not made.rows[1].switch.isEnabled()  # the rule for all nodes
    press(qtbot, made, "alerts.disk_full.own")
    write(qtbot, made, "alerts.disk_full.box.threshold", "95")
    press(qtbot, made, "alerts.gpu_temperature.box.own")
    press(qtbot, made, "alerts.save")
    qtbot.waitUntil(lambda: replay.backend.rules != [*DEFAULT_RULES, mine])
    (own,) = [one for one in replay.backend.rules if one.node]
    assert (own.kind, own.node, own.threshold) == ("disk_full", "box", 95.0)


def test_what_is_wrong_under_another_node_is_named(dialog, replay, qtbot):
    write(qtbot, dialog, "alerts.gpu_temperature.threshold", "hot")
    dialog.scope.set_value("local")
    assert not dialog.save.isEnabled()
    assert dialog.save.toolTip() == "Correct what is marked first."  # it is in force here, too
    press(qtbot, dialog, "alerts.disk_full.own")
    write(qtbot, dialog, "alerts.disk_full.local.threshold", "500")
    dialog.scope.set_value("")
    write(qtbot, dialog, "alerts.gpu_temperature.threshold", "85")
    assert dialog.save.toolTip() == "Correct what is marked under 'This computer' first."
    dialog.scope.set_value("local")
    press(qtbot, dialog, "alerts.restore")
    assert not dialog.draft.problems()


def test_a_controller_that_does_not_answer_is_said(replay, qtbot):
    replay.window.go("settings/alerts")
    replay.backend.hangs = True
    made = AlertRulesDialog(replay.desktop.session, replay.window)
    made.open()
    qtbot.waitUntil(lambda: made._error.isVisible())
    assert not made.save.isEnabled()
    assert not made.restore.isEnabled()
    made.reject()
    replay.backend.hangs = False
