"""Beginnings with a pass over rows or weights: those of peft's own functions, and a model that says what it said."""

import copy
from pathlib import Path

import pytest
import tiny
import torch
from helpers import Attempt
from test_quantised import recipe
from test_resume import again, losses
from test_training import CPU, make_loader
from test_tuners import logits, made

from engine.compute.inference.base import load_model, model_folder
from engine.compute.training.beginnings import FILE, begin_again, begin_by_rows, corda
from engine.compute.training.tuners import apply_tuner
from engine.compute.worker.queries import answer
from engine.contract.api import QueryRequest
from engine.contract.config_file import check_document
from engine.contract.errors import UserError
from engine.contract.forensics_api import TokenLosses
from engine.contract.model import ModelConfig
from engine.contract.training import TrainingConfig

ROWS = 12
TRAINING = TrainingConfig(micro_batch_size=4, max_steps=6, seed=3)


def rows_of(loader, count: int) -> list[dict[str, torch.Tensor]]:
    """The first rows of the epoch, one by one, as transformers takes them."""
    order = [index for indices in loader.order() for index in indices][:count]
    rows = [loader.pool.fetch([index])[0] for index in order]
    return [
        {
            "input_ids": torch.tensor([list(row.ids)]),
            "labels": torch.tensor([[i if t else -100 for i, t in zip(row.ids, row.trained, strict=True)]]),
        }
        for row in rows
    ]


def theirs(init: str, config, loader):
    """The same beginning by peft alone."""
    from peft import LoraConfig, get_peft_model
    from peft.tuners.lora.config import CordaConfig, LoraGAConfig
    from peft.tuners.lora.loraga import preprocess_loraga

    model, rows = tiny.make_model(), rows_of(loader, ROWS)
    names = sorted({name.rpartition(".")[2] for name, one in model.named_modules() if isinstance(one, torch.nn.Linear)})
    names.remove("lm_head")
    corda_config = CordaConfig(corda_method=config.corda_method) if init == "corda" else None
    ga_config = LoraGAConfig(direction=config.ga_direction, scale=config.ga_scale) if init == "lora_ga" else None
    settings = LoraConfig(
        task_type="CAUSAL_LM", r=4, lora_alpha=8, target_modules=names, init_lora_weights=init,
        corda_config=corda_config, lora_ga_config=ga_config,
    )  # fmt: skip
    torch.manual_seed(TRAINING.seed)
    if init == "corda":
        corda().preprocess_corda(model, settings, lambda: [model(input_ids=row["input_ids"]) for row in rows])
    else:
        preprocess_loraga(model, settings, lambda: [model(**row).loss.backward() for row in rows])
    return get_peft_model(model, settings)


CASES = [
    ("corda", {}), ("corda", {"corda_method": "kpm"}), ("lora_ga", {}),
    ("lora_ga", {"ga_direction": "ArBr", "ga_scale": "gd_scale"}),
]  # fmt: skip


@pytest.mark.parametrize(("init", "more"), CASES, ids=str)
def test_that_the_adapter_begins_as_peft_alone_makes_it_and_the_model_says_what_it_said(tokenizer, init, more):
    config = made(init=init, init_rows=ROWS, **more)
    loader, told = make_loader(tokenizer, TRAINING), []
    begun = begin_by_rows(apply_tuner(tiny.make_model(), config), config, loader, CPU, Path(), told.append)
    assert told == [number / ROWS for number in range(ROWS)]
    assert begun.model.peft_config["default"].init_lora_weights == init
    theirs_state = theirs(init, config, make_loader(tokenizer, TRAINING)).state_dict()
    ours_state = begun.model.state_dict()
    assert ours_state.keys() == theirs_state.keys()
    for name, tensor in theirs_state.items():
        assert torch.equal(ours_state[name], tensor), name
    assert torch.allclose(logits(begun.model), logits(tiny.make_model()), atol=1e-4)
    plain = tiny.make_model().state_dict()["model.layers.0.self_attn.q_proj.weight"]
    assert not torch.equal(ours_state["base_model.model.model.layers.0.self_attn.q_proj.base_layer.weight"], plain)


