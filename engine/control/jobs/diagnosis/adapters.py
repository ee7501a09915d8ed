"""Adapters and recipes: peft, trl, bitsandbytes."""

from __future__ import annotations

import re

from engine.control.jobs.diagnosis.changes import ALL_LINEAR, changed, setting
from engine.control.jobs.diagnosis.evidence import Evidence
from engine.control.jobs.diagnosis.rule import Finding, Rule, signs

TARGETS = ("tuner.targets",)
GROUPS = re.compile(
    r"generation_batch_size \((?P<batch>\d{1,6})\) must be divisible by num_generations \((?P<group>\d{1,6})\)"
)
UNQUANTISED = setting(("model.quantisation", "none"))


def generations_do_not_divide(evidence: Evidence) -> Finding | None:
    """trl names both numbers; a batch of whole groups is the next above."""
    match = GROUPS.search(evidence.text)
    if match is None:
        return None
    batch, group = int(match["batch"]), max(1, int(match["group"]))
    whole = min(65_536, -(-max(batch, 1) // group) * group)
    params = {"batch": batch, "group": group}
    return Finding(params, changed(evidence, ("training.micro_batch_size", whole), ("training.accumulation", 1)))


ADAPTERS: tuple[Rule, ...] = (
    signs(
        "targets_absent",
        "peft",
        r"Target modules [{\[]?(?P<target>'[^}\]\n]{1,160}')[}\]]? not found in the base model",
        "target modules that the model does not have",
        advice=ALL_LINEAR,
        settings=TARGETS,
        codes=("config.target_unknown",),
    ),
    signs(
        "target_unsupported",
        "peft",
        (r"Target module (?P<target>[\w.]{1,80})[\s\S]{0,2000}? is not supported\. Currently, only",),
        "a target module that LoRA cannot work on",
        advice=ALL_LINEAR,
        settings=TARGETS,
        params={"target": "?"},
    ),
    signs(
        "adapter_shape",
        "peft",
        r"size mismatch for base_model\.[\w.]{1,200}lora_\w",
        "an adapter of another base model, or of another rank",
        over=("weights_shape",),
    ),
    signs(
        "weights_shape",
        "torch",
        r"size mismatch for (?P<name>[\w.]{1,200})",
        "weights of another form than the model's config says",
    ),
    signs(
        "adapter_config_absent",
        "peft",
        r"Can't find 'adapter_config\.json' at '(?P<path>[^'\n]{1,160})'",
        "a folder that should hold an adapter and does not",
        over=("hub_away",),
        at_end=True,
    ),
    Rule(
        "generations_group",
        "trl",
        generations_do_not_divide,
        "GRPO: the batch cannot be shared out to whole groups of answers",
        settings=("training.micro_batch_size", "training.accumulation"),
    ),
    signs(
        "trainer_other_version",
        "trl",
        r"\b(?P<part>\w{1,60})\.__init__\(\) got an unexpected keyword argument '(?P<name>\w{1,80})'",
        "packages of the worker that do not belong together",
        at_end=True,
    ),
    signs(
        "preference_columns",
        "trl",
        r"KeyError: '(?P<column>chosen|rejected)'",
        "a preference stage, and rows without the two answers it compares",
        advice=setting(("stage", "sft")),
        settings=("stage",),
        at_end=True,
    ),
    signs(
        "vllm_absent",
        "trl",
        r"vllm_client\W{1,4}Server is not up yet",
        "answers are to be written by a vLLM server that is not there",
        "https://github.com/philschmid/deep-learning-pytorch-huggingface/issues/83",
        setting(("compute.network", "open")),
        ("compute.network",),
    ),
    signs(
        "bitsandbytes_absent",
        "bitsandbytes",
        (
            r"quantization requires bitsandbytes",
            r"No package metadata was found for bitsandbytes",
            r"No module named 'bitsandbytes'",
        ),
        "quantised weights, and bitsandbytes is not installed",
        advice=UNQUANTISED,
        settings=("model.quantisation",),
        over=("import_error",),
    ),
    signs(
        "bitsandbytes_library",
        "bitsandbytes",
        (
            r"Could not load bitsandbytes native library",
            r"CUDA Setup failed despite (?:GPU|CUDA) being available",
            r"Required library version not found: libbitsandbytes",
        ),
        "bitsandbytes has no library for this CUDA",
        "https://github.com/bitsandbytes-foundation/bitsandbytes/issues/1559",
        UNQUANTISED,
        ("model.quantisation",),
        over=("import_error", "library_absent", "missing_file"),
    ),
    signs(
        "quantised_too_large",
        "bitsandbytes",
        r"Some modules are dispatched on the CPU or the disk",
        "a quantised model that does not fit the GPU",
        "https://github.com/hustvl/Senna/issues/17",
    ),
    signs(
        "quantised_without_adapter",
        "bitsandbytes",
        r"You cannot perform fine-tuning on purely quantized models",
        "all weights of a quantised model are to be trained",
        "https://github.com/AGI-Edgerunners/LLM-Adapters/issues/55",
        setting(("tuner.kind", "lora")),
        ("tuner.kind",),
    ),
)
