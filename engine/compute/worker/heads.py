"""Stages whose model writes no text: what is made of their rows before training, measured, and left behind."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from engine.compute.data.headed import HeadTokeniser, Labelled, Neighbours, Ranked
from engine.compute.data.labels import Labels
from engine.compute.data.rows import Example, with_system
from engine.compute.data.tokenise import Encoded
from engine.compute.evaluation.heads import HeadScore, of_classes, of_numbers, of_ranks, rank_of
from engine.compute.inference.base import padding_token
from engine.compute.inference.mode import at_rest
from engine.compute.training.batches import Batch, collate, filling_multiple
from engine.compute.training.classes import logits_of
from engine.compute.training.stages import STAGES
from engine.compute.training.vectors import vectors_of
from engine.compute.worker.materials import Materials
from engine.compute.worker.reporter import Reporter
from engine.compute.worker.results import PHASES, When, save_tokenizer, tell_answers
from engine.contract.durable import write_json
from engine.contract.run_spec import TrainJob
from engine.contract.stages import stage_of
from engine.contract.tuners import TUNERS

HEAD_FILE, HEAD_CONFIG = "forge_head.json", "head"
"""Beside the result: how texts are put to it, and what it gives; and the folder of an adapter's config."""
OTHERS = 9
"""Documents of other rows a held-out query is measured against, where its row has no wrong ones."""
MOST_LOGITS = 32
"""Of more classes a prediction tells the first ones only."""
Heard = list[tuple[Example, Labelled | Neighbours | Ranked]]
"""Held-out rows with their tokens."""


def held_out(job: TrainJob, materials: Materials) -> Heard:
    """Held-out rows, refused before training where they do not suit the stage."""
    stage = STAGES[job.stage]
    examples = with_system([row for loaded in materials.held_out for row in loaded.examples], job.model.system)
    stage.check(examples)
    tokeniser = tokeniser_of(job, materials)
    found = zip(examples, tokeniser.encode(examples), strict=True)
    return [(example, row) for example, row in found if row.trained_tokens]


def tokeniser_of(job: TrainJob, materials: Materials) -> HeadTokeniser:
    """As training has it."""
    made = STAGES[job.stage].tokeniser(
        materials.template, job.data.max_length, False, job.objective, job.head, materials.labels
    )
    assert isinstance(made, HeadTokeniser)
    return made


def score(
    when: When,
    materials: Materials,
    rows: Heard,
    job: TrainJob,
    outputs: Path,
    report: Reporter,
    check_stop: Callable[[], None],
) -> None:
    """Report how good the model is on held-out rows, and write what it said of each."""
    phase = PHASES[when]
    report.phase(phase)
    found = measure(materials.model, materials, rows, job, lambda done: report.phase(phase, done), check_stop)
    name = f"predictions_{when}.jsonl"
    lines = (json.dumps(answer, ensure_ascii=False) for answer in found.answers)
    (outputs / name).write_text("".join(line + "\n" for line in lines), encoding="utf-8")
    report.scored(
        when, found.correct, found.rows, name, found.metric, found.value, more=found.more, classes=found.classes
    )
    tell_answers(outputs / name, report)
    for index, answer in enumerate(found.answers[: job.evaluation.samples]):
        report.sampled(when, index, **{name: answer.get(name) for name in ("prompt", "expected", "answer", "correct")})


def measure(
    model: Any,
    materials: Materials,
    rows: Heard,
    job: TrainJob,
    progress: Callable[[float], None],
    check_stop: Callable[[], None],
) -> HeadScore:
    """What the model says of the rows; its mode is afterwards as before."""
    asked = _Asked(model, materials, job, progress, check_stop)
    with at_rest(model):
        if job.stage == "classification":
            return _classes(asked, rows)
        return _neighbours(asked, rows) if stage_of(job.stage).vectors else _ranks(asked, rows)


