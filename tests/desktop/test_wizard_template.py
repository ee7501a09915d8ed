"""Choosing a chat template by name in the wizard."""

from __future__ import annotations

from engine.contract.templates import template_catalogue, template_choices
from forge_desktop.theme.controls import Choice
from tests.desktop.test_wizard import choose_demo, wizard_of


def test_that_every_template_of_the_catalogue_can_be_chosen(replay, qtbot):
    page = wizard_of(replay, qtbot)
    choose_demo(page, qtbot)
    field = page.findChild(Choice, "field.model.template")
    names = [field.itemData(place) for place in range(field.count())]
    assert names == list(template_choices())
    assert field.itemText(names.index("auto")) == "Auto"
    assert field.itemText(names.index("qwen3")) == template_catalogue()["qwen3"].title
    place = names.index("llama3_1")
    field.setCurrentIndex(place)
    field.activated.emit(place)
    assert page.draft.document["model"]["template"] == "llama3_1"
    qtbot.waitUntil(lambda: not [one for one in page.draft.problems if one.field == "model.template"])
