"""Journey: a run fails, the page says why and what to change, and one button leads to a run that completes."""

from __future__ import annotations

import pytest
from PySide6.QtWidgets import QLabel

from engine.contract.states import RunState
from forge_desktop.pages.run_page import RunPage
from forge_desktop.wizard.wizard_page import WizardPage
from tests.e2e.person import Person, small_run

STEPS = 12
TOO_MUCH = {"learning_rate": 10.0, "max_grad_norm": 0.0, "warmup_share": 0.0, "weight_decay": 10.0}


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_that_the_advice_on_a_failed_run_leads_to_one_that_completes(open_desktop, service, qtbot):
    me = Person(open_desktop(), qtbot)
    me.until(lambda: me.desktop.session.is_online)
    failed = service.client.create(small_run("too fast", STEPS, "full", **TOO_MUCH)).uid
    page = me.open_run("too fast")
    me.until(lambda: page.model.detail is not None and page.model.detail.run.state is RunState.FAILED)
    me.until(lambda: me.sees("run.error.change"))
    reached = page.model.detail.run.step
    assert 0 < reached < STEPS
    said = " ".join(
        one.text() for one in me.window.findChild(QLabel, "run.error.changes").parent().findChildren(QLabel)
    )
    assert "Learning rate: 10 → 1" in said
    assert page.model.detail.diagnosis.what in said

    me.click("run.error.change")
    wizard = me.page(WizardPage)
    me.until(lambda: wizard.draft.get("training.learning_rate") == 1.0)
    assert wizard.draft.get("training.max_grad_norm") == 1.0
    assert wizard.draft.get("training.weight_decay") == 10.0  # nothing else was touched
    assert set(wizard.draft.marks) == {"training.learning_rate", "training.max_grad_norm"}
    while not isinstance(me.window.page, RunPage):
        me.click("wizard.next")
        me.until(lambda: isinstance(me.window.page, RunPage) or me.sees("wizard.next"))

    page = me.page(RunPage)
    assert page.model.uid != failed
    me.until(lambda: page.model.detail is not None and page.model.detail.run.state.ended)
    assert page.model.detail.run.state is RunState.COMPLETED
    me.until(lambda: len(page.model.curve("loss")) == STEPS)
    assert not me.sees("run.error.change")
    before = service.client.run(failed)  # the one that failed is as it was, with all it had
    assert (before.run.state, before.run.step) == (RunState.FAILED, reached)
    assert service.client.series(failed, ["loss"])["loss"].x[-1] >= reached - 1
