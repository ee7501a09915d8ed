"""What of an order to sample is refused before it starts, all at once and under its own names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from engine.contract.config_file import check_spec
from engine.contract.network import network_of
from engine.contract.preflight import check_files
from engine.contract.run_spec import RunSpec
from engine.contract.sampling import SampleJob

DEMO = {"path": "demo", "hub": "bundled"}


def spec(**more: Any) -> RunSpec:
    job = SampleJob.model_validate({"dataset": "answers", "model": DEMO, "source": DEMO, **more})
    return RunSpec(name="sample", job=job)


@pytest.mark.parametrize(
    ("more", "found"),
    [
        ({}, {}),
        ({"choose": "best_n"}, {"rewards": "sample.no_rewards"}),
        ({"choose": "best_n", "keep": 3, "answers": 2, "rewards": [{}]}, {"keep": "sample.keep_too_many"}),
        ({"choose": "best_worst", "rewards": [{}]}, {"answers": "sample.one_answer"}),
        ({"temperature": 0, "answers": 4}, {"temperature": "sample.all_alike"}),
        ({"max_tokens": 64, "max_length": 64}, {"max_tokens": "sample.no_room"}),
        ({"model": {"path": "new", "hub": "scratch"}}, {"model.hub": "sample.from_scratch"}),
        ({"rewards": [{"kind": "file"}]}, {"rewards.0.path": "rewards.file_needed"}),
        ({"rewards": [{"weight": 0}]}, {"rewards": "rewards.no_weight"}),
        ({"source": {"path": "x", "hub": "huggingface"}}, {"source.hub": "config.not_executable"}),
    ],
)
def test_that_settings_that_do_not_go_together_are_named(more: dict[str, Any], found: dict[str, str]) -> None:
    assert {problem.field: problem.code for problem in check_spec(spec(**more))}.keys() == found.keys()
    codes = {problem.field: problem.code for problem in check_spec(spec(**more))}
    assert {field: code for field, code in codes.items() if not field.endswith("hub")} == {
        field: code for field, code in found.items() if not field.endswith("hub")
    }


def test_that_files_are_looked_at(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    asked = spec(
        model={"path": "/none"}, source={"path": str(tmp_path / "none.jsonl")}, adapter=str(tmp_path / "empty"),
        rewards=[{"kind": "file", "path": "/none.py"}],
    )  # fmt: skip
    found = {problem.field: problem.code for problem in check_files(asked)}
    assert found == {
        "model.path": "config.path_missing", "source.path": "config.path_missing", "adapter": "sample.adapter_unfit",
        "rewards.0.path": "config.path_missing",
    }  # fmt: skip


def test_that_a_model_of_a_hub_needs_the_network() -> None:
    assert network_of(spec())[0] == "network.nothing"
    assert network_of(spec(model={"path": "a/b", "hub": "huggingface"}))[0] == "network.hub"
