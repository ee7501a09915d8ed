"""Helper queries about single rows of a run: what they say, the loss of each token, and what a run would find today."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.contract.acceleration import ATTENTION
from engine.contract.errors import UserError
from engine.contract.forensics_api import RowText, RowTexts, RowTextsAnswer, TokenLoss, TokenLosses, TokenLossesAnswer

if TYPE_CHECKING:
    from engine.compute.data.row_source import RowSource
    from engine.compute.data.rows import Record
    from engine.compute.data.tokenise import Looked, Tokeniser
    from engine.compute.worker.queries import QueryOrder

READING_S = 7.0
MOST_TOKENS = 2048


def row_texts(order: QueryOrder) -> dict[str, Any]:
    """What rows say, and the fingerprints the library knows them by."""
    from engine.compute.data.checks.repairs import fingerprint
    from engine.compute.data.formats import BadRow, convert
    from engine.compute.data.row_source import RowSource

    asked = RowTexts.model_validate(order.params)
    source, made = RowSource(asked.source), list[RowText]()
    for record in records_at(source, asked.lines):
        try:
            example = convert(record, source.form, 0, source.mapping)
        except BadRow:
            continue
        turns = [*example.turns, *example.chosen]
        prompt = "\n".join(str(turn["content"]) for turn in turns[:-1])
        answer = str(turns[-1]["content"]) if turns else example.text or " / ".join(example.texts)
        made.append(
            RowText(
                line=record.line, prompt=prompt[: asked.most], answer=answer[: asked.most], hash=fingerprint(record),
            )
        )  # fmt: skip
    return RowTextsAnswer(rows=made).model_dump()


def records_at(source: RowSource, lines: Iterable[int]) -> Iterator[Record]:
    """Rows of a dataset by their lines, or of a version by their numbers from 1; `line` of each is as it was asked."""
    from engine.compute.data.rows import Record
    from engine.compute.data.sources import read_records

    wanted = set(lines)
    if source.version is not None:
        for line in sorted(wanted):
            if 1 <= line <= len(source.version):
                yield Record(line, source.version.record(line - 1).content)
        return
    until = time.monotonic() + READING_S
    for found in read_records(source.path):
        if isinstance(found, Record) and found.line in wanted:
            wanted.discard(found.line)
            yield found
        if not wanted or time.monotonic() > until:
            return


def token_losses(order: QueryOrder) -> dict[str, Any]:
    """The loss of each token of a row, on the processor, so that nobody's GPU is disturbed."""
    import torch
    from torch.nn import functional as F  # noqa: N812 - torch's own usual name

    from engine.compute.data.token_texts import token_texts

    asked = TokenLosses.model_validate(order.params)
    tokeniser, row = _looked(asked)
    length = min(asked.max_length, MOST_TOKENS)
    ids, trained = row.ids[:length], row.trained[:length]
    with torch.inference_mode():
        model = _model(asked).eval()
        logits = model(input_ids=torch.tensor([ids]), use_cache=False).logits[0, -len(ids) :]
        logits = logits[:-1].float()  # virtual tokens, where there are some, stand before
        losses = F.cross_entropy(logits, torch.tensor(ids[1:]), reduction="none").tolist() if len(ids) > 1 else []
    texts = token_texts(tokeniser.tokenizer, ids)
    found = [
        TokenLoss(text=text, trained=bool(learned), loss=loss)
        for text, learned, loss in zip(texts, trained, [None, *losses], strict=True)
    ]
    learned_losses = [one.loss for one in found if one.trained and one.loss is not None]
    mean = sum(learned_losses) / len(learned_losses) if learned_losses else None
    return TokenLossesAnswer(tokens=found, mean=mean, cut=len(row.ids) > length).model_dump()


def _looked(asked: TokenLosses) -> tuple[Tokeniser, Looked]:
    """The row as tokens, as a run makes them."""
    from engine.compute.data.formats import convert
    from engine.compute.data.row_source import RowSource
    from engine.compute.data.rows import with_system
    from engine.compute.data.templates import choose_template
    from engine.compute.inference.base import load_tokenizer
    from engine.compute.training.new_tokens import extend
    from engine.compute.training.stages import STAGES

    source = RowSource(asked.source)
    record = next(iter(records_at(source, [asked.line])), None)
    if record is None:
        raise UserError("rows.not_found", line=asked.line, name=asked.source.path)
    examples = with_system([convert(record, source.form, 0, source.mapping)], asked.model.system)
    tokenizer = load_tokenizer(_base(asked))
    if asked.state:  # the base model has no rows for tokens that were added
        extend(tokenizer, asked.tuner.get("new_tokens") or ())
    template = choose_template(tokenizer, asked.model.template, thinking=asked.model.thinking)
    tokeniser = STAGES[asked.stage].tokeniser(template, asked.max_length, asked.assistant_only_loss)
    return tokeniser, tokeniser.look(examples)[0]


