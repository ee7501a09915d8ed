"""Several processes that train one run together: how many, how they share the work, and what does not go with it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal

from engine.contract.errors import Problem
from engine.contract.optimizers import OPTIMIZERS
from engine.contract.stages import STAGES, WHOLE_BATCH, loss_of, stage_of
from engine.contract.tuners import HOLDINGS, PASSES, TUNERS

Strategy = Literal["ddp", "fsdp2", "zero1", "zero2", "zero3"]
ZERO_STAGES: Mapping[str, int] = {"zero1": 1, "zero2": 2, "zero3": 3}
"""DeepSpeed's: the optimiser's state is parted, gradients too, weights too."""
PARTING = ("fsdp2", *ZERO_STAGES)
WHOLLY = ("fsdp2", "zero3")
"""Those that part the weights as well."""
DEEPSPEED = ("deepspeed", "deepspeed==0.19.8")
"""What is imported, and what pip is given: inner parts of it are driven, so another version may not do."""

PARTED_STAGES = ("sft", "pretrain", "dpo")
PARTED_TUNERS = ("lora", "full")
PARTED_OPTIMIZERS = ("adamw_torch", "adamw_torch_fused")
"""With which weights can be parted: tried, and known to look at each number by itself."""


def members_of(gpus: int | None, processes: int) -> int:
    """How many processes an order asks for: one for each GPU, on the processor as many as it says."""
    return gpus if gpus else processes if gpus == 0 else 1


def contradictions(document: Mapping[str, Any]) -> Iterator[Problem]:
    """What of an order for several members does not go together, in a document that may not validate."""
    compute, training = _group(document, "compute"), _group(document, "training")
    strategy = str(compute.get("strategy", "ddp"))
    gpus, processes = _whole(compute.get("gpus"), 0), _whole(compute.get("processes", 1), 1)
    if processes is not None and processes > 1 and gpus != 0:
        yield Problem(code="config.processes_gpus", field="compute.processes", params={"processes": processes})
        return
    count = members_of(gpus, processes or 1)
    if count < 2:
        if strategy in PARTING:
            params = {"strategy": strategy}
            yield Problem(code="config.strategy_alone", field="compute.strategy", params=params)
        return
    field = "compute.gpus" if gpus else "compute.processes"
    rows = _whole(training.get("micro_batch_size", 8), 1)
    if rows is not None and rows < count:
        yield Problem(code="config.members_rows", field=field, params={"members": count, "rows": rows})
    stage = STAGES.get(str(document.get("stage", "sft")))
    if stage is None or not stage.runs:
        return
    if stage.rollouts:
        yield Problem(code="config.members_stage", field=field, params={"stage": stage.name})
        return
    yield from _loss(document, stage.name, field)
    yield from _alone(document)
    if strategy in PARTING:
        yield from _parted(document, stage.name, strategy)
    if strategy in ZERO_STAGES:
        yield from _one_form(document, strategy)


def _one_form(document: Mapping[str, Any], strategy: str) -> Iterator[Problem]:
    """DeepSpeed updates numbers of 32 bits: others it copies first, and scales losses in a way of its own."""
    model, tuner, training = (_group(document, name) for name in ("model", "tuner", "training"))
    if training.get("precision", "auto") == "fp16":
        params = {"strategy": strategy, "value": "fp16", "choices": "auto, fp32, bf16"}
        yield Problem(code="config.zero_form", field="training.precision", params=params)
    held = model.get("dtype", "auto")
    if tuner.get("kind", "lora") == "full" and held in ("bf16", "fp16"):
        params = {"strategy": strategy, "value": held, "choices": "auto, fp32"}
        yield Problem(code="config.zero_form", field="model.dtype", params=params)


def _parted(document: Mapping[str, Any], stage: str, strategy: str) -> Iterator[Problem]:
    """What cannot be done where each member has a part only of what learns."""
    tuner, model, training = (_group(document, name) for name in ("tuner", "model", "training"))
    params = {"strategy": strategy}
    if stage not in PARTED_STAGES:
        yield Problem(code="config.parted", field="stage", params={**params, "value": stage,
                      "choices": ", ".join(PARTED_STAGES)})  # fmt: skip
    kind = str(tuner.get("kind", "lora"))
    if kind in TUNERS and kind not in PARTED_TUNERS:
        yield Problem(code="config.parted", field="tuner.kind", params={**params, "value": kind,
                      "choices": ", ".join(PARTED_TUNERS)})  # fmt: skip
    held = model.get("quantisation", "none")
    if held in HOLDINGS and held not in ("none", "auto"):
        yield Problem(code="config.parted", field="model.quantisation", params={**params, "value": held,
                      "choices": "none"})  # fmt: skip
    optimizer = training.get("optimizer", "adamw_torch_fused")
    if optimizer in OPTIMIZERS and optimizer not in PARTED_OPTIMIZERS:
        yield Problem(code="config.parted", field="training.optimizer", params={**params, "value": optimizer,
                      "choices": ", ".join(PARTED_OPTIMIZERS)})  # fmt: skip
    for name, action in _group(document, "guards").items():
        if action == "roll_back":
            yield Problem(code="config.parted", field=f"guards.{name}", params={**params, "value": "roll_back",
                          "choices": "skip, stop"})  # fmt: skip


def _alone(document: Mapping[str, Any]) -> Iterator[Problem]:
    """What only one process can do yet."""
    training, tuner = _group(document, "training"), _group(document, "tuner")
    kind, begins = tuner.get("kind", "lora"), tuner.get("init", "default")
    found = {
        "training.packing": (training.get("packing", "none"), ("packed", "padding_free"), "none"),
        "training.compile": (training.get("compile", False), (True,), "false"),
        "tuner.kind": (kind, ("lisa", "adalora"), "lora"),
        "tuner.init": (begins if kind in TUNERS and "init" in TUNERS[kind].settings else "", PASSES, "default"),
    }
    for setting, (value, refused, instead) in found.items():
        if value in refused:
            params = {"setting": setting, "value": str(value).lower(), "instead": instead}
            yield Problem(code="config.members_alone", field=setting, params=params)


def _loss(document: Mapping[str, Any], stage: str, field: str) -> Iterator[Problem]:
    """Losses that are no sum over the rows of a micro batch: parted, they would be other ones."""
    objective = _group(document, "objective")
    loss = loss_of(stage_of(stage), str(objective.get("loss", "auto")))
    if loss in WHOLE_BATCH:
        yield Problem(code="config.members_loss", field=field, params={"loss": loss, "stage": stage})


def _whole(value: Any, least: int) -> int | None:
    """A whole number that is valid, or nothing."""
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= least else None


def _group(document: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = document.get(name)
    return found if isinstance(found, Mapping) else {}
