"""A worker is killed in the middle of a stage that samples: the run goes on as if nothing had been, none is left."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import psutil
import pytest

from engine.contract.api import Settings
from engine.contract.paths import resources_folder
from engine.contract.run_spec import RunSpec
from tests.helpers.controller import ControllerProcess
from tests.helpers.real_worker import needs_worker
from tests.helpers.waiting import wait_until

pytestmark = needs_worker
STEPS, SAVED_AFTER = 12, 3
REWARDS = {"rewards": [{"kind": "length", "options": {"target": 6}}], "answers": 4, "max_tokens": 8}


def order(name: str, stage: str, **groups: Any) -> RunSpec:
    job = {
        "kind": "train", "model": {"path": "demo", "hub": "bundled"}, "stage": stage,
        "data": {"train": [{"path": "demo", "hub": "bundled", "limit": 24}], "max_length": 96},
        "training": {"max_steps": STEPS, "micro_batch_size": 2, "learning_rate": 0.001, "threads": 1, "seed": 5},
        "checkpoints": {"every_minutes": None, "every_steps": SAVED_AFTER}, **groups,
    }  # fmt: skip
    return RunSpec.model_validate({"name": name, "job": job})


def groups_of(stage: str, tmp_path: Path) -> dict[str, Any]:
    if stage != "gkd":
        return {"rollouts": {**REWARDS, "beta": 0.05, "iterations": 2}}
    teacher = tmp_path / "teacher"
    shutil.copytree(resources_folder() / "demo" / "model", teacher)
    return {"teacher": {"path": str(teacher), "lmbda": 0.5}, "rollouts": {"max_tokens": 8}}


def steps(real: ControllerProcess, uid: str, attempt: int) -> dict[int, tuple[float, float]]:
    lines = [line for line in real.journal(uid, attempt) if line["kind"] == "step"]
    return {line["step"]: (line["values"]["loss"], line["values"]["grad_norm"]) for line in lines}


def family(pid: int) -> list[psutil.Process]:
    process = psutil.Process(pid)
    return [process, *process.children(recursive=True)]


@pytest.mark.slow
@pytest.mark.parametrize("stage", ["grpo", "gkd", "ppo"])
def test_that_a_killed_worker_leaves_the_curve_of_an_unbroken_run(real: ControllerProcess, tmp_path, stage):
    real.client.change_settings(Settings(retry_seconds=0.1))
    groups = groups_of(stage, tmp_path)
    whole = real.client.create(order("whole", stage, **groups))
    assert real.until(whole.uid, "completed", "failed", timeout=300).run.state == "completed"
    broken = real.client.create(order("broken", stage, **groups))
    wait_until(lambda: (real.client.run(broken.uid).run.step or 0) > SAVED_AFTER, 240, "a checkpoint and a step more")
    worker = next(line for line in real.journal(broken.uid) if line["kind"] == "started")["pid"]
    processes = family(worker)
    os.kill(worker, 9)
    detail = real.until(broken.uid, "completed", "failed", timeout=300)
    assert detail.run.state == "completed"
    assert [attempt.cause for attempt in detail.attempts] == ["first", "retry"]
    at = detail.attempts[1].resumed_step
    assert at >= SAVED_AFTER
    unbroken, before, after = (steps(real, *one) for one in ((whole.uid, 1), (broken.uid, 1), (broken.uid, 2)))
    assert sorted(unbroken) == list(range(1, STEPS + 1))
    assert after == {step: values for step, values in unbroken.items() if step > at} != {}
    assert before == {step: values for step, values in unbroken.items() if step in before}
    curve = real.client.series(broken.uid, ["loss"])["loss"]
    assert sorted(set(curve.x.tolist())) == list(range(1, STEPS + 1))
    assert psutil.wait_procs(processes, 30)[1] == []
