"""A replay's answers for comparing runs: points made from what was played, and configs as tests put them there."""

from __future__ import annotations

from engine.contract.api import RunDetail, Settings
from engine.contract.config_file import to_yaml
from engine.contract.errors import NotFound
from engine.contract.events import Validation
from engine.contract.listing import RunPoint, RunPoints
from engine.contract.run_spec import RunConfig, RunSpec
from forge_desktop.bridge.replayed import Played


class ReplayCompare:
    """Keeps prices, and the spec of each attempt where it differs from the run's."""

    def __init__(self) -> None:
        self.prices = Settings()
        self.attempt_specs: dict[tuple[str, int], RunSpec] = {}
        self._runs: dict[str, Played] = {}

    def run_points(self) -> RunPoints:
        """Ended runs, newest first."""
        self._answer()
        ended = [run for run in list(self._runs.values()) if run.summary.state.ended]
        ended.sort(key=lambda run: -run.summary.created)
        return RunPoints(points=[_point(run) for run in ended], total=len(ended), currency=self.prices.currency)

    def price_list(self) -> Settings:
        """What a test put there."""
        self._answer()
        return self.prices

    def attempt_config(self, uid: str, attempt: int) -> str:
        """The run's config, or what a test put there for an attempt."""
        self._answer()
        found = self.run(uid)
        if found.run.cleaned is not None:
            raise NotFound("run.no_attempt", run=uid)
        return to_yaml(RunConfig.from_spec(self.attempt_specs.get((uid, attempt), found.spec)))

    def _answer(self) -> None:
        raise NotImplementedError

    def run(self, uid: str) -> RunDetail:
        """Given by the backend."""
        raise NotImplementedError


def _point(run: Played) -> RunPoint:
    shown = run.summary
    losses = [line.values["validation_loss"] for _n, line in run.lines if isinstance(line, Validation)]
    return RunPoint(
        uid=shown.uid, name=shown.name, created=shown.created, seconds=shown.seconds, cost=shown.cost,
        steps=shown.step, loss=shown.loss, validation_loss=min(losses, default=None), score=shown.score,
    )  # fmt: skip
