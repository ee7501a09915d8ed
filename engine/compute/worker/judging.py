"""The judge of a run that learns from rewards: made once, given to what learns, asked about held-out questions.

Of some steps the answers are kept with what each was rewarded for.
"""

from __future__ import annotations

import json
import logging
import math
import os
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

from engine.compute.data.questions import Answer, Asked
from engine.compute.training.objectives import Objective
from engine.compute.training.rewards.judge import Judge, Scores
from engine.compute.training.rewards.model import ModelReward
from engine.compute.worker.failures import is_disk_full
from engine.compute.worker.lessons import Lessons
from engine.compute.worker.materials import Materials
from engine.compute.worker.results import PHASES, When, tell_answers
from engine.compute.worker.worker import Worker
from engine.contract.run_spec import TrainJob
from engine.contract.stages import stage_of

log = logging.getLogger("worker")
FILE = "rollouts.jsonl"
MOST_BYTES = 32 << 20
CHUNK = 32
"""Held-out questions that are asked at once."""


class Judging:
    """Does nothing where the stage learns from rows."""

    def __init__(self, job: TrainJob, materials: Materials, lessons: Lessons, outputs: Path, worker: Worker) -> None:
        self._job, self._materials, self._lessons = job, materials, lessons
        self._outputs, self._worker = outputs, worker
        self.judge: Judge | None = None
        self._file: BinaryIO | None = None
        if stage_of(job.stage).samples:
            folder, device = materials.folder, materials.device
            self.judge = Judge(
                job.rollouts, lambda reward: ModelReward(reward.path, folder, device), worker.listen
            )  # fmt: skip

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.judge is not None:
            self.judge.close()
        if self._file is not None:
            self._file.close()

    def equip(self, objective: Objective) -> None:
        """Give what learns from rewards its judge and its way of asking the model."""
        from engine.compute.training.online import Online

        if not isinstance(objective, Online) or self.judge is None:
            return
        objective.judge, objective.sampler, objective.keep = self.judge, self._sampler(), self._keep
        training = self._job.training
        objective.at_once = math.ceil(training.micro_batch_size * objective.answers / training.micro_batch_parts)

    def _sampler(self) -> Any:
        from engine.compute.training.rollouts import Sampler

        materials, seed = self._materials, self._job.training.seed
        stops = materials.template.stops
        return Sampler(self._job.rollouts, materials.tokenizer, stops, seed, self._worker.listen)

    def reward(self, when: When) -> None:
        """The mean reward of the likeliest answers to the held-out questions, and each answer in a file."""
        asked, judge = self._lessons.asked, self.judge
        if judge is None or not asked:
            return
        report, sampler = self._worker.report, self._sampler()
        report.phase(PHASES[when])
        answers, lines, totals = list[Answer](), list[str](), list[float]()
        for at in range(0, len(asked), CHUNK):
            self._worker.check()
            piece = asked[at : at + CHUNK]
            answers = sampler.sample(self._materials.model, piece, 1, greedy=True)
            scores = judge.score(piece, answers)
            found = judge.total(scores)
            totals += [total for total in found if not math.isnan(total)]
            lines += [_line(scores, place, piece[place], answers[place], found[place]) for place in range(len(piece))]
            report.phase(PHASES[when], min(1.0, (at + len(piece)) / len(asked)))
        name = f"rewards_{when}.jsonl"
        (self._outputs / name).write_text("".join(lines), encoding="utf-8")
        report.rewarded(when, sum(totals) / max(1, len(totals)), len(asked), name)
        tell_answers(self._outputs / name, report)

    def finish(self) -> None:
        """Training is over: the file of answers is whole."""
        if self._file is None:
            return
        os.fsync(self._file.fileno())
        self._file.close()
        self._file = None
        tell_answers(self._outputs / FILE, self._worker.report)

    def _keep(
        self,
        step: int,
        asked: Sequence[Asked],
        answers: Sequence[Answer],
        scores: Scores,
        totals: Sequence[float],
        worth: Sequence[float],
    ) -> None:
        """Some answers of some steps, as lines; what cannot be written stops nothing."""
        config = self._job.rollouts
        if (step - 1) % config.keep_every or not config.keep_answers:
            return
        each, count = len(answers) // max(1, len(asked)), min(config.keep_answers, len(answers))
        lines = [
            _line(scores, n, asked[n // each], answers[n], totals[n], step=step, advantage=worth[n])
            for n in range(count)
        ]
        log.info("Step %d, an answer: %r, reward %.4g", step, answers[0].text[:80], totals[0])
        try:
            if self._file is None:
                self._outputs.mkdir(parents=True, exist_ok=True)
                self._file = (self._outputs / FILE).open("wb")
            if self._file.tell() < MOST_BYTES:
                self._file.write("".join(lines).encode(errors="replace"))
                self._file.flush()
        except OSError as error:
            if not is_disk_full(error):
                log.warning("The answers are not kept any more: %s", error)


def _line(scores: Scores, place: int, asked: Asked, answer: Answer, total: float, **more: Any) -> str:
    """An answer with what it was rewarded for, as a line of JSON."""
    found = {
        **more, "line": asked.line, "prompt": asked.prompt, "expected": asked.expected, "answer": answer.text,
        "tokens": len(answer.ids), "ended": answer.ended, "reward": None if math.isnan(total) else total,
        "rewards": {name: values[place] for name, values in scores.items()},
    }  # fmt: skip
    return json.dumps(found, ensure_ascii=False) + "\n"
