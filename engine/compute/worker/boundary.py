"""What happens between two steps: checkpoints, and answers somebody asked for. Training does not notice any of it."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.compute.inference.generate import Generator
from engine.compute.training.checkpoint import Chance, save_state
from engine.compute.training.trainer import ForgeTrainer, Outcome
from engine.compute.worker.identity import IdentityInMaking
from engine.compute.worker.lessons import Lessons
from engine.compute.worker.materials import Materials
from engine.compute.worker.results import save_tokenizer
from engine.compute.worker.resume import Start
from engine.contract.api import SampleNow
from engine.contract.checkpoints import Manifest, SaveCause
from engine.contract.clock import now
from engine.contract.commands import WorkerCommand
from engine.contract.errors import ErrorBody, UserError

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
        self._session, self._materials, self._lessons = session, materials, lessons
        self._identity, self._environment = identity, environment
        self._loss = start.manifest.loss if start else None
        self._validation_loss = start.manifest.validation_loss if start else None
        self._validated_at = -1
        self._spent_before = start.manifest.trained_seconds if start else 0.0
        self._began = time.monotonic()

    def stepped(self, step: int, epoch: float, values: dict[str, float]) -> None:
        """A point of the curve."""
        self._loss = values.get("loss", self._loss)
        self._session.report.stepped(step, epoch, values)

    def validated(self, step: int, values: dict[str, float]) -> None:
        """A measurement on the validation rows."""
        self._validation_loss, self._validated_at = values.get("validation_loss"), step
        self._session.report.validated(step, values)

    def __call__(self, step: int) -> None:
        """Carry out what is due."""
        for command in self._session.worker.commands.take():
            self._obey(command, step)
        stop, checkpoints = self._session.stop, self._session.checkpoints
        if self.trainer.control.should_training_stop and stop:
            if stop.save and not self._save("move" if stop.move else "pause" if stop.pause else "stop"):
                self._stop_failed(step)
            return
        cause = checkpoints.due(step, self._validation_loss if self._validated_at == step else None)
        if cause is not None:
            self._save(cause)

    def finish(self, outcome: Outcome) -> None:
        """Training is over: keep its last state, unless an end that was asked for did already."""
        if self._session.job.checkpoints.at_end and not self._session.stop and outcome.steps > 0:
            self._save("end")

    def _save(self, cause: SaveCause) -> bool:
        """Save the state after the present step; true if it is on the disk."""
        step, checkpoints = self.trainer.state.global_step, self._session.checkpoints
        if checkpoints.has(step):
            return True
        manifest = Manifest(
            run=self._session.order.run,
            attempt=self._session.order.attempt,
            step=step,
            epoch=self.trainer.state.epoch or 0.0,
            total_steps=self._lessons.steps,
            loss=self._loss,
            validation_loss=self._validation_loss if self._validated_at == step else None,
            cause=cause,
            created=now(),
            trained_seconds=self._spent_before + time.monotonic() - self._began,
            tuner=self._session.job.tuner.kind,
            identity=self._identity.result(),
            environment=self._environment,
        )
        return checkpoints.save(manifest, self._write) is not None

    def _write(self, folder: Path) -> None:
        save_state(self.trainer, folder)
        if self._session.job.tuner.kind == "full":
            save_tokenizer(self._materials, folder)

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
            else:
                self._answer(SampleNow.model_validate(command.params), step)
        except (UserError, ValueError) as problem:
            known = problem if isinstance(problem, UserError) else UserError("worker.bad_command", file=command.id)
            error = known.body()
        self._session.worker.commands.acknowledge(command, error)

    def _answer(self, asked: SampleNow, step: int) -> None:
        """Answers of the model as it is now; chance and the model's mode are afterwards as before."""
        chance, template = Chance.now(), self._materials.template
        model = self.trainer.accelerator.unwrap_model(self.trainer.model)  # as it is: training goes on with it
        generator = Generator(model, self._materials.tokenizer, template.end_of_turn)
        prompts = [template.render(({"role": "user", "content": text},), prompt=True) for text in asked.prompts]
        try:
            answers = generator.answers(
                prompts, asked.max_new_tokens, lambda _done: None, self._session.worker.listen
            )  # fmt: skip
        finally:
            chance.restore()
        for index, (prompt, answer) in enumerate(zip(asked.prompts, answers, strict=True)):
            self._session.report.sampled("now", index, prompt=prompt, answer=answer, step=step)
