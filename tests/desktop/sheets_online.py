"""Pictures of learning from own answers: rewards in the wizard, tried on rows, and a run whose reward rises."""

from __future__ import annotations

import math
from collections.abc import Iterator

from PySide6.QtCore import QObject
from PySide6.QtTest import QTest

from engine.contract.events import JournalLine, Step
from forge_desktop.app import Desktop
from forge_desktop.bridge.replay import ReplayBackend
from forge_desktop.pages.run_page import RunPage
from forge_desktop.wizard.rollout_fields import RolloutFold
from forge_desktop.wizard.wizard_page import WizardPage
from tests.desktop.sheets_mix import _to_end
from tests.desktop.sheets_runs import until
from tests.helpers.journals import before_training, demo_spec, steps

REWARDS = [
    {"kind": "accuracy", "weight": 1.0, "path": "", "options": {}},
    {"kind": "format", "weight": 0.5, "path": "", "options": {"preset": "think_answer"}},
    {"kind": "file", "weight": 0.2, "path": "/home/ada/rewards/short_dates.py", "options": {"seconds": 5}},
]
TRIED = {
    "rows": [
        {
            "line": line, "prompt": prompt,
            "answers": [
                {"answer": right, "rewards": {"accuracy": 1.0, "format": 0.0, "file": 0.8}, "total": 1.16},
                {"answer": "", "rewards": {"accuracy": 0.0, "format": 0.0, "file": None}, "total": 0.0},
            ],
        }
        for line, prompt, right in (
            (1, "What is 16 August 2044 as an ISO date?", "2044-08-16"), (2, "Write 4 March 2026", "2026-03-04"),
        )
    ],
    "left_out": [],
}  # fmt: skip


def rewarded_steps(first: int, last: int) -> Iterator[JournalLine]:
    """Lines of a run whose reward rises."""
    for line in steps(first, last):
        if not isinstance(line, Step):
            yield line
            continue
        share = 1 - math.exp(-line.step / 30)
        told = {
            "reward": 0.1 + 1.2 * share, "reward_std": 0.3 - 0.1 * share, "rewards/accuracy": 0.05 + 0.8 * share,
            "rewards/format": 0.1 + 0.8 * share, "answer_length": 40 - 25 * share, "entropy": 1.2 - 0.7 * share,
        }  # fmt: skip
        yield line.model_copy(update={"values": {**line.values, **told}})


def pages(desktop: Desktop, backend: ReplayBackend) -> Iterator[str]:
    """Bring wizard and run page to each state."""
    window, answers = desktop.window, dict(backend.answers)
    window.go("new/draft-online")
    page = window.page
    assert isinstance(page, WizardPage)
    backend.answers["preview_rewards"] = TRIED
    page.draft.set_model("demo", "bundled")
    page.draft.set_data("demo", "bundled", "", "")
    page.draft.set("stage", "grpo")
    QTest.qWait(600)
    page.findChild(QObject, "wizard.step.training").click()
    until(lambda: any(fold.owns("rollouts.rewards") for fold in page.findChildren(RolloutFold)))
    fold = next(fold for fold in page.findChildren(RolloutFold) if fold.owns("rollouts.rewards"))
    fold.open()
    page.draft.set("rollouts.rewards", REWARDS)
    QTest.qWait(300)
    _to_end(fold)
    yield "online-rewards"
    page.findChild(QObject, "rewards.try").click()
    until(lambda: page.findChild(QObject, "rewards.found").text().count("→") > 1)
    _to_end(fold)
    yield "online-tried"
    other = next(fold for fold in page.findChildren(RolloutFold) if fold.owns("rollouts.answers"))
    other.open()
    _to_end(other)
    yield "online-sampling"
    backend.answers.clear()
    backend.answers.update(answers)
    uid = backend.add(demo_spec("learns-from-rewards"), created=9.5)
    backend.play(uid, [*before_training(), *rewarded_steps(1, 90)])
    window.go(f"run/{uid}")
    assert isinstance(window.page, RunPage)
    run = window.page
    until(lambda: run.findChild(QObject, "chart.of.reward") is not None)
    run.findChild(QObject, "chart.reward").click()
    yield "online-run"
