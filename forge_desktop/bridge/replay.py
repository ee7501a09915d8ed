"""A controller that plays recorded journals: for tests of the window and for pictures in the docs. Starts nothing."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from engine.contract.api import (
    ArtifactInfo,
    AttemptInfo,
    EditRun,
    EventInfo,
    Health,
    RunDetail,
    RunPage,
    RunSummary,
    SampleInfo,
    ScoreInfo,
)
from engine.contract.errors import NotFound, Problem, UserError
from engine.contract.events import (
    ArtifactSaved,
    Device,
    Ended,
    Hello,
    JournalLine,
    LogGrew,
    PhaseBegan,
    Planned,
    Points,
    Resources,
    RunChanged,
    RunDeleted,
    RunEvent,
    Sample,
    Score,
    Started,
    Step,
    StreamMessage,
    Validation,
    journal_line,
)
from engine.contract.ids import new_id
from engine.contract.run_spec import RunSpec, TrainJob
from engine.contract.states import RunState
from forge_desktop.bridge.backend import LogPart, SeriesPart

EVENT_KINDS = (Started, PhaseBegan, Planned, Validation, Score, Sample, ArtifactSaved)


@dataclass
class _Played:
    """One run and how much of its journal has happened."""

    summary: RunSummary
    spec: RunSpec
    lines: list[JournalLine] = field(default_factory=list)
    log: bytes = b""


def read_journal(file: Path) -> list[JournalLine]:
    """A recorded journal."""
    return [journal_line.validate_json(text) for text in file.read_text(encoding="utf-8").splitlines() if text.strip()]


class ReplayBackend:
    """Keeps runs in memory; `play` lets journal lines happen, live for whoever listens."""

    def __init__(self) -> None:
        self._runs: dict[str, _Played] = {}
        self._listeners: list[queue.SimpleQueue[StreamMessage | None]] = []
        self._lock = threading.RLock()
        self._cursor = 0
        self.answers: dict[str, dict[str, Any]] = {}
        """What `query` answers, by kind."""
        self.problems: list[Problem] = []
        """What `check` finds."""
        self.closed = False

    def add(self, spec: RunSpec, created: float = 0.0, state: RunState = RunState.QUEUED) -> str:
        """A run that has not begun."""
        job = spec.job
        train = job if isinstance(job, TrainJob) else None
        summary = RunSummary(
            uid=new_id(),
            name=spec.name,
            project=spec.project,
            owner=spec.owner,
            kind=spec.kind,
            lane=job.lane,
            state=state,
            model=train.model.path if train else "",
            dataset=train.data.train[0].path if train else "",
            method=f"{train.tuner.kind} r{train.tuner.rank}" if train else "",
            created=created,
            tags=spec.tags,
        )
        with self._lock:
            self._runs[summary.uid] = _Played(summary, spec)
            self._tell(RunChanged(cursor=self._next(), at=created, run=summary))
        return summary.uid

    def play(self, uid: str, lines: Sequence[JournalLine]) -> None:
        """Let lines happen."""
        with self._lock:
            run = self._runs[uid]
            for line in lines:
                run.lines.append(line)
                self._happen(run, line)

    def log(self, uid: str, attempt: int, offset: int, limit: int) -> LogPart:
        """As the controller does."""
        data = self._find(uid).log
        start = max(0, len(data) + offset) if offset < 0 else min(offset, len(data))
        return LogPart(data[start : start + limit], start, len(data))

    def write_log(self, uid: str, text: str) -> None:
        """Let the log grow."""
        with self._lock:
            run = self._find(uid)
            run.log += text.encode()
            self._tell(LogGrew(run=uid, attempt=1, size=len(run.log)))

    def drop_line(self) -> None:
        """End every stream, as if the controller were gone; they connect again at once."""
        with self._lock:
            for listener in self._listeners:
                listener.put(None)

    def tell_resources(self, now: Resources) -> None:
        """Report load."""
        self._tell(now)

    def health(self) -> Health:
        """As the controller does."""
        return Health(version="replay", protocol=1, pid=0, home="", started=0.0)

    def runs(self, states: Sequence[str], search: str, offset: int, limit: int) -> RunPage:
        """As the controller does."""
        with self._lock:
            every = sorted((run.summary for run in self._runs.values()), key=lambda run: -run.created)
        counts: dict[str, int] = {}
        for run in every:
            counts[run.state] = counts.get(run.state, 0) + 1
        shown = [run for run in every if (not states or run.state in states) and search.lower() in _words(run)]
        return RunPage(runs=shown[offset : offset + limit], total=len(shown), counts=counts, cursor=self._cursor)

    def run(self, uid: str) -> RunDetail:
        """As the controller does."""
        with self._lock:
            run = self._find(uid)
            return _detail(run, self._cursor)

    def check(self, spec: RunSpec) -> list[Problem]:
        """Whatever a test put there."""
        return list(self.problems)

    def create(self, spec: RunSpec, start: bool) -> RunSummary:
        """As the controller does."""
        uid = self.add(spec, state=RunState.QUEUED if start else RunState.DRAFT)
        return self._find(uid).summary

    def edit(self, uid: str, change: EditRun) -> RunSummary:
        """As the controller does."""
        run = self._find(uid)
        if change.spec is not None:
            run.spec = change.spec
            self._move(run, name=change.spec.name)
        return run.summary

    def start(self, uid: str) -> RunSummary:
        """As the controller does."""
        return self._move(self._find(uid), state=RunState.QUEUED)

    def stop(self, uid: str, save: bool) -> RunSummary:
        """As the controller does, at once."""
        return self._move(self._find(uid), state=RunState.STOPPED)

    def copy(self, uid: str) -> RunSummary:
        """As the controller does."""
        return self._find(self.add(self._find(uid).spec, state=RunState.DRAFT)).summary

    def delete(self, uid: str) -> None:
        """As the controller does."""
        with self._lock:
            self._find(uid)
            del self._runs[uid]
            self._tell(RunDeleted(cursor=self._next(), at=0.0, run=uid))

    def series(self, uid: str, metrics: Sequence[str]) -> dict[str, SeriesPart]:
        """As the controller does."""
        with self._lock:
            lines = list(self._find(uid).lines)
        found: dict[str, list[tuple[float, float, float]]] = {}
        for line in lines:
            for metric, point in _points(line).items():
                found.setdefault(metric, []).append(point)
        return {name: _part(points) for name, points in found.items() if not metrics or name in metrics}

    def download(self, uid: str, artifact: int, folder: Path) -> Path:
        """There is nothing to download."""
        raise NotFound("run.unknown", run=uid)

    def save_log(self, uid: str, file: Path) -> Path:
        """As the controller does."""
        file.write_bytes(self._find(uid).log)
        return file

    def resources(self) -> Resources:
        """One free slot."""
        return Resources(slots={"gpu": 1}, used={"gpu": 0}, waiting=0)

    def query(self, kind: str, params: dict[str, Any]) -> dict[str, Any]:
        """Whatever a test put there."""
        if kind not in self.answers:
            raise UserError("request.invalid", detail=f"no answer for {kind}")
        return self.answers[kind]

    def stream(self, since: int, on_line: Callable[[bool], None]) -> Iterator[StreamMessage]:
        """Everything that happens from now on."""
        while not self.closed:
            listener: queue.SimpleQueue[StreamMessage | None] = queue.SimpleQueue()
            with self._lock:
                self._listeners.append(listener)
            on_line(True)
            yield Hello(version="replay", protocol=1, cursor=self._cursor)
            while (message := listener.get()) is not None:
                yield message
            with self._lock:
                self._listeners.remove(listener)
            if not self.closed:
                on_line(False)

    def close(self) -> None:
        """End every stream."""
        self.closed = True
        self.drop_line()

    def _find(self, uid: str) -> _Played:
        if uid not in self._runs:
            raise NotFound("run.unknown", run=uid)
        return self._runs[uid]

    def _next(self) -> int:
        self._cursor += 1
        return self._cursor

    def _tell(self, message: StreamMessage) -> None:
        with self._lock:
            for listener in self._listeners:
                listener.put(message)

    def _move(self, run: _Played, **values: Any) -> RunSummary:
        with self._lock:
            run.summary = run.summary.model_copy(update=values)
            self._tell(RunChanged(cursor=self._next(), at=0.0, run=run.summary))
        return run.summary

    def _happen(self, run: _Played, line: JournalLine) -> None:
        uid = run.summary.uid
        match line:
            case Started():
                self._move(run, state=RunState.PREPARING, attempt=1, started=line.t, node="local")
            case PhaseBegan():
                state = RunState.RUNNING if line.phase == "training" else run.summary.state
                state = RunState.FINISHING if line.phase in ("saving", "evaluating_after") else state
                self._move(run, phase=line.phase, state=state)
            case Planned():
                self._move(run, total_steps=line.total_steps)
            case Step():
                loss = line.values.get("loss")
                line_of = [*run.summary.sparkline, loss or 0.0][-48:]
                self._move(run, step=line.step, loss=loss, sparkline=line_of)
            case Ended():
                self._move(run, state=line.state, reason=line.reason, finished=line.t, error=line.error)
            case _:
                pass
        points = _points(line)
        if points:
            self._tell(Points(run=uid, attempt=1, points={name: [point] for name, point in points.items()}))
        if isinstance(line, EVENT_KINDS):
            body = line.model_dump(mode="json", exclude={"v", "seq", "t", "kind"})
            self._tell(RunEvent(cursor=self._next(), at=line.t, run=uid, attempt=1, kind=line.kind, body=body))


def _words(run: RunSummary) -> str:
    return " ".join([run.name, run.model, run.dataset, *run.tags]).lower()


def _points(line: JournalLine) -> dict[str, tuple[float, float, float]]:
    match line:
        case Step() | Validation():
            return {name: (float(line.step), line.t, value) for name, value in line.values.items()}
        case Device():
            return {name: (line.t, line.t, value) for name, value in line.values.items()}
        case _:
            return {}


def _part(points: list[tuple[float, float, float]]) -> SeriesPart:
    x, t, value = (np.array(part, float) for part in zip(*points, strict=True))
    return SeriesPart(np.ones(len(x), np.int32), x, t, value)


def _detail(run: _Played, cursor: int) -> RunDetail:
    events, scores, samples, artifacts = [], [], [], []
    names: dict[str, str] = {}
    attempt = AttemptInfo(n=1, cause="first")
    for place, line in enumerate(run.lines):
        body = line.model_dump(mode="json", exclude={"v", "seq", "t", "kind"})
        match line:
            case Score():
                scores.append(ScoreInfo.model_validate(body))
            case Sample():
                samples.append(SampleInfo.model_validate(body))
            case ArtifactSaved():
                artifacts.append(
                    ArtifactInfo(id=place, attempt=1, kind=line.artifact, name=line.path, bytes=line.bytes,
                                 sha256=line.sha256, created=line.t)
                )  # fmt: skip
            case Device():
                names |= line.names
            case Started():
                attempt = attempt.model_copy(update={"environment": line.environment, "started": line.t})
            case _:
                pass
        if not isinstance(line, Step | Device):
            level = {"warning": 30, "error": 40}.get(str(body.get("level", "")), 20)
            kind = "state" if isinstance(line, Ended) else line.kind
            events.append(EventInfo(cursor=place + 1, at=line.t, attempt=1, kind=kind, level=level, body=body))
    return RunDetail(
        run=run.summary,
        spec=run.spec,
        attempts=[attempt] if run.lines else [],
        scores=scores,
        samples=samples,
        artifacts=artifacts,
        events=events,
        device_names=names,
        log_bytes=len(run.log),
        cursor=cursor,
    )
