"""What the wizard asks of a controller about time and cost of a run that is not made yet."""

from __future__ import annotations

from typing import Protocol

from engine.contract.forecast import Forecast
from engine.contract.model_shape import ModelShape
from engine.contract.run_spec import RunSpec


class ForecastBackend(Protocol):
    """The part of a backend behind forecasts. Calls block and raise UserError."""

    def forecast(
        self, spec: RunSpec, steps: int | None, shape: ModelShape | None = None, teacher: ModelShape | None = None
    ) -> Forecast:
        """What an order will take and cost, by finished runs like it."""
