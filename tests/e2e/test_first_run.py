"""Journey: the first start of the program, through the first steps and the wizard, to an adapter on the disk."""

from __future__ import annotations

import pytest

from engine.contract.states import RunState
from forge_desktop.bridge.backend import Item
from forge_desktop.pages.run_page import RunPage
from forge_desktop.panels.onboarding import OnboardingPage
from forge_desktop.wizard.wizard_page import WizardPage
from tests.e2e.person import Person

STEPS = 40


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_that_somebody_new_gets_to_a_trained_adapter(open_desktop, qtbot, tmp_path):
    me = Person(open_desktop(first_start=True), qtbot)
    me.page(OnboardingPage)
    me.click("welcome.next")
    me.click("welcome.next")
    me.until(lambda: me.sees("welcome.next"))  # this computer was checked and can train
    me.click("welcome.own")
    wizard = me.page(WizardPage)

    me.click("wizard.model.demo")
    me.until(lambda: wizard.draft.model_facts)
    assert wizard.draft.model_facts["parameters"] > 1_000_000
    me.click("wizard.next")
    me.click("wizard.data.demo")
    me.until(lambda: wizard.draft.data_facts)
    assert wizard.draft.data_facts["rows"] > 1000
    me.click("wizard.next")
    me.type("field.training.learning_rate", "0.002")
    me.click("wizard.fold.limits.training")
    me.type("field.training.max_steps", str(STEPS))
    me.click("wizard.next")
    me.click("wizard.next")
    me.type("field.name", "my first")
    me.click("wizard.next")

    page = me.page(RunPage)
    me.until(lambda: len(page.model.curve("loss")) > 0)
    me.until(lambda: page.model.detail is not None and page.model.detail.run.state.ended)
    run = page.model.detail.run
    assert (run.name, run.state, run.step) == ("my first", RunState.COMPLETED, STEPS)
    losses = page.model.curve("loss").value
    assert len(losses) == STEPS
    assert losses[-5:].mean() < losses[:5].mean()
    me.until(lambda: {score.when for score in page.model.detail.scores} >= {"before", "after"})

    adapter = next(one for one in page.model.detail.artifacts if one.kind == "adapter")
    got = me.window.actions_of_runs.transfers.start(run.uid, "Adapter", Item("artifact", adapter.id), tmp_path / "got")
    me.until(lambda: got.state in ("done", "failed"))
    names = {file.name for file in (tmp_path / "got").rglob("*") if file.is_file()}
    assert {"adapter_model.safetensors", "adapter_config.json"} <= names
