"""Recipes named by memory: they choose the method and as many rows at once as fit, and say what it comes to."""

from __future__ import annotations

from PySide6.QtWidgets import QPushButton

from engine.contract.model_shape import shape_of
from tests.desktop.conftest import MODEL_FACTS
from tests.desktop.test_wizard import choose_demo, to_step, wizard_of
from tests.unit.contract.test_estimate import QWEN_05B


def menu_of(page):
    menu = page.findChild(QPushButton, "wizard.fit").menu()
    menu.aboutToShow.emit()
    return {action.text(): action for action in menu.actions() if action.text()}


def test_that_a_size_chooses_method_and_rows(replay, qtbot):
    replay.backend.answers["inspect_model"] = MODEL_FACTS | {"shape": shape_of(QWEN_05B).model_dump(mode="json")}
    page = wizard_of(replay, qtbot)
    choose_demo(page, qtbot)
    to_step(page, qtbot, "training")
    page.draft.set("data.max_length", 8192)
    page.draft.set("training.micro_batch_size", 16)
    together = 16 * page.draft.get("training.accumulation")
    told = []
    page._actions.told.connect(told.append)
    menu_of(page)["Full, 80 GB of GPU memory"].trigger()
    assert page.draft.get("tuner.kind") == "full"
    menu_of(page)["LoRA, 12 GB of GPU memory"].trigger()
    assert page.draft.get("tuner.kind") == "lora"
    assert page.draft.get("training.micro_batch_size") * page.draft.get("training.accumulation") == together
    assert page.draft.get("training.micro_batch_size") < 16
    assert "12 GB" in told[-1]
    page.draft.set("data.max_length", 100_000)
    menu_of(page)["Full, 8 GB of GPU memory"].trigger()
    assert "Does not fit into 8 GB" in told[-1]
    assert page.draft.get("training.micro_batch_size") == 1


def test_that_without_measures_of_the_model_it_says_so(replay, qtbot):
    page = wizard_of(replay, qtbot)
    choose_demo(page, qtbot)
    to_step(page, qtbot, "training")
    actions = menu_of(page)
    assert actions
    assert not any(action.isEnabled() for action in actions.values())
    assert all("not known yet" in action.toolTip() for action in actions.values())


def test_that_a_teacher_is_looked_at_and_takes_its_room(replay, qtbot):
    replay.backend.answers["inspect_model"] = MODEL_FACTS | {"shape": shape_of(QWEN_05B).model_dump(mode="json")}
    page = wizard_of(replay, qtbot)
    choose_demo(page, qtbot)
    to_step(page, qtbot, "training")
    page.draft.set("stage", "gkd")
    page.draft.set("rollouts.max_tokens", 8)
    page.draft.set("teacher.path", "")
    assert page.draft.teacher_shape is None
    page.draft.set("teacher.path", "big")
    qtbot.waitUntil(lambda: page.draft.teacher_shape is not None)
    action = menu_of(page)["LoRA, 24 GB of GPU memory"]
    assert action.isEnabled()
    action.trigger()
    page.draft.set("stage", "sft")
    assert page.draft.teacher_shape is None


def test_that_a_teacher_nobody_could_look_at_is_the_reason(replay, qtbot):
    replay.backend.answers["inspect_model"] = MODEL_FACTS | {"shape": shape_of(QWEN_05B).model_dump(mode="json")}
    page = wizard_of(replay, qtbot)
    choose_demo(page, qtbot)
    to_step(page, qtbot, "training")
    replay.backend.answers["inspect_model"] = {}
    page.draft.set("stage", "gkd")
    page.draft.set("teacher.path", "big")
    actions = menu_of(page)
    assert not any(action.isEnabled() for action in actions.values())
    assert all("teacher's measures" in action.toolTip() for action in actions.values())
