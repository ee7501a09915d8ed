"""Rows that share a sequence: where that can be done, and where not, with the reason."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal

from engine.contract.errors import Problem
from engine.contract.stages import STAGES
from engine.contract.tuners import TUNERS

Packing = Literal["none", "packed", "padding_free"]
TOGETHER = ("packed", "padding_free")
FIELD = "training.packing"


def contradictions(document: Mapping[str, Any]) -> Iterator[Problem]:
    """What does not go with rows that share a sequence, in a document that may not validate."""
    training = document.get("training")
    chosen = training.get("packing") if isinstance(training, Mapping) else None
    if chosen not in TOGETHER:
        return
    stage = STAGES.get(str(document.get("stage", "sft")))
    if stage is not None and stage.runs and not stage.packs:
        able = ", ".join(one.name for one in STAGES.values() if one.packs)
        yield Problem(code="config.packing_stage", field=FIELD, params={"stage": stage.name, "able": able})
        return
    tuner = document.get("tuner", {})
    if isinstance(tuner, Mapping):
        method = TUNERS.get(str(tuner.get("kind", "lora")))
        if method is not None and method.virtual:
            yield Problem(code="config.packing_tuner", field=FIELD, params={"tuner": method.name})
        if method is not None and "init" in method.settings and tuner.get("init") == "eva":
            yield Problem(code="config.packing_init", field="tuner.init", params={"init": "eva"})
    data = document.get("data")
    if chosen == "packed" and isinstance(data, Mapping):
        yield from _of_data(data)


def _of_data(data: Mapping[str, Any]) -> Iterator[Problem]:
    """Every epoch must come to as many sequences as the first."""
    if data.get("shuffle_buffer") is not None and data.get("order") != "kept":
        yield Problem(code="config.packing_buffer", field="data.shuffle_buffer")
    listed = data.get("train")
    for index, source in enumerate(listed if isinstance(listed, list) else ()):
        weight = source.get("weight", 1.0) if isinstance(source, Mapping) else 1.0
        number = isinstance(weight, int | float) and not isinstance(weight, bool) and weight > 0
        if number and weight != round(weight):
            params = {"weight": weight}
            yield Problem(code="config.packing_weight", field=f"data.train.{index}.weight", params=params)
