"""Runs on a version of the library with a real controller and a real worker: mixed, split by group, and deleted."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from engine.contract.datasets import ImportJob, ImportSource
from engine.contract.errors import Refused
from engine.contract.paths import resources_folder
from engine.contract.run_spec import RunSpec
from tests.helpers.controller import ControllerProcess
from tests.helpers.real_worker import WORKER, needs_worker
from tests.helpers.waiting import wait_until

DATA = resources_folder() / "demo" / "data" / "train.jsonl"
pytestmark = [
    needs_worker,
    pytest.mark.skipif(not DATA.exists(), reason="the bundled data is not there"),
]
ROWS = 120


def import_job(folder: Path) -> ImportJob:
    return ImportJob(dataset="questions", source=ImportSource(place=str(folder / "rows.jsonl")))


@pytest.fixture
def real(tmp_path: Path) -> Iterator[ControllerProcess]:
    """A controller with a dataset in its library: rows of twelve persons."""
    service = ControllerProcess(tmp_path, WORKER)
    service.start()
    path = tmp_path / "rows.jsonl"
    lines = DATA.read_text(encoding="utf-8").splitlines()[:ROWS]
    path.write_text("".join(json.dumps({**json.loads(line), "person": n % 12}) + "\n" for n, line in enumerate(lines)))
    service.until(service.client.import_dataset(import_job(tmp_path)).uid, "completed", timeout=300)
    yield service
    service.close()


def order(steps: int, **data: Any) -> RunSpec:
    training = {"max_steps": steps, "micro_batch_size": 4, "learning_rate": 0.001, "threads": 1, "validate_every": 2}
    job = {
        "kind": "train",
        "model": {"path": "demo", "hub": "bundled"},
        "data": {"train": [{"hub": "library", "path": "questions"}], "max_length": 128, **data},
        "training": training,
    }
    return RunSpec.model_validate({"name": "learns from the library", "job": job})


def of(service: ControllerProcess, uid: str, kind: str, attempt: int = 1) -> list[dict[str, Any]]:
    """Whole lines of a kind that the worker has written by now."""
    path = service.home.attempt(uid, attempt).journal
    lines = path.read_bytes().split(b"\n")[:-1] if path.exists() else []
    return [found for found in map(json.loads, lines) if found["kind"] == kind]


def test_that_a_run_learns_from_a_version_by_groups_and_who_it_is(real: ControllerProcess) -> None:
    myself = {"name": "Anvil", "author": "The Smithy", "rows": 60}
    spec = order(4, validation_share=0.3, validation_by="group", group_column="person", self_cognition=myself)
    run = real.client.create(spec)
    assert real.until(run.uid, "completed", "failed", timeout=300).run.state == "completed"
    (plan,) = of(real, run.uid, "planned")
    assert plan["validation_rows"] % 10 == 0  # whole persons
    assert 0 < plan["validation_rows"] < ROWS
    assert plan["rows"] + plan["validation_rows"] == ROWS + 40
    assert [line["step"] for line in of(real, run.uid, "validation")] == [2, 4]
    assert {"data.read_version", "data.self_cognition"} <= {line["code"] for line in of(real, run.uid, "note")}


def test_that_a_version_that_goes_in_the_middle_is_said_and_keeps_from_going_on(real: ControllerProcess) -> None:
    run = real.client.create(order(5000, validation_share=0.1))
    wait_until(lambda: real.client.run(run.uid).run.step, 150, "the first step")
    (version,) = real.client.dataset("questions").versions
    shutil.rmtree(real.home.dataset(version.hash))  # by hand: the library itself refuses it

    def told() -> bool:
        return "data.removed_while_training" in {line["code"] for line in of(real, run.uid, "note")}

    wait_until(told, 60, "the run says so")
    step = real.client.run(run.uid).run.step or 0
    wait_until(lambda: (real.client.run(run.uid).run.step or 0) > step, 60, "it goes on")
    real.client.pause(run.uid)
    real.until(run.uid, "paused", timeout=300)
    with pytest.raises(Refused) as refused:
        real.client.resume(run.uid)
    (problem,) = refused.value.problems
    assert problem.field == "data.train.0.path"
    assert "questions" in str(refused.value)
    assert real.client.run(run.uid).run.state == "paused"  # the same rows imported again let it go on
    real.until(real.client.import_dataset(import_job(real.folder)).uid, "completed", timeout=300)
    real.client.resume(run.uid)
    wait_until(lambda: of(real, run.uid, "step", 2), 150, "it goes on where it was")
    assert of(real, run.uid, "resumed", 2)[0]["step"] >= step
