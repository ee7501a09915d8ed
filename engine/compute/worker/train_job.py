"""A training attempt: load, tokenise, measure, train, save, measure again."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
import transformers

from engine.compute.data.loading import load_sources
from engine.compute.data.rows import Example, with_system
from engine.compute.data.split import split
from engine.compute.data.templates import choose_template
from engine.compute.data.tokenise import Encoded, Tokeniser
from engine.compute.evaluation.exact_match import Question, measure, questions_of, write_answers
from engine.compute.inference.base import load_model, load_tokenizer, model_folder, padding_token
from engine.compute.inference.generate import Generator
from engine.compute.training.batches import Batch, BatchLoader, collate
from engine.compute.training.callbacks import Watch
from engine.compute.training.precision import choose_device, decide, device_name
from engine.compute.training.stages import STAGES
from engine.compute.training.trainer import ForgeTrainer, arguments, planned_steps, train
from engine.compute.training.tuners import apply_tuner, count_parameters
from engine.compute.worker.artifacts import fingerprint_of, publish_folder
from engine.compute.worker.commands import Commands, StopFlag, StopRequest
from engine.compute.worker.reporter import Reporter
from engine.contract.errors import UserError
from engine.contract.paths import AttemptFolder
from engine.contract.run_spec import AttemptOrder, TrainJob
from engine.contract.states import Phase

When = Literal["before", "after"]


class TrainSession:
    """Composes data, training, evaluation and saving for one attempt."""

    def __init__(
        self,
        order: AttemptOrder,
        job: TrainJob,
        folder: AttemptFolder,
        reporter: Reporter,
        commands: Commands,
        stop: StopFlag,
    ) -> None:
        self.order, self.job, self.folder = order, job, folder
        self.report, self.commands, self.stop = reporter, commands, stop
        self.began = time.monotonic()
        self.timed_out = False

    def run(self) -> None:
        """The whole attempt; raises StopRequest when a person stopped it."""
        self._settle_machine()
        self.report.phase(Phase.LOADING)
        self._load()
        self._check_stop()
        self.report.phase(Phase.TOKENISING)
        self._tokenise()
        self._check_stop()
        if self.questions and self.job.evaluation.before:
            self.report.phase(Phase.EVALUATING_BEFORE)
            self._evaluate("before", Phase.EVALUATING_BEFORE)
        self.report.phase(Phase.TRAINING)
        outcome = self._train()
        if self.stop and (not self.stop.save or outcome.steps == 0):
            raise StopRequest
        self.report.phase(Phase.SAVING)
        self._save(outcome.steps)
        self._check_stop()
        if self.questions:
            self.report.phase(Phase.EVALUATING_AFTER)
            self._evaluate("after", Phase.EVALUATING_AFTER)

    def _settle_machine(self) -> None:
        if self.job.training.threads:
            torch.set_num_threads(self.job.training.threads)
        transformers.logging.set_verbosity_error()
        transformers.logging.disable_progress_bar()
        transformers.set_seed(self.job.training.seed)
        self.device = choose_device(self.order.spec.compute.gpus)

    def _check_stop(self) -> None:
        self.commands.poll()
        self.stop.raise_if_set()

    def _load(self) -> None:
        job, seed = self.job, self.job.training.seed
        path = model_folder(job.model)
        self.tokenizer = load_tokenizer(path)
        self.template = choose_template(self.tokenizer, job.model.template)
        self.train_data = load_sources(job.data.train, seed)
        self.validation_data = load_sources(job.data.validation, seed)
        self.held_out = load_sources(job.evaluation.data, seed)
        self._check_stop()
        trains_all = job.tuner.kind == "full"
        self.precision = decide(job.training.precision, job.model.dtype, trains_all, self.device)
        self.report.note(self.precision.note, **self.precision.params)
        self.model = load_model(path, self.precision.weights_dtype, job.model.attention, self.device)
        self.model = apply_tuner(self.model, job.tuner)

    def _tokenise(self) -> None:
        job = self.job
        stage = STAGES[job.stage]
        groups, validation = self._rows()
        for rows in [*groups, validation]:
            stage.check(rows)
        tokeniser = stage.tokeniser(self.template, job.data.max_length, job.training.assistant_only_loss)
        encoded, kept = list[Encoded](), list[tuple[int, float]]()
        for rows, source in zip(groups, job.data.train, strict=True):
            trained = [row for row in tokeniser.encode(rows) if row.trained_tokens]
            encoded += trained
            kept.append((len(trained), source.weight))
        if not encoded:
            raise UserError("data.nothing_trained", rows=sum(map(len, groups)), max_length=job.data.max_length)
        self._tell_tally(tokeniser)
        self.encoded = encoded
        self.loader = BatchLoader(
            kept,
            np.array([len(row) for row in encoded]),
            lambda indices: [encoded[index] for index in indices],
            pad=padding_token(self.tokenizer),
            size=job.training.micro_batch_size,
            seed=job.training.seed,
            by_length=job.training.group_by_length,
        )
        self.validation = self._validation_batches(stage.tokeniser, validation)
        held_out = [row for loaded in self.held_out for row in loaded.examples]
        self.questions = questions_of(with_system(held_out, job.model.system))
        self.steps = planned_steps(job.training, len(self.loader))
        self._tell_plan(len(encoded), len(validation), tokeniser.tally.trained_tokens)

    def _rows(self) -> tuple[list[list[Example]], list[Example]]:
        job = self.job
        share = 0.0 if self.validation_data else job.data.validation_share
        groups, validation = [], []
        for loaded in self.train_data:
            kept, aside = split(with_system(loaded.examples, job.model.system), share, job.training.seed)
            groups.append(kept)
            validation += aside
        for loaded in self.validation_data:
            validation += with_system(loaded.examples, job.model.system)
        return groups, validation

    def _validation_batches(self, tokeniser: Any, rows: Sequence[Example]) -> list[Batch]:
        job = self.job
        encoder: Tokeniser = tokeniser(self.template, job.data.max_length, job.training.assistant_only_loss)
        encoded = sorted((row for row in encoder.encode(rows) if row.trained_tokens), key=len)
        size, pad = job.training.micro_batch_size, padding_token(self.tokenizer)
        return [collate(encoded[at : at + size], pad) for at in range(0, len(encoded), size)]

    def _tell_tally(self, tokeniser: Tokeniser) -> None:
        tally = tokeniser.tally
        if tally.cut:
            self.report.note(
                "data.rows_cut", "warning", cut=tally.cut, rows=tally.rows, max_length=tokeniser.max_length
            )
        if tally.untrained:
            lines = ", ".join(map(str, tally.untrained_lines))
            self.report.note("data.rows_dropped", "warning", dropped=tally.untrained, rows=tally.rows, lines=lines)

    def _tell_plan(self, rows: int, validation_rows: int, trained_tokens: int) -> None:
        total, trainable = count_parameters(self.model)
        per_epoch = max(
            1, planned_steps(self.job.training.model_copy(update={"epochs": 1.0, "max_steps": None}), len(self.loader))
        )
        self.report.planned(
            total_steps=self.steps,
            epochs=self.steps / per_epoch,
            rows=rows,
            validation_rows=validation_rows,
            held_out_rows=len(self.questions),
            trained_tokens_per_epoch=trained_tokens,
            parameters=total,
            trainable_parameters=trainable,
            precision=self.precision.arithmetic,
            device=device_name(self.device),
        )

    def _train(self) -> Any:
        args = arguments(
            self.job.training, self.steps, self.precision, self.device, self.folder.outputs, bool(self.validation)
        )
        watch = Watch(self.report.stepped, self.report.validated, self._should_stop)
        trainer = ForgeTrainer(model=self.model, args=args, loader=self.loader, validation=self.validation, watch=watch)
        outcome = train(trainer)
        if not self.stop:
            trainer.validate_at_end()
        self.model = trainer.accelerator.unwrap_model(trainer.model, keep_fp32_wrapper=False)
        return outcome

    def _should_stop(self) -> bool:
        self.commands.poll()
        hours = self.order.spec.limits.max_hours
        if hours is not None and not self.timed_out and time.monotonic() - self.began > hours * 3600:
            self.timed_out = True
            self.report.note("training.time_limit", "warning", hours=hours, step=self.report.step)
        return bool(self.stop) or self.timed_out

    def _save(self, step: int) -> None:
        kind = "model" if self.job.tuner.kind == "full" else "adapter"
        target = self.folder.outputs / kind

        def write(folder: Path) -> None:
            if kind == "adapter":
                self.model.save_pretrained(str(folder), save_embedding_layers=False)
            else:
                self.model.save_pretrained(str(folder))
                self.tokenizer.save_pretrained(str(folder))

        found = publish_folder(target, write)
        self.report.saved(artifact=kind, path=f"outputs/{kind}", step=step, bytes=found.bytes, sha256=found.sha256)

    def _evaluate(self, when: When, phase: Phase) -> None:
        def progress(done: float) -> None:
            self.report.phase(phase, done)
            self._check_stop()

        generator = Generator(self.model, self.tokenizer, self.template.end_of_turn)
        settings = self.job.evaluation
        questions: Sequence[Question] = self.questions
        answered = measure(generator, self.template, questions, settings.max_new_tokens, progress)
        name = f"answers_{when}.jsonl"
        write_answers(self.folder.outputs / name, answered)
        self.report.scored(when, sum(answer.correct for answer in answered), len(answered), name)
        found = fingerprint_of(self.folder.outputs / name)
        self.report.saved(artifact="answers", path=f"outputs/{name}", bytes=found.bytes, sha256=found.sha256)
        for index, answer in enumerate(answered[: settings.samples]):
            self.report.sampled(
                when,
                index,
                prompt=answer.prompt,
                expected=answer.expected,
                answer=answer.answer,
                correct=answer.correct,
            )
