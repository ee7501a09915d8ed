"""The run page when things went wrong or are to go on: attempts, checkpoints, retries, diagnosis, what can be done."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QInputDialog, QLabel, QMenu, QMessageBox, QPlainTextEdit, QPushButton, QWidget

from engine.contract.api import ConfigChange, Diagnosis, ResumeRun, RunSummary
from engine.contract.errors import UserError
from engine.contract.run_spec import RunConfig
from engine.contract.states import Mark, Phase, RunState
from forge_desktop.models.deeds import deeds_of
from forge_desktop.models.presets import Presets, recipe_of
from forge_desktop.models.report import cleaned
from forge_desktop.models.runs_model import status_text
from forge_desktop.panels.ask_dialog import AskDialog
from forge_desktop.panels.notice_card import Countdown
from forge_desktop.panels.resume_dialog import ResumeDialog
from forge_desktop.wizard.wizard_page import WizardPage
from tests.desktop.test_run_page import choose, open_run
from tests.helpers.journals import after_training, before_training, failed, resumed, saved, steps

FIRST = [*before_training(), *steps(1, 60), *saved(40)]


def click(qtbot, parent, name):
    made = parent.findChild(QPushButton, name)
    assert made.isEnabled(), made.toolTip()
    qtbot.mouseClick(made, Qt.MouseButton.LeftButton)


def three_attempts(replay, qtbot):
    lines = [*FIRST, *resumed(40, 1), *steps(41, 80, later=400), *saved(60, 2), *resumed(60, 2)]
    return open_run(replay, qtbot, [*lines, *steps(61, 70, later=800)])


def test_that_attempts_are_one_curve_and_what_was_overwritten_stays_faint(replay, qtbot):
    uid, page = three_attempts(replay, qtbot)
    curve = page.model.curve("loss")
    qtbot.waitUntil(lambda: len(curve) == 110)
    replay.backend.play(uid, steps(71, 75, later=800))
    qtbot.waitUntil(lambda: page.chart.points_shown() == 75)
    assert np.array_equal(curve.shown()[0], np.arange(1, 76))
    assert page.chart.points_overwritten() == 40
    assert [(step, text.split(":")[0]) for step, text in page.chart.marks()] == [
        (41, "Attempt 2 · resumed"),
        (61, "Attempt 3 · resumed"),
    ]
    texts = [made.text() for made in page.findChild(QWidget, "run.attempts").findChildren(QLabel)]
    assert "from the checkpoint at step 60 of attempt 2" in texts


def test_that_a_break_of_the_line_leaves_exactly_the_journal(replay, qtbot):
    uid, page = three_attempts(replay, qtbot)
    curve = page.model.curve("loss")
    qtbot.waitUntil(lambda: len(curve) == 110)
    with qtbot.waitSignal(replay.desktop.session.online):
        replay.backend.drop_line()
        replay.backend.play(uid, steps(71, 80, later=800))
    replay.backend.play(uid, [*resumed(20, 3), *steps(21, 30, later=1200)])
    qtbot.waitUntil(lambda: len(curve) == 130)
    whole = replay.backend.series(uid, ("loss",))["loss"]
    for mine, theirs in ((curve.attempt, whole.attempt), (curve.x, whole.x), (curve.value, whole.value)):
        assert np.array_equal(mine, theirs)


def test_that_a_checkpoint_can_be_resumed_copied_and_deleted(replay, qtbot):
    uid, page = open_run(replay, qtbot, [*FIRST, *saved(60, best=True)])
    page.show_tab("checkpoints")
    ids = [found.id for found in replay.backend.run(uid).checkpoints]
    qtbot.waitUntil(lambda: page.findChild(QPushButton, f"checkpoint.{ids[0]}.resume") is not None)
    assert not page.findChild(QPushButton, f"checkpoint.{ids[0]}.resume").isEnabled()
    replay.backend.pause(uid)
    qtbot.waitUntil(lambda: page.findChild(QPushButton, f"checkpoint.{ids[0]}.resume").isEnabled())
    run, found = replay.backend.run(uid).run, replay.backend.run(uid).checkpoints[1]
    actions = replay.window.actions_of_runs
    with qtbot.waitSignal(actions.told):
        actions.checkpoint("copy_path", run, found, page)
    assert QGuiApplication.clipboard().text().endswith("/checkpoints/a1-s60")
    actions.checkpoint("delete", run, found, page)
    box = page.findChild(QMessageBox, "question")
    assert box.defaultButton().objectName() != "delete_checkpoint.yes"
    click(qtbot, box, "delete_checkpoint.yes")
    qtbot.waitUntil(lambda: [one.step for one in replay.backend.run(uid).checkpoints] == [40])
    click(qtbot, page, f"checkpoint.{ids[0]}.resume")
    qtbot.waitUntil(lambda: replay.backend.wishes == [(uid, ResumeRun(checkpoint=ids[0]))])


def test_that_checkpoints_go_from_the_page_with_the_files(replay, qtbot):
    uid, page = open_run(replay, qtbot, [*FIRST, *after_training()])
    page.show_tab("checkpoints")
    card = page.findChild(QWidget, "run.checkpoints")
    qtbot.waitUntil(lambda: "Resume from here" in {made.accessibleName() for made in card.findChildren(QPushButton)})
    replay.window.actions_of_runs.delete_files(replay.backend.run(uid).run, page)
    click(qtbot, page.findChild(QMessageBox, "question"), "delete_files.yes")
    qtbot.waitUntil(lambda: any("were deleted on" in made.text() for made in card.findChildren(QLabel)))
    qtbot.waitUntil(lambda: not card.findChildren(QPushButton))


def test_that_each_state_offers_what_makes_sense(replay, qtbot):
    uid, _page = open_run(replay, qtbot, FIRST)

    def offered() -> set[str]:
        return {deed.key for deed in deeds_of(replay.backend.run(uid).run) if not deed.why_not}

    assert offered() == {"ask", "pause", "save", "log_every", "move", "stop", "copy", "chat", "template", "pin"}
    replay.backend.pause(uid)
    assert offered() == {"resume", "resume_from", "extend", "stop", "copy", "chat", "template", "pin", "delete"}
    replay.backend.play(uid, after_training())
    results = {"copy", "sample", "chat", "template", "train_on"}
    assert offered() == {"extend", "resume_from", *results, "pin", "delete_files", "delete"}
    replay.backend.delete_files(uid)
    assert offered() == {*results, "delete"}  # they lie in the library


def test_that_an_adapter_is_trained_further_in_a_draft_of_its_own(replay, qtbot):
    uid, page = open_run(replay, qtbot, FIRST)
    went: list[str] = []
    replay.window.actions_of_runs.do("train_on", replay.backend.run(uid).run, page, went.append)
    qtbot.waitUntil(lambda: bool(went))
    draft = replay.backend.run(went[0].removeprefix("new/"))
    assert draft.run.state == "draft"
    assert draft.spec.job.tuner.adapter.endswith(f"{uid}/attempts/1/outputs/adapter")


def test_that_the_recipe_of_a_run_becomes_a_template(replay, qtbot):
    uid, page = open_run(replay, qtbot, FIRST)
    actions = replay.window.actions_of_runs

    def save(name: str) -> None:
        actions.do("template", replay.backend.run(uid).run, page, lambda _address: None)
        qtbot.waitUntil(lambda: page.findChild(QInputDialog) is not None)
        dialog = page.findChild(QInputDialog)
        dialog.setTextValue(name)
        dialog.accept()
        qtbot.waitUntil(lambda: page.findChild(QInputDialog) is None)

    save("  Dates  ")
    presets = Presets(replay.window.preferences)
    (made,) = presets.own()
    assert made.name == "Dates"
    assert made.settings == recipe_of(RunConfig.from_spec(replay.backend.run(uid).spec).document())
    presets.add("Dates", {"training.epochs": 9.0})
    save("Dates")
    click(qtbot, page.findChild(QMessageBox, "question"), "template.replace")
    qtbot.waitUntil(lambda: Presets(replay.window.preferences).own() == [made])


def test_that_pause_save_now_and_resume_reach_the_controller(replay, qtbot):
    uid, page = open_run(replay, qtbot, FIRST)
    qtbot.waitUntil(lambda: page.findChild(QPushButton, "run.pause") is not None)
    choose(page, "run.save")
    qtbot.waitUntil(lambda: [found.cause for found in replay.backend.run(uid).checkpoints] == ["minutes", "person"])
    click(qtbot, page, "run.pause")
    qtbot.waitUntil(lambda: page.findChild(QPushButton, "run.resume") is not None)
    click(qtbot, page, "run.resume")
    qtbot.waitUntil(lambda: replay.backend.wishes == [(uid, ResumeRun())])


def test_that_the_model_can_be_asked_while_it_trains(replay, qtbot):
    _uid, page = open_run(replay, qtbot, FIRST)
    qtbot.waitUntil(lambda: page.findChild(QPushButton, "run.ask") is not None)
    click(qtbot, page, "run.ask")
    dialog = page.findChild(AskDialog)
    assert not dialog.findChild(QPushButton, "ask.send").isEnabled()
    qtbot.keyClicks(dialog.findChild(QPlainTextEdit), "2+2?")
    click(qtbot, dialog, "ask.send")
    qtbot.waitUntil(lambda: {"2+2?", "Answer 1.", "step 60"} <= {made.text() for made in dialog.findChildren(QLabel)})
    dialog.close()
    page.show_tab("samples")
    samples = page.findChild(QWidget, "run.samples")
    qtbot.waitUntil(lambda: "Step 60" in {made.text() for made in samples.findChildren(QLabel)})


def test_that_a_run_is_extended_from_a_chosen_checkpoint(replay, qtbot):
    uid, page = open_run(replay, qtbot, [*FIRST, *after_training()])
    qtbot.waitUntil(lambda: page.findChild(QPushButton, "run.extend") is not None)
    click(qtbot, page, "run.extend")
    dialog = page.findChild(ResumeDialog)
    qtbot.waitUntil(lambda: dialog.choice.count() == 1 and dialog.epochs.text() == "2")
    dialog.epochs.clear()
    assert not dialog.findChild(QPushButton, "resume.go").isEnabled()
    qtbot.keyClicks(dialog.steps, "250")
    click(qtbot, dialog, "resume.go")
    number = replay.backend.run(uid).checkpoints[0].id
    qtbot.waitUntil(lambda: replay.backend.wishes == [(uid, ResumeRun(checkpoint=number, max_steps=250))])


def test_that_a_retry_counts_down_and_can_be_had_now_or_not_at_all(replay, qtbot):
    uid, page = open_run(replay, qtbot, FIRST)
    replay.backend.move(uid, state=RunState.QUEUED, retry_at=time.time() + 3600, retries=2)
    notice = page.findChild(QWidget, "run.notice")
    qtbot.waitUntil(lambda: "retry 2 of 3" in notice.text())
    click(qtbot, page, "run.retry.now")
    qtbot.waitUntil(lambda: not notice.isVisible())
    assert replay.backend.run(uid).run.retry_at is None
    replay.backend.move(uid, retry_at=time.time() + 3600)
    qtbot.waitUntil(notice.isVisible)
    click(qtbot, page, "run.retry.never")
    qtbot.waitUntil(lambda: replay.backend.run(uid).run.state is RunState.STOPPED)


def test_that_a_clock_that_is_set_does_not_change_the_countdown():
    wall, steady = [1000.0], [50.0]
    countdown = Countdown(lambda: wall[0], lambda: steady[0])
    assert countdown.left(1012.0) == 12.0
    wall[0], steady[0] = 5000.0, 54.0
    assert countdown.left(1012.0) == 8.0
    steady[0] = 99.0
    assert countdown.left(1012.0) == 0.0


def test_that_silence_and_the_end_of_files_are_said_and_pinning_helps(replay, qtbot):
    uid, page = open_run(replay, qtbot, FIRST)
    notice = page.findChild(QWidget, "run.notice")
    replay.backend.move(uid, mark=Mark.NOT_RESPONDING)
    qtbot.waitUntil(lambda: "not responding" in notice.text())
    assert status_text(replay.backend.run(uid).run) == "Not responding"
    replay.backend.play(uid, after_training())
    replay.backend.move(uid, mark=None, expires=1_790_600_000.0)
    qtbot.waitUntil(lambda: "working files go on 2026-" in notice.text())
    click(qtbot, page, "run.notice.pin")
    qtbot.waitUntil(lambda: replay.backend.run(uid).run.pinned and not notice.isVisible())


FOUND = Diagnosis(
    rule="nobody_knows_this_one",
    what="The GPU ran out of memory.",
    fix="Lower the micro batch size.",
    lines=["ERROR out of memory"],
    changes=[
        ConfigChange(field="training.micro_batch_size", value=4, was=8),
        ConfigChange(field="compute.limits.retries", value=0, was=3),
        ConfigChange(field="later.setting", value=1),
    ],
)


def test_that_a_diagnosis_leads_to_a_new_run_with_its_changes_marked(replay, qtbot):
    _uid, page = open_run(replay, qtbot, FIRST)
    uid = _uid
    replay.backend.play(uid, failed(UserError("worker.killed", signal="SIGKILL").body(), 60))
    replay.backend.diagnose(uid, FOUND)
    card = page.findChild(QWidget, "run.error")
    qtbot.waitUntil(lambda: card.what.text() == FOUND.what)
    assert card.lines.text() == "ERROR out of memory"
    assert "Micro batch size: 8 → 4" in page.findChild(QLabel, "run.error.changes").text()
    click(qtbot, page, "run.error.change")
    qtbot.waitUntil(lambda: isinstance(replay.window.page, WizardPage))
    wizard = replay.window.page
    qtbot.waitUntil(lambda: wizard.draft.get("training.micro_batch_size") == 4)
    assert wizard.draft.get("compute.limits.retries") == 0
    qtbot.waitUntil(lambda: wizard.findChild(QWidget, "field.training.micro_batch_size") is not None)
    field = wizard.findChild(QWidget, "field.training.micro_batch_size").parentWidget()
    assert any("it was 8" in made.text() for made in field.findChildren(QLabel))
    qtbot.waitUntil(field.isVisible)


def test_that_a_failure_without_a_diagnosis_shows_the_end_of_the_log(replay, qtbot):
    uid, page = open_run(replay, qtbot, FIRST)
    replay.backend.write_log(uid, f"12:00 ERROR boom in {Path.home()}/x.py with HF_TOKEN=abcdefgh123456\n")
    replay.backend.play(uid, failed(UserError("worker.killed", signal="SIGKILL").body(), 60))
    card = page.findChild(QWidget, "run.error")
    qtbot.waitUntil(lambda: "boom" in card.lines.text())
    assert not page.findChild(QPushButton, "run.error.change").isVisible()
    click(qtbot, page, "run.error.report")
    said = QGuiApplication.clipboard().text()
    assert "worker.killed" in said
    assert "torch: 2.13.0" in said
    assert "boom in ~/x.py with HF_TOKEN=<token-1>" in said


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("token hf_abcdefghij", "token <token-1>"),
        ("Authorization: Bearer abc.def-123456", "Authorization: Bearer <token-1>"),
        ('"api_key": "0123456789"', '"api_key": "<token-1>"'),
        ("https://me:secret@example.org/x", "https://<token-1>@example.org/x"),
        ("max_new_tokens: 123456, tokens: 4,812", "max_new_tokens: 123456, tokens: 4,812"),
        ("/home/lin/models and /home/linda", "~/models and /home/<user-1>"),
    ],
)
def test_that_a_report_holds_no_secrets(text, expected):
    assert cleaned(text, Path("/home/lin")) == expected


def test_that_a_row_offers_the_same_as_the_page(replay, qtbot):
    uid, _page = open_run(replay, qtbot, FIRST)
    replay.backend.pause(uid)
    replay.window.go("runs")
    model = replay.window.page.model
    qtbot.waitUntil(lambda: bool(model.runs) and model.runs[0].state is RunState.PAUSED)
    menu = QMenu(replay.window.page)
    replay.window.page.fill_menu(menu, model.runs[0])
    actions = {action.text(): action for action in menu.actions()}
    actions["Resume"].trigger()
    qtbot.waitUntil(lambda: replay.backend.wishes == [(uid, ResumeRun())])


def test_that_a_model_that_writes_nothing_is_not_asked_from_the_list():
    def why(method: str) -> str:
        run = RunSummary(uid="r", name="r", project="", kind="train", lane="gpu", owner="o", state=RunState.RUNNING,
                         phase=Phase.TRAINING, method=method, created=0.0)  # fmt: skip
        return next(deed.why_not for deed in deeds_of(run) if deed.key == "ask")

    assert why("sft lora") == ""
    assert why("classification lora") == why("embedding full") == "This model writes no answers."
