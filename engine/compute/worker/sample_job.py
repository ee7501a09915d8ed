"""A dataset made by a model: its answers pass through the import, which keeps, checks and goes on with them."""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch

from engine.compute.data.importing import Importer, order_key
from engine.compute.data.loading import Loaded, load_source
from engine.compute.data.questions import QuestionTokeniser
from engine.compute.data.row_set import RowSet
from engine.compute.data.store import is_version, open_version
from engine.compute.data.store.making import Making
from engine.compute.data.templates import Template, choose_template
from engine.compute.inference.base import load_model, load_tokenizer
from engine.compute.inference.generate import Generator
from engine.compute.inference.rope import changes
from engine.compute.training.kernels import check_attention
from engine.compute.training.precision import choose_device, decide, device_name, nvml_names
from engine.compute.training.rewards.judge import Judge
from engine.compute.training.rewards.model import ModelReward
from engine.compute.worker.adapted import taught
from engine.compute.worker.commands import StopRequest
from engine.compute.worker.failures import is_out_of_memory
from engine.compute.worker.import_job import program_version, tell_made
from engine.compute.worker.model_source import ModelSource
from engine.compute.worker.sample_feed import SampleFeed
from engine.compute.worker.telemetry import gpu_sampler
from engine.compute.worker.worker import Worker
from engine.contract.datasets import ImportJob, ImportSource
from engine.contract.durable import write_json
from engine.contract.errors import UserError
from engine.contract.paths import AttemptFolder, Home, expanded
from engine.contract.run_spec import AttemptOrder
from engine.contract.sampling import SampleJob
from engine.contract.states import Phase

ANSWERED = ("conversation", "prompt", "preference", "verdict")
"""What a row may be to have a question."""
TELL_EVERY_S, SAVE_EVERY_S, SAVE_SHARE = 1.0, 60.0, 20
"""Rows are made last every minute, and less often as time goes on: each time begins another file."""
MODEL_FILES = ("*.safetensors", "*.json", "*.jinja", "*.model")


