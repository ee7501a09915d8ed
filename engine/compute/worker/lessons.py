"""From loaded rows to batches: the split, the tokens, the questions, and what to tell about them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from engine.compute.data.pool import RowPool
from engine.compute.data.rows import Example, with_system
from engine.compute.data.split import split
from engine.compute.data.tokenise import Tokeniser
from engine.compute.evaluation.exact_match import Question, questions_of
from engine.compute.inference.base import padding_token
from engine.compute.training.batches import Batch, BatchLoader, collate, filling_multiple
from engine.compute.training.stages import STAGES
from engine.compute.training.trainer import planned_steps, steps_per_epoch
from engine.compute.worker.identity import data_fingerprint
from engine.compute.worker.materials import Materials
from engine.compute.worker.reporter import Reporter
from engine.contract.run_spec import TrainJob


@dataclass
class Lessons:
    """What is learned from, and what is asked."""

    loader: BatchLoader
    validation: list[Batch]
    validation_rows: int
    questions: list[Question]
    steps: int
    epochs: float
    trained_tokens: int | None
    """Of one epoch; unknown when rows are tokenised while training."""
    tokeniser: Tokeniser
    fingerprint: str
    """Of the training rows in their order."""


def prepare(job: TrainJob, materials: Materials, report: Reporter, progress: Callable[[float], None]) -> Lessons:
    """Split, tokenise, and count."""
    stage, config = STAGES[job.stage], job.training
    groups, aside = _rows(job, materials)
    for rows in [*groups, aside]:
        stage.check(rows)
    tokeniser = stage.tokeniser(materials.template, job.data.max_length, config.assistant_only_loss)
    weights = [source.weight for source in job.data.train]
    pool = RowPool(tokeniser, list(zip(groups, weights, strict=True)), config.seed)
    pool.prepare(progress)
    if not pool.lazy:
        tell_tally(tokeniser, report)
    loader = BatchLoader(
        pool,
        pad=padding_token(materials.tokenizer),
        size=config.micro_batch_size,
        seed=config.seed,
        by_length=config.group_by_length,
        multiple=filling_multiple(materials.device),
    )
    validator = stage.tokeniser(materials.template, job.data.max_length, config.assistant_only_loss)
    multiple = filling_multiple(materials.device)
    validation = _validation(validator, aside, config.micro_batch_size, padding_token(materials.tokenizer), multiple)
    steps = planned_steps(config, len(loader))
    return Lessons(
        loader,
        validation,
        len(aside),
        _questions(job, materials),
        steps,
        steps / steps_per_epoch(config, len(loader)),
        None if pool.lazy else tokeniser.tally.trained_tokens,
        tokeniser,
        data_fingerprint(zip(groups, weights, strict=True)),
    )


def tell_tally(tokeniser: Tokeniser, report: Reporter) -> None:
    """What was cut and what was left out."""
    tally = tokeniser.tally
    if tally.cut:
        report.note("data.rows_cut", "warning", cut=tally.cut, rows=tally.rows, max_length=tokeniser.max_length)
    if tally.untrained:
        lines = ", ".join(map(str, tally.untrained_lines))
        report.note("data.rows_dropped", "warning", dropped=tally.untrained, rows=tally.rows, lines=lines)


def _rows(job: TrainJob, materials: Materials) -> tuple[list[list[Example]], list[Example]]:
    """Training rows by source, and validation rows."""
    share = 0.0 if materials.validation else job.data.validation_share
    groups, validation = list[list[Example]](), list[Example]()
    for loaded in materials.train:
        kept, aside = split(with_system(loaded.examples, job.model.system), share, job.training.seed)
        groups.append(kept)
        validation += aside
    for loaded in materials.validation:
        validation += with_system(loaded.examples, job.model.system)
    return groups, validation


def _questions(job: TrainJob, materials: Materials) -> list[Question]:
    examples = [example for loaded in materials.held_out for example in loaded.examples]
    return questions_of(with_system(examples, job.model.system))


def _validation(tokeniser: Tokeniser, rows: Sequence[Example], size: int, pad: int, multiple: int) -> list[Batch]:
    encoded = sorted((row for row in tokeniser.encode(rows) if row.trained_tokens), key=len)
    return [collate(encoded[at : at + size], pad, multiple) for at in range(0, len(encoded), size)]
