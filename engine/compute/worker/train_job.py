"""A training attempt: load, tokenise, measure, train (from a checkpoint if there is one), save, measure again."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import torch
import transformers

from engine.compute.training.allocation import Allocation
from engine.compute.training.beforehand import Beforehand
from engine.compute.training.beginnings import begin_again, begin_by_rows, has_pass
from engine.compute.training.callbacks import Watch
from engine.compute.training.checkpoint import load_weights, other_optimizer
from engine.compute.training.kernels import compile_layers, why_not_compiled
from engine.compute.training.lisa import Lisa
from engine.compute.training.members import Members
from engine.compute.training.objectives import Objective
from engine.compute.training.optimizers import make_muon
from engine.compute.training.precision import DTYPES, device_name, nvml_names
from engine.compute.training.preferences import Direct
from engine.compute.training.prompts import as_base
from engine.compute.training.row_losses import RowLosses
from engine.compute.training.stages import STAGES
from engine.compute.training.together import restore
from engine.compute.training.trainer import ForgeTrainer, Outcome, arguments, outcome_of, train
from engine.compute.training.tuners import count_parameters
from engine.compute.worker.adapter_file import write_adapter_file
from engine.compute.worker.boundary import Boundary
from engine.compute.worker.checkpoints import Checkpoints
from engine.compute.worker.commands import StopRequest
from engine.compute.worker.comparing import compare
from engine.compute.worker.course import Course, rating
from engine.compute.worker.environment import describe
from engine.compute.worker.forensics import Forensics
from engine.compute.worker.from_scratch import FromScratch, write_card
from engine.compute.worker.heads import save_head, score
from engine.compute.worker.identity import IdentityInMaking
from engine.compute.worker.judging import Judging
from engine.compute.worker.lessons import Lessons, prepare, tell_tally
from engine.compute.worker.materials import Materials, gather
from engine.compute.worker.memory import MemoryBook
from engine.compute.worker.model_source import ModelSource
from engine.compute.worker.purpose import purpose_of
from engine.compute.worker.pushed import push_result
from engine.compute.worker.results import When, evaluate, save_weights
from engine.compute.worker.resume import Start, check_identity, choose, differences
from engine.compute.worker.teaching import Teaching
from engine.compute.worker.team import Team
from engine.compute.worker.telemetry import gpu_sampler
from engine.compute.worker.trackers import Trackers, refuse_missing
from engine.compute.worker.worker import Worker
from engine.contract.paths import AttemptFolder
from engine.contract.run_spec import AttemptOrder, TrainJob
from engine.contract.stages import keeps_copy, stage_of
from engine.contract.states import Phase


class TrainSession:
    """Composes data, training, evaluation and saving for one attempt."""

    def __init__(
        self,
        order: AttemptOrder,
        job: TrainJob,
        folder: AttemptFolder,
        worker: Worker,
        devices: Sequence[str] = (),
    ) -> None:
        """`devices`: what the members' GPUs are called, where there are several."""
        self.order, self.spec, self.job, self.folder = order, order.spec, job, folder
        self.worker, self.report, self.stop = worker, worker.report, worker.stop
        self.checkpoints = Checkpoints(
            folder.checkpoints, job.checkpoints, order.attempt, worker.report, lambda made: rating(made, job.stopping)
        )
        self.fresh = job.from_scratch
        self.course: Course
        self.judging: Judging
        self.teaching = Teaching(order, job, folder, worker)
        self.team = Team(order, folder, list(devices))
        self.members: Members | None = None

    def run(self) -> None:
        """The whole attempt; raises StopRequest when it was asked to end."""
        start = choose(self.order, self.folder.run, self.report)
        self.course = Course(self, start)
        refuse_missing(self.job.watching)
        with self.team:
            self.team.start(start)
            self.members = self.team.members
            self._settle(start)
            model = ModelSource(self.order, self.job.model, self.folder, self.worker)
            folder = FromScratch(self.job, self.folder, self.worker).obtain(start) if self.fresh else model.obtain()
            self.team.tell_model(folder)
            self.teaching.obtain()
            self._load(start, folder, model.commit)

    def _load(self, start: Start | None, folder: Path, commit: str) -> None:
        """The model's files are there: everything else, and training."""
        self.report.phase(Phase.LOADING)
        materials = gather(self.spec, self.job, folder, self.report, self.worker.check)
        self._watch_devices(materials)
        self.teaching.load(materials)
        self.report.phase(Phase.TOKENISING)
        lessons = prepare(self.job, materials, self.report, self._progress)
        self.judging = Judging(self.job, materials, lessons, self.folder.outputs, self.worker)
        with self.judging:
            self._learn(start, materials, lessons, commit)

    def _watch_devices(self, materials: Materials) -> None:
        """Readings of this process's GPU, and of the other members' once they are there."""
        names, telemetry = nvml_names(materials.device), self.worker.telemetry
        telemetry.watch_gpus(gpu_sampler(names))
        telemetry.watch_processes(self.team.processes)
        if self.members is not None and names:
            self.members.joined = lambda told: telemetry.watch_gpus(
                gpu_sampler([*names, *(name for one in told for name in one.get("gpus", ()))])
            )

    def _learn(self, start: Start | None, materials: Materials, lessons: Lessons, commit: str) -> None:
        """Everything is there: measure, train, save, measure again."""
        self._begin(start, materials, lessons)
        adapter = self.job.tuner.adapter
        identity = IdentityInMaking(materials.folder, lessons.fingerprint, self.teaching.folders, adapter)
        self._tell_plan(materials, lessons, commit)
        self.worker.check()
        if start is None and self.job.evaluation.before:
            with as_base(materials.model):
                self._evaluate("before", materials, lessons)
        self.report.phase(Phase.TRAINING)
        outcome = self._train(materials, lessons, identity, start)
        self.worker.commands.refuse_waiting()
        if self.stop and (self.stop.pause or not self.stop.save or outcome.steps == 0):
            raise StopRequest
        self.report.phase(Phase.SAVING)
        step = self.course.result(materials.model, outcome.steps)
        beside = partial(save_head, self.job, materials) if stage_of(self.job.stage).head else None
        beside = partial(write_card, self.job, materials) if self.fresh else beside
        save_weights(self.job.tuner.kind, materials, self.folder.outputs, step, self.report, beside)
        write_adapter_file(
            self.order,
            self.job,
            materials.folder,
            self.folder.outputs,
            step,
            self.report.values,
            self.report,
            partial(purpose_of, materials),
        )
        self.worker.check()
        self._evaluate("after", materials, lessons)
        push_result(self.order, self.job, self.folder, self.worker)

    def _begin(self, start: Start | None, materials: Materials, lessons: Lessons) -> None:
        """Give the adapter its beginning: from rows once, and after that from what the checkpoint keeps of it."""
        tuner = self.job.tuner
        if not has_pass(tuner):
            return
        if start is not None:
            materials.settle(begin_again(materials.model, tuner, start.folder))
            return
        self.report.phase(Phase.BEGINNING)
        folder, loader = materials.folder, lessons.loader
        materials.settle(begin_by_rows(materials.model, tuner, loader, materials.device, folder, self._began))

    def _began(self, done: float) -> None:
        """Rows are looked at for the adapter's beginning: a report, and a place to stop."""
        self.report.phase(Phase.BEGINNING, done)
        self.worker.check()

    def _settle(self, start: Start | None) -> None:
        """Threads, silence and chance, before anything is made."""
        threads = self.job.training.threads or (start.manifest.environment.get("threads") if start else None)
        count = self.spec.compute.members
        if threads or count > 1:
            torch.set_num_threads(int(threads or max(1, torch.get_num_threads() // count)))
        transformers.logging.set_verbosity_error()
        transformers.logging.disable_progress_bar()
        transformers.set_seed(self.job.training.seed)

    def _progress(self, done: float) -> None:
        """Rows are being tokenised: a report, and a place to stop."""
        self.report.phase(Phase.TOKENISING, done)
        self.worker.check()

    def _tell_plan(self, materials: Materials, lessons: Lessons, commit: str) -> None:
        total, trainable = count_parameters(materials.model)
        self.report.planned(
            total_steps=lessons.steps,
            epochs=lessons.epochs,
            rows=len(lessons.loader.pool),
            validation_rows=lessons.validation_rows,
            held_out_rows=max(len(lessons.questions), len(lessons.asked))
            + len(lessons.comparisons)
            + len(lessons.heard),
            trained_tokens_per_epoch=lessons.trained_tokens,
            parameters=total,
            trainable_parameters=trainable,
            precision=materials.precision.arithmetic,
            device=device_name(materials.device),
            model_commit=commit,
        )

    def _evaluate(self, when: When, materials: Materials, lessons: Lessons) -> None:
        settings, outputs = self.job.evaluation, self.folder.outputs
        if lessons.heard:
            score(when, materials, lessons.heard, self.job, outputs, self.report, self.worker.check)
        if lessons.comparisons:
            compare(when, materials, lessons.comparisons, self.job, outputs, self.report, self.worker.check)
        self.judging.reward(when)
        if lessons.questions:
            evaluate(when, materials, lessons.questions, settings, outputs, self.report, self.worker.check)

    def _train(
        self, materials: Materials, lessons: Lessons, identity: IdentityInMaking, start: Start | None
    ) -> Outcome:
        environment = {**describe(), "threads": torch.get_num_threads(), "device": device_name(materials.device),
                       "members": self.team.count}  # fmt: skip
        if start is not None:
            self._go_on(start, identity, environment)
            if start.manifest.step >= lessons.steps:  # only what comes after training is left to do
                load_weights(materials.model, start.folder)
                return Outcome(start.manifest.step, True)
        objective = self._objective(materials)
        self._ask_reference(objective, materials, lessons, identity)
        self.judging.equip(objective)
        self.teaching.equip(objective, materials, lessons.tokeniser)
        boundary = Boundary(self, materials, lessons, identity, environment, start)
        book = MemoryBook(self.job, materials.folder, self.report, self.order.memory, self.spec.compute)
        record = Forensics(self, materials, lessons, identity, boundary, objective.of_tokens)
        watch = Watch(boundary.stepped, boundary.validated, self._should_stop, record, self.course.go_back, book.begin)
        trainer = self._trainer(materials, lessons, objective, watch, bool(lessons.validation), record.losses, start)
        if self.job.tuner.kind == "lisa":
            trainer.add_callback(Lisa(materials.model, self.job.tuner, self.job.training.seed))
        self._compile(materials)
        boundary.trainer = book.trainer = trainer
        if not trainer.selective:
            architecture = type(trainer.model).__name__
            self.report.note("training.full_logits", "warning", architecture=architecture)
        self.checkpoints.begin()
        record.begin(start.manifest.step if start else 0)
        with Trackers(self, start), self.course.watched_data():
            train(trainer, start.folder if start else None)
        outcome = outcome_of(trainer)
        if not self.stop and not self.course.by_guard:
            trainer.validate_at_end()
        self.judging.finish()
        book.end()
        record.end()
        boundary.finish(outcome)
        restore(trainer)
        self.team.finish()
        if lessons.loader.pool.lazy:
            tell_tally(lessons.tokeniser, self.report)
        materials.model = trainer.accelerator.unwrap_model(trainer.model, keep_fp32_wrapper=False)
        return outcome

    def _objective(self, materials: Materials) -> Objective:
        """With the model as it is before its first step."""
        return STAGES[self.job.stage].objective(self.job, materials.model)

    def _ask_reference(
        self, objective: Objective, materials: Materials, lessons: Lessons, identity: IdentityInMaking
    ) -> None:
        """Have the reference judge all rows now, where that is asked for, or read what it said before."""
        if not self.job.asks_beforehand or not isinstance(objective, Direct):
            return
        self.report.phase(Phase.COMPARING)
        form = materials.precision.arithmetic
        if form != "fp32":
            objective.autocast = partial(torch.autocast, materials.device.type, dtype=DTYPES[form])
        whole = keeps_copy(self.job.stage, False, self.job.tuner.kind, self.job.tuner.init)
        switches_off = not whole and not self.job.tuner.adapter  # one that was gone on with is judged against itself
        asking = Beforehand(objective, materials.model, switches_off, materials.device, self._compared)
        parts = (self.job.model, self.job.objective, self.job.tuner, self.job.data, self.job.training.seed)
        asked = [part if isinstance(part, int) else part.model_dump(mode="json") for part in parts]
        key = json.dumps([identity.result().model_dump(), form, asked], sort_keys=True)
        lessons.validation = asking.obtain(self.folder.reference, key, lessons.loader, lessons.validation)

    def _compared(self, done: float) -> None:
        """The reference is being asked: a report, and a place to stop."""
        self.report.phase(Phase.COMPARING, done)
        self.worker.check()

    def _trainer(
        self,
        materials: Materials,
        lessons: Lessons,
        objective: Objective,
        watch: Watch,
        validates: bool,
        rows: RowLosses | None = None,
        start: Start | None = None,
    ) -> ForgeTrainer:
        """The same in every member."""
        if self.members is not None and self.members.shards:
            self._part(materials, self.members, start)
        args = arguments(
            self.job.training, lessons.steps, materials.precision, materials.device, self.folder.outputs, validates,
            _noise(self.job),
        )  # fmt: skip
        trainer = ForgeTrainer(
            model=materials.model, args=args, loader=lessons.loader,
            validation=lessons.validation if validates else (), watch=watch,
            parts=self.job.training.micro_batch_parts, plus_ratio=self.job.tuner.plus_ratio,
            muon=partial(make_muon, config=self.job.training) if self.job.training.optimizer == "muon" else None,
            guards=self.course.guards, rows=rows, objective=objective, ranks=self._ranks(materials, lessons),
            members=self.members, more_optimizer=self.job.extra.optimizer,
        )  # fmt: skip
        trainer.keeps = self.course
        self.course.trainer = trainer
        return trainer

    def _part(self, materials: Materials, members: Members, start: Start | None) -> None:
        """Part the weights among the members, as they are to begin or to go on."""
        if start is not None:
            load_weights(materials.model, start.folder)
        members.join(materials.device)
        members.same(weight for weight in materials.model.parameters() if weight.requires_grad)
        if members.strategy == "fsdp2":  # DeepSpeed parts them with the optimiser, once there is one
            from engine.compute.training.sharded import shard

            shard(materials.model)

    def _compile(self, materials: Materials) -> None:
        """Compile the layers where that is asked for and can be done."""
        if not self.job.training.compile:
            return
        detail = why_not_compiled(materials.device)
        if detail:
            self.report.note("training.not_compiled", "warning", detail=detail)
            return
        self.report.note("training.compiled", count=compile_layers(materials.model))

    def _ranks(self, materials: Materials, lessons: Lessons) -> Allocation | None:
        """Who moves ranks between modules, where the method does."""
        tuner = self.job.tuner
        return Allocation(materials.model, tuner, lessons.steps) if tuner.kind == "adalora" else None

    def _go_on(self, start: Start, identity: IdentityInMaking, environment: dict[str, object]) -> None:
        """Make sure the checkpoint belongs here, and say where the curve goes on."""
        check_identity(start, identity.result(), self.job)
        changed = differences(start, environment)
        other = other_optimizer(self.job.training.optimizer, start.folder)
        if other:
            changed.append(f"optimizer {other} → {self.job.training.optimizer}")
        if changed:
            self.report.note("checkpoint.not_exact", "warning", differences=", ".join(changed))
        self.report.resumed(start.point.attempt, start.manifest.step, start.point.path)

    def _should_stop(self) -> bool:
        """Asked at every step boundary."""
        self.worker.listen()
        return self.course.should_stop() or bool(self.stop)


def _noise(job: TrainJob) -> float | None:
    """NEFTune's, where the stage takes it."""
    return job.objective.neftune_alpha if "neftune_alpha" in stage_of(job.stage).settings else None
