"""Curves over the wire."""

import numpy as np

from engine.client.arrow import read_curves
from engine.control.api.arrow import to_stream
from engine.control.store.reading import Points


def points(metric, *values):
    n = len(values)
    numbers = np.arange(n)
    return Points(metric, "step", np.ones(n, np.int32), numbers, numbers.astype(float), numbers / 2, np.array(values))


def test_that_curves_arrive_as_they_were_sent():
    curves = read_curves(to_stream([points("loss", 3.0, float("nan"), 1.0), points("lr", 0.5)]))
    assert set(curves) == {"loss", "lr"}
    assert curves["loss"].value.tobytes() == np.array([3.0, float("nan"), 1.0]).tobytes()
    assert curves["loss"].x.tolist() == [0, 1, 2]
    assert curves["lr"].attempt.tolist() == [1]


def test_that_no_curves_are_no_curves():
    assert read_curves(to_stream([])) == {}


def test_that_many_points_pass():
    many = points("loss", *np.linspace(0, 1, 200_000))
    assert len(read_curves(to_stream([many]))["loss"].x) == 200_000
