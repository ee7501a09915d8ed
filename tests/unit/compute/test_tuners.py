"""Every tuner: it trains, what it leaves gives the same answers on the untouched base, and it goes on bit for bit."""

import math
from pathlib import Path
from typing import get_args

import pytest
import tiny
import torch
from helpers import Attempt
from test_resume import again, losses
from test_training import CPU, make_loader, our_losses

from engine.compute.training.beginnings import begin_by_rows
from engine.compute.training.peft_options import text
from engine.compute.training.plain_lora import beginning, write_plain
from engine.compute.training.precision import Precision
from engine.compute.training.tuners import apply_tuner, count_parameters
from engine.contract.config_file import check_document
from engine.contract.errors import UserError
from engine.contract.training import TrainingConfig
from engine.contract.tuner import RUNNABLE_TUNERS, TunerConfig, TunerKind
from engine.contract.tuners import OPTIONS, TUNERS, options_of
from tests.matrix.cells import SMALL

FP32 = Precision("fp32", "fp32", "training.precision_given")
CASES = [
    *((kind, {"kind": kind, **SMALL.get(kind, {})}) for kind in RUNNABLE_TUNERS),
    *((init, {"init": init}) for init in ("gaussian", "orthogonal", "pissa", "olora", "eva", "corda", "lora_ga")),
    ("pissa, rsLoRA", {"init": "pissa", "rslora": True, "rank_pattern": {"q_proj": 2}, "alpha_pattern": {"q_proj": 4}}),
    ("LoRA+", {"plus_ratio": 16.0}),
    ("LoRA-FA", {"freeze_a": True}),
    ("patterns", {"rank_pattern": {"q_proj": 8}, "alpha_pattern": {"v_proj": 3.0}}),
    ("modules", {"modules_to_save": ["lm_head"], "targets": ["q_proj", "v_proj"]}),
]


def made(kind: str = "lora", **settings) -> TunerConfig:
    return TunerConfig.model_validate({"kind": kind, "rank": 4, "alpha": 8, **settings})


def logits(model) -> torch.Tensor:
    model.eval()
    with torch.no_grad():
        return model(input_ids=torch.arange(40).reshape(2, 20), use_cache=False).logits


def tuned(config: TunerConfig, tokenizer, training: TrainingConfig):
    torch.manual_seed(7)
    model = apply_tuner(tiny.make_model(), config, tokenizer=tokenizer)
    loader = make_loader(tokenizer, training)
    begun = begin_by_rows(model, config, loader, CPU, Path())
    assert loader.tokens == 0
    return begun.model, loader


@pytest.mark.parametrize(("name", "settings"), CASES, ids=[name for name, _ in CASES])
def test_that_it_trains_and_its_result_is_what_was_trained(tmp_path, tokenizer, name, settings):
    from peft import PeftModel

    config = made(**settings)
    training = TrainingConfig(micro_batch_size=4, max_steps=6, learning_rate=1e-2, warmup_share=0.0)
    model, loader = tuned(config, tokenizer, training)
    began, before = beginning(model), logits(model)
    everything, trained = count_parameters(model)
    assert 0 < trained <= everything
    points = our_losses(model, loader, training, FP32, tmp_path)
    assert len(points) == 6
    assert all(math.isfinite(point["loss"]) for point in points)
    after = logits(model)
    assert not torch.allclose(before, after, atol=1e-4)
    if TUNERS[config.kind].whole_model:
        return
    if began:
        write_plain(model, began, tmp_path / "adapter")
    else:
        model.save_pretrained(str(tmp_path / "adapter"), save_embedding_layers=False)
    again = PeftModel.from_pretrained(tiny.make_model(), str(tmp_path / "adapter"))
    assert torch.allclose(logits(again), after, atol=2e-4), (logits(again) - after).abs().max()


def test_that_a_setting_changes_the_tensor_it_names():
    def shapes(**settings) -> dict[str, tuple[int, ...]]:
        model = apply_tuner(tiny.make_model(), made(**settings))
        return {name: tuple(p.shape) for name, p in model.named_parameters() if p.requires_grad}

    usual = shapes()
    assert {shape[0] for name, shape in usual.items() if "lora_A" in name} == {4}
    patterned = shapes(rank_pattern={"q_proj": 8})
    assert {shape[0] for name, shape in patterned.items() if "lora_A" in name and "q_proj" in name} == {8}
    assert {shape[0] for name, shape in patterned.items() if "lora_A" in name and "v_proj" in name} == {4}
    assert not [name for name in shapes(freeze_a=True) if "lora_A" in name]
    assert [name for name in shapes(kind="dora") if "magnitude" in name]
    assert [name for name in shapes(modules_to_save=["lm_head"], targets=["q_proj"]) if "lm_head" in name]
    last = shapes(kind="freeze", layers=1)
    first = shapes(kind="freeze", layers=-1)
    assert {name.split(".")[2] for name in last} == {"1"}
    assert {name.split(".")[2] for name in first} == {"0"}


