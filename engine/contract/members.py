"""Several processes that train one run together: how many, how they share the work, and what does not go with it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal

from engine.contract.errors import Problem
from engine.contract.optimizers import OPTIMIZERS
from engine.contract.stages import STAGES, WHOLE_BATCH, loss_of, stage_of
from engine.contract.tuners import HOLDINGS, PASSES, TUNERS

Strategy = Literal["ddp", "fsdp2", "zero2", "zero3"]

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
    if compute.get("strategy") in ("zero2", "zero3"):
        yield Problem(code="config.zero_package", field="compute.strategy", params={"strategy": compute["strategy"]})
        return
    gpus, processes = _whole(compute.get("gpus"), 0), _whole(compute.get("processes", 1), 1)
    if processes is not None and processes > 1 and gpus != 0:
        yield Problem(code="config.processes_gpus", field="compute.processes", params={"processes": processes})
        return
    count = members_of(gpus, processes or 1)
    if count < 2:
        if compute.get("strategy", "ddp") == "fsdp2":
            params = {"strategy": "fsdp2"}
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
    if compute.get("strategy", "ddp") == "fsdp2":
        yield from _parted(document, stage.name)


def _parted(document: Mapping[str, Any], stage: str) -> Iterator[Problem]:
    """What cannot be done with weights of which each member has a part only."""
    tuner, model, training = (_group(document, name) for name in ("tuner", "model", "training"))
    params = {"strategy": "fsdp2"}
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
