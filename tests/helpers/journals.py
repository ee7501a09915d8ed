"""Journals for replays: a small training run from its first line to its last word."""

from __future__ import annotations

import math
import random

from engine.contract.checkpoints import SaveCause
from engine.contract.errors import ErrorBody
from engine.contract.events import (
    ArtifactSaved,
    CheckpointSaved,
    Device,
    Ended,
    JournalLine,
    PhaseBegan,
    Planned,
    Resumed,
    Sample,
    Score,
    Started,
    Step,
    Validation,
)
from engine.contract.run_spec import RunConfig, RunSpec
from engine.contract.states import EndReason, Phase, RunState

QUESTIONS = (
    ("Write 17 March 2021 as an ISO date.", "2021-03-17"),
    ("请将 2021年3月17日 写成 ISO 日期。", "2021-03-17"),
)


def demo_spec(name: str = "demo-iso-dates") -> RunSpec:
    """The order of a run on the bundled model and data."""
    bundled = {"path": "demo", "hub": "bundled"}
    document = {
        "name": name,
        "model": bundled,
        "data": {"train": [bundled]},
        "evaluation": {"data": [{"path": "demo/held_out", "hub": "bundled"}]},
    }
    return RunConfig.model_validate(document).to_spec(owner="lin")


class Recording:
    """Writes journal lines one after another, half a second apart."""

    def __init__(self, start: float = 1_790_000_000.0) -> None:
        self.lines: list[JournalLine] = []
        self._start = start

    def add(self, kind: type, **values: object) -> None:
        """One more line."""
        seq = len(self.lines) + 1
        self.lines.append(kind(seq=seq, t=self._start + seq * 0.5, **values))

    def take(self) -> list[JournalLine]:
        """The lines since the last time."""
        taken, self.lines = self.lines, []
        self._start += len(taken) * 0.5
        return taken


def before_training(total: int = 100) -> list[JournalLine]:
    """From the first line to the first step."""
    rec = Recording()
    rec.add(Started, pid=4711, environment={"python": "3.11", "torch": "2.13.0"})
    rec.add(PhaseBegan, phase=Phase.LOADING)
    rec.add(
        Planned, total_steps=total, epochs=1.0, rows=2400, validation_rows=100, held_out_rows=200,
        parameters=4_500_000, trainable_parameters=210_000, precision="fp32", device="cpu",
    )  # fmt: skip
    rec.add(PhaseBegan, phase=Phase.TOKENISING)
    rec.add(PhaseBegan, phase=Phase.EVALUATING_BEFORE)
    rec.add(Score, when="before", value=0.015, correct=3, rows=200)
    for index, (prompt, expected) in enumerate(QUESTIONS):
        rec.add(Sample, when="before", index=index, prompt=prompt, expected=expected, answer="March.", correct=False)
    rec.add(PhaseBegan, phase=Phase.TRAINING)
    return rec.lines


def steps(first: int, last: int, total: int = 100, later: float = 0.0) -> list[JournalLine]:
    """Steps with a falling loss, a validation now and then, a device reading every fifth; `later` in seconds."""
    chance = random.Random(first + later)
    rec = Recording(1_790_000_100.0 + first + later)
    for step in range(first, last + 1):
        loss = 3.2 * math.exp(-step / 25) + 0.1 + abs(chance.gauss(0, 0.05))
        values = {"loss": loss, "learning_rate": 1e-3, "grad_norm": 0.5, "tokens_per_second": 4800.0}
        rec.add(Step, step=step, epoch=step / total, values=values)
        if step % 25 == 0:
            rec.add(Validation, step=step, values={"validation_loss": loss + 0.05})
        if step % 5 == 0:
            readings = {"cpu.utilisation": 91.0, "cpu.process": 180.0, "ram.used": 6e9, "ram.total": 24e9}
            rec.add(Device, values=readings | {"ram.process": 8e8}, names={"cpu": "EPYC"})
    return rec.lines


def after_training(last: int = 100) -> list[JournalLine]:
    """Saving, measuring, and the last word."""
    rec = Recording(1_790_001_000.0)
    rec.add(PhaseBegan, phase=Phase.SAVING)
    rec.add(ArtifactSaved, artifact="adapter", path="outputs/adapter", bytes=880_000, sha256="ab" * 32, step=last)
    rec.add(PhaseBegan, phase=Phase.EVALUATING_AFTER)
    rec.add(Score, when="after", value=0.985, correct=197, rows=200)
    for index, (prompt, expected) in enumerate(QUESTIONS):
        rec.add(Sample, when="after", index=index, prompt=prompt, expected=expected, answer=expected, correct=True)
    rec.add(Ended, state=RunState.COMPLETED, reason=EndReason.FINISHED, step=last)
    return rec.lines


def saved(step: int, attempt: int = 1, cause: SaveCause = "minutes", best: bool = False) -> list[JournalLine]:
    """A checkpoint."""
    rec = Recording(1_790_000_100.5 + step)
    rec.add(
        CheckpointSaved, path=f"checkpoints/a{attempt}-s{step}", step=step, epoch=step / 100,
        loss=3.2 * math.exp(-step / 25) + 0.1, validation_loss=3.2 * math.exp(-step / 25) + 0.15, best=best,
        cause=cause, bytes=84_100_000, sha256="cd" * 32,
    )  # fmt: skip
    return rec.lines


def resumed(step: int, attempt: int = 1, total: int = 100) -> list[JournalLine]:
    """From the first line of another attempt to its first step."""
    rec = Recording(1_790_000_400.0 + 200 * attempt)
    rec.add(Started, pid=4712, environment={"python": "3.11", "torch": "2.13.0"})
    rec.add(PhaseBegan, phase=Phase.LOADING)
    rec.add(Planned, total_steps=total, epochs=1.0, rows=2400, precision="fp32", device="cpu")
    rec.add(Resumed, attempt=attempt, step=step, path=f"checkpoints/a{attempt}-s{step}")
    rec.add(PhaseBegan, phase=Phase.TRAINING)
    return rec.lines


def failed(error: ErrorBody, step: int = 10) -> list[JournalLine]:
    """The last word of a run that failed."""
    rec = Recording(1_790_002_000.0)
    rec.add(Ended, state=RunState.FAILED, reason=EndReason.WORKER_KILLED, step=step, error=error)
    return rec.lines
