"""Base weights in 8 and 4 bits: an adapter learns beside them and goes on bit for bit; what cannot be is refused."""

import importlib.util
import json

import pytest
import tiny
import torch
from helpers import Attempt
from test_resume import again, losses

from engine.compute.inference.base import load_model, model_folder
from engine.contract.config_file import check_document
from engine.contract.model import ModelConfig
from engine.contract.tuners import QUANTISERS, RUNNABLE_QUANTISATION, TUNERS

HELD = [("qlora", "none"), ("lora", "8bit"), ("dora", "4bit"), ("ia3", "4bit"), ("adalora", "4bit")]


def recipe(tmp_path, model, kind: str, held: str) -> dict:
    train = tiny.write_jsonl(tmp_path / "rows.jsonl", tiny.make_rows(24))
    return {
        "data": {"train": [{"path": str(train)}]},
        "model": {"path": str(model), "quantisation": held},
        "tuner": {"kind": kind, "rank": 4, "target_rank": 2},
        "training": {"max_steps": 6, "micro_batch_size": 4, "learning_rate": 1e-2},
        "checkpoints": {"every_minutes": None, "every_steps": 3, "keep_last": 100},
    }  # fmt: skip


@pytest.mark.parametrize(("kind", "held"), HELD)
def test_that_an_adapter_learns_beside_them_and_goes_on_bit_for_bit(attempt, tmp_path, model, kind, held):
    whole: Attempt = attempt(**recipe(tmp_path, model, kind, held))
    assert whole.run() == 0, whole.end
    found = losses(whole)
    assert len({loss for loss, _ in found.values()}) == 6
    resumed = again(whole, 3)
    assert resumed.run() == 0, resumed.end
    assert losses(resumed) == {step: pair for step, pair in found.items() if step > 3}


@pytest.mark.parametrize("held", [held for held in RUNNABLE_QUANTISATION if QUANTISERS.get(held) == "torchao"])
def test_that_other_holders_are_refused_by_name_or_an_adapter_learns_beside_them(attempt, tmp_path, held):
    made: Attempt = attempt(**recipe(tmp_path, "demo", "lora", held))
    order = json.loads((made.folder / "order.json").read_text())
    order["spec"]["job"]["model"] = {"path": "demo", "hub": "bundled", "quantisation": held}
    (made.folder / "order.json").write_text(json.dumps(order))
    if importlib.util.find_spec(QUANTISERS[held]) is None:
        assert made.run() == 1
        assert made.end.error.code == "package.missing"
        assert made.end.error.params["package"] == QUANTISERS[held]
        return
    assert made.run() == 0, made.end
    found = losses(made)
    assert len({loss for loss, _ in found.values()}) == 6
    resumed = again(made, 3)
    assert resumed.run() == 0, resumed.end
    assert losses(resumed) == {step: pair for step, pair in found.items() if step > 3}


@pytest.mark.parametrize("held", ["hqq_8bit", "hqq_4bit"])
def test_that_hqq_is_refused_while_transformers_cannot_load_it(held):
    document = {"name": "a", "model": {"path": "demo", "quantisation": held}, "data": {"train": [{"path": "x"}]}}
    assert [(p.code, p.field) for p in check_document(document)[1]] == [("config.not_yet", "model.quantisation")]


@pytest.mark.parametrize("kind", [name for name in TUNERS if name != "lora"])
def test_that_other_holders_are_for_lora_only(kind):
    for held in ("torchao_8bit", "hqq_4bit"):
        document = {
            "name": "a", "model": {"path": "demo", "quantisation": held}, "data": {"train": [{"path": "x"}]},
            "tuner": {"kind": kind},
        }  # fmt: skip
        assert "config.quantised_tuner" in {problem.code for problem in check_document(document)[1]}


@pytest.mark.parametrize(("held", "bits"), [("8bit", 8), ("4bit", 4)])
def test_that_the_matrices_take_that_few_bits_and_say_nearly_the_same(held, bits):
    demo_folder = model_folder(ModelConfig(path="demo", hub="bundled"))
    plain = load_model(demo_folder, torch.float32, "auto", torch.device("cpu"))
    small = load_model(demo_folder, torch.float32, "auto", torch.device("cpu"), held)
    one, other = plain.model.layers[0].mlp.up_proj.weight, small.model.layers[0].mlp.up_proj.weight
    assert other.numel() * other.element_size() * 8 == one.numel() * bits
    rows = torch.arange(40).reshape(2, 20)
    with torch.no_grad():
        before, after = (model(input_ids=rows, use_cache=False).logits for model in (plain, small))
    assert not torch.equal(before, after)
    assert torch.nn.functional.cosine_similarity(before, after, dim=-1).mean() > 0.95


@pytest.mark.parametrize("kind", [name for name, one in TUNERS.items() if not one.quantised])
def test_that_other_methods_are_refused_beside_them(kind):
    document = {
        "name": "a", "model": {"path": "demo", "quantisation": "4bit"}, "data": {"train": [{"path": "x"}]},
        "tuner": {"kind": kind},
    }  # fmt: skip
    assert "config.quantised_tuner" in {problem.code for problem in check_document(document)[1]}
