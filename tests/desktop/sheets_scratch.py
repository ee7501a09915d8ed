"""Pictures of a model from scratch, of what is put on a hub, of variables of the worker, and of several processes."""

from __future__ import annotations

from collections.abc import Iterator

from PySide6.QtCore import QObject
from PySide6.QtTest import QTest

from forge_desktop.app import Desktop
from forge_desktop.bridge.replay import ReplayBackend
from forge_desktop.wizard.fields import FoldedForm
from forge_desktop.wizard.wizard_page import WizardPage
from tests.desktop.sheets_mix import _to_end
from tests.desktop.sheets_runs import until


def pages(desktop: Desktop, backend: ReplayBackend) -> Iterator[str]:
    """Bring the wizard to each state."""
    window = desktop.window
    window.go("new/draft-scratch")
    page = window.page
    assert isinstance(page, WizardPage)
    until(lambda: page.is_built)
    page.draft.set_data("demo", "bundled", "", "")
    page.findChild(QObject, "wizard.model.source.scratch").click()
    page.findChild(QObject, "wizard.scratch.take").click()
    QTest.qWait(400)
    yield "scratch"
    page.draft.set("scratch.family", "qwen3_moe")
    QTest.qWait(300)
    yield "scratch-experts"
    page.draft.set_model("demo", "bundled")
    page.draft.set("stage", "sft")
    page.draft.set("tuner.kind", "lora")
    page.findChild(QObject, "wizard.step.training").click()
    page.draft.set("outputs.push.hub", "huggingface")
    page.draft.set("outputs.push.repo", "ann/iso-dates")
    page.draft.set("extra.environment", {"NCCL_DEBUG": "INFO", "OMP_PROC_BIND": "close"})
    for name, owned in (("push", "outputs.push.hub"), ("extra", "extra.environment")):

        def folds(wanted: str = owned) -> list[FoldedForm]:
            return [fold for fold in page.findChildren(FoldedForm) if fold.owns(wanted) and fold.isVisibleTo(page)]

        until(lambda: bool(folds()))
        fold = folds()[0]
        fold.open()
        QTest.qWait(300)
        _to_end(fold)
        yield name
    page.draft.set("compute.gpus", 0)
    page.draft.set("compute.processes", 2)
    page.findChild(QObject, "wizard.step.compute").click()
    QTest.qWait(400)
    for fold in page.findChildren(FoldedForm):
        if fold.owns("compute.processes") and fold.isVisibleTo(page):
            fold.open()
            QTest.qWait(300)
            _to_end(fold)
    yield "processes"