class _Asked:
    """Texts through the model, some at once."""

    def __init__(
        self,
        model: Any,
        materials: Materials,
        job: TrainJob,
        progress: Callable[[float], None],
        check_stop: Callable[[], None],
    ) -> None:
        self.model, self.materials, self.job = model, materials, job
        self._progress, self._check = progress, check_stop

    def logits(self, texts: Sequence[Encoded]) -> torch.Tensor:
        """Of each text what the head says."""
        return self._through(texts, lambda batch: logits_of(self.model, batch))

    def vectors(self, texts: Sequence[Encoded]) -> torch.Tensor:
        """Of each text its vector."""
        return self._through(texts, lambda batch: vectors_of(self.model, batch, self.job.head))

    def _through(self, texts: Sequence[Encoded], ask: Callable[[Batch], torch.Tensor]) -> torch.Tensor:
        """Texts of like length side by side; what comes out is in their order."""
        pad, device = padding_token(self.materials.tokenizer), self.materials.device
        size, order = self.job.training.micro_batch_size, sorted(range(len(texts)), key=lambda n: len(texts[n]))
        found: list[torch.Tensor | None] = [None] * len(texts)
        for at in range(0, len(order), size):
            self._check()
            places = order[at : at + size]
            batch = collate([texts[place] for place in places], pad, filling_multiple(device))
            batch["ends"] = torch.tensor([len(texts[place]) for place in places])
            with torch.no_grad():
                made = ask({name: tensor.to(device) for name, tensor in batch.items()}).float().cpu()
            for place, one in zip(places, made, strict=True):
                found[place] = one
            self._progress(min(1.0, (at + size) / len(order)))
        return torch.stack([one for one in found if one is not None])


def _classes(asked: _Asked, rows: Heard) -> HeadScore:
    labels = asked.materials.labels
    assert labels is not None
    logits = asked.logits([row.row for _, row in rows if isinstance(row, Labelled)])
    targets: list[Any] = [row.target for _, row in rows if isinstance(row, Labelled)]
    if labels.problem == "regression":
        said = logits.squeeze(-1).tolist()
        found = of_numbers(targets, said)
        shown: list[tuple[str, str, bool | None]] = [
            (f"{target:g}", f"{one:.4g}", None) for target, one in zip(targets, said, strict=True)
        ]
    else:
        several = labels.problem == "multi_label"
        right = [{n for n, there in enumerate(one) if there} if several else {one} for one in targets]
        if several:
            chosen = [set(torch.nonzero(one > 0).flatten().tolist()) for one in logits]
        else:
            chosen = [{int(one.argmax())} for one in logits]
        found = of_classes(labels.names, right, chosen, several)
        shown = [
            (_listed(labels, one), _listed(labels, other), one == other)
            for one, other in zip(right, chosen, strict=True)
        ]
    found.answers = [
        {
            "line": example.line, "prompt": said_of(example), "expected": expected, "answer": answer,
            "correct": correct, "logits": one[:MOST_LOGITS].tolist(),
        }
        for (example, _), (expected, answer, correct), one in zip(rows, shown, logits, strict=True)
    ]  # fmt: skip
    return found


def _listed(labels: Labels, places: set[int]) -> str:
    return ", ".join(labels.names[place] for place in sorted(places)) or "—"


def _neighbours(asked: _Asked, rows: Heard) -> HeadScore:
    """Each first text looks for its second among all texts that stand second, or as negatives, in any row."""
    pairs = [(example, row) for example, row in rows if isinstance(row, Neighbours)]
    first = asked.vectors([row.texts[0] for _, row in pairs])
    texts, words, place = list[Encoded](), list[str](), dict[bytes, int]()
    for example, row in pairs:
        for text, said in zip(row.texts[1:], example.texts[1:], strict=False):
            if text.ids.tobytes() not in place:
                place[text.ids.tobytes()] = len(texts)
                texts.append(text)
                words.append(said)
    second = asked.vectors(texts)
    rights = [place[row.texts[1].ids.tobytes()] for _, row in pairs]
    if all(row.alike == row.alike for _, row in pairs):
        cosine = torch.nn.functional.cosine_similarity(first, second[rights]).tolist()
        return _of_likeness(pairs, [row.alike for _, row in pairs], cosine)
    ranks, answers = list[int](), list[dict[str, Any]]()
    for (example, _), vector, right in zip(pairs, first, rights, strict=True):
        likeness = (second @ vector).tolist()
        ranks.append(rank_of(likeness, right))
        best = max(range(len(likeness)), key=likeness.__getitem__)
        answers.append(_answer(example, words[best], ranks[-1], likeness[right]))
    found = of_ranks("recall_at_1", ranks)
    found.answers = answers
    return found


