"""Runs that go on with an adapter that was trained before: as it was, judged against what it was, or refused whole."""

import json
import math
import shutil

import pytest
import tiny
import torch
from helpers import assert_goes_on
from safetensors.torch import load_file, save_file
from test_golden_stages import DEMO, REWARDS, assert_alike, demo_model, demo_rows, our_points, their_points
from test_stages import pairs

from engine.contract.adapter_start import WEIGHTS, settings_of

TUNER = {"rank": 4, "alpha": 8}


@pytest.fixture
def trained(attempt):
    """An adapter of a few steps."""

    def train(**tuner):
        made = attempt(name="first", tuner={**TUNER, **tuner})
        assert made.run() == 0, made.end
        return made.outputs / "adapter"

    return train


@pytest.mark.parametrize("tuner", [{}, {"kind": "dora"}, {"rslora": True, "modules_to_save": ["lm_head"]}])
def test_that_a_run_begins_with_the_adapter_as_it_was(attempt, trained, tuner):
    first = trained(**tuner)
    still = {"max_steps": 2, "micro_batch_size": 8, "learning_rate": 1e-30, "schedule": "constant"}
    again = attempt(name="second", tuner={**TUNER, **tuner, "adapter": str(first)}, training=still)
    assert again.run() == 0, again.end
    was, now = (load_file(folder / WEIGHTS) for folder in (first, again.outputs / "adapter"))
    assert was.keys() == now.keys()
    assert all(torch.equal(was[name], now[name]) for name in was)
    settings = settings_of(json.loads((first / "adapter_config.json").read_text()))
    assert {name: settings[name] for name in ("rank", "alpha")} == {"rank": 4, "alpha": 8}
    assert settings["kind"] == tuner.get("kind", "lora")


def preferring(tmp_path, adapter, **more):
    rows = tiny.write_jsonl(tmp_path / "pairs.jsonl", pairs(24))
    return {
        "stage": "dpo", "data": {"train": [{"path": str(rows)}]}, "tuner": {**TUNER, "adapter": str(adapter)},
        "training": {"max_steps": 6, "micro_batch_size": 4, "learning_rate": 1e-2}, **more,
    }  # fmt: skip


def test_that_preferences_are_compared_with_the_adapter_the_run_began_with(attempt, trained, tmp_path):
    made = attempt(name="second", **preferring(tmp_path, trained()))
    assert made.run() == 0, made.end
    steps = [line.values for line in made.of("step")]
    assert steps[0]["loss"] == pytest.approx(math.log(2))  # it is its own reference still
    assert steps[0]["rewards/margins"] == pytest.approx(0, abs=1e-5)
    assert steps[-1]["loss"] < 0.6


def test_that_what_was_asked_beforehand_is_of_the_adapter_as_it_was(attempt, trained, tmp_path):
    first, curves = trained(), []
    for beforehand in (False, True):
        objective = {"precompute_ref_log_probs": beforehand}
        made = attempt(name=f"asked-{beforehand}", **preferring(tmp_path, first, objective=objective))
        assert made.run() == 0, made.end
        curves.append([line.values["loss"] for line in made.of("step")])
    assert curves[0] == pytest.approx(curves[1], rel=1e-4)


def test_that_such_a_run_goes_on_from_a_checkpoint_bit_for_bit(attempt, trained, tmp_path):
    saved = {"checkpoints": {"every_steps": 3, "at_end": False}}
    whole = attempt(name="second", **preferring(tmp_path, trained(), **saved))
    assert whole.run() == 0, whole.end
    assert_goes_on(whole, 3, ("loss", "grad_norm", "rewards/margins"))


def test_that_a_run_does_not_go_on_once_its_first_adapter_has_changed(attempt, trained, tmp_path):
    first = trained()
    whole = attempt(name="second", **preferring(tmp_path, first, checkpoints={"every_steps": 3, "at_end": False}))
    assert whole.run() == 0, whole.end
    save_file({name: value * 2 for name, value in load_file(first / WEIGHTS).items()}, first / WEIGHTS)
    with pytest.raises(AssertionError, match="checkpoint"):
        assert_goes_on(whole, 3, ("loss",))


def test_that_dpo_from_an_adapter_is_that_of_trl(tmp_path, monkeypatch):
    rows = demo_rows()
    started = demo_model("dpo")
    with torch.no_grad():
        for name, weight in started.named_parameters():
            if ".lora_B." in name:
                weight.normal_(0, 0.05, generator=torch.Generator().manual_seed(len(name)))
    started.save_pretrained(tmp_path / "adapter")

    def begun(stage, kind="lora"):
        del stage, kind
        from peft import PeftModel
        from transformers import AutoModelForCausalLM

        base = AutoModelForCausalLM.from_pretrained(DEMO / "model", dtype=torch.float32)
        return PeftModel.from_pretrained(base, str(tmp_path / "adapter"), is_trainable=True)

    import test_golden_stages

    monkeypatch.setattr(test_golden_stages, "demo_model", begun)
    monkeypatch.setitem(test_golden_stages.TUNER, "adapter", str(tmp_path / "adapter"))
    mine, pool = our_points(tmp_path, "dpo", rows)
    found = their_points(tmp_path, "dpo", rows, pool)
    assert mine[0]["loss"] == pytest.approx(math.log(2), rel=1e-5)
    assert_alike(mine, found, *REWARDS, "logps/chosen", "logps/rejected")


def test_that_every_setting_that_differs_is_named_at_once(attempt, trained):
    tuner = {"kind": "dora", "rank": 8, "alpha": 16, "rslora": True, "targets": ["q_proj"], "adapter": str(trained())}
    made = attempt(name="second", tuner=tuner)
    assert made.run() != 0
    found = {problem.field: problem.params["theirs"] for problem in made.end.error.problems}
    assert found.keys() == {"tuner.kind", "tuner.rank", "tuner.alpha", "tuner.rslora", "tuner.targets"}
    assert (found["tuner.kind"], found["tuner.rank"]) == ("lora", "4")
    assert made.of("step") == []


def spoil(folder, how):
    file = folder / WEIGHTS
    if how == "cut":
        file.write_bytes(file.read_bytes()[:200])
    elif how == "nan":
        tensors = load_file(file)
        next(iter(tensors.values())).fill_(math.nan)
        save_file(tensors, file)
    elif how == "other":
        save_file({name.replace("layers.0", "layers.9"): value for name, value in load_file(file).items()}, file)
    elif how == "narrow":
        save_file({name: value[:, :2].contiguous() for name, value in load_file(file).items()}, file)
    else:
        (folder / "adapter_config.json").write_bytes(b"\xff{")


@pytest.mark.parametrize(
    ("how", "code"),
    [("cut", "broken"), ("nan", "broken"), ("other", "other_base"), ("narrow", "other_base"), ("config", "broken")],
)
def test_that_an_adapter_that_does_not_fit_is_refused(attempt, trained, tmp_path, how, code):
    folder = tmp_path / "spoilt"
    shutil.copytree(trained(), folder)
    spoil(folder, how)
    made = attempt(name="second", tuner={**TUNER, "adapter": str(folder)})
    assert made.run() != 0
    assert made.end.error.code == f"tuner.adapter_{code}", made.end.error
    assert str(folder) in made.end.error.why
    assert made.of("step") == []
