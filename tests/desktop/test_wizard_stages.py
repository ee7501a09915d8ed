"""Stages in the wizard and on the run page: what can be chosen, its settings, rows it refuses, and its curves."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QComboBox, QLabel, QLineEdit, QPushButton, QWidget

from engine.contract.errors import Problem, Refused
from engine.contract.stages import STAGES
from forge_desktop.pages.run_page import RunPage
from forge_desktop.wizard.rail import Rail
from forge_desktop.wizard.rows_card import RowsCard
from forge_desktop.wizard.stage_fields import ObjectiveFold
from tests.desktop.sheets_stages import PAIR, preference_steps
from tests.desktop.test_wizard import choose_demo, click, to_step, wizard_of
from tests.desktop.test_wizard_tuners import said
from tests.helpers.journals import before_training, demo_spec


def recipe(replay, qtbot):
    page = wizard_of(replay, qtbot)
    choose_demo(page, qtbot)
    to_step(page, qtbot, "training")
    return page


def choose(page, path: str, value: str) -> None:
    made = page.findChild(QComboBox, f"field.{path}")
    made.setCurrentIndex(made.findData(value))
    made.activated.emit(made.currentIndex())


def test_that_every_stage_is_listed_and_those_that_cannot_run_say_why(replay, qtbot):
    page = recipe(replay, qtbot)
    made = page.findChild(QComboBox, "field.stage")
    assert [made.itemData(place) for place in range(made.count())] == list(STAGES)
    enabled = {
        made.itemData(n): bool(made.model().item(n).flags() & Qt.ItemFlag.ItemIsEnabled) for n in range(made.count())
    }
    assert enabled == {name: stage.runs for name, stage in STAGES.items()}
    images = made.itemData(made.findData("image_sft"), Qt.ItemDataRole.ToolTipRole)
    assert "needs images" in images
    choose(page, "stage", "dpo")
    assert "prefer the better of two answers" in said(page, "stage")
    assert "Preference pairs" in said(page, "stage")


def test_that_only_the_settings_of_the_stage_are_shown(replay, qtbot):
    page = recipe(replay, qtbot)
    choose(page, "stage", "simpo")
    (fold,) = [fold for fold in page.findChildren(ObjectiveFold) if fold.isVisible()]
    click(qtbot, page, "wizard.fold.objective.simpo")
    shown = {
        found.objectName() for found in fold.findChildren(QWidget) if found.objectName().startswith("field.objective")
    }
    assert shown == {f"field.objective.{name}" for name in STAGES["simpo"].settings}
    choose(page, "stage", "dpo")
    assert not fold.isVisible()
    click(qtbot, page, "wizard.fold.objective.dpo")
    (now,) = [fold for fold in page.findChildren(ObjectiveFold) if fold.isVisible()]
    loss = now.findChild(QComboBox, "field.objective.loss")
    assert {loss.itemData(place) for place in range(loss.count())} == {"auto", *STAGES["dpo"].losses}
    choose(now, "objective.loss", "exo_pair")
    assert page.draft.problems_of("objective.label_smoothing")
    page.draft.set("objective.label_smoothing", 0.1)
    assert not page.draft.problems_of("objective.label_smoothing")


def test_that_rows_a_stage_cannot_learn_from_keep_the_run_from_starting(replay, qtbot):
    page = recipe(replay, qtbot)
    params = {"line": 3, "format": "preference", "stage": "kto", "able": "dpo"}
    found = [Problem(code="data.not_for_stage", line=line, params={**params, "line": line}) for line in (3, 4)]
    replay.backend.answers["preview_row"] = Refused("data.refused_for_stage", problems=found, count=2, stage="kto")
    choose(page, "stage", "kto")
    qtbot.waitUntil(lambda: bool(page.draft.problems_of("data.train.0.path")))
    assert page.draft.problems_of("data.train.0.path")[0].code == "data.refused_for_stage"
    to_step(page, qtbot, "data")
    texts = " ".join(made.text() for made in page.findChild(RowsCard).findChildren(QLabel))
    assert "Line 3" in texts
    assert "Line 4" in texts
    replay.backend.answers["preview_row"] = dict(PAIR)
    page.draft.set("stage", "dpo")
    qtbot.waitUntil(lambda: not page.draft.problems_of("data.train.0.path"))
    card = page.findChild(RowsCard)
    qtbot.waitUntil(lambda: "rejected" in " ".join(made.text() for made in card.findChildren(QLabel)))


def test_that_a_run_of_preferences_shows_its_rewards(replay, qtbot):
    uid = replay.backend.add(demo_spec(), created=1.0)
    replay.backend.play(uid, [*before_training(), *preference_steps(1, 30)])
    replay.window.go(f"run/{uid}")
    page = replay.window.page
    assert isinstance(page, RunPage)
    qtbot.waitUntil(lambda: page.is_built and page.model.series.state == "ready")
    qtbot.waitUntil(page.findChild(QPushButton, "chart.rewards/margins").isVisible)
    qtbot.mouseClick(page.findChild(QPushButton, "chart.rewards/margins"), Qt.MouseButton.LeftButton)
    chart = page.findChild(QWidget, "chart.of.rewards/margins")
    assert chart.isVisible()
    assert [one.label for one in chart.series] == ["Reward margin", "Better answers", "Worse answers"]
    assert all(len(page.model.curve(name)) == 30 for name in ("rewards/margins", "rewards/chosen"))


def test_that_a_stage_that_learns_from_a_teacher_asks_for_one(replay, qtbot):
    page = recipe(replay, qtbot)
    choose(page, "stage", "gkd")
    assert [problem.code for problem in page.draft.problems_of("teacher.path")] == ["teacher.none"]
    assert not page.draft.get("rollouts.rewards")
    click(qtbot, page, "wizard.fold.teacher.gkd")
    field = page.findChild(QLineEdit, "field.teacher.path")
    field.setText("/models/larger")
    field.textEdited.emit("/models/larger")
    assert not page.draft.problems_of("teacher.path")
    choose(page, "stage", "sft")
    assert not field.isVisible()


def test_that_the_recommended_rate_says_where_it_comes_from_and_can_be_taken(replay, qtbot):
    page = wizard_of(replay, qtbot)
    choose_demo(page, qtbot)
    to_step(page, qtbot, "training")
    use, rail = page.findChild(QPushButton, "wizard.rate.recommended"), page.findChild(Rail)
    page.draft.set("training.learning_rate", 2e-4)
    assert not use.isVisible()  # it is what is recommended for an adapter and answers
    page.draft.set("stage", "dpo")
    assert use.isVisible()
    assert "1e-5" in use.text()
    qtbot.waitUntil(lambda: any("DPOConfig" in text for _sign, text, _path in rail._warnings()))
    use.click()
    assert page.draft.get("training.learning_rate") == 1e-5
    assert not use.isVisible()
    assert not any("DPOConfig" in text for _sign, text, _path in rail._warnings())
