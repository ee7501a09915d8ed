"""LISA and LLaMA-Pro: which layers learn, what they leave, and that a resumed run goes on bit for bit."""

import pytest
import tiny
import torch
from helpers import assert_goes_on
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

from engine.compute.training.blocks import places
from engine.compute.training.checkpoint import OPTIMISER
from engine.compute.training.lisa import chosen_layers
from engine.compute.training.tuners import apply_tuner, layers_of
from engine.contract.config_file import check_document
from engine.contract.errors import UserError
from engine.contract.estimate import estimate
from engine.contract.load import load_of
from engine.contract.model_shape import read_shape
from engine.contract.paths import resources_folder
from engine.contract.run_spec import TrainJob
from engine.contract.tuner import TunerConfig

SAVED = {"every_minutes": None, "every_steps": 3, "keep_last": 9}


def logits(model) -> torch.Tensor:
    with torch.no_grad():
        return model.eval()(input_ids=torch.arange(40)[None], use_cache=False).logits


def test_that_the_layers_are_made_of_seed_and_step_alone():
    found = [chosen_layers(1, step, 5, 2, 8) for step in range(40)]
    assert found == [chosen_layers(1, step, 5, 2, 8) for step in range(40)]
    assert all(len(set(one)) == 2 for one in found)
    assert all(found[step] == found[step - step % 5] for step in range(40))
    assert len({tuple(one) for one in found}) > 3
    assert found != [chosen_layers(2, step, 5, 2, 8) for step in range(40)]
    assert {layer for one in found for layer in one} == set(range(8))


@pytest.mark.slow
def test_that_a_run_with_lisa_moves_only_the_layers_of_their_turn_and_goes_on(attempt, model):
    made = attempt(
        tuner={"kind": "lisa", "layers": 1, "every": 2}, checkpoints=SAVED,
        training={"max_steps": 6, "micro_batch_size": 4, "learning_rate": 1e-3, "accumulation": 2, "seed": 3},
    )  # fmt: skip
    assert made.run() == 0, made.end
    turns = {layer for step in range(3) for layer in chosen_layers(3, step, 2, 1, 2)}
    saved = made.folder.parent.parent / "checkpoints"
    before, after = load_file(model / "model.safetensors"), load_file(saved / "a1-s3" / "model.safetensors")
    moved = {name for name, one in after.items() if name in before and not torch.equal(one, before[name].float())}
    assert any("embed_tokens" in name for name in moved)
    assert {int(name.split(".")[2]) for name in moved if ".layers." in name} == turns
    state = torch.load(saved / "a1-s3" / OPTIMISER, weights_only=True)["state"]
    resting = 1 - chosen_layers(3, 2, 2, 1, 2)[0]
    whole = AutoModelForCausalLM.from_pretrained(model)
    assert len(state) == len(list(whole.parameters())) - len(list(layers_of(whole)[resting].parameters()))
    assert_goes_on(made, 3, ("loss", "grad_norm"))


def test_that_lisa_cannot_draw_more_layers_than_there_are():
    with pytest.raises(UserError) as refused:
        apply_tuner(tiny.make_model(), TunerConfig(kind="lisa", layers=3))
    assert refused.value.code == "config.freeze_layers"
    document = {"name": "x", "model": {"path": "demo", "hub": "bundled"}, "tuner": {"kind": "lisa", "layers": -1},
                "data": {"train": [{"path": "demo/train", "hub": "bundled"}]}}  # fmt: skip
    assert [problem.code for problem in check_document(document)[1]] == ["config.lisa_layers"]


def test_where_new_blocks_come():
    assert places(32, 8) == [3, 7, 11, 15, 19, 23, 27, 31]
    assert places(4, 4) == [0, 1, 2, 3]
    assert places(5, 2) == [1, 4]


@pytest.mark.parametrize("architecture", ["qwen3", "llama", "gemma2", "gpt2"])
def test_that_new_blocks_change_nothing_and_only_they_learn(architecture, tmp_path):
    plain = tiny.make_model(architecture)
    before = logits(plain)
    made = apply_tuner(plain, TunerConfig(kind="llama_pro", blocks=2))
    assert len(layers_of(made)) == 4
    assert torch.allclose(logits(made), before, atol=1e-6)
    new = {id(p) for place in (1, 3) for p in layers_of(made)[place].parameters()}
    assert {id(p) for p in made.parameters() if p.requires_grad} == new
    with torch.no_grad():
        for parameter in made.parameters():
            if parameter.requires_grad:
                parameter.add_(0.05 * torch.randn(parameter.shape))
    made.save_pretrained(tmp_path)
    again = AutoModelForCausalLM.from_pretrained(tmp_path)
    assert torch.equal(logits(again), logits(made))
    assert not torch.allclose(logits(again), before, atol=1e-3)


def test_that_a_model_has_room_for_one_new_block_behind_each():
    with pytest.raises(UserError) as refused:
        apply_tuner(tiny.make_model(), TunerConfig(kind="llama_pro", blocks=3))
    assert refused.value.code == "config.pro_blocks"


@pytest.mark.slow
def test_that_a_run_with_new_blocks_leaves_a_longer_model_and_goes_on(attempt, model):
    made = attempt(tuner={"kind": "llama_pro", "blocks": 1}, checkpoints=SAVED,
                   training={"max_steps": 6, "micro_batch_size": 4, "learning_rate": 1e-2})  # fmt: skip
    assert made.run() == 0, made.end
    result = AutoModelForCausalLM.from_pretrained(made.outputs / "model")
    assert result.config.num_hidden_layers == 3
    base, ours = load_file(model / "model.safetensors"), result.state_dict()
    assert torch.equal(ours["model.layers.1.mlp.up_proj.weight"], base["model.layers.1.mlp.up_proj.weight"].float())
    assert ours["model.layers.2.mlp.down_proj.weight"].abs().max() > 0
    assert_goes_on(made, 3, ("loss", "grad_norm"))


def test_that_both_are_forecast_with_less_memory_than_all_weights():
    shape = read_shape(resources_folder() / "demo" / "model")
    totals = {}
    for kind, more in (("full", {}), ("lisa", {"layers": 1}), ("llama_pro", {"blocks": 1})):
        job = TrainJob.model_validate({
            "model": {"path": "demo", "hub": "bundled"}, "tuner": {"kind": kind, **more},
            "data": {"train": [{"path": "demo/train", "hub": "bundled"}]},
        })  # fmt: skip
        totals[kind] = estimate(shape, load_of(job)).parts
    assert totals["lisa"]["optimiser"] < totals["full"]["optimiser"]
    assert totals["llama_pro"]["optimiser"] < totals["lisa"]["optimiser"]
    assert totals["llama_pro"]["weights"] > totals["full"]["weights"]
