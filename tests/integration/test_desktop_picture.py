"""All runs of a real controller's history as a picture: small however many there are, and painted whole."""

from __future__ import annotations

import pytest

from engine.control.store.database import Database
from forge_desktop.bridge.controller import ControllerBackend
from forge_desktop.models.run_picture import Picture
from tests.bench import history

RUNS = 3000
pytestmark = pytest.mark.slow


def test_that_a_long_history_is_a_small_picture(service, qtbot):
    from forge_desktop.panels.scatter_plot import ScatterPlot

    service.home.root.mkdir(parents=True)
    database = Database(service.home.database)
    history.fill(database, RUNS)
    database.close()
    service.start()
    backend = ControllerBackend(service.home, service.client)
    try:
        found = backend.run_points("seconds", "score")
        every = service.client.points()
    finally:
        backend.close()
    known = {one.uid: one.score for one in every.points if one.score is not None}
    assert found.total == every.total
    assert found.known >= len(known) > 1000
    assert len(found.points) <= 121 * 81 + len(found.best)
    assert known.items() <= {one.uid: one.score for one in every.points}.items()
    picture = Picture.of(found.points, {}, "score", "seconds", "USD")
    best = {one.uid: (one.seconds, one.score) for one in found.points}
    x, y = picture.best_line()
    assert [best[uid] for uid in found.best] == list(zip(x.tolist(), y.tolist(), strict=True))
    plot = ScatterPlot()
    qtbot.addWidget(plot)
    plot.resize(400, 320)
    plot.show_picture(picture)
    assert not plot.grab().isNull()
    for place in (0, len(picture.points) - 1):
        spot = plot.mapToScene(plot.place_of(place))
        assert abs(picture.x[plot.near(spot)] - picture.x[place]) < 0.1 * (picture.x[-1] - picture.x[0])
