"""A run whose memory ran out: what can be lowered is offered, and the choice is carried out."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QLabel, QPushButton

from engine.contract.errors import UserError
from engine.contract.ladder import Rung
from engine.contract.states import EndReason, RunState
from forge_desktop.models import rung_words
from forge_desktop.pages.run_page import RunPage
from forge_desktop.panels.rungs_card import RungsCard
from tests.helpers.journals import before_training, demo_spec, saved, steps
from tests.helpers.memory_lines import forecast_line, ran_out


def waiting(replay, qtbot) -> tuple[str, RungsCard]:
    spec = demo_spec()
    uid = replay.backend.add(spec)
    replay.backend.play(uid, [*before_training(), *forecast_line(spec), *steps(1, 20), *saved(20), *ran_out(22)])
    error = UserError("memory.asks").body()
    replay.backend.move(uid, state=RunState.PAUSED, reason=EndReason.OUT_OF_MEMORY, error=error)
    replay.window.go(f"run/{uid}")
    page = replay.window.page
    assert isinstance(page, RunPage)
    card = page.findChild(RungsCard)
    qtbot.waitUntil(lambda: not card.isHidden())
    return uid, card


def test_that_each_rung_says_what_it_saves_and_whether_the_mathematics_stays(replay, qtbot):
    _uid, card = waiting(replay, qtbot)
    texts = [label.text() for label in card.findChildren(QLabel)]
    for name in ("A micro batch in 2 parts", "Gradient checkpointing", "Rows of at most 512 tokens"):
        assert name in texts
    offered = card.findChildren(QPushButton)
    named = [one.objectName().removeprefix("run.rungs.") for one in offered]
    assert named == ["parts", "checkpointing", "length", "4bit"]
    assert "Saves about " in offered[0].accessibleDescription()
    assert "longer" in offered[0].accessibleDescription()


def test_that_the_chosen_rung_is_what_the_run_goes_on_with(replay, qtbot):
    uid, card = waiting(replay, qtbot)
    qtbot.mouseClick(card.findChild(QPushButton, "run.rungs.checkpointing"), Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: bool(replay.backend.wishes))
    assert (replay.backend.wishes[-1][0], replay.backend.wishes[-1][1].rung) == (uid, "checkpointing")
    qtbot.waitUntil(card.isHidden)


def test_that_a_run_that_ended_otherwise_offers_nothing(replay, qtbot):
    uid = replay.backend.add(demo_spec())
    replay.backend.play(uid, [*before_training(), *steps(1, 20)])
    replay.window.go(f"run/{uid}")
    card = replay.window.page.findChild(RungsCard)
    qtbot.waitUntil(lambda: replay.window.page.model.detail is not None)
    assert card.isHidden()


def test_that_a_rung_that_changes_what_is_learned_says_so(replay, qtbot):
    _uid, card = waiting(replay, qtbot)
    by_name = {rung.name: rung_words.chip_of(rung) for rung in card.offered}
    assert by_name["parts"] == ("Same mathematics", "ok", "check")
    assert by_name["length"][0] == "Learns something else"


def test_that_the_8_bit_rung_has_words_and_costs():
    rung = Rung(name="8bit", changes={"training.optimizer": "adamw_8bit"}, saved=5_900_000_000, slower=1.05)
    assert rung_words.name_of(rung) == "The optimiser's state in 8 bits"
    assert "Saves about " in rung_words.facts_of(rung)
    assert rung_words.chip_of(rung)[0] == "Learns something else"
