"""Pictures of learning from a teacher and of the tuners with settings of their own."""

from __future__ import annotations

from collections.abc import Iterator

from PySide6.QtCore import QObject
from PySide6.QtTest import QTest

from forge_desktop.app import Desktop
from forge_desktop.bridge.replay import ReplayBackend
from forge_desktop.wizard.fields import FoldedForm
from forge_desktop.wizard.stage_fields import StageFold
from forge_desktop.wizard.wizard_page import WizardPage
from tests.desktop.sheets_mix import _to_end
from tests.desktop.sheets_runs import until


def pages(desktop: Desktop, backend: ReplayBackend) -> Iterator[str]:
    """Bring the training step to each state."""
    window = desktop.window
    window.go("new/draft-teacher")
    page = window.page
    assert isinstance(page, WizardPage)
    page.draft.set_model("demo", "bundled")
    page.draft.set_data("demo", "bundled", "", "")
    QTest.qWait(400)
    page.findChild(QObject, "wizard.step.training").click()
    for stage, owned in (("gkd", "teacher.path"), ("ppo", "rollouts.gamma")):
        page.draft.set("stage", stage)

        def folds(wanted: str = owned) -> list[StageFold]:
            return [fold for fold in page.findChildren(StageFold) if fold.owns(wanted) and fold.isVisibleTo(page)]

        until(lambda: bool(folds()))
        fold = folds()[0]
        fold.open()
        QTest.qWait(300)
        _to_end(fold)
        yield f"stage-{stage}"
    page.draft.set("stage", "sft")
    for kind in ("prompt_tuning", "adalora", "trainable_tokens"):
        page.draft.set("tuner.kind", kind)
        fold = next(made for made in page.findChildren(FoldedForm) if made.owns("tuner.alpha"))
        fold.open()
        QTest.qWait(400)
        _to_end(fold)
        yield f"tuner-{kind}"
