"""What another member than the first does of an attempt: the same up to the trainer, and nothing but learning then."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

from engine.compute.training.callbacks import Watch
from engine.compute.training.members import Members
from engine.compute.training.precision import nvml_names
from engine.compute.training.row_losses import RowLosses
from engine.compute.training.together import serve
from engine.compute.training.trainer import train
from engine.compute.worker.checkpoints import verified
from engine.compute.worker.commands import Commands, StopFlag
from engine.compute.worker.course import Course
from engine.compute.worker.lessons import prepare
from engine.compute.worker.materials import gather
from engine.compute.worker.reporter import Reporter
from engine.compute.worker.resume import Start
from engine.compute.worker.telemetry import Telemetry, Ticker
from engine.compute.worker.train_job import TrainSession
from engine.compute.worker.worker import Worker
from engine.contract.checkpoints import ResumePoint
from engine.contract.paths import AttemptFolder
from engine.contract.run_spec import AttemptOrder, TrainJob

log = logging.getLogger("worker")


class _NoJournal:
    """The first member's journal is the attempt's; of another one only the log is kept."""

    def write(self, *_line: Any, **_content: Any) -> None:
        """Nothing."""


def learn(order: AttemptOrder, folder: AttemptFolder, number: int) -> None:
    """The whole part of this member."""
    job = order.spec.job
    assert isinstance(job, TrainJob)
    MemberSession(order, job, folder, _silent(folder), number).run()


def _silent(folder: AttemptFolder) -> Worker:
    """A worker that tells nobody and listens to nobody but the first member."""
    journal: Any = _NoJournal()
    reporter, stop = Reporter(journal), StopFlag()
    commands = Commands(folder.root / ".none", stop, lambda _command, _error: None)
    return Worker(reporter, commands, stop, Telemetry(lambda _values, _names: None, ""), Ticker([]))


class MemberSession(TrainSession):
    """Of the same order as the first member's."""

    def __init__(self, order: AttemptOrder, job: TrainJob, folder: AttemptFolder, worker: Worker, number: int) -> None:
        super().__init__(order, job, folder, worker)
        place = order.spec.compute
        self.members = Members(number, place.members, folder.meeting, 60 * place.wait_minutes, place.strategy)

    def run(self) -> None:
        """Load what the first member loads, learn with it, and end when it says so."""
        members = self.members
        assert members is not None
        start = self._told(json.loads(members.store.get("start")))
        self.course = Course(self, start)
        self._settle(start)
        model = Path(members.store.get("model").decode())
        materials = gather(self.spec, self.job, model, self.report, self.worker.check)
        lessons = prepare(self.job, materials, self.report, lambda _done: None)
        self._begin(start, materials, lessons)
        members.myself = {"gpus": nvml_names(materials.device)}
        watch = Watch(lambda *_point: None, lambda *_found: None, lambda: False)
        objective = self._objective(materials)
        rows = RowLosses() if self.job.forensics.row_losses and objective.of_tokens else None
        trainer = self._trainer(materials, lessons, objective, watch, validates=False, rows=rows, start=start)
        if start is None or start.manifest.step < lessons.steps:
            train(trainer, start.folder if start is not None else None)
            if members.heard_last != "end":
                serve(trainer, members)

    def _told(self, point: dict[str, Any] | None) -> Start | None:
        """The checkpoint the first member chose."""
        if point is None:
            return None
        folder = self.folder.run / point["path"]
        manifest = verified(folder)
        return Start(ResumePoint(attempt=point["attempt"], step=manifest.step, path=point["path"]), folder, manifest)
