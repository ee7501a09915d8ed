"""What a training attempt works with: device, tokenizer, template, rows and model, loaded and checked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from engine.compute.data.labels import Labels
from engine.compute.data.loading import Loaded, load_sources
from engine.compute.data.mask import end_is_marked
from engine.compute.data.templates import Template, choose_template
from engine.compute.inference.base import load_model, load_tokenizer, padding_token
from engine.compute.inference.rope import changes, extra_values
from engine.compute.training.beginnings import Begun
from engine.compute.training.continuing import go_on_with
from engine.compute.training.kernels import apply_liger, check_attention
from engine.compute.training.new_tokens import VOCABULARY
from engine.compute.training.optimizers import check_optimizer
from engine.compute.training.packs import keeps_rows_apart
from engine.compute.training.plain_lora import beginning
from engine.compute.training.precision import Precision, choose_device, decide, has_bf16
from engine.compute.training.prompts import check_length
from engine.compute.training.tuners import apply_tuner
from engine.compute.worker.head_rows import head_of, learned_labels
from engine.compute.worker.reporter import Reporter
from engine.contract.errors import UserError
from engine.contract.run_spec import RunSpec, TrainJob
from engine.contract.stages import stage_of
from engine.contract.tuners import TUNERS


@dataclass
class Materials:
    """Everything loaded."""

    device: torch.device
    tokenizer: Any
    template: Template
    train: list[Loaded]
    validation: list[Loaded]
    held_out: list[Loaded]
    precision: Precision
    model: Any
    folder: Path
    """The base model's files."""
    began: dict[str, torch.Tensor]
    """The adapter as it began, where it took its beginning out of the base model."""
    labels: Labels | None = None
    """The classes, where rows have them."""
    begun: Begun | None = None
    """How the adapter began, where rows or lost bits decided it."""
    ends_texts: bool = False
    """A model from scratch that learns texts: they end at the tokenizer's own end, whatever turns end at."""
    changed: dict[str, Any] = field(default_factory=dict)
    """What of the base model's config is other than in its files."""

    def settle(self, begun: Begun) -> None:
        """The adapter has its beginning now."""
        self.model, self.began, self.begun = begun.model, beginning(begun.model), begun


def gather(spec: RunSpec, job: TrainJob, folder: Path, report: Reporter, check_stop: Callable[[], None]) -> Materials:
    """Load all of it, the cheap and the likely wrong first."""
    seed = job.training.seed
    device = choose_device(spec.compute.gpus)
    check_optimizer(job.training, device)
    check_attention(job.model.attention, device)
    precision = decide(job.training.precision, job.model.dtype, TUNERS[job.tuner.kind].whole_model, device)
    tokenizer = load_tokenizer(folder)
    template = choose_template(tokenizer, job.model.template, thinking=job.model.thinking)
    data = job.data
    by_group = data.validation_by == "group" and data.validation_share > 0 and not data.validation
    train = load_sources(data.train, seed, data.group_column if by_group else None)
    validation, held_out = (load_sources(sources, seed) for sources in (data.validation, job.evaluation.data))
    check_stop()
    report.note(precision.note, **precision.params)
    if precision.arithmetic != "bf16" and has_bf16(device):
        report.note("training.bf16_unused", "warning", chosen=precision.arithmetic)
    report.note(template.note, **template.params)
    if not end_is_marked(template):
        report.note("model.template_end_unmarked", "warning", token=template.end_of_turn)
    for source in [*train, *validation, *held_out]:
        _tell(source, report)
        if source.media:
            report.note("data.media_not_trained", "warning", rows=source.media, name=source.name)
    stage = stage_of(job.stage)
    scores, labels = stage.scores, learned_labels(job, train, [*validation, *held_out], report)
    made = head_of(job, labels) if scores and not stage.vectors else {}
    changed = changes(folder, job.model, data.max_length) | extra_values(folder, job.extra.model)
    model = load_model(
        folder,
        precision.weights_dtype,
        job.model.attention,
        device,
        job.quantisation,
        scores,
        stage.vectors,
        made,
        changed,
    )
    if job.training.liger:
        apply_liger(model, device)
    if scores:  # it looks for the last token of a row that is no filling
        model.config.get_text_config().pad_token_id = padding_token(tokenizer)
    at_once = min(2, job.training.micro_batch_size) if job.training.packing == "packed" else 1
    if job.training.packing != "none" and not keeps_rows_apart(model, at_once):
        raise UserError("training.rows_not_apart", architecture=type(model).__name__)
    check_stop()
    task = "FEATURE_EXTRACTION" if stage.vectors else "SEQ_CLS" if scores else "CAUSAL_LM"
    if TUNERS[job.tuner.kind].virtual:
        check_length(model, job.tuner, job.data.max_length)
    tuned = go_on_with(apply_tuner(model, job.tuner, task, tokenizer), job.tuner)
    if job.tuner.new_tokens:
        changed |= {VOCABULARY: model.get_input_embeddings().weight.shape[0]}
    return Materials(
        device,
        tokenizer,
        template,
        train,
        validation,
        held_out,
        precision,
        tuned,
        folder,
        beginning(tuned),
        labels,
        ends_texts=job.from_scratch and job.stage == "pretrain",
        changed=changed,
    )


def _tell(source: Loaded, report: Reporter) -> None:
    """How a source is read."""
    said: dict[str, Any] = {"rows": source.rows, "name": source.name, "format": source.form.format}
    if source.version is not None:
        report.note("data.read_version", version=source.version.manifest.hash[:12], **said)
    else:
        report.note("data.read" if source.chosen else "data.read_given", column=source.form.column, **said)
