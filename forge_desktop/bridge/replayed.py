"""What a replayed journal amounts to: curves, attempts, checkpoints, samples, as a controller would tell them."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from engine.contract.api import (
    ArtifactInfo,
    AttemptInfo,
    CheckpointInfo,
    Diagnosis,
    EventInfo,
    RunDetail,
    RunSummary,
    SampleInfo,
    ScoreInfo,
)
from engine.contract.events import (
    ArtifactSaved,
    CheckpointRemoved,
    CheckpointSaved,
    Device,
    Ended,
    JournalLine,
    MemoryForecast,
    Planned,
    Resumed,
    Sample,
    Score,
    Started,
    Step,
    Validation,
)
from engine.contract.ladder import Known, rungs
from engine.contract.run_spec import RunSpec, TrainJob
from engine.contract.states import EndReason
from forge_desktop.bridge.backend import SeriesPart

Point = tuple[float, float, float]


@dataclass
class Played:
    """One run and how much of its journal has happened, each line with its attempt."""

    summary: RunSummary
    spec: RunSpec
    lines: list[tuple[int, JournalLine]] = field(default_factory=list)
    log: bytes = b""
    attempt: int = 0
    diagnosis: Diagnosis | None = None
    kept: set[int] = field(default_factory=set)
    """Checkpoints that somebody keeps."""


def points_of(line: JournalLine) -> dict[str, Point]:
    """The points a line adds, by metric: x, time, value."""
    match line:
        case Step() | Validation():
            return {name: (float(line.step), line.t, value) for name, value in line.values.items()}
        case Device():
            return {name: (line.t, line.t, value) for name, value in line.values.items()}
        case _:
            return {}


def part_of(points: list[tuple[int, float, float, float]]) -> SeriesPart:
    """Points as arrays."""
    attempt, x, t, value = zip(*points, strict=True)
    return SeriesPart(np.array(attempt, np.int32), np.array(x, float), np.array(t, float), np.array(value, float))


def detail(run: Played, cursor: int) -> RunDetail:
    """Everything about a run besides curves and log."""
    made = RunDetail(run=run.summary, spec=run.spec, diagnosis=run.diagnosis, log_bytes=len(run.log), cursor=cursor)
    for place, (attempt, line) in enumerate(run.lines):
        if isinstance(line, Started):
            if made.attempts and made.attempts[-1].ended is None:
                made.attempts[-1].ended = line.t
            cause = "resume" if made.attempts else "first"
            made.attempts.append(
                AttemptInfo(n=attempt, cause=cause, started=line.t, environment=line.environment)
            )  # fmt: skip
        _add(made, place, attempt, line)
        if not isinstance(line, Step | Device):
            body = line.model_dump(mode="json", exclude={"v", "seq", "t", "kind"})
            level = {"warning": 30, "error": 40}.get(str(body.get("level", "")), 20)
            kind = "state" if isinstance(line, Ended) else line.kind
            made.events.append(
                EventInfo(cursor=place + 1, at=line.t, attempt=attempt, kind=kind, level=level, body=body)
            )  # fmt: skip
    for one in made.checkpoints:
        one.kept = one.id in run.kept
    job = run.spec.job
    if run.summary.reason is EndReason.OUT_OF_MEMORY and isinstance(job, TrainJob):
        made.rungs = rungs(job, _known(run).model_copy(update={"place": run.spec.compute}))
    return made


def _known(run: Played) -> Known:
    """As a controller knows it: by what the worker said of its memory."""
    said = next((line for _attempt, line in reversed(run.lines) if isinstance(line, MemoryForecast)), None)
    return Known() if said is None else Known.model_validate(said.model_dump() | {"shape": said.shape or None})


def _add(made: RunDetail, place: int, attempt: int, line: JournalLine) -> None:
    body = line.model_dump(mode="json", exclude={"v", "seq", "t", "kind"})
    newest = made.attempts[-1] if made.attempts else None
    match line:
        case Score():
            made.scores.append(ScoreInfo.model_validate(body))
        case Sample():
            made.samples.append(SampleInfo.model_validate(body))
        case ArtifactSaved():
            made.artifacts.append(
                ArtifactInfo(id=place, attempt=attempt, kind=line.artifact, name=line.path, bytes=line.bytes,
                             sha256=line.sha256, created=line.t)
            )  # fmt: skip
        case CheckpointSaved():
            found = {**body, "id": place, "attempt": attempt, "name": line.path.rpartition("/")[2], "created": line.t}
            made.checkpoints.append(CheckpointInfo.model_validate(found))
        case CheckpointRemoved():
            made.checkpoints = [one for one in made.checkpoints if one.name != line.path.rpartition("/")[2]]
        case Resumed() if newest is not None:
            newest.resumed_attempt, newest.resumed_step = line.attempt, line.step
        case Planned() if newest is not None:
            newest.plan = body
        case Step() if newest is not None and newest.first_step is None:
            newest.first_step = line.step
        case Ended() if newest is not None:
            newest.ended, newest.reason = line.t, line.reason
        case Device():
            made.device_names |= line.names
        case _:
            pass
