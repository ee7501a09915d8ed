"""What an attempt leaves behind: the trained weights, and what the model answered."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

from engine.compute.evaluation.exact_match import Question, measure, write_answers
from engine.compute.inference.generate import Generator
from engine.compute.inference.rope import write_base
from engine.compute.training.allocation import prune
from engine.compute.training.new_tokens import VOCABULARY
from engine.compute.training.plain_lora import write_plain
from engine.compute.worker.artifacts import fingerprint_of, publish_folder
from engine.compute.worker.materials import Materials
from engine.compute.worker.reporter import Reporter
from engine.contract.states import Phase
from engine.contract.training import EvaluationConfig
from engine.contract.tuners import TUNERS

When = Literal["before", "after"]
PHASES: dict[When, Phase] = {"before": Phase.EVALUATING_BEFORE, "after": Phase.EVALUATING_AFTER}


def save_weights(
    kind: str,
    materials: Materials,
    outputs: Path,
    step: int,
    report: Reporter,
    beside: Callable[[Path], None] | None = None,
) -> None:
    """The adapter, or the whole model with its tokenizer, as safetensors, with what a stage puts beside it."""
    name: Literal["adapter", "model"] = "model" if TUNERS[kind].whole_model else "adapter"

    def write(folder: Path) -> None:
        if name == "model":
            materials.model.save_pretrained(str(folder))
            save_tokenizer(materials, folder)
            if getattr(materials.model, "generation_config", None) is not None:
                save_stops(materials, folder)
        else:
            if materials.began:
                write_plain(materials.model, materials.began, folder)
            else:
                prune(materials.model)
                materials.model.save_pretrained(str(folder), save_embedding_layers=False)
            write_base(folder, materials.changed)
            if VOCABULARY in materials.changed:
                save_tokenizer(materials, folder)  # the base model's has not all tokens
            (folder / "chat_template.jinja").write_text(materials.template.exported, encoding="utf-8")
        if beside is not None:
            beside(folder)

    found = publish_folder(outputs / name, write)
    report.saved(artifact=name, path=f"outputs/{name}", step=step, bytes=found.bytes, sha256=found.sha256)


def save_tokenizer(materials: Materials, folder: Path) -> None:
    """The tokenizer, with the template the model was trained with."""
    template = materials.template
    tokenizer: Any = copy.deepcopy(materials.tokenizer)
    tokenizer.chat_template = template.exported
    other = template.stops and template.end_of_turn != tokenizer.eos_token and "eos_token" not in template.source
    if other and not materials.ends_texts:
        tokenizer.eos_token = template.end_of_turn  # what other programs end an answer at
    tokenizer.save_pretrained(str(folder))


def save_stops(materials: Materials, folder: Path) -> None:
    """Beside a whole model: the tokens its answers end at, the template's first, in what other programs read."""
    settings = copy.deepcopy(materials.model.generation_config)
    known = settings.eos_token_id
    known = known if isinstance(known, list) else [known]
    ends = [*materials.template.stops, *known, materials.tokenizer.eos_token_id]
    ends = list(dict.fromkeys(end for end in ends if end is not None))
    settings.eos_token_id = ends[0] if len(ends) == 1 else ends or None
    settings.save_pretrained(str(folder))


def tell_answers(file: Path, report: Reporter) -> None:
    """That a file of answers lies in the outputs, whole."""
    found = fingerprint_of(file)
    report.saved(artifact="answers", path=f"outputs/{file.name}", bytes=found.bytes, sha256=found.sha256)


def evaluate(
    when: When,
    materials: Materials,
    questions: Sequence[Question],
    settings: EvaluationConfig,
    outputs: Path,
    report: Reporter,
    check_stop: Callable[[], None],
) -> None:
    """Ask the held-out questions and report score, answers and samples."""
    phase = PHASES[when]
    report.phase(phase)
    generator = Generator(materials.model, materials.tokenizer, materials.template.stops)
    answered = measure(
        generator,
        materials.template,
        questions,
        settings.max_new_tokens,
        lambda done: report.phase(phase, done),
        check_stop,
    )
    name = f"answers_{when}.jsonl"
    write_answers(outputs / name, answered)
    report.scored(when, sum(answer.correct for answer in answered), len(answered), name)
    tell_answers(outputs / name, report)
    for index, answer in enumerate(answered[: settings.samples]):
        report.sampled(
            when,
            index,
            prompt=answer.prompt,
            expected=answer.expected,
            answer=answer.answer,
            correct=answer.correct,
        )
