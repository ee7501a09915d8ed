"""The card of a failed run: its cause, the lines that matter, the new run, the report; every advice in the wizard."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QLabel, QPushButton

from engine.contract.errors import UserError
from engine.contract.run_spec import RunConfig
from engine.contract.states import EndReason
from engine.control.jobs.diagnosis import Evidence, diagnose
from engine.control.jobs.diagnosis.registry import RULES
from forge_desktop.models.draft_document import address_of_copy, changed_document, marks_of
from forge_desktop.panels.diagnosis_card import DiagnosisCard, change_text
from forge_desktop.theme import language
from forge_desktop.wizard.marks_note import WITHOUT_FIELD
from forge_desktop.wizard.steps import step_of
from forge_desktop.wizard.wizard_page import WizardPage
from tests.desktop.sheets_diagnosis import GATED
from tests.desktop.sheets_diagnosis import UNKNOWN as UNKNOWN_LOG
from tests.desktop.test_run_page import open_run
from tests.helpers.diagnosis_logs import Case, cases
from tests.helpers.journals import before_training, demo_spec, failed, steps

ADVISED = [case for case in cases() if diagnose(case.evidence).changes]


def show(replay, qtbot, evidence: Evidence) -> tuple[str, DiagnosisCard]:
    """A run that failed so, on its page."""
    uid, page = open_run(replay, qtbot, [*before_training(), *steps(1, 30)])
    found = diagnose(evidence)
    replay.backend.write_log(uid, evidence.log)
    replay.backend.play(uid, failed(evidence.error, 30))
    replay.backend.diagnose(uid, found)
    card = page.findChild(DiagnosisCard, "run.error")
    qtbot.waitUntil(lambda: card.isVisible() and card.what.text() == found.what)
    return uid, card


def of_log(log: str) -> Evidence:
    """A bug nobody has met before."""
    return Evidence(demo_spec(), EndReason.WORKER_ERROR, UserError("worker.bug", detail="KeyError: 'a'").body(), log)


def test_that_a_failure_nobody_knows_shows_all_lines_that_matter(replay, qtbot):
    _uid, card = show(replay, qtbot, of_log(UNKNOWN_LOG))
    qtbot.waitUntil(lambda: "colours.py" in card.lines.text())
    lines = card.lines.text().splitlines()
    assert lines[0].startswith("12:00:01 WARNING") or lines[0].startswith("12:00:09 ERROR")
    assert lines[-1].startswith("KeyError: ")
    assert len(lines) > 5
    assert "abcdef0123456789" not in card.lines.text()
    assert not card.findChild(QPushButton, "run.error.change").isVisible()


def test_that_the_report_of_it_is_copied_by_keyboard_and_tells_nothing_of_the_person(replay, qtbot):
    log = (
        UNKNOWN_LOG.replace("/data/rewards", str(Path.home() / "rewards"))
        + "sent by ada@example.org from 203.0.113.77\n"
    )
    _uid, card = show(replay, qtbot, of_log(log))
    button = card.findChild(QPushButton, "run.error.report")
    qtbot.waitUntil(button.isVisible)
    for _ in range(200):
        if QApplication.focusWidget() is button:
            break
        QTest.keyClick(QApplication.focusWidget() or card.window(), Qt.Key.Key_Tab)
    assert QApplication.focusWidget() is button
    QTest.keyClick(button, Qt.Key.Key_Space)
    said = QGuiApplication.clipboard().text()
    for wanted in ("Diagnosis [unknown]", "~/rewards/colours.py", "torch: 2.13.0", '"model"', "KeyError", "Config"):
        assert wanted in said
    for hidden in ("abcdef0123456789", "ada@example.org", "203.0.113.77"):
        assert hidden not in said


def test_that_an_error_that_explains_itself_is_shown_as_it_is(replay, qtbot):
    _uid, card = show(replay, qtbot, Evidence(demo_spec(), EndReason.BAD_MODEL, GATED.body()))
    assert card.what.text() == GATED.what
    assert "[hub.gated]" in card.fix.text()


def test_that_the_new_run_opens_the_wizard_with_the_changes_marked(replay, qtbot):
    evidence = next(case.evidence for case in ADVISED if case.rule == "targets_absent")
    _uid, card = show(replay, qtbot, evidence)
    changes = diagnose(evidence).changes
    button = card.findChild(QPushButton, "run.error.change")
    qtbot.waitUntil(button.isVisible)
    button.setFocus()
    QTest.keyClick(button, Qt.Key.Key_Space)
    qtbot.waitUntil(lambda: isinstance(replay.window.page, WizardPage))
    wizard = replay.window.page
    qtbot.waitUntil(lambda: set(wizard.draft.marks) == {change.field for change in changes})
    for change in changes:
        assert wizard.draft.get(change.field) == change.value
    qtbot.waitUntil(lambda: wizard.findChild(QLabel, "wizard.marks") is not None)
    note = wizard.findChild(QLabel, "wizard.marks")
    qtbot.waitUntil(note.isVisible)
    assert "Target modules" in note.text()
    wizard.draft.set("tuner.targets", changes[0].was)
    qtbot.waitUntil(lambda: not note.isVisible())


@pytest.mark.parametrize("case", ADVISED, ids=lambda case: case.name)
def test_that_every_advice_reaches_the_wizard_with_its_marks(case: Case):
    changes = diagnose(case.evidence).changes
    document = RunConfig.from_spec(case.evidence.spec).document()
    changed = changed_document(document, changes)
    RunConfig.model_validate(changed)
    assert changed != document
    address = address_of_copy("a", changes)
    assert marks_of(address.partition("?")[2]) == {change.field: change.was for change in changes}


@pytest.mark.parametrize("tongue", ["en", "zh_CN"])
def test_that_every_change_is_named_as_the_wizard_names_it(tongue: str):
    before = language.language()
    language.set_language(tongue)
    try:
        for case in ADVISED:
            for change in diagnose(case.evidence).changes:
                text = change_text(change)
                assert change.field not in text
                assert "[" not in text
                assert re.search(r"[:：]", text)
    finally:
        language.set_language(before)


def test_that_each_setting_an_advice_may_change_has_a_field_or_is_named_above_the_step(replay, qtbot):
    replay.window.go("new")
    wizard = replay.window.page
    assert isinstance(wizard, WizardPage)
    for path in sorted({path for rule in RULES for path in rule.settings}):
        assert path.startswith(WITHOUT_FIELD) or wizard.steps.field(step_of(path), path) is not None, path
