"""Whether the packages a run wants are installed where local workers run: looked up by name, nothing is started."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from engine.contract.acceleration import ATTENTION, LIGER
from engine.contract.errors import Problem
from engine.contract.members import DEEPSPEED, ZERO_STAGES
from engine.contract.optimizers import needed_package
from engine.contract.push import PUSHERS
from engine.contract.run_spec import RunSpec, TrainJob
from engine.contract.serving import ServeJob
from engine.contract.tuners import QUANTISERS
from engine.contract.watching import TRACKERS


def problems_of_packages(spec: RunSpec, python: str | None) -> list[Problem]:
    """One for each that is missing; none where the interpreter is in no environment we can read."""
    job = spec.job
    if not isinstance(job, TrainJob | ServeJob) or not python:
        return []
    rooms = [room for room in Path(python).parent.parent.glob("lib*/python*/site-packages") if room.is_dir()]
    if not rooms:
        return []
    return [problem for name, problem in _needed(spec, job) if not any((room / name).is_dir() for room in rooms)]


def _needed(spec: RunSpec, job: TrainJob | ServeJob) -> Iterator[tuple[str, Problem]]:
    if isinstance(job, TrainJob):
        yield from _wanted(spec, job)
    elif job.backend == "llama_cpp":
        yield "llama_cpp", _missing("backend: llama_cpp", "llama_cpp", "llama-cpp-python", "backend")


def _wanted(spec: RunSpec, job: TrainJob) -> Iterator[tuple[str, Problem]]:
    """What a run imports beside what every worker has, and what is said where it is missing."""
    for index, name in enumerate(job.watching.trackers):
        if name in TRACKERS:
            params = {"tracker": name, "package": TRACKERS[name]}
            yield name, Problem(code="tracking.missing", field=f"watching.trackers.{index}", params=params)
    needed = needed_package(job.training.optimizer)
    if needed is not None:
        yield needed[0], _missing(job.training.optimizer, *needed, "training.optimizer")
    if job.model.attention in ATTENTION:
        yield (
            ATTENTION[job.model.attention][0],
            _missing(job.model.attention, *ATTENTION[job.model.attention], "model.attention"),
        )
    if job.training.liger:
        yield LIGER[0], _missing("Liger", *LIGER, "training.liger")
    if spec.compute.strategy in ZERO_STAGES:
        yield DEEPSPEED[0], _missing(spec.compute.strategy, *DEEPSPEED, "compute.strategy")
    target = job.outputs.push.hub
    if target != "none":
        yield PUSHERS[target], _missing(target, PUSHERS[target], PUSHERS[target].replace("_", "-"), "outputs.push.hub")
    if job.quantisation != "none":
        package = QUANTISERS[job.quantisation]
        yield package, _missing(job.quantisation, package, package, "model.quantisation")


def _missing(used_for: str, package: str, install: str, field: str) -> Problem:
    params = {"used_for": used_for, "package": package, "install": install, "field": field}
    return Problem(code="package.missing", field=field, params=params)
