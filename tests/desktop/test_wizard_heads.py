"""Stages whose model writes no text, in the wizard and on the run page."""

from __future__ import annotations

from PySide6.QtWidgets import QLabel, QPushButton, QWidget

from engine.contract.errors import UserError
from engine.contract.stages import STAGES
from forge_desktop.pages.run_page import RunPage
from forge_desktop.panels.result_panel import SamplesPanel, ScoreCard
from forge_desktop.theme.controls import Elided
from forge_desktop.wizard.rows_card import RowsCard
from forge_desktop.wizard.stage_fields import ObjectiveFold
from tests.desktop.sheets_heads import READ, class_spec, class_steps, whole_run
from tests.desktop.test_wizard import click, to_step
from tests.desktop.test_wizard_stages import choose, recipe
from tests.helpers.journals import before_training


def test_that_only_the_settings_of_the_stage_are_shown(replay, qtbot):
    page = recipe(replay, qtbot)
    for stage in ("classification", "embedding", "reranker"):
        choose(page, "stage", stage)
        (fold,) = [fold for fold in page.findChildren(ObjectiveFold) if fold.isVisible()]
        click(qtbot, page, f"wizard.fold.objective.{stage}")
        shown = {found.objectName() for found in fold.findChildren(QWidget) if found.objectName().startswith("field.")}
        declared = STAGES[stage]
        wanted = {f"field.head.{name}" for name in declared.head}
        wanted |= {f"field.objective.{name}" for name in declared.settings}
        assert {name for name in shown if name.count(".") == 2} == wanted
    page.draft.set("head.joined", "no names")
    assert page.draft.problems_of("head.joined")[0].code == "heads.joined"
    choose(page, "stage", "embedding")
    assert not page.draft.problems_of("head.joined")


def test_that_rows_are_asked_for_with_the_head_and_shown_with_what_is_learned(replay, qtbot):
    page = recipe(replay, qtbot)
    replay.backend.answers["preview_row"] = dict(READ)
    choose(page, "stage", "classification")
    page.draft.set("head.through_template", True)
    qtbot.waitUntil(lambda: bool(page.draft.seen_rows))
    question = page.draft._seen_question("data.train.0")
    assert question["head"]["through_template"] is True
    to_step(page, qtbot, "data")
    card = page.findChild(RowsCard)

    def texts() -> str:
        return " ".join(made.text() for made in card.findChildren(QLabel))

    qtbot.waitUntil(lambda: "The model reads all of it" in texts())
    assert "August" in texts()
    assert "learned" not in texts()


def test_that_held_out_rows_of_another_class_keep_a_run_from_starting(replay, qtbot):
    page = recipe(replay, qtbot)
    params = {"line": 3, "label": "pink", "known": "red, blue"}
    replay.backend.answers["preview_row"] = dict(READ)
    choose(page, "stage", "classification")
    page.draft.set_held_out("/rows/held_out.jsonl")
    question = page.draft._seen_questions()["evaluation.data.0"]
    assert [source["path"] for source in question["against"]] == ["demo"]
    replay.backend.answers["preview_row"] = UserError("data.unknown_label", **params)
    page.draft.set("head.label_smoothing", 0.1)  # another question, another answer
    qtbot.waitUntil(lambda: bool(page.draft.problems_of("evaluation.data.0.path")))
    assert page.draft.problems_of("evaluation.data.0.path")[0].code == "data.unknown_label"
    choose(page, "stage", "embedding")
    qtbot.waitUntil(lambda: not page.draft.problems_of("evaluation.data.0.path"))


def test_that_a_run_shows_its_score_its_classes_and_what_was_said(replay, qtbot):
    uid = replay.backend.add(class_spec(), created=1.0)
    replay.backend.play(uid, whole_run())
    replay.window.go(f"run/{uid}")
    page = replay.window.page
    assert isinstance(page, RunPage)
    qtbot.waitUntil(lambda: page.is_built and page.model.detail is not None and len(page.model.detail.scores) == 2)
    card = page.findChild(ScoreCard)

    def texts() -> str:
        return " ".join(made.text() for kind in (QLabel, Elided) for made in card.findChildren(kind))

    qtbot.waitUntil(lambda: "96 of 100 texts" in texts())
    assert "Macro F1" in texts()
    assert "December" in texts()
    qtbot.waitUntil(lambda: page.findChild(QPushButton, "chart.accuracy").isVisible())
    page.show_tab("samples")
    said = page.findChild(SamplesPanel)
    qtbot.waitUntil(lambda: bool(said.findChildren(QLabel)))
    assert {"August", "May"} <= {made.text() for made in said.findChildren(QLabel)}


def test_that_a_model_that_writes_no_text_cannot_be_asked(replay, qtbot):
    uid = replay.backend.add(class_spec(), created=1.0)
    replay.backend.play(uid, [*before_training(), *class_steps(1, 10)])
    replay.window.go(f"run/{uid}")
    page = replay.window.page
    qtbot.waitUntil(lambda: page.findChild(QPushButton, "run.ask") is not None)
    ask = page.findChild(QPushButton, "run.ask")
    assert not ask.isEnabled()
    assert "writes no answers" in ask.toolTip()
    assert page.findChild(QPushButton, "run.pause").isEnabled()
