"""Weights in 8 bits while answers come: close to the weights as they are, under adapters too, refused where useless."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from engine.compute.inference.base import load_model
from engine.compute.inference.int8 import MOST_ROWS, Int8Linear, hold_in_int8, packed
from engine.compute.lora.manager import LoRAManager
from engine.compute.serving.served import Served
from engine.contract.errors import UserError
from engine.contract.paths import resources_folder
from engine.contract.serving import ServeJob

FOLDER = resources_folder() / "demo" / "model"


def model(dtype: torch.dtype = torch.bfloat16) -> Any:
    return load_model(FOLDER, dtype, "auto", torch.device("cpu")).eval()


def test_that_a_rows_rounding_is_half_a_code_at_most() -> None:
    weight = torch.randn(64, 128, generator=torch.Generator().manual_seed(1)).bfloat16()
    codes, scales = packed(weight)
    back = codes.float() * scales.float().unsqueeze(1)
    assert bool(((back - weight.float()).abs() <= 0.51 * scales.float().unsqueeze(1) * 1.01).all())
    assert torch.equal(packed(torch.zeros(2, 8).bfloat16())[0], torch.zeros(2, 8, dtype=torch.int8))


@torch.no_grad()
def test_that_few_tokens_are_read_in_8_bits_and_many_as_they_were() -> None:
    plain, quick = model(), model()
    size = hold_in_int8(quick)
    assert 0 < size < 1.1 * sum(one.numel() for one in quick.parameters())  # a byte a weight
    ids = torch.arange(5, 5 + MOST_ROWS + 1).unsqueeze(0)
    assert torch.equal(plain(ids).logits, quick(ids).logits)  # a prompt
    one, other = plain(ids[:, :1]).logits.float(), quick(ids[:, :1]).logits.float()
    assert not torch.equal(one, other)
    assert float((one - other).norm() / one.norm()) < 0.03
    assert int(one[0, -1].argmax()) == int(other[0, -1].argmax())


@torch.no_grad()
def test_that_adapters_go_on_and_off_above_it() -> None:
    quick = model()
    hold_in_int8(quick)
    ids = torch.tensor([[7]])
    before = quick(ids).logits
    manager = LoRAManager()
    manager.inject(quick)
    layer = quick.get_decoder().layers[0].self_attn.q_proj
    assert isinstance(layer, Int8Linear)
    assert torch.equal(quick(ids).logits, before)
    manager.remove()
    assert type(layer) is Int8Linear
    assert torch.equal(quick(ids).logits, before)


def test_that_it_is_refused_where_it_cannot_help() -> None:
    with pytest.raises(UserError) as caught:
        hold_in_int8(model(torch.float32))
    assert caught.value.code == "serve.int8_unfit"
    assert "float32" in str(caught.value.body().why)


def test_that_asking_for_it_is_enough() -> None:
    job = ServeJob.model_validate({"model": {"path": "demo", "hub": "bundled"}, "int8": True, "context": 64})
    served = Served.load(FOLDER, job, torch.device("cpu"))
    try:
        weights = [one for one in served.model.modules() if isinstance(one, torch.nn.Linear)]
        assert {one.weight.dtype for one in weights} == {torch.bfloat16}
        assert all("_packed" in one.__dict__ for one in weights)
    finally:
        served.close()
