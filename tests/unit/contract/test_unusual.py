"""What is recommended and who says so; what is unusual is said, and what is not known says nothing."""

from __future__ import annotations

from typing import Any

import pytest

from engine.contract.recommended import MEASURED, recommended
from engine.contract.unusual import Known, unusual

USUAL: dict[str, Any] = {
    "stage": "sft", "tuner.kind": "lora", "tuner.rank": 16, "training.micro_batch_size": 4, "training.accumulation": 2,
    "training.epochs": 3, "data.max_length": 1024, "objective.beta": 0.1,
}  # fmt: skip


@pytest.mark.parametrize(
    ("path", "changes", "value", "source"),
    [
        ("tuner.rank", {}, 16, "ModelConfig"),
        ("tuner.alpha", {"tuner.rank": 8}, 16, "ModelConfig"),
        ("training.epochs", {"stage": "dpo"}, 3, "DPOConfig"),
        ("training.accumulation", {}, 2, "SFTConfig"),
        ("training.accumulation", {"training.micro_batch_size": 32}, 1, "SFTConfig"),
        ("training.weight_decay", {"stage": "kto"}, 0, "KTOConfig"),
        ("training.learning_rate", {"tuner.kind": "full"}, 2e-5, "SFTConfig"),
    ],
)
def test_that_a_value_says_where_it_comes_from(path: str, changes: dict[str, Any], value: float, source: str) -> None:
    found = recommended(path, {**USUAL, **changes})
    assert found is not None
    assert found.value == value
    assert found.source.endswith(source)


def test_that_the_length_is_read_off_the_rows() -> None:
    lengths = [*range(100, 298, 2), 5000]
    found = recommended("data.max_length", USUAL, lengths)
    assert found is not None
    assert (found.value, found.source) == (320, MEASURED)
    assert recommended("data.max_length", USUAL) is None
    assert recommended("tuner.rank", {**USUAL, "tuner.kind": "full"}) is None
    assert recommended("training.epochs", {**USUAL, "stage": "classification"}) is None


@pytest.mark.parametrize(
    ("path", "changes", "code"),
    [
        ("tuner.rank", {"tuner.rank": 300}, "unusual.rank"),
        ("training.epochs", {"training.epochs": 21}, "unusual.epochs"),
        ("training.accumulation", {"training.micro_batch_size": 1, "training.accumulation": 1}, "unusual.batch"),
        ("data.max_length", {}, "unusual.length"),
        ("objective.beta", {"stage": "dpo", "objective.beta": 5.0}, "unusual.beta"),
    ],
)
def test_that_the_unusual_is_said_only_where_it_is_known(path: str, changes: dict[str, Any], code: str) -> None:
    known = Known(hidden=256, cut=0.06, rows=50)
    found = unusual(path, {**USUAL, **changes}, known)
    assert found is not None
    assert (found.code, found.field) == (code, path)
    quiet = Known(hidden=256, cut=0.04, rows=50)
    assert unusual(path, USUAL, quiet) is None
    assert unusual(path, {**USUAL, path: "much"}, known) is None


def test_that_simpo_has_a_range_of_its_own() -> None:
    assert unusual("objective.beta", {**USUAL, "stage": "simpo", "objective.beta": 2.0}) is None
    assert unusual("objective.beta", {**USUAL, "stage": "simpo", "objective.beta": 0.1}) is not None
