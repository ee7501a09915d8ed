"""Pictures of stages: one in the wizard, rows it cannot learn from, and a run that learns preferences."""

from __future__ import annotations

import math
from collections.abc import Iterator

from PySide6.QtCore import QObject
from PySide6.QtTest import QTest

from engine.contract.errors import Problem, Refused
from engine.contract.events import JournalLine, Step
from forge_desktop.app import Desktop
from forge_desktop.bridge.replay import ReplayBackend
from forge_desktop.pages.run_page import RunPage
from forge_desktop.wizard.stage_fields import ObjectiveFold
from forge_desktop.wizard.wizard_page import WizardPage
from tests.desktop.sheets_mix import _to_end
from tests.desktop.sheets_runs import until
from tests.helpers.journals import before_training, demo_spec, steps

SIDE = [
    {"text": "<|im_start|>user\nWrite 4 March 2026 as an ISO date<|im_end|>\n<|im_start|>assistant\n", "trained": False}
]
PAIR = {
    "rows": [
        {"line": 1, "side": side, "spans": [*SIDE, {"text": f"{date}<|im_end|>\n", "trained": True}], "tokens": 38,
         "trained_tokens": 13, "cut": False, "more": 0}
        for side, date in (("chosen", "2026-03-04"), ("rejected", "2026-04-03"))
    ],
    "lengths": [38] * 200, "trained_share": 0.34, "teaching": 200,
}  # fmt: skip


def preference_steps(first: int, last: int) -> Iterator[JournalLine]:
    """Lines of a run whose pairs come into order."""
    for line in steps(first, last):
        if not isinstance(line, Step):
            yield line
            continue
        share = 1 - math.exp(-line.step / 25)
        told = {
            "rewards/chosen": 0.8 * share, "rewards/rejected": -1.6 * share, "rewards/margins": 2.4 * share,
            "rewards/accuracies": 0.5 + 0.45 * share,
        }  # fmt: skip
        yield line.model_copy(update={"values": {**line.values, **told}})


def pages(desktop: Desktop, backend: ReplayBackend) -> Iterator[str]:
    """Bring wizard and run page to each state."""
    window, answers = desktop.window, dict(backend.answers)
    window.go("new/draft-stages")
    page = window.page
    assert isinstance(page, WizardPage)
    backend.answers["preview_row"] = dict(PAIR)
    page.draft.set_model("demo", "bundled")
    page.draft.set_data("demo/preferences", "bundled", "demo/preferences_held_out", "")
    page.draft.set("stage", "dpo")
    QTest.qWait(900)
    page.findChild(QObject, "wizard.step.data").click()
    yield "stages-rows"
    page.findChild(QObject, "wizard.step.training").click()
    yield "stages-dpo"
    fold = next(fold for fold in page.findChildren(ObjectiveFold) if fold.owns("objective.rpo_alpha"))
    fold.open()
    _to_end(fold)
    yield "stages-dpo-open"
    page.draft.set("objective.loss", "exo_pair")
    QTest.qWait(400)
    _to_end(fold)
    yield "stages-wrong-loss"
    params = {"line": 1, "format": "preference", "stage": "sft", "able": "dpo, orpo, cpo, simpo, reward"}
    problem = Problem(code="data.not_for_stage", line=1, params=params)
    backend.answers["preview_row"] = Refused("data.refused_for_stage", problems=[problem], count=1, stage="sft")
    page.draft.set("objective.loss", "auto")
    page.draft.set("stage", "sft")
    QTest.qWait(900)
    page.findChild(QObject, "wizard.step.data").click()
    yield "stages-refused"
    backend.answers.clear()
    backend.answers.update(answers)
    uid = backend.add(demo_spec("prefers-the-right-date"), created=9.0)
    backend.play(uid, [*before_training(), *preference_steps(1, 90)])
    window.go(f"run/{uid}")
    assert isinstance(window.page, RunPage)
    run = window.page
    until(lambda: run.findChild(QObject, "chart.of.rewards/margins") is not None)
    run.findChild(QObject, "chart.rewards/margins").click()
    yield "stages-run"
