"""Journey: two runs that were really trained, beside each other: what differs, curves aligned, results."""

from __future__ import annotations

import numpy as np
import pytest
from PySide6.QtCore import Qt

from forge_desktop.pages.compare_page import ComparePage
from forge_desktop.pages.runs_page import RunsPage
from tests.e2e.person import Person, small_run

STEPS = 25


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_that_two_trained_runs_are_compared(open_desktop, service, qtbot):
    me = Person(open_desktop(), qtbot)
    me.until(lambda: me.desktop.session.is_online)
    rates = {"gentle": 0.0001, "bold": 0.003}
    uids = {name: service.client.create(small_run(name, STEPS, learning_rate=rate)).uid for name, rate in rates.items()}
    for uid in uids.values():
        service.until(uid, "completed", timeout=300)

    runs = me.page(RunsPage)
    me.until(lambda: runs.model.is_current and runs.model.total == 2)
    runs.table.setFocus()
    me.press(Qt.Key.Key_A, Qt.KeyboardModifier.ControlModifier)
    me.click("runs.compare")
    page = me.page(ComparePage)
    model = page.model
    me.until(lambda: len(model.known) == 2 and len(page.settings.grid.lines) > 0)

    lines = {line.key: line.values for line in page.settings.grid.lines}
    order = [one.name for one in model.entries]
    assert lines == {"training.learning_rate": tuple(f"{rates[name]:.7g}" for name in order)}

    cards = [page.settings, page.chart, page.results]  # what differs comes first
    tops = [card.mapTo(page, card.rect().topLeft()).y() for card in cards]
    assert tops == sorted(set(tops))

    me.until(lambda: all(len(one.curve("loss")) == STEPS for one in model.entries))
    me.until(lambda: [one.source("loss").extent() for one in model.entries] == [(1.0, float(STEPS))] * 2)
    first, second = (one.curve("loss").x for one in model.entries)
    assert np.array_equal(first, second)  # the same step is at the same place
    losses = {one.name: one.curve("loss").value[-1] for one in model.entries}
    assert losses["bold"] < losses["gentle"]

    results = {line.key: line for line in page.results.grid.lines}
    assert results["state"].values == ("Completed", "Completed")
    assert results["loss"].best == {order.index("bold")}
    me.click("compare.axis.time")
    me.until(lambda: model.entries[0].source("loss").extent()[1] != STEPS)
    for one in model.entries:
        begin, end = one.source("loss").extent()
        assert begin == 0  # both begin when their work began
        assert end > begin
