"""Whether the packages a run wants are installed where local workers run: looked up by name, nothing is started."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from engine.contract.errors import Problem
from engine.contract.packages import MODULES, NEEDS
from engine.contract.run_spec import RunSpec, TrainJob
from engine.contract.serving import ServeJob
from engine.contract.watching import TRACKERS


def problems_of_packages(spec: RunSpec, python: str | None) -> list[Problem]:
    """One for each that is missing; none where the interpreter is in no environment we can read."""
    job = spec.job
    rooms = _rooms(python)
    if not isinstance(job, TrainJob | ServeJob) or not rooms:
        return []
    return [problem for name, problem in _needed(spec, job) if not _is_in(name, rooms)]


def absent(python: str | None) -> list[str]:
    """Modules that some choices need and local workers do not have."""
    rooms = _rooms(python)
    return sorted(name for name in MODULES if not _is_in(name, rooms)) if rooms else []


def _rooms(python: str | None) -> list[Path]:
    """Where packages of an interpreter's environment lie."""
    if not python:
        return []
    return [room for room in Path(python).parent.parent.glob("lib*/python*/site-packages") if room.is_dir()]


def _is_in(name: str, rooms: list[Path]) -> bool:
    return any((room / name).is_dir() for room in rooms)


def _needed(spec: RunSpec, job: TrainJob | ServeJob) -> Iterator[tuple[str, Problem]]:
    if isinstance(job, TrainJob):
        yield from _wanted(spec, job)
    elif job.backend in NEEDS["backend"]:
        package, install = NEEDS["backend"][job.backend]
        yield package, _missing(f"backend: {job.backend}", package, install, "backend")


def _wanted(spec: RunSpec, job: TrainJob) -> Iterator[tuple[str, Problem]]:
    """What a run imports beside what every worker has, and what is said where it is missing."""
    for index, name in enumerate(job.watching.trackers):
        if name in TRACKERS:
            params = {"tracker": name, "package": TRACKERS[name]}
            yield name, Problem(code="tracking.missing", field=f"watching.trackers.{index}", params=params)
    chosen = {
        "training.optimizer": job.training.optimizer, "training.liger": str(job.training.liger).lower(),
        "model.attention": job.model.attention, "model.quantisation": job.quantisation,
        "compute.strategy": spec.compute.strategy, "outputs.push.hub": job.outputs.push.hub,
    }  # fmt: skip
    for field, value in chosen.items():
        if value in NEEDS[field]:
            package, install = NEEDS[field][value]
            yield package, _missing("Liger" if field == "training.liger" else value, package, install, field)


def _missing(used_for: str, package: str, install: str, field: str) -> Problem:
    params = {"used_for": used_for, "package": package, "install": install, "field": field}
    return Problem(code="package.missing", field=field, params=params)
