"""The language in force. Everything shown passes through here; English is the source, Chinese is looked up.

Texts of the program's own widgets are keyed by their English (`tr`), engine texts by their code (`explain`),
settings by group and field (`setting_label`), states and the like by their word (`word`).
"""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Any

from pydantic import BaseModel
from PySide6.QtCore import QLocale

from engine.contract.errors import ErrorBody, Problem, render
from engine.contract.messages import MESSAGES, Message
from engine.contract.paths import resources_folder

LANGUAGES = {"en": "English", "zh_CN": "简体中文"}
_current = "en"


def set_language(code: str) -> None:
    """Speak `en` or `zh_CN`; `system` takes the computer's."""
    global _current
    if code == "system":
        code = "zh_CN" if QLocale.system().language() == QLocale.Language.Chinese else "en"
    _current = code if code in LANGUAGES else "en"


def language() -> str:
    """The code of the language in force."""
    return _current


@lru_cache(maxsize=16)
def table(code: str, part: str) -> dict[str, Any]:
    """One part (widgets, messages, settings, words) of a translation; empty for English."""
    file = resources_folder() / "translations" / code / f"{part}.json"
    if code == "en" or not file.is_file():
        return {}
    loaded: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return loaded


def tr(text: str, **params: Any) -> str:
    """A text of the program's own, with `{name}` parameters filled in."""
    return render(table(_current, "widgets").get(text, text), params)


def count(number: int, one: str, many: str) -> str:
    """`one` or `many` (with `{n}`), whichever the language's plural asks for."""
    return tr(one if number == 1 else many, n=f"{number:,}")


def explain(body: ErrorBody | Problem) -> tuple[str, str, str]:
    """What happened, why, and what to do, in the language in force."""
    source = MESSAGES.get(body.code)
    found = table(_current, "messages").get(body.code)
    if found is not None:
        message = Message(found.get("what", ""), found.get("why", ""), found.get("fix", ""))
    elif source is not None:
        message = source
    elif isinstance(body, ErrorBody):
        return body.what, body.why, body.fix
    else:
        return body.code, "", ""
    params = dict(body.params)
    if "state" in params:
        params["state"] = word("state", str(params["state"]))
    return render(message.what, params), render(message.why, params), render(message.fix, params)


def sentences(*parts: str) -> str:
    """Sentences one after another, without a gap after a full-width stop."""
    text = ""
    for part in parts:
        gap = " " if text and text[-1] not in "。！？；：" else ""
        text += gap + part if part else ""
    return text


def labelled(name: str, text: str) -> str:
    """`name: text`, with the language's own colon."""
    return f"{name}：{text}" if _current == "zh_CN" else f"{name}: {text}"


def problem_text(problem: Problem) -> str:
    """A problem in one line: reason and fix."""
    what, why, fix = explain(problem)
    return sentences(why or what, fix)


def note_text(code: str, params: dict[str, Any]) -> str:
    """A note of a worker in one line."""
    return sentences(*explain(ErrorBody(code=code, what=code, params=params)))


def setting_label(group: type[BaseModel], name: str) -> str:
    """What a form calls a setting."""
    found = table(_current, "settings").get(f"{group.__name__}.{name}", {})
    recorded = group.model_fields[name].json_schema_extra
    label = recorded.get("label", name) if isinstance(recorded, dict) else name
    return str(found.get("label") or label)


def setting_sentence(group: type[BaseModel], name: str) -> str:
    """The sentence that explains a setting."""
    found = table(_current, "settings").get(f"{group.__name__}.{name}", {})
    return str(found.get("sentence") or group.model_fields[name].description or "")


def word(kind: str, value: str) -> str:
    """A word of the field: a state, reason, phase, choice, unit … `kind` keeps apart words that look alike."""
    english = _ENGLISH.get(f"{kind}.{value}", value.replace("_", " "))
    return str(table(_current, "words").get(f"{kind}.{value}", english))