class SampleSession:
    """One attempt of a run that samples."""

    def __init__(self, order: AttemptOrder, job: SampleJob, folder: AttemptFolder, worker: Worker) -> None:
        self.order, self.job, self.folder, self.worker = order, job, folder, worker
        self.report, self.home = worker.report, Home.find()
        self._told = 0.0
        self._began = self._saved = time.monotonic()
        self._importer: Importer | None = None
        self._sampling = True
        self._feed: SampleFeed

    def run(self) -> None:
        """The whole attempt; raises StopRequest when it was asked to end."""
        source = ModelSource(self.order, self.job.model, self.folder, self.worker)
        model = source.obtain()
        self.report.phase(Phase.LOADING)
        rows = self._questions()
        identity = self._identity(model, source.commit, rows)
        if self._made_before(identity):
            return
        device = choose_device(self.order.spec.compute.gpus)
        self.worker.telemetry.watch_gpus(gpu_sampler(nvml_names(device)))
        tokenizer = load_tokenizer(model)
        template = choose_template(tokenizer, self.job.model.template, thinking=self.job.model.thinking)
        self.report.note(template.note, **template.params)
        tokeniser = QuestionTokeniser(template, self.job.max_length, self.job.max_tokens)
        try:
            generator = self._generator(model, device, tokenizer, template)
            judge = self._judge(model, device)
            try:
                self._feed = SampleFeed(self.job, rows, tokeniser, generator, judge, self._look)
                self._feed.identity = identity
                self._make(source.commit, rows)
            finally:
                if judge is not None:
                    judge.close()
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            size = self.job.batch_size
            raise UserError("memory.sampling", size=size, smaller=max(1, size // 2)) from error

    def _questions(self) -> RowSet:
        """The rows that are asked, with the system prompt."""
        loaded: Loaded = load_source(self.job.source, 0, self.job.seed)
        said: dict[str, Any] = {"rows": loaded.rows, "name": loaded.name, "format": loaded.form.format}
        self.report.note("data.read_given" if not loaded.chosen else "data.read", column=loaded.form.column, **said)
        for example in loaded.content.typical():
            if example.teaches not in ANSWERED:
                raise UserError("data.asks_nothing", format=loaded.form.format)
        return loaded.content.with_system(self.job.model.system)

    def _generator(self, folder: Path, device: torch.device, tokenizer: Any, template: Template) -> Generator:
        """The model that answers, ready to be asked."""
        asked = self.job.model
        check_attention(asked.attention, device)
        precision = decide("auto", asked.dtype, False, device)
        changed = changes(folder, asked, self.job.max_length)
        model = load_model(
            folder, precision.weights_dtype, asked.attention, device, asked.quantisation, changed=changed
        )  # fmt: skip
        self.worker.check()
        if self.job.adapter:
            model = taught(model, expanded(self.job.adapter), "model.adapter_failed")
        model.eval().requires_grad_(False)
        self.report.note(precision.note, **{**precision.params, "device": device_name(device)})
        self.worker.check()
        return Generator(model, tokenizer, template.stops)

    def _judge(self, folder: Path, device: torch.device) -> Judge | None:
        if not self.job.rewards:
            return None
        return Judge(self.job.rollouts, lambda reward: ModelReward(reward.path, folder, device), self._look)

    def _identity(self, model: Path, commit: str, rows: RowSet) -> str:
        """The same while rows of an earlier attempt are still what is wanted; the batch size does not matter."""
        whole = hashlib.sha256()
        asked = self.job.model_dump(mode="json", exclude={"dataset", "batch_size"})
        weights = commit or repr(_stamps(model))
        taught_by = repr(_stamps(expanded(self.job.adapter))) if self.job.adapter else ""
        judged_by = repr([_stamps(expanded(one.path)) for one in self.job.rewards if one.path])
        for part in (json.dumps(asked, sort_keys=True), weights, taught_by, judged_by):
            whole.update(part.encode() + b"\n")
        for piece in rows.describe(1.0):
            whole.update(piece)
        return whole.hexdigest()

    def _made_before(self, identity: str) -> bool:
        """An earlier attempt put the version in its place, and did not live to say so."""
        try:
            found = json.loads(self.folder.sampled.read_bytes())
            folder = self.home.dataset(str(found["hash"]))
        except (OSError, ValueError, KeyError, TypeError):
            return False
        if found.get("identity") != identity or not is_version(folder):
            return False
        tell_made(self.report, folder, open_version(folder).manifest)
        return True

    def _make(self, commit: str, rows: RowSet) -> None:
        self.report.phase(Phase.SAMPLING)
        form = "preference" if self.job.choose == "best_worst" else "messages"
        place = ImportSource(kind="sample", place=self.order.run, name=self.job.source.path[-255:])
        job = ImportJob(dataset=self.job.dataset, source=place, format=form)  # type: ignore[arg-type]
        work = self.home.importing(self.order.run)
        making = Making(work, order_key(job, self._feed.identity))
        try:
            importer = self._importer = Importer(job, self._feed, making, self._look)
            self._feed.tally = importer.tally
            if making.goes_on:
                at: dict[str, Any] = {"question": importer.place.row + 1, "questions": self._feed.questions}
                self.report.note("sample.goes_on", rows=making.rows, **at)
            elif making.begins_anew:
                self.report.note("sample.begins_anew")
            try:
                importer.read_rows()
                self._tell(time.monotonic())
                self._sampling = False
                self._refuse_nothing(making)
                self.report.phase(Phase.CHECKING, rows_done=importer.read)
                importer.check_all()
            except StopRequest:
                if self.worker.stop.save:
                    importer.save()
                raise
            self._keep(importer, making, commit, rows)
        except UserError as error:
            if error.code.startswith("data.") and error.code != "data.no_room":  # of no use to another attempt
                making.close()
                shutil.rmtree(work, ignore_errors=True)
            raise
        finally:
            making.close()

    def _refuse_nothing(self, making: Making) -> None:
        """Without a row there is no version."""
        if making.rows:
            return
        told, job = self._told_of(), self.job
        if told["too_long"] == told["questions"]:
            params: dict[str, Any] = {"rows": told["questions"], "length": job.max_length, "answer": job.max_tokens}
            raise UserError("data.questions_too_long", room=job.max_length - job.max_tokens, **params)
        raise UserError("data.nothing_sampled", **told)

    def _told_of(self) -> dict[str, Any]:
        names = ("questions", "answers", "cut", "empty", "refused", "unjudged", "alike", "too_long")
        return {name: self._feed.tally.get(name, 0) for name in names}

    def _keep(self, importer: Importer, making: Making, commit: str, rows: RowSet) -> None:
        """The last steps: from here on it is not ended any more."""
        told, job = self._told_of(), self.job
        manifest = importer.manifest(program_version(), commit)
        how = job.model_dump(mode="json", exclude={"kind", "dataset", "model", "source", "batch_size"})
        source = {"name": job.source.path, "version": rows.row_id(0).version}
        model = {"path": job.model.path, "hub": job.model.hub, "commit": commit}
        manifest = manifest.model_copy(update={"sampled": {"model": model, "source": source, **how, "counts": told}})
        if told["cut"] and not job.keep_cut:
            self.report.note("sample.cut", "warning", cut=told["cut"], answers=told["answers"])
        if told["too_long"]:
            self.report.note("sample.too_long", "warning", rows=told["too_long"])
        write_json(self.folder.sampled, {"hash": manifest.hash, "identity": self._feed.identity})
        folder, there_already = making.finish(manifest, self.home.datasets)
        if there_already:
            self.report.note("data.there_already")
            manifest = open_version(folder).manifest
        counts: dict[str, Any] = {"answers": told["answers"], "questions": told["questions"]}
        self.report.note("sample.made", rows=manifest.rows, name=job.dataset, **counts)
        tell_made(self.report, folder, manifest)

    def _look(self) -> None:
        """Called at every token and row: a place to stop, now and then to save, and a line of progress."""
        self.worker.check()
        moment = time.monotonic()
        if moment - self._told >= TELL_EVERY_S:
            self._tell(moment)
        every = max(SAVE_EVERY_S, (moment - self._began) / SAVE_SHARE)
        if self._importer is not None and moment - self._saved >= every:
            self._saved = moment
            self._importer.save()

    def _tell(self, moment: float) -> None:
        importer = self._importer
        if importer is None or not self._sampling:
            return
        self._told = moment
        share = importer.place.row / max(1, self._feed.questions)
        self.report.phase(Phase.SAMPLING, min(1.0, share), rows_done=importer.read)


def _stamps(folder: Path) -> list[tuple[str, int, int]]:
    """Of weights and settings in a folder, or of one file: another has another size or time."""
    found: Iterable[Path] = {path for pattern in MODEL_FILES for path in folder.glob(pattern)} | {folder}
    return sorted((path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in found if path.is_file())
