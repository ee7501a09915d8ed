"""An adapter to go on with: what is refused of it before anything starts, every difference by its setting."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from engine.contract.adapter_start import CONFIG, WEIGHTS, settings_of
from engine.contract.config_file import check_document, read_config, to_yaml
from engine.contract.errors import Refused
from engine.contract.preflight import check_files, read_checked
from engine.contract.run_spec import RunConfig
from engine.contract.tuner import TunerConfig

PEFT = {"peft_type": "LORA", "r": 8, "lora_alpha": 16, "target_modules": ["v_proj", "q_proj"], "use_dora": False,
        "use_rslora": False, "rank_pattern": {}, "alpha_pattern": {}, "modules_to_save": None}  # fmt: skip
SAME = {"rank": 8, "alpha": 16}


def document(**tuner: Any) -> dict[str, Any]:
    return {
        "name": "x", "model": {"path": "demo", "hub": "bundled"},
        "data": {"train": [{"path": "demo", "hub": "bundled"}]}, "tuner": tuner,
    }  # fmt: skip


@pytest.fixture
def adapter(tmp_path: Path) -> Path:
    folder = tmp_path / "first" / "adapter"
    folder.mkdir(parents=True)
    (folder / CONFIG).write_text(json.dumps(PEFT))
    (folder / WEIGHTS).write_bytes(b"tensors")
    return folder


def problems(**tuner: Any) -> dict[str, str]:
    config, found = check_document(document(**tuner))
    if config is not None and not found:
        found = check_files(config.to_spec("me"))
    return {problem.field: problem.code for problem in found}


@pytest.mark.parametrize(
    ("tuner", "expected"),
    [
        ({"kind": "full"}, {"tuner.adapter": "tuner.adapter_kind"}),
        ({"kind": "vera"}, {"tuner.adapter": "tuner.adapter_kind"}),
        ({"init": "pissa"}, {"tuner.init": "tuner.adapter_init"}),
        ({"new_tokens": {"<a>": ""}}, {"tuner.new_tokens": "tuner.adapter_new_tokens"}),
    ],
)
def test_that_what_does_not_go_with_an_adapter_is_refused(tuner: dict[str, Any], expected: dict[str, str]) -> None:
    assert problems(**tuner, adapter="/some/adapter") == expected


def test_that_one_of_the_same_settings_is_taken(adapter: Path) -> None:
    assert problems(**SAME, adapter=str(adapter)) == {}
    assert problems(**SAME, targets=["q_proj", "v_proj"], adapter=str(adapter)) == {}
    assert TunerConfig.model_validate(settings_of(PEFT)).targets == ["q_proj", "v_proj"]


def test_that_every_difference_is_named_with_what_to_set(adapter: Path) -> None:
    tuner = {"kind": "dora", "rank": 4, "rslora": True, "targets": ["k_proj"], "rank_pattern": {"q_proj": 2},
             "modules_to_save": ["lm_head"]}  # fmt: skip
    found = problems(**tuner, adapter=str(adapter))
    names = ("kind", "rank", "alpha", "rslora", "targets", "rank_pattern", "modules_to_save")
    assert found == {f"tuner.{name}": "tuner.adapter_differs" for name in names}


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (lambda folder: (folder / WEIGHTS).unlink(), WEIGHTS),
        (lambda folder: (folder / CONFIG).write_text("[]"), "no settings"),
        (lambda folder: (folder / CONFIG).write_bytes(b"\xff\xfe"), "no text"),
        (lambda folder: (folder / CONFIG).write_text("{"), "Expecting"),
        (lambda folder: (folder / CONFIG).write_text("[" * 100_000), "no text"),
    ],
)
def test_that_a_folder_without_an_adapter_is_refused(adapter: Path, spoil: Any, why: str) -> None:
    spoil(adapter)
    config, _found = check_document(document(**SAME, adapter=str(adapter)))
    assert config is not None
    (problem,) = check_files(config.to_spec("me"))
    assert (problem.code, problem.field) == ("tuner.adapter_unfit", "tuner.adapter")
    assert why in problem.params["detail"]


def test_that_its_path_is_meant_from_the_folder_of_the_config(adapter: Path) -> None:
    config = RunConfig.model_validate(document(**SAME, adapter="first/adapter"))
    file = adapter.parents[1] / "config.yaml"
    file.write_text(to_yaml(config))
    assert read_checked(file).tuner.adapter == str(adapter)
    assert read_config(file).tuner.adapter == "first/adapter"
    (adapter / WEIGHTS).unlink()
    with pytest.raises(Refused) as caught:
        read_checked(file)
    assert [problem.field for problem in caught.value.problems] == ["tuner.adapter"]
