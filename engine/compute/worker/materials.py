"""What a training attempt works with: device, tokenizer, template, rows and model, loaded and checked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from engine.compute.data.loading import Loaded, load_sources
from engine.compute.data.templates import Template, choose_template
from engine.compute.inference.base import load_model, load_tokenizer
from engine.compute.training.precision import Precision, choose_device, decide
from engine.compute.training.tuners import apply_tuner
from engine.compute.worker.reporter import Reporter
from engine.contract.run_spec import RunSpec, TrainJob


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


def gather(spec: RunSpec, job: TrainJob, folder: Path, report: Reporter, check_stop: Callable[[], None]) -> Materials:
    """Load all of it, the cheap and the likely wrong first."""
    seed = job.training.seed
    device = choose_device(spec.compute.gpus)
    precision = decide(job.training.precision, job.model.dtype, job.tuner.kind == "full", device)
    tokenizer = load_tokenizer(folder)
    template = choose_template(tokenizer, job.model.template)
    train, validation, held_out = (
        load_sources(sources, seed) for sources in (job.data.train, job.data.validation, job.evaluation.data)
    )
    check_stop()
    report.note(precision.note, **precision.params)
    report.note(template.note)
    for source in [*train, *validation, *held_out]:
        code = "data.read" if source.chosen else "data.read_given"
        report.note(code, rows=source.rows, name=source.name, format=source.form.format, column=source.form.column)
    model = load_model(folder, precision.weights_dtype, job.model.attention, device)
    check_stop()
    tuned = apply_tuner(model, job.tuner)
    return Materials(device, tokenizer, template, train, validation, held_out, precision, tuned, folder)
