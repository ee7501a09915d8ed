"""The New-run wizard over a replayed controller."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import QPoint, QPointF, Qt
from PySide6.QtGui import QWheelEvent
from PySide6.QtWidgets import QApplication, QComboBox, QLabel, QLineEdit, QPushButton, QWidget

from engine.contract.config_file import to_yaml
from engine.contract.errors import Problem
from engine.contract.run_spec import RunConfig
from engine.contract.stages import RUNNABLE_STAGES
from engine.contract.states import RunState
from forge_desktop.pages.run_page import RunPage
from forge_desktop.pages.runs_page import RunsPage
from forge_desktop.wizard.wizard_page import WizardPage
from tests.helpers.journals import demo_spec


def wizard_of(replay, qtbot, address="new") -> WizardPage:
    replay.window.go(address)
    page = replay.window.page
    assert isinstance(page, WizardPage)
    qtbot.waitUntil(lambda: page.is_built)
    return page


def click(qtbot, page, name):
    button = page.findChild(QPushButton, name)
    assert button.isEnabled(), f"{name}: {button.toolTip()}"
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)


def choose_demo(page, qtbot):
    click(qtbot, page, "wizard.model.demo")
    page.draft.set_data("demo", "bundled", "demo/held_out", "demo/validation")
    qtbot.waitUntil(lambda: bool(page.draft.data_facts) and bool(page.draft.model_facts))


def to_step(page, qtbot, key):
    click(qtbot, page, f"wizard.step.{key}")
    qtbot.waitUntil(lambda: page.is_built)


def type_into(page, qtbot, path, text):
    field = page.findChild(QLineEdit, f"field.{path}")
    field.setFocus()
    field.selectAll()
    qtbot.keyClicks(field, text)
    return field


def test_that_five_steps_lead_to_a_started_run(replay, qtbot):
    page = wizard_of(replay, qtbot)
    click(qtbot, page, "wizard.model.demo")
    click(qtbot, page, "wizard.next")
    click(qtbot, page, "wizard.data.demo")
    for _ in range(3):
        click(qtbot, page, "wizard.next")
    qtbot.waitUntil(lambda: page.findChild(QPushButton, "wizard.next").isEnabled())
    assert page.findChild(QPushButton, "wizard.next").text() == "Start run"
    click(qtbot, page, "wizard.next")
    qtbot.waitUntil(lambda: isinstance(replay.window.page, RunPage))
    run = replay.backend.runs([], "", 0, 1).runs[0]
    assert run.state is RunState.QUEUED
    assert replay.backend.run(run.uid).spec.job.evaluation.data[0].path == "demo/held_out"


def test_that_a_started_wizard_leaves_no_draft_behind(replay, qtbot):
    page = wizard_of(replay, qtbot)
    choose_demo(page, qtbot)
    to_step(page, qtbot, "review")
    click(qtbot, page, "wizard.next")
    qtbot.waitUntil(lambda: isinstance(replay.window.page, RunPage))
    assert wizard_of(replay, qtbot).draft.get("model.path") == ""


def test_that_an_unfinished_wizard_is_kept(replay, qtbot):
    page = wizard_of(replay, qtbot)
    choose_demo(page, qtbot)
    to_step(page, qtbot, "training")
    type_into(page, qtbot, "training.epochs", "3")
    replay.window.go("runs")
    again = wizard_of(replay, qtbot)
    assert again.draft.get("model.path") == "demo"
    assert again.draft.get("training.epochs") == 3


def test_that_a_wrong_number_is_said_beside_the_field_as_it_is_typed(replay, qtbot):
    page = wizard_of(replay, qtbot)
    choose_demo(page, qtbot)
    to_step(page, qtbot, "training")
    field = type_into(page, qtbot, "training.learning_rate", "fast")
    assert field.property("tone") == "bad"
    texts = [made.text() for made in field.parentWidget().findChildren(QLabel)]
    assert "✗ 'fast' is not a number. Write a number." in texts
    to_step(page, qtbot, "review")
    start = page.findChild(QPushButton, "wizard.next")
    assert not start.isEnabled()
    assert "1 problem" in start.toolTip()


def test_that_an_unusual_value_warns_but_does_not_block(replay, qtbot):
    page = wizard_of(replay, qtbot)
    choose_demo(page, qtbot)
    to_step(page, qtbot, "training")
    field = type_into(page, qtbot, "training.learning_rate", "0.5")
    assert field.property("tone") == "warn"
    assert not page.draft.problems


def test_that_what_the_controller_finds_wrong_is_listed_before_start(replay, qtbot):
    page = wizard_of(replay, qtbot)
    replay.backend.problems = [Problem(code="config.path_missing", field="model.path", params={"value": "/no"})]
    choose_demo(page, qtbot)
    before = page.findChild(QWidget, "wizard.before")
    qtbot.waitUntil(lambda: any("/no" in made.text() for made in before.findChildren(QLabel)))
    to_step(page, qtbot, "review")
    assert not page.findChild(QPushButton, "wizard.next").isEnabled()


def test_that_what_cannot_run_yet_cannot_be_chosen(replay, qtbot):
    page = wizard_of(replay, qtbot)
    to_step(page, qtbot, "training")
    method = page.findChild(QComboBox, "field.tuner.kind")
    assert method.findData("dora") >= 0
    assert method.findData("qlora") >= 0
    stage = page.findChild(QComboBox, "field.stage")
    able = [place for place in range(stage.count()) if stage.model().item(place).isEnabled()]
    assert [stage.itemData(place) for place in able] == list(RUNNABLE_STAGES)


def test_that_target_modules_come_from_the_model_and_can_be_changed(replay, qtbot):
    page = wizard_of(replay, qtbot)
    choose_demo(page, qtbot)
    to_step(page, qtbot, "training")
    click(qtbot, page, "wizard.target.o_proj")
    assert page.draft.get("tuner.targets") == ["q_proj", "k_proj", "v_proj", "gate_proj", "up_proj", "down_proj"]
    click(qtbot, page, "wizard.targets.all")
    assert page.draft.get("tuner.targets") == ["all-linear"]


def test_that_the_rail_says_how_many_steps_there_will_be(replay, qtbot):
    page = wizard_of(replay, qtbot)
    choose_demo(page, qtbot)
    page.draft.set("training.epochs", 2.0)
    assert page.draft.steps() == 600  # 2,400 rows in batches of 8, twice


def test_that_a_saved_draft_can_be_opened_and_started(replay, qtbot):
    page = wizard_of(replay, qtbot)
    choose_demo(page, qtbot)
    click(qtbot, page, "wizard.save")
    qtbot.waitUntil(lambda: isinstance(replay.window.page, RunsPage))
    uid = replay.backend.runs([RunState.DRAFT], "", 0, 1).runs[0].uid
    page = wizard_of(replay, qtbot, f"new/{uid}")
    qtbot.waitUntil(lambda: page.draft.get("model.path") == "demo")
    to_step(page, qtbot, "review")
    qtbot.waitUntil(lambda: page.findChild(QPushButton, "wizard.next").isEnabled())
    click(qtbot, page, "wizard.next")
    qtbot.waitUntil(lambda: replay.backend.run(uid).run.state is RunState.QUEUED)


def test_that_a_config_file_fills_the_wizard(replay, qtbot, tmp_path: Path):
    file = tmp_path / "run.yaml"
    file.write_text(to_yaml(RunConfig.from_spec(demo_spec("from-file"))), encoding="utf-8")
    page = wizard_of(replay, qtbot)
    page.import_file(str(file))
    qtbot.waitUntil(lambda: page.draft.get("name") == "from-file")
    qtbot.waitUntil(lambda: bool(page.draft.model_facts))


def test_that_a_bad_config_file_is_refused_whole(replay, qtbot, tmp_path: Path):
    file = tmp_path / "run.yaml"
    file.write_text("name: x\nmodel: {path: a, pth: b}\ntraining: {epochs: -1}\n", encoding="utf-8")
    page = wizard_of(replay, qtbot)
    page.import_file(str(file))
    card = page.findChild(QWidget, "wizard.error")
    qtbot.waitUntil(card.isVisible)
    for expected in ("'pth' is no setting", "-1 is too small", "data: A value is needed"):
        assert expected in card.why.text()
    assert page.draft.get("name") == ""


def test_that_the_wheel_leaves_closed_lists_alone(replay, qtbot):
    page = wizard_of(replay, qtbot)
    to_step(page, qtbot, "training")
    stage = page.findChild(QComboBox, "field.stage")
    place = QPointF(stage.rect().center())
    wheel = QWheelEvent(
        place, QPointF(stage.mapToGlobal(QPoint(5, 5))), QPoint(0, 0), QPoint(0, -120), Qt.MouseButton.NoButton,
        Qt.KeyboardModifier.NoModifier, Qt.ScrollPhase.NoScrollPhase, False,
    )  # fmt: skip
    QApplication.sendEvent(stage, wheel)
    assert stage.currentData() == "sft"


def test_that_every_field_has_an_accessible_name(replay, qtbot):
    page = wizard_of(replay, qtbot)
    unnamed = [
        control.objectName() or type(control).__name__
        for kind in (QLineEdit, QComboBox, QPushButton)
        for control in page.findChildren(kind)
        if not control.accessibleName() and control.objectName() != "qt_spinbox_lineedit"
    ]
    assert unnamed == []


def test_that_rows_that_cannot_be_used_keep_a_run_from_starting(replay, qtbot):
    page = wizard_of(replay, qtbot)
    bad = Problem(code="config.missing", field="messages", line=3).model_dump()
    replay.backend.answers["preview_data"] |= {"problems": [bad], "bad_rows": 1}
    choose_demo(page, qtbot)
    assert [problem.code for problem in page.draft.problems] == ["config.bad_rows"]
    to_step(page, qtbot, "review")
    assert not page.findChild(QPushButton, "wizard.next").isEnabled()
    replay.backend.answers["preview_data"] |= {"problems": []}
    page.draft.preview()
    qtbot.waitUntil(lambda: page.findChild(QPushButton, "wizard.next").isEnabled())


def test_that_looking_into_the_path_keeps_the_chosen_modules(replay, qtbot, tmp_path):
    page = wizard_of(replay, qtbot)
    page.draft.set_model(str(tmp_path), "local")
    qtbot.waitUntil(lambda: bool(page.draft.model_facts))
    to_step(page, qtbot, "training")
    click(qtbot, page, "wizard.target.o_proj")
    chosen = list(page.draft.get("tuner.targets"))
    to_step(page, qtbot, "model")
    click(qtbot, page, "wizard.model.source.local")
    path = page.findChild(QLineEdit, "wizard.model.path")
    path.setFocus()
    qtbot.keyClick(path, Qt.Key.Key_Return)
    assert page.draft.get("tuner.targets") == chosen


def test_that_a_typed_path_is_taken_when_the_field_is_left(replay, qtbot):
    page = wizard_of(replay, qtbot)
    click(qtbot, page, "wizard.model.source.local")
    path = page.findChild(QLineEdit, "wizard.model.path")
    qtbot.keyClicks(path, "/models/mine")
    assert not page.draft.model_facts
    qtbot.keyClick(path, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: bool(page.draft.model_facts))
    assert page.draft.get("model.path") == "/models/mine"


def test_that_another_dataset_keeps_a_persons_own_held_out_rows(replay, qtbot):
    page = wizard_of(replay, qtbot)
    page.draft.set_held_out("/data/mine.jsonl")
    page.draft.set_data("/data/other.jsonl", "local")
    assert page.draft.get("evaluation.data")[0]["path"] == "/data/mine.jsonl"
    page.draft.set_data("demo", "bundled", "demo/held_out", "demo/validation")
    page.draft.set_data("/data/other.jsonl", "local")
    assert page.draft.get("evaluation.data") == []
    assert page.draft.get("data.validation") == []


def test_that_an_unfinished_wizard_outlives_the_window(make_desktop, qtbot):
    first = make_desktop()
    first.window.go("new")
    for epochs in (2.0, 3.0):
        first.window.page.draft.set("training.epochs", epochs)
    first.desktop.close()
    second = make_desktop()
    assert second.window.page.draft.get("training.epochs") == 3.0