def _ranks(asked: _Asked, rows: Heard) -> HeadScore:
    """Each query puts its documents in order: those of its row, or its right one among those of other rows."""
    pairs = [(example, row) for example, row in rows if isinstance(row, Ranked)]
    if all(row.alike == row.alike for _, row in pairs):
        scores = torch.sigmoid(asked.logits([row.texts[0] for _, row in pairs]).squeeze(-1)).tolist()
        return _of_likeness(pairs, [row.alike for _, row in pairs], scores)
    texts, words, counts = list[Encoded](), list[list[str]](), list[int]()
    for number, (example, row) in enumerate(pairs):
        mine, said = list(row.texts), [example.texts[1], *example.texts[2 : 1 + len(row.texts)]]
        if len(mine) == 1:
            known = {mine[0].ids.tobytes()}
            for step in range(1, len(pairs)):
                other, theirs = pairs[(number + step) % len(pairs)]
                made = row.with_document_of(theirs)
                if len(mine) <= OTHERS and made.ids.tobytes() not in known:
                    known.add(made.ids.tobytes())
                    mine.append(made)
                    said.append(other.texts[1])
        texts += mine
        words.append(said)
        counts.append(len(mine))
    scores = asked.logits(texts).squeeze(-1).tolist()
    ranks, answers, at = list[int](), list[dict[str, Any]](), 0
    for (example, _), said, count in zip(pairs, words, counts, strict=True):
        mine_scores = scores[at : at + count]
        at += count
        ranks.append(rank_of(mine_scores, 0))
        best = max(range(count), key=mine_scores.__getitem__)
        answers.append(_answer(example, said[best], ranks[-1], mine_scores[0]))
    found = of_ranks("mrr", ranks)
    found.answers = answers
    return found


def _of_likeness(pairs: Sequence[tuple[Example, Any]], wanted: Sequence[float], said: Sequence[float]) -> HeadScore:
    """Where rows say how alike two texts are."""
    found = of_numbers(wanted, said)
    found.answers = [
        {
            "line": example.line, "prompt": " / ".join(example.texts[:2]), "expected": f"{one:g}",
            "answer": f"{other:.4g}", "correct": None,
        }
        for (example, _), one, other in zip(pairs, wanted, said, strict=True)
    ]  # fmt: skip
    return found


def _answer(example: Example, best: str, rank: int, value: float) -> dict[str, Any]:
    """What was found first for a text, at which place stands what belongs to it, and with which number."""
    return {
        "line": example.line, "prompt": example.texts[0], "expected": example.texts[1], "answer": best,
        "correct": rank == 1, "rank": rank, "score": value,
    }  # fmt: skip


def said_of(example: Example) -> str:
    """A text that is put into a class, as a person reads it."""
    return example.text or "\n".join(str(turn["content"]) for turn in example.turns)


def save_head(job: TrainJob, materials: Materials, folder: Path) -> None:
    """Beside the weights: the config with its classes, and how texts are put to the model and pooled.

    Of an adapter the config lies in a folder of its own: transformers would take one beside it for that of a model.
    """
    config, stage = materials.model.config, stage_of(job.stage)
    if not TUNERS[job.tuner.kind].whole_model and not stage.vectors:
        config.save_pretrained(str(folder / HEAD_CONFIG))
    taken = {name: getattr(job.head, name) for name in stage.head if name not in ("labels", "problem")}
    about: dict[str, Any] = {"stage": job.stage, "max_length": job.data.max_length, **taken}
    if materials.labels is not None:
        about |= {"problem": materials.labels.problem, "labels": list(materials.labels.names)}
    write_json(folder / HEAD_FILE, about)
    if stage.vectors:
        _save_layout(job, config, folder)
        save_tokenizer(materials, folder)


def _save_layout(job: TrainJob, config: Any, folder: Path) -> None:
    """The files by which sentence-transformers knows how a text becomes a vector."""
    head = job.head
    parts = [("", "Transformer"), ("1_Pooling", "Pooling")] + ([("2_Normalize", "Normalize")] if head.normalise else [])
    modules = [
        {"idx": n, "name": str(n), "path": path, "type": f"sentence_transformers.models.{kind}"}
        for n, (path, kind) in enumerate(parts)
    ]
    (folder / "modules.json").write_text(json.dumps(modules, indent=2), encoding="utf-8")
    for path, _ in parts[1:]:
        (folder / path).mkdir()
    pooling = {
        "word_embedding_dimension": config.get_text_config().hidden_size, "pooling_mode_cls_token": False,
        "pooling_mode_mean_tokens": head.pooling == "mean", "pooling_mode_max_tokens": False,
        "pooling_mode_mean_sqrt_len_tokens": False, "pooling_mode_weightedmean_tokens": False,
        "pooling_mode_lasttoken": head.pooling == "last", "include_prompt": True,
    }  # fmt: skip
    write_json(folder / "1_Pooling" / "config.json", pooling)
    write_json(folder / "sentence_bert_config.json", {"max_seq_length": job.data.max_length, "do_lower_case": False})
    similarity = "cosine" if head.normalise else "dot"
    prompts = {"query": head.instruction} if head.instruction else {}
    write_json(
        folder / "config_sentence_transformers.json",
        {"prompts": prompts, "default_prompt_name": None, "similarity_fn_name": similarity},
    )
