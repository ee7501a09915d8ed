"""Journey: the window is closed while a run trains; a window opened later shows one unbroken curve and the end."""

from __future__ import annotations

import numpy as np
import pytest

from engine.contract.states import RunState
from forge_desktop.pages.run_page import RunPage
from tests.e2e.person import Person, small_run

STEPS = 100


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_that_a_run_goes_on_without_a_window_and_nothing_of_it_is_missing(open_desktop, service, qtbot):
    me = Person(open_desktop(), qtbot)
    me.until(lambda: me.desktop.session.is_online)
    uid = service.client.create(small_run("over night", STEPS, learning_rate=0.001)).uid
    page = me.open_run("over night")
    me.until(lambda: len(page.model.curve("loss")) > 5)
    me.window.close()
    me.desktop.close()
    seen = service.client.run(uid).run
    assert seen.state.live
    assert seen.step < STEPS

    service.until(uid, "completed", timeout=300)
    again = Person(open_desktop(), qtbot)
    page = again.page(RunPage)  # where it was left
    assert page.model.uid == uid
    again.until(lambda: page.model.detail is not None and page.model.detail.run.state is RunState.COMPLETED)
    curve = page.model.curve("loss")
    again.until(lambda: len(curve) == STEPS)
    assert np.array_equal(curve.x, np.arange(1, STEPS + 1))
    assert set(curve.attempt) == {1}
    told = service.client.series(uid, ["loss"])["loss"]
    assert np.array_equal(curve.value, told.value)
    assert page.chart.marks() == []  # no seam in the picture
    again.until(lambda: {score.when for score in page.model.detail.scores} == {"before", "after"})
