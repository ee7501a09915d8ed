"""The estimate of memory: what it must do whatever the numbers are, and where it is known exactly."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from engine.contract.calibration import Calibration
from engine.contract.estimate import CONTEXT_BYTES, PARTS, Estimate, adapted, estimate
from engine.contract.load import Load
from engine.contract.model_shape import ModelShape, read_shape, shape_of

QWEN_05B = {
    "hidden_size": 896, "num_hidden_layers": 24, "num_attention_heads": 14, "num_key_value_heads": 2,
    "intermediate_size": 4864, "vocab_size": 151936, "tie_word_embeddings": True,
}  # fmt: skip
"""Qwen2.5 0.5B, as its config.json says."""


def shape(**other: int) -> ModelShape:
    found = shape_of({**QWEN_05B, **other})
    assert found is not None
    return found


LOADS = some.builds(
    Load,
    full=some.booleans(),
    rank=some.integers(1, 256),
    dropout=some.sampled_from([0.0, 0.1]),
    rows=some.integers(1, 64),
    width=some.integers(1, 4096),
    trained=some.floats(0.01, 1),
    accumulation=some.integers(1, 8),
    checkpointing=some.booleans(),
    attention=some.sampled_from(["auto", "eager"]),
    arithmetic=some.sampled_from(["fp32", "bf16"]),
    device=some.sampled_from(["cpu", "cuda"]),
)


def test_that_a_known_model_has_its_known_size():
    assert shape().parameters == pytest.approx(494_000_000, rel=0.01)
    held = estimate(shape(), Load(arithmetic="bf16", weights="bf16", device="cuda")).parts
    assert held["weights"] == pytest.approx(2 * 494e6, rel=0.01)
    full = estimate(shape(), Load(full=True, accumulation=2, width=1, rows=1)).parts
    assert full["optimiser"] == pytest.approx(8 * 494e6, rel=0.01)
    assert full["gradients"] == pytest.approx(4 * 494e6, rel=0.01)


def test_that_an_adapter_counts_its_own_numbers():
    found = shape()
    load = Load(rank=8, targets=("q_proj", "v_proj"))
    assert [one.name for one in adapted(found, load)] == ["q_proj", "v_proj"]
    assert estimate(found, load).parts["adapter"] == 4 * 8 * 24 * ((896 + 896) + (896 + 128))
    assert adapted(found, Load(full=True)) == []


def test_that_virtual_tokens_count_as_tokens_and_as_what_is_trained():
    found, plain = shape(), Load(rows=4, width=100, targets=())
    words = estimate(found, plain.model_copy(update={"virtual": 20})).parts
    assert words["adapter"] == 4 * 20 * 896
    assert words["activations"] == pytest.approx(
        estimate(found, Load(rows=4, width=120, targets=())).parts["activations"]
    )
    assert words["logits"] == estimate(found, plain).parts["logits"]
    before_layers = estimate(found, plain.model_copy(update={"virtual": 20, "prefix": True})).parts
    assert before_layers["adapter"] == 4 * 20 * 24 * 2 * 128


@pytest.mark.parametrize(("init", "numbers"), [("lora_ga", 896 * 896), ("corda", 896**2 + 896 * 2 * 896)])
def test_that_a_pass_before_the_first_step_counts_where_it_takes_more_than_a_step(init, numbers):
    small = Load(rows=1, width=8, targets=("q_proj",), rank=1, trained=0.1)
    found = estimate(shape(), small.model_copy(update={"init": init})).parts
    assert sum(found.values()) > sum(estimate(shape(), small).parts.values())
    assert sum(found[part] for part in ("gradients", "optimiser", "activations", "logits")) == pytest.approx(
        4 * 24 * numbers, rel=1e-6
    )
    large = Load(rows=16, width=2048, targets=("q_proj",))
    assert estimate(shape(), large.model_copy(update={"init": init})) == estimate(shape(), large)


@settings(max_examples=200, deadline=None)
@given(LOADS)
def test_that_parts_are_whole_and_add_up(load: Load):
    found = estimate(shape(), load)
    assert tuple(found.parts) == PARTS
    assert all(size >= 0 for size in found.parts.values())
    assert found.total == found.tensors + found.parts["overhead"]
    assert (found.rows, found.width) == (load.rows, load.width)


@settings(max_examples=200, deadline=None)
@given(LOADS, some.sampled_from([{"rows": 2}, {"width": 2}, {"rank": 2}]))
def test_that_more_never_takes_less(load: Load, more: dict[str, int]):
    larger = load.model_copy(update={name: getattr(load, name) * times for name, times in more.items()})
    assert estimate(shape(), larger).total >= estimate(shape(), load).total


@settings(max_examples=100, deadline=None)
@given(LOADS, some.floats(1.0, 4.0))
def test_that_a_larger_factor_never_takes_less(load: Load, factor: float):
    assert estimate(shape(), load, Calibration(factor=factor)).total >= estimate(shape(), load).total


def test_that_a_process_that_was_measured_replaces_the_usual_one():
    load = Load(rows=1, width=8)
    usual, known = (estimate(shape(), load, found) for found in (None, Calibration(process=100 << 20, held=1.0)))
    assert known.parts["overhead"] < usual.parts["overhead"]
    assert estimate(shape(), Load(device="cuda")).parts["overhead"] > CONTEXT_BYTES


def test_that_a_folder_that_says_nothing_has_no_shape(tmp_path):
    assert read_shape(tmp_path) is None
    (tmp_path / "config.json").write_text("[]")
    assert read_shape(tmp_path) is None
    (tmp_path / "config.json").write_text('{"hidden_size": "many"}')
    assert read_shape(tmp_path) is None


def test_that_experts_count_where_they_work():
    dense, mixture = shape(), shape(moe_intermediate_size=512, num_experts_per_tok=4, num_experts=64)
    assert mixture.intermediate == 2048
    assert dense.intermediate == 4864


def test_that_an_estimate_travels():
    found = estimate(shape(), Load())
    assert Estimate.model_validate_json(found.model_dump_json()) == found
