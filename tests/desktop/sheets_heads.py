"""Pictures of stages whose model writes no text: their settings, rows as it reads them, and what came out of a run."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from PySide6.QtCore import QObject
from PySide6.QtTest import QTest

from engine.contract.api import ClassScore
from engine.contract.events import Ended, JournalLine, PhaseBegan, Sample, Score, Step
from engine.contract.run_spec import RunConfig, RunSpec
from engine.contract.states import EndReason, Phase, RunState
from forge_desktop.app import Desktop
from forge_desktop.bridge.replay import ReplayBackend
from forge_desktop.pages.run_page import RunPage
from forge_desktop.wizard.stage_fields import ObjectiveFold
from forge_desktop.wizard.wizard_page import WizardPage
from tests.desktop.sheets_mix import _to_end
from tests.desktop.sheets_runs import until
from tests.helpers.journals import Recording, before_training, steps

MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
    "December",
)  # fmt: skip
READ: dict[str, Any] = {
    "rows": [
        {"line": n, "side": month, "spans": [{"text": text, "trained": False}], "tokens": 18, "trained_tokens": 0,
         "cut": False, "more": 0}
        for n, month, text in (
            (1, "August", "What is 16 August 2044 as an ISO date?"),
            (2, "January", "请将二〇三五年一月十七日写成 ISO 日期。"),
        )
    ],
    "lengths": [18] * 200, "trained_share": 1.0, "teaching": 200,
}  # fmt: skip


def class_spec(name: str = "months-of-questions") -> RunSpec:
    """A run that puts texts into classes."""
    bundled = {"hub": "bundled"}
    document = {
        "name": name, "stage": "classification", "model": {**bundled, "path": "demo"},
        "data": {"train": [{**bundled, "path": "demo/months"}]},
        "evaluation": {"data": [{**bundled, "path": "demo/months_held_out"}]},
    }  # fmt: skip
    return RunConfig.model_validate(document).to_spec(owner="lin")


def class_steps(first: int, last: int) -> Iterator[JournalLine]:
    """Lines of a run whose texts find their classes."""
    for line in steps(first, last):
        if isinstance(line, Step):
            values = {**line.values, "accuracy": 0.08 + 0.9 * (1 - math.exp(-line.step / 25))}
            yield line.model_copy(update={"values": values})
        else:
            yield line


def score(when: str, right: int) -> dict[str, Any]:
    """A score of a hundred texts over twelve classes."""
    classes = [
        ClassScore(label=month, rows=9 if n < 4 else 8, given=8, right=min(8, right // 12), f1=right / 100)
        for n, month in enumerate(MONTHS)
    ]
    more = {"macro_f1": right / 100 - 0.01}
    return {
        "when": when, "metric": "accuracy", "value": right / 100, "correct": right, "rows": 100, "more": more,
        "classes": classes, "answers_file": f"predictions_{when}.jsonl",
    }  # fmt: skip


def whole_run() -> list[JournalLine]:
    """From its first line to its last."""
    begun = [line for line in before_training() if not isinstance(line, Score | Sample)]
    rec = Recording(begun[-1].t + 100)
    rec.lines = []
    rec.add(Score, **score("before", 9))
    asked = "What is 16 August 2044 as an ISO date?"
    rec.add(Sample, when="before", index=0, prompt=asked, expected="August", answer="May", correct=False)
    learned = list(class_steps(1, 90))
    late = Recording(learned[-1].t + 10)
    late.add(PhaseBegan, phase=Phase.EVALUATING_AFTER)
    late.add(Score, **score("after", 96))
    late.add(Sample, when="after", index=0, prompt=asked, expected="August", answer="August", correct=True)
    late.add(Ended, state=RunState.COMPLETED, reason=EndReason.FINISHED, step=90, values={})
    lines = [*begun, *rec.lines, *learned, *late.lines]
    return [line.model_copy(update={"seq": n}) for n, line in enumerate(lines, 1)]


def pages(desktop: Desktop, backend: ReplayBackend) -> Iterator[str]:
    """Bring wizard and run page to each state."""
    window, answers = desktop.window, dict(backend.answers)
    window.go("new/draft-heads")
    page = window.page
    assert isinstance(page, WizardPage)
    backend.answers["preview_row"] = dict(READ)
    page.draft.set_model("demo", "bundled")
    page.draft.set_data("demo/months", "bundled", "demo/months_held_out", "")
    page.draft.set("stage", "classification")
    QTest.qWait(900)
    page.findChild(QObject, "wizard.step.data").click()
    yield "heads-rows"
    page.findChild(QObject, "wizard.step.training").click()
    for stage, path in (("classification", "head.labels"), ("embedding", "head.pooling"), ("reranker", "head.joined")):
        page.draft.set("stage", stage)
        until(lambda path=path: any(one.owns(path) for one in page.findChildren(ObjectiveFold)))
        fold = next(one for one in page.findChildren(ObjectiveFold) if one.owns(path))
        fold.open()
        _to_end(fold)
        yield f"heads-{stage}"
    backend.answers.clear()
    backend.answers.update(answers)
    uid = backend.add(class_spec(), created=9.0)
    backend.play(uid, whole_run())
    window.go(f"run/{uid}")
    run = window.page
    assert isinstance(run, RunPage)
    until(lambda: run.findChild(QObject, "chart.of.accuracy") is not None)
    run.findChild(QObject, "chart.accuracy").click()
    QTest.qWait(300)
    yield "heads-run"
    _to_end(run.findChild(QObject, "run.scores.more"))
    yield "heads-run-scores"
    run.show_tab("samples")
    yield "heads-samples"
