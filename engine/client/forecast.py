"""Asking the controller what an order will take and cost."""

from __future__ import annotations

from engine.client.calls import Calls
from engine.contract.forecast import AskForecast, Forecast
from engine.contract.model_shape import ModelShape
from engine.contract.run_spec import RunSpec


class ForecastCalls(Calls):
    """A part of `ControllerClient`."""

    def forecast(
        self,
        spec: RunSpec,
        steps: int | None = None,
        shape: ModelShape | None = None,
        teacher: ModelShape | None = None,
    ) -> Forecast:
        """By the finished runs most like it; `steps` where the order itself does not limit them.

        `shape`, `teacher`: of its models, where somebody looked; else the controller does.
        """
        asked = AskForecast(spec=spec, steps=steps, shape=shape, teacher=teacher)
        return self._read(self._send("POST", "/forecast", body=asked), Forecast)
