"""Variables and arguments that no setting is made for: what is dangerous, secret or unknown is refused, by name."""

from __future__ import annotations

from typing import Any

import pytest

from engine.contract.config_file import check_document, parse_config, to_yaml
from engine.contract.extra import ARGUMENTS, check_model
from engine.contract.optimizers import OPTIMIZERS
from engine.contract.run_spec import RunConfig


def problems(**extra: Any) -> list[tuple[str, str | None]]:
    document = {"name": "x", "model": {"path": "demo", "hub": "bundled"}, "extra": extra,
                "data": {"train": [{"path": "demo/train", "hub": "bundled"}]}}  # fmt: skip
    return [(problem.code, problem.field) for problem in check_document(document)[1]]


@pytest.mark.parametrize("name", ["NCCL_DEBUG", "OMP_PROC_BIND", "PYTORCH_CUDA_ALLOC_CONF", "TORCH_LOGS", "my_flag"])
def test_that_a_plain_variable_is_taken(name: str) -> None:
    assert problems(environment={name: "1"}) == []


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("LD_PRELOAD", "dangerous"), ("LD_LIBRARY_PATH", "dangerous"), ("PYTHONPATH", "dangerous"),
        ("PATH", "dangerous"), ("Path", "dangerous"), ("pythonstartup", "dangerous"), ("FORGE_HOME", "dangerous"),
        ("forge_faults", "dangerous"), ("HOME", "dangerous"), ("DYLD_INSERT_LIBRARIES", "dangerous"),
        ("CUDA_VISIBLE_DEVICES", "kept"), ("HF_HUB_OFFLINE", "kept"), ("https_proxy", "kept"), ("HF_TOKEN", "secret"),
        ("AWS_SECRET_ACCESS_KEY", "secret"), ("WANDB_API_KEY", "secret"), ("DB_PASSWORD", "secret"), ("A B", "name"),
        ("1X", "name"), ("X=Y", "name"), ("", "name"),
    ],
)  # fmt: skip
def test_that_others_are_refused_by_name(name: str, code: str) -> None:
    assert problems(environment={name: "1"}) == [(f"config.extra_{code}", f"extra.environment.{name}")]


def test_that_a_value_that_is_a_secret_is_refused_and_not_shown() -> None:
    secret = "hf_" + "a" * 30
    document = {"name": "x", "model": {"path": "demo", "hub": "bundled"}, "extra": {"environment": {"NOTE": secret}},
                "data": {"train": [{"path": "demo/train", "hub": "bundled"}]}}  # fmt: skip
    found = check_document(document)[1]
    assert [problem.code for problem in found] == ["config.extra_secret"]
    assert secret not in str(found)


def test_that_a_value_of_several_lines_is_refused() -> None:
    assert problems(environment={"A": "1\nB=2"}) == [("config.extra_control", "extra.environment.A")]


@pytest.mark.parametrize("name", sorted(set(OPTIMIZERS) - set(ARGUMENTS)))
def test_that_an_optimiser_without_more_arguments_takes_none(name: str) -> None:
    document = {"name": "x", "model": {"path": "demo", "hub": "bundled"}, "extra": {"optimizer": {"maximize": True}},
                "training": {"optimizer": name}, "tuner": {"kind": "full"},
                "data": {"train": [{"path": "demo/train", "hub": "bundled"}]}}  # fmt: skip
    assert "config.option_unknown_plain" in [problem.code for problem in check_document(document)[1]]


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"amsgrad": True}, None),
        ({"amsgrd": True}, "config.option_unknown"),
        ({"amsgrad": 3}, "config.option_type"),
        ({"beta1": 0.8}, "config.extra_elsewhere"),
        ({"lr": 0.8}, "config.option_unknown_plain"),
    ],
)
def test_that_arguments_of_the_optimiser_are_checked(given: dict[str, Any], code: str | None) -> None:
    field = f"extra.optimizer.{next(iter(given))}"
    assert problems(optimizer=given) == ([(code, field)] if code else [])


def test_that_values_of_the_models_config_are_checked() -> None:
    assert problems(model={"rope_theta": 1e6, "_name_or_path": "x", "attention_dropout": 0.1}) == [
        ("config.extra_elsewhere", "extra.model.rope_theta"), ("config.extra_fixed", "extra.model._name_or_path"),
    ]  # fmt: skip
    known = {"attention_dropout": 0.0, "hidden_act": "silu", "layers": 2, "sliding_window": None, "use_bias": False}
    good = {"attention_dropout": 1, "hidden_act": "gelu", "layers": 3, "sliding_window": 8, "use_bias": True}
    assert list(check_model("qwen3", known, good)) == []
    bad = {"attention_dropot": 0.1, "zzz": 1, "layers": True, "hidden_act": 3, "use_bias": 1}
    assert [problem.code for problem in check_model("qwen3", known, bad)] == [
        "config.option_unknown", "config.option_unknown_plain", "config.option_type", "config.option_type",
        "config.option_type",
    ]  # fmt: skip


def test_that_they_come_back_as_they_were_written() -> None:
    text = to_yaml(RunConfig.model_validate({
        "name": "x", "model": {"path": "demo", "hub": "bundled"},
        "data": {"train": [{"path": "demo/train", "hub": "bundled"}]},
        "extra": {"environment": {"NCCL_DEBUG": "INFO"}, "model": {"attention_dropout": 0.1},
                  "optimizer": {"amsgrad": True}},
    }))  # fmt: skip
    config = parse_config(text)
    again = RunConfig.from_spec(config.to_spec())
    assert again.extra == config.extra
    assert again.extra.environment == {"NCCL_DEBUG": "INFO"}
