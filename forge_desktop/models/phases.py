"""The way of an attempt from the queue to its end: which stages it took, how long each, and where it is now."""

from __future__ import annotations

import time
from dataclasses import dataclass

from engine.contract.api import AttemptInfo, EventInfo, RunDetail
from engine.contract.datasets import ImportJob
from engine.contract.run_spec import TrainJob
from engine.contract.sampling import SampleJob
from engine.contract.serving import ServeJob
from engine.contract.states import EndReason, Phase, RunState
from engine.contract.tuners import PASSES, TUNERS

STAGES = ("queued", *(str(phase) for phase in Phase))
MEASURING = (Phase.EVALUATING_BEFORE, Phase.EVALUATING_AFTER)
OF_SAMPLING = ("queued", Phase.STARTING, Phase.LOADING, Phase.SAMPLING, Phase.CHECKING, Phase.DONE)
OF_SERVING = ("queued", Phase.STARTING, Phase.LOADING, Phase.SERVING, Phase.DONE)
ONLY_OF_IMPORT = (Phase.READING, Phase.CHECKING)
OF_IMPORT = ("queued", Phase.STARTING, *ONLY_OF_IMPORT, Phase.DONE)
DONE = (EndReason.FINISHED, EndReason.EARLY_STOP, EndReason.TIME_LIMIT, EndReason.COST_LIMIT)
GENTLE = (*DONE, EndReason.STOPPED_BY_PERSON, EndReason.PAUSED_BY_PERSON, EndReason.INTERRUPTED)


@dataclass(frozen=True)
class Stage:
    """One stage: its key, how it stands (done, now, failed, ended, skipped, later), and how long it took."""

    key: str
    state: str
    seconds: float | None = None
    share: float | None = None
    done: int | None = None
    """Rows or steps that are done, of `total`."""
    total: int | None = None
    unit: str = "rows"


def stages_of(
    detail: RunDetail, attempt: int = 0, moved: tuple[str, float] = ("", 0.0), now: float | None = None
) -> list[Stage]:
    """The stages of an attempt, or of the latest; `moved` is a phase and the share of it that was told last."""
    now = time.time() if now is None else now
    info = _attempt(detail, attempt)
    keys = [key for key in _order(detail) if _belongs(key, detail)]
    waiting = detail.run.state in (RunState.QUEUED, RunState.DRAFT) and attempt in (0, detail.run.attempt)
    if info is None or waiting:
        since = _queued_at(detail.events, None) if detail.run.state is RunState.QUEUED else None
        seconds = None if since is None else max(0.0, now - since)
        first = "now" if detail.run.state is RunState.QUEUED else "later"
        return [Stage(key, first if key == "queued" else "later", seconds if key == "queued" else None) for key in keys]
    latest = info is detail.attempts[-1]
    live = latest and detail.run.state.live and info.ended is None
    end = now if live else info.ended or (detail.run.finished if latest else None)
    took, last = _durations(detail.events, info, end)
    over = not live
    finished = over and info.reason in (*DONE, None) and (not latest or not _bad(detail))
    made = []
    for key in keys:
        begun = last in keys and keys.index(key) < keys.index(last)
        made.append(_stage(key, took, last, live, finished, info, detail, moved, begun))
    return made


def _bad(detail: RunDetail) -> bool:
    return detail.run.state in (RunState.FAILED, RunState.STOPPED, RunState.PAUSED)


def _stage(
    key: str,
    took: dict[str, float],
    last: str,
    live: bool,
    finished: bool,
    info: AttemptInfo,
    detail: RunDetail,
    moved: tuple[str, float],
    begun: bool,
) -> Stage:
    seconds = took.get(key)
    if key == "done":
        return Stage(key, "done" if finished else "later" if live else "skipped")
    if key == last and not finished:
        if live:
            return _now(key, seconds, info, detail, moved)
        reason = info.reason or detail.run.reason
        return Stage(key, "ended" if reason in GENTLE else "failed", seconds)
    if key in took or key == "queued":
        return Stage(key, "done", seconds)
    return Stage(key, "later" if live and not begun else "skipped")


def _now(key: str, seconds: float | None, info: AttemptInfo, detail: RunDetail, moved: tuple[str, float]) -> Stage:
    run = detail.run
    if key == Phase.TRAINING:
        if run.step is None or not run.total_steps:
            return Stage(key, "now", seconds)
        return Stage(key, "now", seconds, run.step / run.total_steps, run.step, run.total_steps, "steps")
    if key == Phase.DOWNLOADING:
        return _downloading(seconds, detail.events, info.n, moved)
    share = moved[1] if moved[0] == key else _told(detail.events, key, info.n)
    if share is None:
        return Stage(key, "now", seconds)
    bare = key in (Phase.SAVING, Phase.BEGINNING, Phase.MAKING_MODEL, Phase.SAMPLING)
    total = info.plan.get("rows" if key == Phase.TOKENISING else "held_out_rows") if not bare else None
    if isinstance(total, int) and total > 0:
        return Stage(key, "now", seconds, share, round(share * total), total)
    return Stage(key, "now", seconds, share)


