"""A model from scratch in the wizard: nothing changes before the button, then the form counts as it is typed."""

from __future__ import annotations

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QAbstractButton, QLabel, QLineEdit, QPushButton

from engine.contract.scratch import ScratchConfig, preset
from engine.contract.scratch_shape import parameters_of
from forge_desktop.wizard.facts_card import FactsCard
from forge_desktop.wizard.model_source import ModelSource
from forge_desktop.wizard.wizard_page import WizardPage


@pytest.fixture
def page(replay, qtbot) -> WizardPage:
    replay.window.go("new")
    made = replay.window.page
    assert isinstance(made, WizardPage)
    qtbot.waitUntil(lambda: made.is_built)
    return made


def choose(page, qtbot, name, value):
    button = page.findChild(QAbstractButton, f"{name}.{value}")
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)


@pytest.fixture
def begun(page, qtbot) -> WizardPage:
    choose(page, qtbot, "wizard.model.source", "scratch")
    before = dict(page.draft.document["model"])
    take = page.findChild(QPushButton, "wizard.scratch.take")
    assert take.isVisible()
    assert page.draft.document["model"] == before
    qtbot.mouseClick(take, Qt.MouseButton.LeftButton)
    return page


def count(page) -> str:
    return page.findChild(QLabel, "wizard.scratch.count").text()


def test_that_the_button_makes_it_a_run_from_scratch(begun):
    draft = begun.draft
    assert (draft.get("model.hub"), draft.get("stage"), draft.get("tuner.kind")) == ("scratch", "pretrain", "full")
    assert [one for one in draft.problems if one.field.startswith(("model", "scratch", "stage", "tuner"))] == []
    assert not begun.findChild(QPushButton, "wizard.scratch.take").isVisible()
    said = [made.text() for made in begun.findChildren(QLabel)]
    assert any("The model's form is whole." in text for text in said)
    assert not any("files fit together" in text for text in said)


def test_that_the_parameters_follow_the_form(begun, qtbot):
    usual = parameters_of(ScratchConfig(), 4096)
    assert count(begun) == f"{usual.total:,} parameters"
    begun.draft.set("scratch.family", "qwen3_moe")
    choose(begun, qtbot, "wizard.scratch.size", "20m")
    made = parameters_of(ScratchConfig(**preset("qwen3_moe", "20m")), 16000)
    assert count(begun) == f"{made.total:,} parameters, {made.active:,} work on each token"
    field = begun.findChild(QLineEdit, "field.scratch.layers")
    assert field.text() == "8"
    field.clear()
    qtbot.keyClicks(field, "9")
    more = parameters_of(ScratchConfig(**{**preset("qwen3_moe", "20m"), "layers": 9}), 16000)
    assert count(begun) == f"{more.total:,} parameters, {more.active:,} work on each token"
    assert begun.draft.shape.parameters == more.total
    facts = [made.text() for made in begun.findChild(FactsCard).findChildren(QLabel)]
    assert "Qwen3MoeForCausalLM" in facts


def test_that_a_contradiction_stands_at_its_field(begun, qtbot):
    begun.draft.set("scratch.heads", 7)
    problems = begun.draft.problems_of("scratch.heads")
    assert [one.code for one in problems] == ["scratch.heads"]
    field = begun.steps.field(0, "scratch.heads")
    assert "no multiple of 7 heads" in field.findChildren(QLabel)[-1].text()
    assert begun.steps.field(0, "scratch.kv_rank") is not None


def test_that_a_base_model_can_be_chosen_again(begun):
    begun.draft.set_model("demo", "bundled")
    source = begun.findChild(ModelSource)
    source.show_draft()
    assert begun.draft.get("model.hub") == "bundled"
    assert begun.draft.model_facts.get("architecture") != "LlamaForCausalLM"