@pytest.mark.parametrize("init", ["corda", "lora_ga"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_that_it_begins_again_without_rows_bit_for_bit(tmp_path, tokenizer, init, dtype):
    config = made(init=init, init_rows=ROWS)
    model = apply_tuner(tiny.make_model().to(dtype), config)
    before = torch.get_rng_state()
    begun = begin_by_rows(model, config, make_loader(tokenizer, TRAINING), CPU, Path())
    assert torch.equal(torch.get_rng_state(), before)
    first = copy.deepcopy(begun.model.state_dict())
    begun.save(tmp_path)
    second = begin_again(apply_tuner(tiny.make_model().to(dtype), config), config, tmp_path)
    assert second.kept.keys() == begun.kept.keys()
    found = second.model.state_dict()
    assert found.keys() == first.keys()
    for name, tensor in first.items():
        assert torch.equal(found[name], tensor), name


def test_that_a_checkpoint_without_the_beginning_is_refused(tmp_path):
    config = made(init="corda")
    with pytest.raises(UserError) as refused:
        begin_again(apply_tuner(tiny.make_model(), config), config, tmp_path)
    assert refused.value.code == "checkpoint.none_good"
    assert FILE in refused.value.params["detail"]


@pytest.mark.parametrize(("init", "rank"), [("corda", 20), ("lora_ga", 12)])
def test_that_a_rank_the_matrices_do_not_have_is_refused(tokenizer, init, rank):
    config = made(init=init, rank=rank, init_rows=4)
    with pytest.raises(UserError) as refused:
        begin_by_rows(apply_tuner(tiny.make_model(), config), config, make_loader(tokenizer, TRAINING), CPU, Path())
    assert refused.value.code == "config.init_rank"
    assert refused.value.params["most"] == (16 if init == "corda" else 8)


@pytest.mark.parametrize("alpha", [4.0, 16.0])
def test_that_loftq_holds_what_quantising_lost_and_comes_nearer_to_the_whole_model(tokenizer, alpha):
    from bitsandbytes.functional import dequantize_4bit
    from peft.utils.loftq_utils import _low_rank_decomposition

    folder = model_folder(ModelConfig(path="demo", hub="bundled"))
    config = made("qlora", init="loftq", rank=32, alpha=alpha)
    whole = load_model(folder, torch.float32, "auto", CPU)
    small = apply_tuner(load_model(folder, torch.float32, "auto", CPU, "4bit"), config)
    model = begin_by_rows(small, config, make_loader(tokenizer, TRAINING), CPU, folder).model
    layer = model.get_base_model().model.layers[1].mlp.up_proj
    held_weight = layer.get_base_layer().weight
    lost = whole.model.layers[1].mlp.up_proj.weight - dequantize_4bit(held_weight.data, held_weight.quant_state)
    expected = _low_rank_decomposition(lost.detach(), reduced_rank=32)
    added = layer.lora_B["default"].weight @ layer.lora_A["default"].weight * layer.scaling["default"]
    assert torch.allclose(added, expected["L"] @ expected["R"], atol=1e-6)
    assert torch.equal(layer.lora_A["default"].weight, expected["R"])
    assert (lost - added).norm() < 0.9 * lost.norm()
    aim = logits(whole)
    with model.disable_adapter():
        without = (logits(model) - aim).norm()
    assert (logits(model) - aim).norm() < without


@pytest.mark.parametrize("stage", ["sft", "dpo"])
def test_that_loftq_goes_on_bit_for_bit(attempt, tmp_path, model, stage):
    made_of = recipe(tmp_path, model, "qlora", "none")
    made_of["tuner"]["init"] = "loftq"
    if stage == "dpo":  # compares with the model as it began
        rows = [{"prompt": f"say {n}", "chosen": f"it is {n % 7}", "rejected": f"it was {n % 5}"} for n in range(24)]
        made_of["model"] = {"path": "demo", "hub": "bundled"}  # bitsandbytes wants wide matrices where nothing learns
        made_of |= {"stage": "dpo", "data": {"train": [{"path": str(tiny.write_jsonl(tmp_path / "p.jsonl", rows))}]}}
    whole: Attempt = attempt(**made_of)
    assert whole.run() == 0, whole.end
    assert "beginning" in [line.phase for line in whole.of("phase")]
    resumed = again(whole, 3)
    assert resumed.run() == 0, resumed.end
    assert "beginning" not in [line.phase for line in resumed.of("phase")]
    assert losses(resumed) == {step: pair for step, pair in losses(whole).items() if step > 3}


@pytest.mark.parametrize("stage", ["reward", "classification", "grpo"])
def test_that_lora_ga_is_refused_where_tokens_are_not_what_is_learned(stage):
    document = {
        "name": "a", "stage": stage, "model": {"path": "demo"}, "data": {"train": [{"path": "x"}]},
        "tuner": {"init": "lora_ga"},
    }  # fmt: skip
    assert ("config.init_for_stage", "tuner.init") in {(p.code, p.field) for p in check_document(document)[1]}
    document["tuner"] = {"kind": "ia3", "init": "lora_ga"}
    assert "config.init_for_stage" not in {problem.code for problem in check_document(document)[1]}


STATES = [
    {"init": "corda"}, {"init": "lora_ga"}, {"kind": "adalora", "target_rank": 2}, {"kind": "p_tuning"},
    {"kind": "prompt_tuning", "prompt_init": "text", "prompt_text": "say it"}, {"kind": "prefix_tuning"},
]  # fmt: skip


@pytest.mark.parametrize("tuner", STATES, ids=str)
def test_that_a_checkpoint_and_the_result_give_a_row_the_same_losses(attempt, tmp_path, monkeypatch, model, tuner):
    monkeypatch.setenv("FORGE_HOME", str(tmp_path))
    made_of: Attempt = attempt(tuner={"rank": 4, **tuner}, name="runs/r1")
    assert made_of.run() == 0, made_of.end
    (point,) = [line.path for line in made_of.of("checkpoint")][-1:]

    def row(state: str) -> tuple[float, int]:
        asked = TokenLosses(
            model={"path": str(model)}, source={"path": str(tmp_path / "train.jsonl")}, line=1, run="r1", state=state,
            tuner={"rank": 4, **tuner},
        )  # fmt: skip
        found = answer(QueryRequest(kind="token_losses", params=asked.model_dump(mode="json")).model_dump_json())
        assert found.error is None, found.error
        return found.result["mean"], len(found.result["tokens"])

    (before, length), (saved, same), (result, again_same) = map(row, ("", point, "attempts/1/outputs/adapter"))
    assert length == same == again_same
    assert saved == pytest.approx(result, rel=2e-5)
    assert saved != pytest.approx(before, rel=1e-5)
