"""Beside a field stands what is recommended and who says so; what is unusual is said and refuses nothing."""

from __future__ import annotations

from PySide6.QtWidgets import QLabel, QWidget

from tests.desktop.sheets_wizard import SEEN
from tests.desktop.test_wizard_tuners import choose, field_of, said, type_into, unfolded


def advice(page, path: str) -> str:
    return page.findChild(QLabel, f"advice.{path}").text()


def test_that_values_are_recommended_with_their_source(replay, qtbot):
    replay.backend.answers["preview_row"] = dict(SEEN)
    page = unfolded(replay, qtbot)
    assert advice(page, "tuner.rank") == "Recommended: 16 (trl 1.16, ModelConfig)."
    type_into(page, qtbot, "tuner.rank", "8")
    qtbot.waitUntil(lambda: advice(page, "tuner.alpha") == "Recommended: 16 (trl 1.16, ModelConfig).")
    assert "SFTConfig" in advice(page, "training.epochs")
    qtbot.waitUntil(lambda: advice(page, "data.max_length") == "Recommended: 64 (the measured rows).")


def test_that_the_unusual_is_said_and_refuses_nothing(replay, qtbot):
    page = unfolded(replay, qtbot)
    type_into(page, qtbot, "training.epochs", "30")
    qtbot.waitUntil(lambda: "learned by heart" in said(page, "training.epochs"))
    page.draft.set("training.micro_batch_size", 1)
    page.draft.set("training.accumulation", 1)
    qtbot.waitUntil(lambda: "one row only" in said(page, "training.accumulation"))
    everywhere = replay.window.findChildren(QLabel)
    assert sum("one row only" in made.text() for made in everywhere) == 3  # both fields, and beside the form
    assert not page.draft.problems_of("training.epochs")


def test_that_fewer_bits_have_a_field_where_the_method_takes_them(replay, qtbot):
    page = unfolded(replay, qtbot)
    assert field_of(page, "model.quantisation").isVisible()
    choose(page, "full")
    qtbot.waitUntil(lambda: not page.findChild(QWidget, "field.model.quantisation").isVisible())
    page.draft.set("model.quantisation", "4bit")
    qtbot.waitUntil(lambda: page.findChild(QWidget, "field.model.quantisation").isVisible())
