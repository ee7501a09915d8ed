"""What an attempt leaves behind: the trained weights, and what the model answered."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

from engine.compute.evaluation.exact_match import Question, measure, write_answers
from engine.compute.inference.generate import Generator
from engine.compute.worker.artifacts import fingerprint_of, publish_folder
from engine.compute.worker.materials import Materials
from engine.compute.worker.reporter import Reporter
from engine.contract.states import Phase
from engine.contract.training import EvaluationConfig

When = Literal["before", "after"]
PHASES: dict[When, Phase] = {"before": Phase.EVALUATING_BEFORE, "after": Phase.EVALUATING_AFTER}


def save_weights(kind: str, materials: Materials, outputs: Path, step: int, report: Reporter) -> None:
    """The adapter, or the whole model with its tokenizer, as safetensors."""
    name: Literal["adapter", "model"] = "model" if kind == "full" else "adapter"

    def write(folder: Path) -> None:
        if name == "model":
            materials.model.save_pretrained(str(folder))
            save_tokenizer(materials, folder)
        else:
            materials.model.save_pretrained(str(folder), save_embedding_layers=False)
            (folder / "chat_template.jinja").write_text(materials.template.source, encoding="utf-8")

    found = publish_folder(outputs / name, write)
    report.saved(artifact=name, path=f"outputs/{name}", step=step, bytes=found.bytes, sha256=found.sha256)


def save_tokenizer(materials: Materials, folder: Path) -> None:
    """The tokenizer, with the template the model was trained with."""
    tokenizer: Any = materials.tokenizer
    tokenizer.chat_template = materials.template.source
    tokenizer.save_pretrained(str(folder))


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
    generator = Generator(materials.model, materials.tokenizer, materials.template.end_of_turn)
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
    found = fingerprint_of(outputs / name)
    report.saved(artifact="answers", path=f"outputs/{name}", bytes=found.bytes, sha256=found.sha256)
    for index, answer in enumerate(answered[: settings.samples]):
        report.sampled(
            when,
            index,
            prompt=answer.prompt,
            expected=answer.expected,
            answer=answer.answer,
            correct=answer.correct,
        )