def test_that_the_second_matrices_learn_faster_with_a_ratio(tmp_path, tokenizer):
    def moved(ratio):
        from engine.compute.training.callbacks import Watch
        from engine.compute.training.trainer import ForgeTrainer, arguments, train

        training = TrainingConfig(micro_batch_size=4, max_steps=1, learning_rate=1e-3, warmup_share=0.0)
        model, loader = tuned(made(), tokenizer, training)
        before = {n: p.detach().clone() for n, p in model.named_parameters() if p.requires_grad}
        watch = Watch(lambda *a: None, lambda *a: None, lambda: False)
        args = arguments(training, 1, FP32, CPU, tmp_path, validates=False)
        train(ForgeTrainer(model=model, args=args, loader=loader, validation=[], watch=watch, plus_ratio=ratio))
        change = {n: float((p - before[n]).abs().max()) for n, p in model.named_parameters() if p.requires_grad}
        return max(v for n, v in change.items() if "lora_B" in n), max(v for n, v in change.items() if "lora_A" in n)

    (plain, first), (fast, same) = moved(None), moved(16.0)
    assert fast == pytest.approx(16 * plain, rel=1e-2)
    assert same == pytest.approx(first, abs=1e-6)


GOES_ON = [
    {"init": "pissa"}, {"init": "eva"}, {"init": "corda"}, {"init": "lora_ga"}, {"plus_ratio": 8.0},
    {"kind": "freeze", "layers": 1}, {"kind": "dora"},
    {"kind": "vera"},
]  # fmt: skip


@pytest.mark.parametrize("settings", GOES_ON, ids=str)
def test_that_it_goes_on_bit_for_bit(attempt, tmp_path, settings):
    train = tiny.write_jsonl(tmp_path / "rows.jsonl", tiny.make_rows(24))
    whole: Attempt = attempt(
        data={"train": [{"path": str(train)}]},
        tuner={"kind": "lora", "rank": 4, **settings},
        training={"max_steps": 6, "micro_batch_size": 4, "learning_rate": 1e-2},
        checkpoints={"every_minutes": None, "every_steps": 3, "keep_last": 100},
    )
    assert whole.run() == 0, whole.end
    resumed = again(whole, 3)
    assert resumed.run() == 0, resumed.end
    assert losses(resumed) == {step: pair for step, pair in losses(whole).items() if step > 3}


@pytest.mark.parametrize(("settings", "code"), [
    ({"kind": "vblora", "options": {"vector_length": 7}}, "config.tuner_refused"),
    ({"modules_to_save": ["lm_heat"]}, "config.module_unknown"),
    ({"kind": "freeze", "layers": 3}, "config.freeze_layers"),
    ({"kind": "freeze", "layers": 0}, "config.freeze_nothing"),
    ({"kind": "loha", "targets": ["q_prog"]}, "config.target_unknown"),
])  # fmt: skip
def test_that_what_the_model_cannot_take_is_refused_by_name(settings, code):
    with pytest.raises(UserError) as refused:
        apply_tuner(tiny.make_model(), made(**settings))
    assert refused.value.code == code


@pytest.mark.parametrize(("tuner", "codes"), [
    ({"kind": "lokr", "options": {"decompose_bot": True, "rank_dropout": "much"}},
     {"config.option_unknown", "config.option_type"}),
    ({"kind": "ia3", "options": {"zzz": 1}}, {"config.option_unknown_plain"}),
    ({"kind": "lora", "options": {"zzz": 1}}, {"config.option_unknown_plain"}),
    ({"kind": "dora", "init": "pissa"}, {"config.init_with_dora"}),
    ({"kind": "freeze", "layers": 0}, {"config.freeze_nothing"}),
    ({"init": "loftq"}, {"config.loftq_bits"}),
    ({"kind": "qlora", "init": "loftq"}, set()),
    ({"kind": "qlora", "init": "corda"}, {"config.quantised_init"}),
    ({"init": "lora_ga", "init_rows": 0, "ga_gamma": 0}, {"config.too_small"}),
    ({"kind": "ia3", "init": "loftq"}, set()),
    ({"kind": "qlora", "init": "pissa"}, {"config.quantised_init"}),
    ({"rank_pattern": {"q_proj": 0}}, {"config.too_small"}),
    ({"kind": "lokr", "options": {"decompose_both": True, "decompose_factor": 4}}, set()),
])  # fmt: skip
def test_that_a_config_is_refused_with_every_reason(tuner, codes):
    document = {"name": "a", "model": {"path": "demo"}, "data": {"train": [{"path": "x"}]}, "tuner": tuner}
    assert {problem.code for problem in check_document(document)[1]} == codes


def test_that_the_options_are_those_of_the_installed_peft():
    assert OPTIONS.read_text(encoding="utf-8") == text()
    assert set(RUNNABLE_TUNERS) == set(TUNERS)
    assert set(RUNNABLE_TUNERS) == set(get_args(TunerKind))
    for tuner in TUNERS.values():
        assert set(tuner.settings) <= set(TunerConfig.model_fields)
        assert bool(options_of(tuner.name)) <= ("options" in tuner.settings)
