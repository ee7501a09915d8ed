"""Rewards in the wizard: for stages that learn from them, edited as a list, tried before the start; their curves."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QLabel, QPushButton, QWidget

from engine.contract.events import Score
from engine.contract.rollouts import RolloutConfig
from forge_desktop.pages.run_page import RunPage
from forge_desktop.wizard.rewards_field import RewardLine, options_of
from forge_desktop.wizard.rollout_fields import RolloutFold
from tests.desktop.sheets_online import TRIED, rewarded_steps
from tests.desktop.test_wizard import click
from tests.desktop.test_wizard_stages import choose, recipe
from tests.helpers.journals import before_training, demo_spec


def test_that_options_are_read_as_they_are_meant():
    pattern = {"pattern": r"\d{1,3}(,\d{3})*", "seconds": 5}
    assert options_of("format", r"pattern=\d{1,3}(,\d{3})*, seconds=5") == pattern
    assert options_of("format", "pattern=42") == {"pattern": "42"}
    assert options_of("length", "target=12") == {"target": 12}
    assert options_of("length", "") == {}
    assert options_of("length", "twelve") == "twelve"  # for the checks to refuse


def rewards_of(page, qtbot) -> RolloutFold:
    (fold,) = [one for one in page.findChildren(RolloutFold) if one.owns("rollouts.rewards")]
    fold.open()
    return fold


def test_that_a_stage_that_learns_from_rewards_brings_one_and_shows_its_own_settings(replay, qtbot):
    page = recipe(replay, qtbot)
    assert not [fold for fold in page.findChildren(RolloutFold) if fold.isVisible()]
    choose(page, "stage", "grpo")
    assert [one["kind"] for one in page.draft.get("rollouts.rewards")] == ["accuracy"]
    assert len([fold for fold in page.findChildren(RolloutFold) if fold.isVisible()]) == 2
    (sampling,) = [fold for fold in page.findChildren(RolloutFold) if fold.owns("rollouts.answers")]
    assert sampling.owns("rollouts.scale_rewards")
    assert not sampling.owns("rollouts.normalize_advantages")
    choose(page, "stage", "rloo")
    assert not sampling.isVisible()
    choose(page, "stage", "sft")
    assert not [fold for fold in page.findChildren(RolloutFold) if fold.isVisible()]


def test_that_rewards_are_added_changed_and_taken_out(replay, qtbot):
    page = recipe(replay, qtbot)
    choose(page, "stage", "grpo")
    fold = rewards_of(page, qtbot)
    click(qtbot, page, "rewards.add")
    first, second = fold.findChildren(RewardLine)
    second.weight.setText("0.5")
    second.options.setText("preset=answer")
    second.options.textEdited.emit("preset=answer")
    rewards = page.draft.get("rollouts.rewards")
    assert rewards[1] == {"kind": "format", "weight": 0.5, "path": "", "options": {"preset": "answer"}}
    assert RolloutConfig.model_validate({"rewards": rewards})
    second.options.setText("preset=anser")
    second.options.textEdited.emit("preset=anser")
    assert page.draft.problems_of("rollouts.rewards")
    click(qtbot, page, "rewards.1.remove")
    assert [one["kind"] for one in page.draft.get("rollouts.rewards")] == ["accuracy"]
    assert first.path.isHidden()


def test_that_rewards_are_tried_on_the_first_rows(replay, qtbot):
    page = recipe(replay, qtbot)
    replay.backend.answers["preview_rewards"] = TRIED
    choose(page, "stage", "grpo")
    rewards_of(page, qtbot)
    click(qtbot, page, "rewards.try")
    said = page.findChild(QLabel, "rewards.found")
    qtbot.waitUntil(lambda: "2044-08-16 → 1.16" in said.text())


def test_that_a_run_shows_its_rewards(replay, qtbot):
    uid = replay.backend.add(demo_spec("rewarded"), created=9.0)
    replay.backend.play(uid, [*before_training(), *rewarded_steps(1, 20)])
    replay.window.go(f"run/{uid}")
    assert isinstance(replay.window.page, RunPage)
    run = replay.window.page
    qtbot.waitUntil(lambda: run.is_built and run.model.series.state == "ready")
    qtbot.waitUntil(run.findChild(QPushButton, "chart.reward").isVisible)
    qtbot.mouseClick(run.findChild(QPushButton, "chart.reward"), Qt.MouseButton.LeftButton)
    chart = run.findChild(QWidget, "chart.of.reward")
    assert chart.isVisible()
    assert [one.label for one in chart.series][:2] == ["Reward", "Right answers"]
    assert len(run.model.curve("rewards/accuracy")) == 20
    scored = [
        Score(seq=500 + n, t=99.0, when=when, metric="mean_reward", value=value, correct=0, rows=4)
        for n, (when, value) in enumerate((("before", -0.25), ("after", 1.5)))
    ]
    replay.backend.play(uid, scored)
    qtbot.waitUntil(lambda: run.findChild(QLabel, "score.reward") is not None)
    assert run.findChild(QLabel, "score.reward").text() == "-0.25 → 1.5"
