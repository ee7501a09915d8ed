"""The trackers there are, each behind the same two calls. Nothing of them is imported before its thread begins."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

PREFIX = "train/"


@dataclass(frozen=True)
class Facts:
    """What a tracker is told of a run."""

    run: str
    attempt: int
    name: str
    project: str
    address: str
    online: bool
    folder: Path
    """The attempt's outputs."""
    first_step: int
    config: dict[str, Any]
    tokens: dict[str, str] = field(default_factory=dict, repr=False)


class _TensorBoard:
    """Event files in `outputs/tensorboard`. What an earlier attempt wrote from this one's first step on is purged."""

    def __init__(self, facts: Facts) -> None:
        from tensorboardX import SummaryWriter

        folder = facts.folder / "tensorboard"
        purge = facts.first_step if facts.first_step > 1 else None
        self._writer = SummaryWriter(logdir=str(folder), purge_step=purge, flush_secs=5)
        self._writer.add_text("config", f"```json\n{json.dumps(facts.config, indent=1)}\n```", facts.first_step - 1)

    def log(self, step: int, values: dict[str, float], at: float) -> None:
        for name, value in values.items():
            self._writer.add_scalar(PREFIX + name, value, step, walltime=at)

    def finish(self) -> None:
        self._writer.close()


class _MLflow:
    """A server where an address is given, else a file of the attempt; one run there for all attempts here."""

    def __init__(self, facts: Facts) -> None:
        if token := facts.tokens.get("mlflow"):
            os.environ["MLFLOW_TRACKING_TOKEN"] = token
        os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")
        os.environ.setdefault("MLFLOW_ALLOW_FILE_STORE", "true")
        from mlflow.entities import Metric, Param
        from mlflow.tracking import MlflowClient

        self._metric = Metric
        self._client = MlflowClient(facts.address or (facts.folder / "mlruns").absolute().as_uri())
        found = self._client.get_experiment_by_name(facts.project)
        experiment = found.experiment_id if found else self._client.create_experiment(facts.project)
        earlier = self._client.search_runs([experiment], f"tags.`forge.run` = '{facts.run}'", max_results=1)
        if earlier:
            self._run = earlier[0].info.run_id
            self._client.update_run(self._run, status="RUNNING")
            return
        made = self._client.create_run(experiment, tags={"forge.run": facts.run}, run_name=facts.name)
        self._run = made.info.run_id
        params = [Param(name, str(value)[:500]) for name, value in _flat(facts.config).items()]
        for at in range(0, len(params), 100):  # as many as a server takes at once
            self._client.log_batch(self._run, params=params[at : at + 100])

    def log(self, step: int, values: dict[str, float], at: float) -> None:
        metrics = [self._metric(PREFIX + name, value, int(at * 1000), step) for name, value in values.items()]
        self._client.log_batch(self._run, metrics=metrics)

    def finish(self) -> None:
        self._client.set_terminated(self._run)


class _Wandb:
    def __init__(self, facts: Facts) -> None:
        if token := facts.tokens.get("wandb"):
            os.environ["WANDB_API_KEY"] = token
        if facts.address:
            os.environ["WANDB_BASE_URL"] = facts.address
        import wandb

        settings = wandb.Settings(silent=True, console="off", disable_git=True, x_disable_stats=True)
        self._run = wandb.init(
            project=facts.project, name=facts.name, id=facts.run, resume="allow" if facts.online else None,
            config=facts.config, dir=str(facts.folder), mode="online" if facts.online else "offline", settings=settings,
        )  # fmt: skip

    def log(self, step: int, values: dict[str, float], at: float) -> None:
        del at
        self._run.log({PREFIX + name: value for name, value in values.items()}, step=step)

    def finish(self) -> None:
        self._run.finish()


class _SwanLab:
    def __init__(self, facts: Facts) -> None:
        if token := facts.tokens.get("swanlab"):
            os.environ["SWANLAB_API_KEY"] = token
        import swanlab

        self._swanlab = swanlab
        more = {"mode": "cloud", "id": facts.run, "resume": "allow"} if facts.online else {"mode": "offline"}
        swanlab.init(
            project=facts.project, experiment_name=facts.name, config=facts.config,
            logdir=str(facts.folder / "swanlog"), **more,
        )  # fmt: skip

    def log(self, step: int, values: dict[str, float], at: float) -> None:
        del at
        self._swanlab.log({PREFIX + name: value for name, value in values.items()}, step=step)

    def finish(self) -> None:
        self._swanlab.finish()


class _Trackio:
    """Always on the worker's computer."""

    def __init__(self, facts: Facts) -> None:
        os.environ.setdefault("TRACKIO_DIR", str(facts.folder / "trackio"))
        import trackio

        self._trackio = trackio
        trackio.init(project=facts.project, name=f"{facts.name}-{facts.run}", config=facts.config, resume="allow")

    def log(self, step: int, values: dict[str, float], at: float) -> None:
        del at
        self._trackio.log({PREFIX + name: value for name, value in values.items()}, step=step)

    def finish(self) -> None:
        self._trackio.finish()


KINDS: dict[str, Callable[[Facts], Any]] = {
    "mlflow": _MLflow, "wandb": _Wandb, "swanlab": _SwanLab, "trackio": _Trackio,
}  # fmt: skip


def tensorboard(facts: Facts) -> Any:
    """The one that is always there."""
    return _TensorBoard(facts)


def maker(name: str, facts: Facts) -> Callable[[], Any]:
    """Makes a tracker, in its own thread."""
    return lambda: KINDS[name](facts)


def _flat(config: dict[str, Any], at: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in config.items():
        found |= _flat(value, f"{at}{name}.") if isinstance(value, dict) and value else {f"{at}{name}": value}
    return found
