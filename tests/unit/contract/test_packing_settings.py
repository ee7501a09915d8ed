"""Rows that share a sequence: refused where it cannot be, with the reason; reckoned with in the forecast of memory."""

from __future__ import annotations

from typing import Any

import pytest

from engine.contract.config_file import check_document
from engine.contract.estimate import estimate
from engine.contract.forecast import steps_of
from engine.contract.load import load_of
from engine.contract.model_shape import read_shape
from engine.contract.paths import resources_folder
from engine.contract.run_spec import TrainJob
from engine.contract.training import TrainingConfig


def document(packing: str = "packed", **groups: Any) -> dict[str, Any]:
    training = {"packing": packing, **groups.pop("training", {})}
    return {
        "name": "x", "model": {"path": "demo", "hub": "bundled"}, "training": training,
        "data": {"train": [{"path": "demo/train", "hub": "bundled"}]}, **groups,
    }  # fmt: skip


@pytest.mark.parametrize("packing", ["packed", "padding_free"])
@pytest.mark.parametrize("more", [{}, {"stage": "pretrain"}, {"tuner": {"kind": "full"}}, {"tuner": {"kind": "dora"}}])
def test_that_rows_may_share_where_tokens_are_learned(packing: str, more: dict[str, Any]) -> None:
    assert check_document(document(packing, **more))[1] == []


@pytest.mark.parametrize(
    ("more", "code", "field"),
    [
        ({"stage": "dpo"}, "config.packing_stage", "training.packing"),
        ({"stage": "grpo"}, "config.packing_stage", "training.packing"),
        ({"stage": "classification"}, "config.packing_stage", "training.packing"),
        ({"stage": "gkd"}, "config.packing_stage", "training.packing"),
        ({"tuner": {"kind": "prompt_tuning"}}, "config.packing_tuner", "training.packing"),
        ({"tuner": {"kind": "prefix_tuning"}}, "config.packing_tuner", "training.packing"),
        ({"tuner": {"init": "eva"}}, "config.packing_init", "tuner.init"),
        ({"data": {"train": [{"path": "demo/train", "hub": "bundled"}], "shuffle_buffer": 50}}, "config.packing_buffer",
         "data.shuffle_buffer"),
        ({"data": {"train": [{"path": "demo/train", "hub": "bundled", "weight": 1.5}]}}, "config.packing_weight",
         "data.train.0.weight"),
    ],
)  # fmt: skip
def test_that_it_is_refused_elsewhere(more: dict[str, Any], code: str, field: str) -> None:
    found = check_document(document("packed", **more))[1]
    assert (code, field) in [(problem.code, problem.field) for problem in found]


def test_that_only_packing_needs_whole_weights_and_all_rows_at_once() -> None:
    data = {"train": [{"path": "demo/train", "hub": "bundled", "weight": 1.5}], "shuffle_buffer": 50}
    assert check_document(document("padding_free", data=data))[1] == []


def test_that_a_value_that_is_none_is_no_contradiction_too() -> None:
    found = check_document(document("tight", stage="dpo"))[1]
    assert [problem.code for problem in found if problem.field == "training.packing"] == ["config.choice"]


def test_that_memory_is_forecast_for_full_sequences_and_their_masks() -> None:
    shape = read_shape(resources_folder() / "demo" / "model")
    assert shape is not None
    totals = {}
    for packing in ("none", "packed", "padding_free"):
        given = document(packing, data={"train": [{"path": "demo/train", "hub": "bundled"}], "max_length": 512})
        job = TrainJob.model_validate({key: value for key, value in given.items() if key != "name"})
        totals[packing] = estimate(shape, load_of(job, width=512)).tensors
        assert load_of(job, width=64).width == (512 if packing == "packed" else 64)
    assert totals["none"] < totals["packed"] < totals["padding_free"]


def test_that_steps_of_packed_rows_are_not_guessed() -> None:
    assert steps_of(TrainingConfig(packing="packed"), 100) is None
    assert steps_of(TrainingConfig(packing="packed", max_steps=7), 100) == 7
    assert steps_of(TrainingConfig(packing="padding_free"), 100) == 13
