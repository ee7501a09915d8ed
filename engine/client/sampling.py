"""The model a run has taught, as a run that samples asks for it: its result, or one of its checkpoints."""

from __future__ import annotations

from engine.contract.api import RunDetail
from engine.contract.errors import Conflict
from engine.contract.model import ModelConfig
from engine.contract.paths import Home
from engine.contract.run_spec import TrainJob


def served_by(detail: RunDetail, home: Home, step: int | None = None) -> tuple[ModelConfig, str]:
    """As `taught_by`; of an adapter that is a result the file, whose card says what it is for, where there is one."""
    model, path = taught_by(detail, home, step)
    if step is None and path:
        latest = max(one.attempt for one in detail.artifacts if one.kind == "adapter")
        files = [one for one in detail.artifacts if one.kind == "adapter_file" and one.attempt == latest]
        if files:
            return model, str(home.attempt(detail.run.uid, latest).outputs / files[-1].name)
    return model, path


def taught_by(detail: RunDetail, home: Home, step: int | None = None) -> tuple[ModelConfig, str]:
    """Model and adapter of a run: the newest result, or the checkpoint of a step; Conflict where there is none."""
    job, run = detail.spec.job, detail.run
    if not isinstance(job, TrainJob):
        raise Conflict("sample.run_taught_nothing", name=run.name)
    made = home.run(run.uid) / "fresh-model"
    model = job.model if not job.from_scratch else job.model.model_copy(update={"path": str(made), "hub": "local"})
    if step is not None:
        found = [one for one in detail.checkpoints if one.step == step]
        if not found:
            known = ", ".join(str(one.step) for one in detail.checkpoints[-12:]) or "—"
            raise Conflict("sample.no_checkpoint", name=run.name, step=step, known=known)
        return model, str(home.run(run.uid) / "checkpoints" / found[-1].name)
    results = [one for one in detail.artifacts if one.kind in ("adapter", "model")]
    if not results:
        raise Conflict("sample.no_result", name=run.name)
    latest = max(results, key=lambda one: (one.attempt, one.id))
    folder = str(home.attempt(run.uid, latest.attempt).outputs / latest.name)
    if latest.kind == "adapter":
        return model, folder
    return model.model_copy(update={"path": folder, "hub": "local", "revision": None}), ""
