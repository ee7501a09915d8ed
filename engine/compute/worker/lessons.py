"""From loaded rows to batches: the split, the tokens, the questions, and what to tell about them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from engine.compute.data.pieces import in_pieces
from engine.compute.data.pool import RowPool
from engine.compute.data.preference import AnswerTokeniser, Pair, Row
from engine.compute.data.questions import Asked
from engine.compute.data.row_set import RowSet
from engine.compute.data.rows import with_system
from engine.compute.data.tokenise import Tokeniser
from engine.compute.data.training_rows import training_rows
from engine.compute.data.unpaired import as_verdicts
from engine.compute.evaluation.exact_match import Question, questions_of
from engine.compute.inference.base import padding_token
from engine.compute.training.batches import Batch, BatchLoader, filling_multiple
from engine.compute.training.stages import STAGES
from engine.compute.training.trainer import planned_steps, steps_per_epoch
from engine.compute.worker.heads import Heard, held_out
from engine.compute.worker.identity import data_fingerprint
from engine.compute.worker.materials import Materials
from engine.compute.worker.reporter import Reporter
from engine.compute.worker.validation import check_measured, validation_batches
from engine.contract.errors import UserError
from engine.contract.run_spec import TrainJob


@dataclass
class Lessons:
    """What is learned from, and what is asked."""

    loader: BatchLoader
    validation: Sequence[Batch]
    validation_rows: int
    questions: list[Question]
    comparisons: list[Pair]
    """Held-out pairs of answers, of which the better one should be the likelier, or score higher."""
    heard: Heard
    """Held-out rows of a stage whose model writes no text."""
    asked: list[Asked]
    """Held-out questions whose answers are rewarded."""
    steps: int
    epochs: float
    trained_tokens: int | None
    """Of one epoch; unknown when rows are tokenised while training."""
    tokeniser: Tokeniser
    fingerprint: str
    """Of the training rows in their order."""


def prepare(job: TrainJob, materials: Materials, report: Reporter, progress: Callable[[float], None]) -> Lessons:
    """Split, tokenise, and count."""
    stage, config, data = STAGES[job.stage], job.training, job.data
    groups, aside = training_rows(job, materials.train, materials.validation, report.note)
    for rows in [*(rows for rows, _ in groups), *aside]:
        stage.check(rows.typical())
    tokeniser = stage.tokeniser(
        materials.template,
        data.max_length,
        config.assistant_only_loss,
        job.objective,
        job.head,
        materials.labels,
        job.rollouts,
    )
    learned, measured = _in_pieces(groups, aside, tokeniser, progress)
    pool = RowPool(tokeniser, learned, config.seed, [loaded.name for loaded in materials.train])
    pool.prepare(progress, exact=config.packing == "packed")
    if not pool.lazy:
        tell_tally(tokeniser, report)
    pad, multiple = padding_token(materials.tokenizer), filling_multiple(materials.device)
    loader = BatchLoader(
        pool,
        pad=pad,
        size=config.micro_batch_size,
        seed=config.seed,
        by_length=config.group_by_length,
        multiple=multiple,
        kept=data.order == "kept",
        buffer=data.shuffle_buffer,
        repeat=(config.accumulation, job.iterations) if job.iterations > 1 else None,
        packing=config.packing,
        room=data.max_length,
    )
    validator = tokeniser.again()
    for loaded in materials.validation:
        rows = loaded.content.with_system(job.model.system)
        check_measured(validator, loaded.name, as_verdicts(rows) if stage.declared.unpairs else rows)
    steps = planned_steps(config, len(loader))
    return Lessons(
        loader,
        validation_batches(validator, measured, config.micro_batch_size, pad, multiple),
        sum(map(len, measured)),
        *_held_out(job, materials, tokeniser),
        steps,
        steps / steps_per_epoch(config, len(loader)),
        None if pool.lazy else tokeniser.tally.trained_tokens,
        tokeniser,
        data_fingerprint(groups, data, config.packing),
    )


Groups = list[tuple[RowSet, float]]


def _in_pieces(
    groups: Groups, aside: list[RowSet], tokeniser: Tokeniser, progress: Callable[[float], None]
) -> tuple[Groups, list[RowSet]]:
    """Rows that are too long as several, where that is asked for."""
    if tokeniser.truncation != "split":
        return groups, aside
    learned: Groups = [(in_pieces(rows, tokeniser, progress), weight) for rows, weight in groups]
    return learned, [in_pieces(rows, tokeniser, progress) for rows in aside]


def tell_tally(tokeniser: Tokeniser, report: Reporter) -> None:
    """What was cut and what was left out."""
    tally = tokeniser.tally
    if tally.cut:
        report.note("data.rows_cut", "warning", cut=tally.cut, rows=tally.rows, max_length=tokeniser.max_length)
    if tally.untrained:
        lines = ", ".join(map(str, tally.untrained_lines))
        report.note("data.rows_dropped", "warning", dropped=tally.untrained, rows=tally.rows, lines=lines)


def _held_out(
    job: TrainJob, materials: Materials, tokeniser: Tokeniser
) -> tuple[list[Question], list[Pair], Heard, list[Asked]]:
    """What is asked, compared, put to a model without text, and rewarded, before and after."""
    if STAGES[job.stage].declared.head:
        return [], [], held_out(job, materials), []
    examples = with_system([row for loaded in materials.held_out for row in loaded.examples], job.model.system)
    pairs = [row for row in examples if row.teaches == "preference"]
    others = [row for row in examples if row.teaches != "preference"]
    if others and STAGES[job.stage].scores:
        raise UserError("data.no_comparison", line=others[0].line)
    compared = AnswerTokeniser(materials.template, job.data.max_length)
    compared.whole = STAGES[job.stage].scores
    found = [row for row in compared.encode(pairs) if isinstance(row, Pair) and row.trained_tokens]
    if not STAGES[job.stage].samples:
        return questions_of(others), found, [], []
    encoded: list[Row] = list(tokeniser.again().encode(others))
    asked = [row for row in encoded if isinstance(row, Asked) and row.fits]
    return questions_of([row for row in others if row.teaches != "prompt"]), found, [], asked
