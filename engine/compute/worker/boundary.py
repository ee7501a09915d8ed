"""What happens between two steps: checkpoints, and answers somebody asked for. Training does not notice any of it."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from engine.compute.data.store import is_version
from engine.compute.evaluation.exact_match import measure
from engine.compute.inference.generate import Generator
from engine.compute.training.checkpoint import Chance, save_state
from engine.compute.training.together import whole
from engine.compute.training.trainer import ForgeTrainer, Outcome
from engine.compute.worker import heads
from engine.compute.worker.course import ranked
from engine.compute.worker.from_scratch import keep_tokenizer
from engine.compute.worker.identity import IdentityInMaking
from engine.compute.worker.lessons import Lessons
from engine.compute.worker.materials import Materials
from engine.compute.worker.results import save_tokenizer
from engine.compute.worker.resume import Start
from engine.contract.api import LogEvery, SampleNow
from engine.contract.checkpoints import Manifest, SaveCause
from engine.contract.clock import now
from engine.contract.commands import WorkerCommand
from engine.contract.errors import ErrorBody, UserError
from engine.contract.stages import stage_of
from engine.contract.stopping import SCORE
from engine.contract.tuners import TUNERS

if TYPE_CHECKING:
    from engine.compute.worker.train_job import TrainSession


class Boundary:
    """Called with the step's number after each step; keeps what a checkpoint's manifest says."""

    def __init__(
        self,
        session: TrainSession,
        materials: Materials,
        lessons: Lessons,
        identity: IdentityInMaking,
        environment: dict[str, Any],
        start: Start | None,
    ) -> None:
        self.trainer: ForgeTrainer
        self.before_save: Callable[[], None] = lambda: None
        """Called before each checkpoint is written."""
        self._session, self._materials, self._lessons = session, materials, lessons
        self._identity, self._environment = identity, environment
        self._loss = start.manifest.loss if start else None
        self._validation_loss = start.manifest.validation_loss if start else None
        self._validated_at = -1
        self._score: float | None = None
        self._asked_at = 0
        self._spent_before = start.manifest.trained_seconds if start else 0.0
        self._began = time.monotonic()
        sources = (*materials.train, *materials.validation)
        self._versions = {source.name: source.version for source in sources if source.version is not None}

    def stepped(self, step: int, epoch: float, values: dict[str, float]) -> None:
        """A point of the curve."""
        self._loss = values.get("loss", self._loss)
        self._session.report.stepped(step, epoch, values)

    def validated(self, step: int, values: dict[str, float]) -> None:
        """A measurement on the validation rows."""
        self._validation_loss, self._validated_at = values.get("validation_loss"), step
        if self._session.job.stopping.metric == SCORE and (self._lessons.questions or self._lessons.heard):
            values = {**values, SCORE: self._measure()}
        self._score = values.get(SCORE)
        self._session.report.validated(step, values)
        self._session.course.measured(step, values)

    def __call__(self, step: int) -> None:
        """Carry out what is due."""
        self._look_for_datasets()
        for command in self._session.worker.commands.take():
            self._obey(command, step)
        stop, checkpoints = self._session.stop, self._session.checkpoints
        if self.trainer.control.should_training_stop and stop:
            if stop.save and not self._save("move" if stop.move else "pause" if stop.pause else "stop"):
                self._stop_failed(step)
            return
        stopping = self._session.job.stopping
        measured = self._score if stopping.metric == SCORE else self._validation_loss
        cause = checkpoints.due(step, ranked(measured, stopping) if self._validated_at == step else None)
        if cause is not None:
            self._save(cause)

    def _look_for_datasets(self) -> None:
        """Say once of each dataset that it is gone from the library."""
        for name, version in list(self._versions.items()):
            if not is_version(version.folder):
                self._session.report.note("data.removed_while_training", "warning", name=name)
                del self._versions[name]

    def finish(self, outcome: Outcome) -> None:
        """Training is over: keep its last state, unless an end that was asked for did already."""
        by_guard = self._session.course.by_guard  # then nothing may be lost
        if (self._session.job.checkpoints.at_end or by_guard) and not self._session.stop and outcome.steps > 0:
            self._save("stop" if by_guard else "end")

    def _save(self, cause: SaveCause) -> bool:
        """Save the state after the present step; true if it is on the disk."""
        step, checkpoints = self.trainer.state.global_step, self._session.checkpoints
        if checkpoints.has(step):
            return True
        self.before_save()
        if checkpoints.save(self._manifest(cause), self._write) is None:
            return False
        if cause not in ("pause", "move", "stop"):  # who waits for those waits for nothing else
            self._ask_fixed(step)
        return True

    def _manifest(self, cause: SaveCause) -> Manifest:
        step, is_measured = self.trainer.state.global_step, self._validated_at == self.trainer.state.global_step
        return Manifest(
            run=self._session.order.run,
            attempt=self._session.order.attempt,
            step=step,
            epoch=self.trainer.state.epoch or 0.0,
            total_steps=self._lessons.steps,
            loss=self._loss,
            validation_loss=self._validation_loss if is_measured else None,
            score=self._score if is_measured else None,
            cause=cause,
            created=now(),
            trained_seconds=self._spent_before + time.monotonic() - self._began,
            tuner=self._session.job.tuner.kind,
            identity=self._identity.result(),
            environment=self._environment,
        )

    def _write(self, folder: Path) -> None:
        save_state(self.trainer, folder)
        if self._materials.begun is not None:
            self._materials.begun.save(folder)
        if TUNERS[self._session.job.tuner.kind].whole_model:
            save_tokenizer(self._materials, folder)
            keep_tokenizer(self._materials, folder)

    def _stop_failed(self, step: int) -> None:
        """A stop or pause whose state could not be saved: a pause is given up, a stop goes on to what it can save."""
        if self._session.stop.pause:
            raise UserError("worker.disk_full", path=str(self._session.checkpoints.folder))
        self._session.report.note("checkpoint.not_saved", "warning", step=step, detail="")

    def _obey(self, command: WorkerCommand, step: int) -> None:
        error: ErrorBody | None = None
        try:
            if command.verb == "save":
                if not self._save("person"):
                    error = UserError("worker.disk_full", path=str(self._session.checkpoints.folder)).body()
            elif command.verb == "log_every":
                self._log_every(LogEvery.model_validate(command.params).steps)
            else:
                self._answer(SampleNow.model_validate(command.params), step, "now")
        except (UserError, ValueError) as problem:
            known = problem if isinstance(problem, UserError) else UserError("worker.bad_command", file=command.id)
            error = known.body()
        self._session.worker.commands.acknowledge(command, error)

    def _log_every(self, steps: int) -> None:
        """Points come so many steps apart from now on; a later attempt goes by its config again."""
        self.trainer.args.logging_steps = self.trainer.state.logging_steps = steps
        self._session.report.note("training.log_every", steps=steps)

    def _ask_fixed(self, step: int) -> None:
        """The fixed prompts, at every nth checkpoint."""
        watching = self._session.job.watching
        self._asked_at += 1
        if stage_of(self._session.job.stage).scores:
            return  # it answers nothing
        if watching.prompts and (self._asked_at - 1) % watching.prompts_every == 0:
            asked = SampleNow(prompts=list(watching.prompts), max_new_tokens=watching.prompt_tokens)
            self._answer(asked, step, "checkpoint")

    def _measure(self) -> float:
        """The share of held-out questions that are answered as expected; training notices nothing."""
        chance, settings = Chance.now(), self._session.job.evaluation
        model = self.trainer.accelerator.unwrap_model(self.trainer.model)
        if self._lessons.heard:  # nothing of it is left to chance
            found = heads.measure(
                model, self._materials, self._lessons.heard, self._session.job, lambda _done: None,
                self._session.worker.listen,
            )  # fmt: skip
            return found.value
        generator = Generator(model, self._materials.tokenizer, self._materials.template.stops)
        try:
            with whole(self.trainer):
                answered = measure(
                    generator, self._materials.template, self._lessons.questions, settings.max_new_tokens,
                    lambda _done: None, self._session.worker.listen,
                )  # fmt: skip
        finally:
            chance.restore()
        return sum(answer.correct for answer in answered) / max(len(answered), 1)

    def _answer(self, asked: SampleNow, step: int, when: Literal["now", "checkpoint"]) -> None:
        """Answers of the model as it is now; chance and the model's mode are afterwards as before."""
        if stage_of(self._session.job.stage).scores:
            raise UserError("training.no_answers")
        chance, template = Chance.now(), self._materials.template
        model = self.trainer.accelerator.unwrap_model(self.trainer.model)  # as it is: training goes on with it
        generator = Generator(model, self._materials.tokenizer, template.stops)
        prompts = [template.render(({"role": "user", "content": text},), prompt=True) for text in asked.prompts]
        try:
            with whole(self.trainer):
                answers = generator.answers(
                    prompts, asked.max_new_tokens, lambda _done: None, self._session.worker.listen
                )  # fmt: skip
        finally:
            chance.restore()
        for index, (prompt, answer) in enumerate(zip(asked.prompts, answers, strict=True)):
            self._session.report.sampled(when, index, prompt=prompt, answer=answer, step=step)
