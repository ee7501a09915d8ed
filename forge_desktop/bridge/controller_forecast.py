"""Forecasts by the real controller."""

from __future__ import annotations

from engine.client.client import ControllerClient
from engine.contract.forecast import Forecast
from engine.contract.model_shape import ModelShape
from engine.contract.run_spec import RunSpec


class ControllerForecast:
    """Part of `ControllerBackend`."""

    _client: ControllerClient

    def forecast(
        self, spec: RunSpec, steps: int | None, shape: ModelShape | None = None, teacher: ModelShape | None = None
    ) -> Forecast:
        """By the finished runs most like it."""
        return self._client.forecast(spec, steps, shape, teacher)
