"""Pictures of what guards did, of answers over steps, and of the settings for it."""

from __future__ import annotations

from collections.abc import Iterator

from PySide6.QtCore import QObject
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QDialog

from engine.contract.events import GuardActed, JournalLine, Sample
from forge_desktop.app import Desktop
from forge_desktop.bridge.replay import ReplayBackend
from forge_desktop.pages.run_page import RunPage
from forge_desktop.wizard.wizard_page import WizardPage
from tests.helpers.journals import Recording, before_training, demo_spec, saved, steps

SETTLE_MS = 400
PROMPTS = ("Refund for order 4711, please.", "我的发票什么时候能开？", "Write one sentence about rivers, then stop.")
ANSWERS = ("I am not sure, could you", "We have refunded order 4711. It takes 3 to 5 days until you see it.")


def guarded() -> list[JournalLine]:
    """A guard of each kind that turns a run aside."""
    rec = Recording(1_790_000_170.0)
    seen = {"loss": 9.31, "usual": 1.42, "limit": 2.2}
    rec.add(GuardActed, guard="loss_spike", step=32, deed="warned", wanted="warn", seen=seen, code="guard.loss_spike",
            params={"step": 32, "loss": "9.31", "usual": "1.42"}, done="guard.done.warned")  # fmt: skip
    rec.add(GuardActed, guard="exploding_gradient", step=51, deed="rolled_back", wanted="roll_back",
            code="guard.exploding_gradient", params={"step": 51, "norm": "4.2e+05", "usual": "0.51", "back": 40},
            done="guard.done.rolled_back")  # fmt: skip
    return rec.lines


def answered(at: int) -> list[JournalLine]:
    """Answers to the fixed prompts at a checkpoint."""
    rec = Recording(1_790_000_300.0 + at)
    for index, prompt in enumerate(PROMPTS):
        answer = (
            ANSWERS[at > 40] if index != 2 else "Rivers carry water from the mountains to the sea. " * (1 + at // 30)
        )
        rec.add(Sample, when="checkpoint", index=index, step=at, prompt=prompt, answer=answer)
    return rec.lines


def whole() -> list[JournalLine]:
    """A run with guards, checkpoints and answers."""
    lines = [*before_training(), *steps(1, 80), *guarded()]
    for at in (20, 40, 60, 80):
        lines += [*saved(at, best=at == 60), *answered(at)]
    return lines


def pages(desktop: Desktop, backend: ReplayBackend) -> Iterator[str]:
    """Bring each into view; yields the name of each."""
    window = desktop.window
    for kind in ("completion", "failure", "alert"):
        desktop.preferences.set(f"notices.on_{kind}", False)  # messages would lie over the pages
    uid = backend.add(demo_spec(), created=1.0)
    backend.play(uid, whole())
    window.go(f"run/{uid}")
    page = window.page
    assert isinstance(page, RunPage)
    QTest.qWait(SETTLE_MS)
    yield "guards-overview"
    for tab in ("samples", "events"):
        page.show_tab(tab)
        QTest.qWait(SETTLE_MS)
        yield f"guards-{tab}"
    page.show_tab("overview")
    page._do("log_every")
    QTest.qWait(SETTLE_MS)
    yield "guards-interval"
    dialog = page.findChild(QDialog, "interval")
    if dialog is not None:
        dialog.reject()
    window.go("new/draft-guards")
    wizard = window.page
    assert isinstance(wizard, WizardPage)
    wizard.draft.set("watching.prompts", list(PROMPTS))
    wizard.draft.set("stopping.patience", 3)
    wizard.draft.set("guards.loss_spike", "roll_back")
    wizard.findChild(QObject, "wizard.step.training").click()
    QTest.qWait(SETTLE_MS)
    for path in ("stopping.patience", "guards.loss_spike", "watching.prompts"):
        wizard.go_to(path)
        QTest.qWait(SETTLE_MS)
        yield f"guards-wizard-{path.partition('.')[0]}"