def _downloading(seconds: float | None, events: list[EventInfo], attempt: int, moved: tuple[str, float]) -> Stage:
    """Bytes, as they were told last."""
    for event in reversed(events):
        if event.kind == "phase" and event.attempt == attempt and event.body.get("bytes_total"):
            total = int(event.body["bytes_total"])
            share = moved[1] if moved[0] == Phase.DOWNLOADING else float(event.body.get("done") or 0.0)
            return Stage(str(Phase.DOWNLOADING), "now", seconds, share, round(share * total), total, "bytes")
    return Stage(str(Phase.DOWNLOADING), "now", seconds)


def _told(events: list[EventInfo], key: str, attempt: int) -> float | None:
    for event in reversed(events):
        if event.kind == "phase" and event.attempt == attempt:
            done = event.body.get("done")
            return float(done) if event.body.get("phase") == key and done is not None else None
    return None


def _attempt(detail: RunDetail, number: int) -> AttemptInfo | None:
    if not number:
        return detail.attempts[-1] if detail.attempts else None
    return next((one for one in detail.attempts if one.n == number), None)


def _measures(detail: RunDetail) -> bool:
    job = detail.spec.job
    return isinstance(job, TrainJob) and bool(job.evaluation.data)


def _order(detail: RunDetail) -> tuple[str, ...]:
    """The stages in the order a run of this kind comes by them; one that samples checks last."""
    if not isinstance(detail.spec.job, SampleJob):
        return STAGES
    return *(key for key in STAGES if key not in (Phase.CHECKING, Phase.DONE)), Phase.CHECKING, Phase.DONE


def _belongs(key: str, detail: RunDetail) -> bool:
    """Whether a run of this kind comes by the stage at all."""
    if key == Phase.DOWNLOADING:
        return _downloads(detail.spec.job)
    if isinstance(detail.spec.job, ImportJob):
        return key in OF_IMPORT
    if isinstance(detail.spec.job, SampleJob):
        return key in OF_SAMPLING
    if isinstance(detail.spec.job, ServeJob):
        return key in OF_SERVING
    if key in (*ONLY_OF_IMPORT, Phase.SAMPLING, Phase.SERVING):
        return False
    if key == Phase.MAKING_MODEL:
        return isinstance(detail.spec.job, TrainJob) and detail.spec.job.from_scratch
    if key == Phase.COMPARING:
        return isinstance(detail.spec.job, TrainJob) and detail.spec.job.asks_beforehand
    if key == Phase.BEGINNING:
        return _begins(detail.spec.job)
    return key not in MEASURING or _measures(detail)


def _begins(job: object) -> bool:
    return isinstance(job, TrainJob) and "init" in TUNERS[job.tuner.kind].settings and job.tuner.init in PASSES


def _downloads(job: object) -> bool:
    if isinstance(job, ImportJob):
        return job.source.needs_network
    return isinstance(job, TrainJob | SampleJob | ServeJob) and job.model.hub not in ("local", "bundled", "scratch")


def _queued_at(events: list[EventInfo], before: float | None) -> float | None:
    """When it was put into the queue last, before a moment."""
    for event in reversed(events):
        queued = event.kind == "state" and (event.body.get("to") or event.body.get("state")) == RunState.QUEUED
        if queued and (before is None or event.at <= before):
            return event.at
    return None


def _durations(events: list[EventInfo], info: AttemptInfo, end: float | None) -> tuple[dict[str, float], str]:
    """Seconds by stage, and the stage it was in last."""
    took: dict[str, float] = {}
    queued = _queued_at(events, info.started)
    if queued is not None and info.started is not None:
        took["queued"] = info.started - queued
    marks: list[tuple[float, str]] = [] if info.started is None else [(info.started, str(Phase.STARTING))]
    for event in events:
        phase = str(event.body.get("phase", ""))
        counts = event.kind == "phase" and event.attempt == info.n and phase in STAGES and phase != Phase.DONE
        if counts and (not marks or marks[-1][1] != phase):
            marks.append((event.at, phase))
    ends = [at for at, _phase in marks[1:]] + [end if end is not None else (marks[-1][0] if marks else 0.0)]
    for (at, phase), until in zip(marks, ends, strict=False):
        took[phase] = took.get(phase, 0.0) + max(0.0, until - at)
    return took, marks[-1][1] if marks else str(Phase.STARTING)