def _model(asked: TokenLosses) -> Any:
    """The base model, or it with a state of training in it."""
    import torch

    from engine.compute.inference.base import load_model, load_tokenizer
    from engine.compute.inference.rope import changes
    from engine.compute.training.beginnings import begin_again
    from engine.compute.training.checkpoint import load_weights
    from engine.compute.training.new_tokens import fit_base
    from engine.compute.training.tuners import apply_tuner
    from engine.contract.tuner import TunerConfig

    torch.set_num_threads(max(1, (os.cpu_count() or 2) // 2))
    device = torch.device("cpu")
    attention = "auto" if asked.model.attention in ATTENTION else asked.model.attention  # those are for GPUs
    folder = _state(asked)
    if folder is not None and folder.name == "model":
        return load_model(folder, torch.float32, attention, device)
    base = _base(asked)
    model = load_model(base, torch.float32, attention, device, changed=changes(base, asked.model))
    if folder is None:
        return model
    try:
        if folder.name == "adapter":
            from peft import PeftModel

            return PeftModel.from_pretrained(fit_base(model, folder), str(folder))
        tuner = TunerConfig.model_validate(asked.tuner)
        tuned = apply_tuner(model, tuner, tokenizer=load_tokenizer(_base(asked)))
        tuned = begin_again(tuned, tuner, folder).model
        load_weights(tuned, folder)
    except (OSError, ValueError, RuntimeError) as error:
        raise UserError("rows.state_unusable", state=asked.state, detail=str(error)[:300]) from error
    return tuned


def _base(asked: TokenLosses) -> Path:
    """The base model's files; one with fresh weights lies in its run's folder, as long as that is kept."""
    from engine.compute.inference.base import model_folder
    from engine.contract.paths import Home
    from engine.contract.scratch import HUB

    if asked.model.hub != HUB:
        return model_folder(asked.model)

    found = Home.find().attempt(asked.run, 1).fresh_model
    if not asked.run.isalnum() or not found.is_dir():
        raise UserError("rows.state_gone", state=found.name)
    return found


def _state(asked: TokenLosses) -> Path | None:
    """A folder of the run, and of nothing else."""
    if not asked.state:
        return None
    from engine.contract.paths import Home

    root = Path(os.path.realpath(Home.find().run(asked.run)))
    found = Path(os.path.realpath(root / asked.state))
    if not asked.run.isalnum() or not found.is_relative_to(root) or not found.is_dir():
        raise UserError("rows.state_gone", state=asked.state)
    return found


def reproduction_facts(order: QueryOrder) -> dict[str, Any]:
    """What a run of this order would find today: packages, machine, the model's files, its rows. Imports no torch."""
    from engine.compute.data.loading import load_sources
    from engine.compute.data.training_rows import training_rows
    from engine.compute.worker import manifest
    from engine.compute.worker.identity import begun_fingerprint, data_fingerprint
    from engine.contract.bundled import MODELS, locate
    from engine.contract.run_spec import RunSpec, TrainJob

    job = RunSpec.model_validate(order.params["spec"]).job
    if not isinstance(job, TrainJob):
        raise UserError("reproduce.not_training")
    found = manifest.of_program(job)
    if order.params.get("program_only"):
        return found.model_dump()
    folder = locate(job.model)
    if folder is None and not job.from_scratch:
        raise UserError("model.not_here", path=job.model.path, choices=", ".join(MODELS))
    data, seed = job.data, job.training.seed
    by_group = data.validation_by == "group" and data.validation_share > 0 and not data.validation
    train = load_sources(data.train, seed, data.group_column if by_group else None)
    validation = load_sources(data.validation, seed)
    groups, _aside = training_rows(job, train, validation, lambda *_, **__: None)
    return found.model_copy(
        update={
            "config": manifest.of_job(job),
            "model": begun_fingerprint(folder, job.tuner.adapter) if folder is not None else "",
            "data": manifest.of_rows(groups, [loaded.name for loaded in train]),
            "rows": data_fingerprint(groups, data),
            "seed": seed,
        }
    ).model_dump()
