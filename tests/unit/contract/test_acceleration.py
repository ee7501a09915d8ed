"""What makes steps faster or rows longer: limits, what is refused and why, and what is looked up in a model's files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from engine.contract.acceleration import stretched
from engine.contract.config_file import check_document
from engine.contract.preflight import check_files
from engine.control.jobs.package_check import problems_of_packages


def document(**groups: Any) -> dict[str, Any]:
    model = {"path": "demo", "hub": "bundled", **groups.pop("model", {})}
    return {"name": "x", "model": model, "data": {"train": [{"path": "demo/train", "hub": "bundled"}]}, **groups}


def problems(**groups: Any) -> list[tuple[str, str | None]]:
    return [(problem.code, problem.field) for problem in check_document(document(**groups))[1]]


def test_that_they_are_taken() -> None:
    assert problems(training={"compile": True, "liger": True}, model={"rope": "yarn", "rope_factor": 4}) == []


@pytest.mark.parametrize("tuner", [{}, {"rank": 0}])
def test_that_sharing_rows_among_devices_is_refused_with_its_reason(tuner: dict[str, Any]) -> None:
    found = problems(training={"sequence_parallel": 4}, tuner=tuner)
    assert ("config.sequence_members", "training.sequence_parallel") in found


@pytest.mark.parametrize("factor", [1.0, 65, "far"])
def test_that_factors_have_limits(factor: Any) -> None:
    assert [field for _code, field in problems(model={"rope": "linear", "rope_factor": factor})] == [
        "model.rope_factor"
    ]


def preflight(rope: dict[str, Any], longest: int = 1024) -> list[tuple[str, str | None]]:
    config, found = check_document(document(model=rope) | {"data": {
        "train": [{"path": "demo/train", "hub": "bundled"}], "max_length": longest}})  # fmt: skip
    assert config is not None, found
    spec = config.to_spec()
    return [(p.code, p.field) for p in check_files(spec) if p.code.startswith("config.rope")]


def test_that_the_model_is_asked_how_far_it_reaches() -> None:
    assert preflight({"rope": "linear"}, 2048) == []
    assert preflight({"rope": "linear"}, 2049) == [("config.rope_short", "model.rope_factor")]
    assert preflight({"rope": "dynamic"}, 2049) == [("config.rope_short", "model.rope_factor")]
    assert preflight({"rope": "yarn", "rope_original": 2048}) == [("config.rope_original", "model.rope_original")]
    assert preflight({"rope": "yarn", "rope_original": 512}, 1025) == [("config.rope_short", "model.rope_factor")]
    assert preflight({"rope": "none", "rope_original": 4096}, 4096) == []


@pytest.mark.parametrize(
    "config",
    [
        {"max_position_embeddings": 512},
        {"max_position_embeddings": 512, "rope_parameters": {"full": {"rope_theta": 1e4}, "sliding": {}}},
        {"rope_theta": 1e4},
    ],
)
def test_that_a_model_without_one_kind_of_rotary_positions_is_left_alone(config: dict[str, Any]) -> None:
    assert stretched(config, "linear", 2.0, None) is None


def test_that_older_configs_are_understood() -> None:
    scaling = {"rope_type": "llama3", "factor": 8.0, "original_max_position_embeddings": 1024}
    old = {"max_position_embeddings": 8192, "rope_theta": 5e5, "rope_scaling": scaling}
    found = stretched(old, "llama3", 16.0, None)
    assert found is not None
    assert json.loads(json.dumps(found)) == {
        "rope_parameters": {
            "rope_theta": 5e5, "rope_type": "llama3", "factor": 16.0, "original_max_position_embeddings": 1024,
            "low_freq_factor": 1.0, "high_freq_factor": 4.0,
        },
        "max_position_embeddings": 16384,
    }  # fmt: skip


def test_that_a_missing_package_is_named_before_the_start(tmp_path: Path) -> None:
    room = tmp_path / "lib" / "python3.11" / "site-packages"
    room.mkdir(parents=True)
    config, _found = check_document(document(training={"liger": True}))
    assert config is not None
    python = str(tmp_path / "bin" / "python")
    found = problems_of_packages(config.to_spec(), python)
    assert [(problem.code, problem.field) for problem in found] == [("package.missing", "training.liger")]
    (room / "liger_kernel").mkdir()
    assert problems_of_packages(config.to_spec(), python) == []
