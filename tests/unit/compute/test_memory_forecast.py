"""The forecast of memory holds on a handful of real trainings; tests/bench/memory_forecast.py has them all."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))

from tests.bench.memory_forecast import few, measure

LOOSE = 0.15


@pytest.mark.parametrize("case", few(), ids=str)
def test_that_the_forecast_is_near_what_training_takes(case):
    assert abs(measure(case).error) < LOOSE
