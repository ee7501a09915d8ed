"""A controller that plays recorded journals: for tests of the window and for pictures in the docs. Starts nothing."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from engine.contract.api import CheckResult, Diagnosis, EditRun, Health, ResumeRun, RunDetail, RunSummary, SampleNow
from engine.contract.errors import Conflict, NotFound, Problem, Unreachable, UserError
from engine.contract.events import (
    ArtifactSaved,
    CheckpointRemoved,
    CheckpointSaved,
    Ended,
    GuardActed,
    JournalLine,
    PhaseBegan,
    Planned,
    Resumed,
    Sample,
    Score,
    Started,
    Step,
    Validation,
    journal_line,
)
from engine.contract.ids import new_id
from engine.contract.run_spec import RunSpec, TrainJob
from engine.contract.serving import ServeJob
from engine.contract.states import EndReason, RunState
from engine.contract.stream import Hello, LogGrew, Points, Resources, RunChanged, RunDeleted, RunEvent, StreamMessage
from forge_desktop.bridge.backend import Exists, Item, LogPart, SeriesPart, Tell
from forge_desktop.bridge.replay_adapters import ReplayAdapters
from forge_desktop.bridge.replay_alerts import ReplayAlerts
from forge_desktop.bridge.replay_artifacts import ReplayArtifacts
from forge_desktop.bridge.replay_chat import ReplayChat
from forge_desktop.bridge.replay_compare import ReplayCompare
from forge_desktop.bridge.replay_datasets import ReplayDatasets
from forge_desktop.bridge.replay_fleet import ReplayFleet
from forge_desktop.bridge.replay_forecast import ReplayForecast
from forge_desktop.bridge.replay_forensics import ReplayForensics
from forge_desktop.bridge.replay_instance import ReplayInstance
from forge_desktop.bridge.replay_listing import ReplayListing
from forge_desktop.bridge.replay_log import ReplayLogs
from forge_desktop.bridge.replay_nodes import ReplayNodes
from forge_desktop.bridge.replay_notices import ReplayNotices
from forge_desktop.bridge.replay_series import ReplaySeries
from forge_desktop.bridge.replay_settings import ReplaySettings
from forge_desktop.bridge.replay_watching import ReplayWatching
from forge_desktop.bridge.replayed import Played, detail, part_of, points_of

EVENT_KINDS = (
    Started, PhaseBegan, Planned, Validation, Score, Sample, ArtifactSaved, CheckpointSaved, CheckpointRemoved, Resumed,
    GuardActed,
)  # fmt: skip
DOWNLOAD_PIECE = 1 << 16


def read_journal(file: Path) -> list[JournalLine]:
    """A recorded journal."""
    return [journal_line.validate_json(text) for text in file.read_text(encoding="utf-8").splitlines() if text.strip()]


class ReplayBackend(
    ReplayNotices,
    ReplayWatching,
    ReplaySettings,
    ReplaySeries,
    ReplayListing,
    ReplayCompare,
    ReplayChat,
    ReplayFleet,
    ReplayNodes,
    ReplayAlerts,
    ReplayDatasets,
    ReplayForecast,
    ReplayForensics,
    ReplayArtifacts,
    ReplayAdapters,
    ReplayInstance,
):
    """Keeps runs in memory; `play` lets journal lines happen, live for whoever listens."""

    def __init__(self) -> None:
        super().__init__()
        self._runs: dict[str, Played] = {}
        self._listeners: list[queue.SimpleQueue[StreamMessage | None]] = []
        self._lock = threading.RLock()
        self._cursor = 0
        self.answers: dict[str, Any] = {}
        """What `query` answers, by kind; a UserError is raised."""
        self.problems: list[Problem] = []
        self.absent: list[str] = []
        """Modules that some choices need and that are not there."""
        """What `check` finds."""
        self.wishes: list[tuple[str, ResumeRun]] = []
        """What `resume` was asked for."""
        self.content = b"adapter"
        """What `download` writes."""
        self.gate = threading.Event()
        """Set: downloads go on."""
        self.gate.set()
        self.views_asked = []
        self.views_go = threading.Event()
        self.views_go.set()
        self.hangs = False
        """Requests find nobody, although the stream stands."""
        self.closed = False
        self.worker_python: str | None = "python"
        """The interpreter of workers; None: there is no worker environment."""
        self.logs = ReplayLogs()

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
            model=job.model.path if isinstance(job, TrainJob | ServeJob) else "",
            dataset=train.data.train[0].path if train else "",
            method=f"{train.stage} {train.tuner.kind}" if train else "serve" if isinstance(job, ServeJob) else "",
            created=created,
            tags=spec.tags,
            priority=spec.priority,
        )
        with self._lock:
            self._runs[summary.uid] = Played(summary, spec)
            self._tell(RunChanged(cursor=self._next(), at=created, run=summary))
        return summary.uid

    def hold(self, runs: Iterable[Played]) -> None:
        """Have these too, all at once and without telling of each."""
        made = {run.summary.uid: run for run in runs}
        with self._lock:
            self._runs.update(made)

    def let_go(self, uids: Iterable[str]) -> None:
        """Have these no longer, without telling of each."""
        with self._lock:
            for uid in uids:
                self._runs.pop(uid, None)

    def play(self, uid: str, lines: Sequence[JournalLine]) -> None:
        """Let lines happen; each `started` line begins another attempt."""
        with self._lock:
            run = self._runs[uid]
            for line in lines:
                if isinstance(line, Started) or not run.attempt:
                    run.attempt += 1
                run.lines.append((run.attempt, line))
                self._happen(run, line)

    def move(self, uid: str, **values: Any) -> None:
        """Change what a list shows of a run: a mark, a retry that is due, when its files go."""
        self._move(self._find(uid), **values)

    def diagnose(self, uid: str, found: Diagnosis) -> None:
        """Say why a run failed."""
        run = self._find(uid)
        run.diagnosis = found
        self._move(run)

    def log(self, uid: str, attempt: int, offset: int, limit: int) -> LogPart:
        """As the controller does."""
        self._answer()
        return self.logs.read(uid, self._find(uid).log, attempt, offset, limit)

    def write_log(self, uid: str, text: str) -> None:
        """Let the log grow."""
        with self._lock:
            run = self._find(uid)
            run.log += text.encode()
            self._tell(LogGrew(run=uid, attempt=max(1, run.attempt), size=len(run.log)))

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
        self._answer()
        return Health(version="replay", protocol=1, pid=0, home="", started=0.0, worker_python=self.worker_python)

    def run(self, uid: str) -> RunDetail:
        """As the controller does."""
        self._answer()
        with self._lock:
            run = self._find(uid)
            return detail(run, self._cursor)

    def check(self, spec: RunSpec) -> CheckResult:
        """Whatever a test put there."""
        return CheckResult(problems=list(self.problems), missing=list(self.absent))

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
        plain = change.model_dump(exclude_none=True, include={"pinned", "priority", "tags", "name"})
        if plain:
            self._move(run, **plain)
        return run.summary

    def start(self, uid: str) -> RunSummary:
        """As the controller does."""
        return self._move(self._find(uid), state=RunState.QUEUED, retry_at=None)

    def stop(self, uid: str, save: bool) -> RunSummary:
        """As the controller does, at once."""
        return self._move(self._find(uid), state=RunState.STOPPED, retry_at=None)

    def pause(self, uid: str) -> None:
        """As the controller does, at once."""
        self._move(self._find(uid), state=RunState.PAUSED, reason=EndReason.PAUSED_BY_PERSON)

    def resume(self, uid: str, wish: ResumeRun) -> None:
        """Queue it again; `wishes` keeps what was wanted."""
        self.wishes.append((uid, wish))
        self._move(self._find(uid), state=RunState.QUEUED, reason=None, error=None, finished=None, retry_at=None)

    def checkpoint(self, uid: str) -> None:
        """Save at once."""
        with self._lock:
            run = self._find(uid)
            step, seq = run.summary.step or 0, len(run.lines) + 1
            path = f"checkpoints/a{run.attempt}-s{step}"
            self.play(uid, [CheckpointSaved(seq=seq, t=run.lines[-1][1].t, path=path, step=step, epoch=step / 100,
                                            loss=run.summary.loss, cause="person", bytes=84_000_000,
                                            sha256="cd" * 32)])  # fmt: skip

    def sample(self, uid: str, wish: SampleNow) -> None:
        """Answer every question with its number."""
        run = self._find(uid)
        lines = [
            Sample(seq=1, t=run.lines[-1][1].t, when="now", index=place, step=run.summary.step, prompt=prompt,
                   answer=f"Answer {place + 1}.")
            for place, prompt in enumerate(wish.prompts)
        ]  # fmt: skip
        self.play(uid, lines)

    def delete_files(self, uid: str) -> None:
        """Forget checkpoints and log."""
        run = self._find(uid)
        run.log = b""
        self.logs.forget(uid)
        run.lines = [(attempt, line) for attempt, line in run.lines if not isinstance(line, CheckpointSaved)]
        self._move(run, cleaned=1_790_100_000.0, expires=None)

    def keep_checkpoint(self, uid: str, checkpoint: int, kept: bool) -> None:
        """Note it."""
        run = self._find(uid)
        if checkpoint not in {known.id for known in detail(run, 0).checkpoints}:
            raise NotFound("checkpoint.unknown", run=uid, checkpoint=checkpoint)
        (run.kept.add if kept else run.kept.discard)(checkpoint)
        self._move(run)

    def delete_checkpoint(self, uid: str, checkpoint: int) -> None:
        """Forget one."""
        run = self._find(uid)
        gone = next((known for known in detail(run, 0).checkpoints if known.id == checkpoint), None)
        if gone is None:
            raise NotFound("checkpoint.unknown", run=uid, checkpoint=checkpoint)
        path = f"checkpoints/{gone.name}"
        self.play(uid, [CheckpointRemoved(seq=len(run.lines) + 1, t=run.lines[-1][1].t, path=path)])

    def copy(self, uid: str, goes_on: bool = False) -> RunSummary:
        """As the controller does."""
        spec = self._find(uid).spec
        if goes_on and isinstance(spec.job, TrainJob):
            tuner = spec.job.tuner.model_copy(update={"adapter": f"/home/demo/runs/{uid}/attempts/1/outputs/adapter"})
            spec = spec.model_copy(update={"job": spec.job.model_copy(update={"tuner": tuner})})
        return self._find(self.add(spec, state=RunState.DRAFT)).summary

    def delete(self, uid: str) -> None:
        """As the controller does."""
        with self._lock:
            self._find(uid)
            del self._runs[uid]
            self._tell(RunDeleted(cursor=self._next(), at=0.0, run=uid))

    def series(self, uid: str, metrics: Sequence[str]) -> dict[str, SeriesPart]:
        """As the controller does."""
        self._answer()
        with self._lock:
            lines = list(self._find(uid).lines)
        found: dict[str, list[tuple[int, float, float, float]]] = {}
        for attempt, line in lines:
            for metric, point in points_of(line).items():
                found.setdefault(metric, []).append((attempt, *point))
        return {name: part_of(points) for name, points in found.items() if not metrics or name in metrics}

    def download(
        self, uid: str, item: Item, folder: Path, tell: Tell, exists: Exists = "refuse", name: str = ""
    ) -> Path:
        """Write the log, or `content`, piece by piece; `gate` can hold it up."""
        target = folder / (name or f"{self._find(uid).summary.name}-{item.kind}")
        if target.exists() and exists == "refuse":
            raise Conflict("download.exists", target=str(target))
        if target.exists() and exists == "keep_both":
            target = target.with_name(target.name + " (2)")
        data = self._find(uid).log if item.kind == "log" else self.content
        written = b""
        for start in range(0, len(data), DOWNLOAD_PIECE):
            written += data[start : start + DOWNLOAD_PIECE]
            tell(len(written), len(data))
            while not self.gate.wait(0.05):
                tell(len(written), len(data))
        target.write_bytes(written)
        return target

    def resources(self) -> Resources:
        """One free slot."""
        return Resources(slots={"gpu": 1}, used={"gpu": 0}, waiting=0)

    def query(self, kind: str, params: dict[str, Any]) -> dict[str, Any]:
        """Whatever a test put there."""
        if kind not in self.answers and (found := self.about_data(kind, params)) is not None:
            return found
        if kind not in self.answers:
            raise UserError("request.invalid", detail=f"no answer for {kind}")
        answer: dict[str, Any] | UserError = self.answers[kind]
        if isinstance(answer, UserError):
            raise answer
        return answer

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

    def _answer(self) -> None:
        if self.hangs:
            raise Unreachable("controller.unreachable", detail="timed out.", log="")

    def _find(self, uid: str) -> Played:
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

    def _move(self, run: Played, stored: bool = True, **values: Any) -> RunSummary:
        with self._lock:
            run.summary = run.summary.model_copy(update=values)
            self._tell(RunChanged(cursor=self._next() if stored else None, at=0.0, run=run.summary))
        return run.summary

    def _happen(self, run: Played, line: JournalLine) -> None:
        uid = run.summary.uid
        match line:
            case Started():
                self._move(run, state=RunState.PREPARING, attempt=run.attempt, started=line.t, node="local",
                           finished=None, retry_at=None, mark=None)  # fmt: skip
            case PhaseBegan():
                state = RunState.RUNNING if line.phase == "training" else run.summary.state
                state = RunState.FINISHING if line.phase in ("saving", "evaluating_after") else state
                self._move(run, phase=line.phase, state=state)
            case Planned():
                self._move(run, total_steps=line.total_steps)
            case Step():
                loss = line.values.get("loss")
                line_of = [*run.summary.sparkline, loss or 0.0][-48:]
                seen = line.values.get("tokens_seen", run.summary.tokens_seen)
                tokens = None if seen is None else int(seen)
                self._move(run, stored=False, step=line.step, loss=loss, sparkline=line_of, tokens_seen=tokens)
            case Ended():
                self._move(run, state=line.state, reason=line.reason, finished=line.t, error=line.error)
            case _:
                pass
        points = points_of(line)
        if points:
            self._tell(Points(run=uid, attempt=run.attempt, points={name: [point] for name, point in points.items()}))
        if isinstance(line, EVENT_KINDS):
            body = line.model_dump(mode="json", exclude={"v", "seq", "t", "kind"})
            self._tell(
                RunEvent(cursor=self._next(), at=line.t, run=uid, attempt=run.attempt, kind=line.kind, body=body)
            )
