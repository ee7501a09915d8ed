"""What a run that samples takes to a node, and the version it brings back."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from engine.contract.datasets import MANIFEST
from engine.contract.nodes import NodeProfile
from engine.contract.paths import Home
from engine.contract.run_spec import AttemptOrder, RunSpec
from engine.control.executors.docker import names
from engine.control.executors.docker.inputs import Inputs, Sums
from engine.control.executors.docker.whole import Damaged, check_version
from tests.helpers.dataset_folders import write_version


def test_that_model_adapter_questions_and_rewards_go_to_a_node(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    made = write_version(home, ["a", "b"])
    for name in ("model", "adapter"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.json").write_text(json.dumps({"is": name}))
    (tmp_path / "reward.py").write_text("def reward(completions, **rest): return [1.0] * len(completions)\n")
    job = {
        "kind": "sample", "dataset": "answers", "model": {"path": str(tmp_path / "model")},
        "adapter": str(tmp_path / "adapter"), "source": {"hub": "library", "path": "alpha", "version": made.hash},
        "rewards": [{"kind": "file", "path": str(tmp_path / "reward.py")}, {"kind": "accuracy"}],
    }  # fmt: skip
    spec = RunSpec.model_validate({"name": "x", "job": job})
    order = AttemptOrder(protocol=1, run="r", attempt=1, lease="l", spec=spec)
    profile = NodeProfile.model_validate({"name": "far", "kind": "docker_local"})
    inputs = Inputs(home, profile, None, Sums(tmp_path / "sums.json"))  # type: ignore[arg-type] # nothing is copied here
    found, mounted = inputs.find(order, lambda: None)
    there = found.spec.job
    assert there.kind == "sample"
    assert {there.model.path, there.adapter, there.source.path} < set(mounted.values())
    assert there.rewards[0].path.startswith(str(names.INPUTS))
    assert there.rewards[1].path == ""
    assert (there.source.hub, there.source.version) == ("local", None)


def test_that_a_version_that_came_back_otherwise_is_noticed(tmp_path: Path) -> None:
    made = write_version(Home(tmp_path / "home"), ["a", "b"])
    folder = Home(tmp_path / "home").dataset(made.hash)
    digest = hashlib.sha256((folder / MANIFEST).read_bytes()).hexdigest()
    check_version(folder, digest)
    with pytest.raises(Damaged, match="journal"):
        check_version(folder, "0" * 64)
    shard = folder / made.shards[0].name
    shard.write_bytes(shard.read_bytes()[:-1] + b"x")
    with pytest.raises(Damaged, match="not as it was written"):
        check_version(folder, digest)
    shard.unlink()
    with pytest.raises(Damaged, match="missing"):
        check_version(folder, digest)
