"""Memory of real workers: forecast, measured, looked up afterwards, and what the next forecast makes of it."""

from __future__ import annotations

import pytest

from engine.contract.forecast import MemoryForecast
from tests.integration.test_real_worker import demo, pytestmark

__all__ = ["pytestmark"]


def forecast(real, spec) -> MemoryForecast:
    found = real.client.forecast(spec, 4).memory
    assert found is not None
    return found


def test_that_runs_tell_their_memory_and_the_next_forecast_learns_from_them(real):
    spec = demo(4)
    before = forecast(real, spec)
    assert (before.width_from, before.width, before.rows) == ("limit", 128, 4)
    assert (before.error, before.runs, before.measured) == (None, 0, False)  # nothing is claimed where nothing is known
    assert before.capacity is not None
    assert before.parts["weights"] > 4 * before.parts["adapter"] > 0
    run = real.client.create(spec)
    real.until(run.uid, "completed", timeout=300)
    told = {line["kind"]: line for line in real.journal(run.uid)}
    expected, fact = told["memory_forecast"], told["memory"]
    assert expected["measured"] == pytest.approx(expected["tensors"], rel=0.2)
    assert expected["corrected"] == pytest.approx(fact["peak"], rel=0.2)
    after = forecast(real, spec)
    assert (after.runs, after.width_from, after.width) == (1, "runs", expected["width"])
    assert after.measured
    assert after.error == pytest.approx(abs(expected["total"] / fact["peak"] - 1))
    assert after.total == pytest.approx(fact["peak"], rel=0.2)  # closer now: it knows this computer
