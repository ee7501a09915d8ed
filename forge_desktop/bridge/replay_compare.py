"""A replay's configs by attempt, as tests put them there."""

from __future__ import annotations

from engine.contract.api import RunDetail
from engine.contract.config_file import to_yaml
from engine.contract.errors import NotFound
from engine.contract.run_spec import RunConfig, RunSpec


class ReplayCompare:
    """Keeps the spec of each attempt where it differs from the run's."""

    def __init__(self) -> None:
        super().__init__()
        self.attempt_specs: dict[tuple[str, int], RunSpec] = {}

    def attempt_config(self, uid: str, attempt: int) -> str:
        """The run's config, or what a test put there for an attempt."""
        self._answer()
        found = self.run(uid)
        if found.run.cleaned is not None:
            raise NotFound("run.no_attempt", run=uid, attempt=attempt)
        return to_yaml(RunConfig.from_spec(self.attempt_specs.get((uid, attempt), found.spec)))

    def _answer(self) -> None:
        raise NotImplementedError

    def run(self, uid: str) -> RunDetail:
        """Given by the backend."""
        raise NotImplementedError
