"""Asking the controller what an order will take and cost."""

from __future__ import annotations

from engine.client.calls import Calls
from engine.contract.forecast import AskForecast, Forecast
from engine.contract.model_shape import ModelShape
from engine.contract.run_spec import RunSpec


class ForecastCalls(Calls):
    """A part of `ControllerClient`."""

    def forecast(self, spec: RunSpec, steps: int | None = None, shape: ModelShape | None = None) -> Forecast:
        """By the finished runs most like it; `steps` where the order itself does not limit them.

        `shape`: of its model, where somebody looked; else the controller does.
        """
        return self._read(
            self._send("POST", "/forecast", body=AskForecast(spec=spec, steps=steps, shape=shape)), Forecast
        )