_ENGLISH = {
    "state.draft": "Draft",
    "state.queued": "Queued",
    "state.preparing": "Preparing",
    "state.running": "Running",
    "state.finishing": "Finishing",
    "state.paused": "Paused",
    "state.completed": "Completed",
    "state.failed": "Failed",
    "state.stopped": "Stopped",
    "reason.finished": "finished",
    "reason.stopped_by_person": "stopped by a person",
    "reason.paused_by_person": "paused by a person",
    "reason.bad_config": "the config cannot be used",
    "reason.bad_data": "the data cannot be used",
    "reason.bad_model": "the model cannot be used",
    "reason.out_of_memory": "out of memory",
    "reason.disk_full": "disk full",
    "reason.loss_not_finite": "the loss is no number any more",
    "reason.worker_environment": "the worker environment is incomplete",
    "reason.worker_error": "an error in the worker",
    "reason.worker_killed": "the worker was killed",
    "reason.start_failed": "the worker could not start",
    "reason.interrupted": "interrupted by the system",
    "reason.hang": "the worker hung",
    "reason.lost": "the worker was lost",
    "phase.starting": "Starting the worker",
    "phase.loading": "Loading model and data",
    "phase.tokenising": "Reading rows",
    "phase.evaluating_before": "Measuring before training",
    "phase.training": "Training",
    "phase.saving": "Saving the result",
    "phase.evaluating_after": "Measuring after training",
    "phase.done": "Done",
    "artifact.adapter": "Adapter",
    "artifact.model": "Model",
    "artifact.answers": "Answers",
    "artifact.config": "Config",
    "mark.not_responding": "Not responding",
    "mark.unreachable": "Unreachable",
    "cause.first": "first start",
    "cause.retry": "retry",
    "cause.resume": "resumed",
    "cause.requeue": "queued again",
    "cause.restart": "started over",
    "cause.extend": "extended",
    "cause.person": "started by a person",
    "save.minutes": "by time",
    "save.steps": "by steps",
    "save.best": "best so far",
    "save.person": "asked for",
    "save.pause": "before a pause",
    "save.stop": "before a stop",
    "save.end": "at the end",
    "metric.loss": "Loss",
    "metric.learning_rate": "Learning rate",
    "metric.grad_norm": "Gradient norm",
    "metric.tokens_per_second": "Tokens/s",
    "unit.tokens": "tokens",
    "unit.rows": "rows",
    "unit.steps": "steps",
    "unit.min": "min",
    "unit.h": "h",
    "choice.auto": "Auto",
    "choice.none": "None",
    "choice.lora": "LoRA",
    "choice.full": "Full",
    "choice.qlora": "QLoRA",
    "choice.dora": "DoRA",
    "choice.sft": "Answers (SFT)",
    "choice.pretrain": "Plain text (pretraining)",
    "choice.dpo": "DPO",
    "choice.kto": "KTO",
    "choice.orpo": "ORPO",
    "choice.cpo": "CPO",
    "choice.simpo": "SimPO",
    "choice.reward": "Reward model",
    "choice.grpo": "GRPO",
    "choice.train": "Training",
    "choice.local": "This computer",
    "choice.bundled": "Bundled",
    "choice.huggingface": "Hugging Face",
    "choice.modelscope": "ModelScope",
    "choice.url": "Web address",
    "choice.fp32": "fp32",
    "choice.bf16": "bf16",
    "choice.fp16": "fp16",
    "choice.8bit": "8-bit",
    "choice.4bit": "4-bit",
    "choice.eager": "Eager",
    "choice.sdpa": "SDPA",
    "choice.flash_attention_2": "FlashAttention 2",
    "choice.tokenizer": "Model's own",
    "choice.chatml": "ChatML",
    "choice.messages": "Messages",
    "choice.prompt_completion": "Prompt and completion",
    "choice.alpaca": "Alpaca",
    "choice.sharegpt": "ShareGPT",
    "choice.text": "Plain text",
    "choice.constant": "Constant",
    "choice.linear": "Linear",
    "choice.cosine": "Cosine",
    "choice.process": "Process",
    "choice.docker": "Docker",
}


def words() -> list[str]:
    """Every word that `word` knows, for the test that asks for its Chinese."""
    return sorted(_ENGLISH)
