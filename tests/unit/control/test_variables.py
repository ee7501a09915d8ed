"""Variables a run's config asks for reach its worker; the program's own win over them."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.contract.api import Settings
from engine.contract.paths import Home
from engine.contract.run_spec import RunConfig
from engine.control.jobs.queue import Claim
from engine.control.jobs.start import variables


@pytest.mark.parametrize("docker", [False, True])
def test_that_a_worker_gets_what_the_config_asks_for_and_ours(tmp_path: Path, docker: bool) -> None:
    config = RunConfig.model_validate({
        "name": "x", "model": {"path": "demo", "hub": "bundled"},
        "data": {"train": [{"path": "demo/train", "hub": "bundled"}]},
        "extra": {"environment": {"NCCL_DEBUG": "INFO", "FORGE_LOG_LEVEL": "debug"}},
    })  # fmt: skip
    claim = Claim(run_id=1, uid="r", attempt_id=1, n=1, lease="l", spec=config.to_spec(), devices=["cpu"])
    found = variables(Home(tmp_path), claim, Settings(log_level="warning"), docker=docker)
    assert found["NCCL_DEBUG"] == "INFO"
    assert found["FORGE_LOG_LEVEL"] == "warning"
    assert ("FORGE_HOME" in found) == (not docker)
