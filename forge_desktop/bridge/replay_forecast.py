"""Forecasts over a replay: by finished runs that a test or a picture lays down."""

from __future__ import annotations

from engine.contract import forecast as sums
from engine.contract.estimate import estimate
from engine.contract.forecast import Forecast, MemoryForecast, Past, Shape
from engine.contract.load import load_of
from engine.contract.model_shape import ModelShape
from engine.contract.run_spec import RunSpec, TrainJob


class ReplayForecast:
    """Part of `ReplayBackend`."""

    def __init__(self) -> None:
        super().__init__()
        self.past: list[Past] = []
        """Finished runs; of which model is not looked at."""
        self.hourly_price: float | None = None
        self.price_currency = "USD"
        self.budget_left: float | None = None
        self.memory_capacity: int | None = 24_000_000_000
        self.memory_error: float | None = None
        self.memory_runs = 0

    def _answer(self) -> None:
        raise NotImplementedError

    def forecast(
        self, spec: RunSpec, steps: int | None, shape: ModelShape | None = None, teacher: ModelShape | None = None
    ) -> Forecast:
        """As the controller reckons."""
        self._answer()
        assert isinstance(spec.job, TrainJob)
        model, training = spec.job.model.path, spec.job.training
        node = "local" if spec.compute.node == "auto" else spec.compute.node
        rows = sums.step_rows(training)
        planned = Shape(model, "", node, "", 0, rows, spec.job.data.max_length)
        wanted = training.max_steps or steps
        found = sums.forecast(planned, wanted, self.past, self.hourly_price, self.price_currency)
        return found.model_copy(
            update={"budget_left": self.budget_left, "memory": self._memory(spec.job, shape, teacher)}
        )

    def _memory(self, job: TrainJob, shape: ModelShape | None, teacher: ModelShape | None) -> MemoryForecast | None:
        if shape is None:
            return None
        load = load_of(job, teacher=teacher)
        parts = {str(part): size for part, size in estimate(shape, load).parts.items()}
        return MemoryForecast(parts=parts, rows=load.rows, width=load.width, capacity=self.memory_capacity,
                              free=self.memory_capacity, error=self.memory_error, runs=self.memory_runs)  # fmt: skip
