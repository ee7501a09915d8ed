"""Stretched positions are those of transformers, stay with the result, and go on bit for bit."""

import json

import pytest
import tiny
import torch
from helpers import assert_goes_on
from transformers import AutoConfig, AutoModelForCausalLM

from engine.compute.inference.base import load_model
from engine.compute.inference.rope import BASE_CONFIG, changes
from engine.contract.errors import UserError
from engine.contract.model import ModelConfig

KINDS = ["linear", "dynamic", "yarn", "llama3"]
CPU = torch.device("cpu")


def stretched(folder, kind: str, factor: float = 2.0, original: int | None = None):
    config = ModelConfig(path=str(folder), rope=kind, rope_factor=factor, rope_original=original)
    return load_model(folder, torch.float32, "auto", CPU, changed=changes(folder, config)).eval()


def logits(model, length: int) -> torch.Tensor:
    ids = torch.arange(length)[None] % 250
    with torch.no_grad():
        return model(input_ids=ids).logits


@pytest.mark.parametrize("kind", KINDS)
def test_that_positions_are_those_of_transformers(model, kind):
    config = AutoConfig.from_pretrained(model)
    theta = config.rope_parameters["rope_theta"]
    config.rope_parameters = {"rope_type": kind, "rope_theta": theta, "factor": 2.0}
    if kind in ("yarn", "llama3"):
        config.rope_parameters["original_max_position_embeddings"] = 512
    if kind == "llama3":
        config.rope_parameters |= {"low_freq_factor": 1.0, "high_freq_factor": 4.0}
    if kind != "dynamic":
        config.max_position_embeddings = 1024
    theirs = AutoModelForCausalLM.from_pretrained(model, config=config, dtype=torch.float32).eval()
    ours, plain = stretched(model, kind), load_model(model, torch.float32, "auto", CPU).eval()
    for length in (40, 700):
        assert torch.equal(logits(ours, length), logits(theirs, length))
    assert not torch.allclose(logits(ours, 700), logits(plain, 700), atol=1e-4)


def test_that_dynamic_positions_depend_on_the_rows_at_hand_alone(model):
    fresh, used = stretched(model, "dynamic"), stretched(model, "dynamic")
    logits(used, 900)
    assert torch.equal(logits(used, 600), logits(fresh, 600))
    assert torch.equal(logits(used, 30), logits(fresh, 30))


@pytest.mark.parametrize("kind", ["full", "lora"])
@pytest.mark.slow
def test_that_the_result_needs_them_and_says_so(attempt, model, kind):
    made = attempt(
        model={"path": str(model), "rope": "yarn", "rope_factor": 4.0}, tuner={"kind": kind},
        training={"max_steps": 4, "micro_batch_size": 4, "learning_rate": 1e-3},
        checkpoints={"every_minutes": None, "every_steps": 2, "keep_last": 9},
    )  # fmt: skip
    assert made.run() == 0, made.end
    if kind == "full":
        found = json.loads((made.outputs / "model" / "config.json").read_text())
    else:
        found = json.loads((made.outputs / "adapter" / BASE_CONFIG).read_text())
    assert found["max_position_embeddings"] == 2048
    said = {
        name: found["rope_parameters"][name] for name in ("rope_type", "factor", "original_max_position_embeddings")
    }
    assert said == {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 512}
    assert_goes_on(made, 2, ("loss", "grad_norm"))


def test_that_what_has_no_such_positions_is_refused(tmp_path):
    folder = tiny.save_model(tmp_path / "gpt2", "gpt2")
    with pytest.raises(UserError) as refused:
        changes(folder, ModelConfig(path=str(folder), rope="linear"))
    assert refused.value.code == "config.rope_none"


def test_that_rows_longer_than_they_reach_are_refused(model):
    config = ModelConfig(path=str(model), rope="linear", rope_factor=2.0)
    assert changes(model, config, longest=1024)["max_position_embeddings"] == 1024
    with pytest.raises(UserError) as refused:
        changes(model, config, longest=1025)
    assert refused.value.code == "config.rope_short"
