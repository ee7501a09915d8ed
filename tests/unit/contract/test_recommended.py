"""Recommended values: by stage and method, and none where nobody says one."""

import pytest

from engine.contract.recommended import RATES, learning_rate
from engine.contract.stages import RUNNABLE_STAGES


@pytest.mark.parametrize(
    ("stage", "tuner", "value"),
    [
        ("sft", "full", 2e-5),
        ("sft", "lora", 2e-4),
        ("dpo", "freeze", 1e-6),
        ("dpo", "qlora", 1e-5),
        ("reward", "lora", 1e-4),
    ],
)
def test_that_adapters_take_larger_steps_than_whole_models(stage, tuner, value):
    found = learning_rate(stage, tuner)
    assert found is not None
    assert found.value == value
    assert "trl 1.16" in found.source
    assert found.usual[0] < value < found.usual[1]


def test_that_nothing_is_recommended_where_no_source_says_anything():
    assert learning_rate("pretrain", "full") is None
    assert learning_rate("sft", "prompt_tuning") is None
    assert learning_rate("sft", "no such method") is None


def test_that_only_stages_that_can_be_chosen_are_named():
    assert set(RATES) <= set(RUNNABLE_STAGES)
