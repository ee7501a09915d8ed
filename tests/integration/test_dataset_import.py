"""Imports with a real controller and real workers: a file becomes a version, once, whoever is killed; a run learns."""

from __future__ import annotations

import contextlib
import json
import os
import signal
from pathlib import Path

import pytest

from engine.contract.datasets import ImportJob, ImportSource
from engine.contract.paths import code_root, resources_folder
from engine.contract.run_spec import RunSpec
from tests.helpers.controller import ControllerProcess
from tests.helpers.real_worker import needs_worker
from tests.helpers.waiting import wait_until

READER = code_root() / "engine" / "compute" / "worker" / "import_job.py"
MODEL = resources_folder() / "demo" / "model" / "config.json"
DATA = resources_folder() / "demo" / "data" / "train.jsonl"
pytestmark = [
    needs_worker,
    pytest.mark.skipif(not READER.exists(), reason="workers of this version import nothing"),
]


def job(path: Path, dataset: str = "alpha") -> ImportJob:
    return ImportJob(dataset=dataset, source=ImportSource(place=str(path)))


def many_rows(path: Path, rows: int) -> Path:
    with path.open("w") as file:
        for number in range(rows):
            file.write(json.dumps({"prompt": f"what is {number}?", "completion": f"it is {number}"}) + "\n")
    return path


def test_that_rows_of_a_file_are_imported_and_learned_from(real: ControllerProcess) -> None:
    path = real.folder / "mixed.jsonl"
    path.write_text(DATA.read_text() + "this is no row\n" + '{"other": 1}\n')
    run = real.client.import_dataset(job(path))
    real.until(run.uid, "completed", timeout=300)
    found = real.client.dataset("alpha")
    manifest = found.manifest
    assert manifest is not None
    good = len(DATA.read_text().splitlines())
    assert (manifest.rows, manifest.refused) == (good, 2)
    assert real.client.dataset_problems("alpha", 1, severity="refused").total == 2
    assert real.client.dataset_rows("alpha", 1, offset=good - 1).rows[0].line == good
    bundled = {"path": "demo", "hub": "bundled"}
    data = {"train": [{"hub": "library", "path": "alpha", "limit": 64}], "max_length": 128}
    training = {"max_steps": 2, "micro_batch_size": 4, "learning_rate": 0.001, "threads": 1}
    order = {"kind": "train", "model": bundled, "data": data, "training": training}
    run = real.client.create(RunSpec.model_validate({"name": "learns from alpha", "job": order}))
    assert real.until(run.uid, "completed", "failed", timeout=300).run.state == "completed"
    assert [one.run for one in real.client.dataset("alpha").runs] == [run.uid]


def test_that_a_version_appears_once_whoever_is_killed_in_mid_import(real: ControllerProcess) -> None:
    real.client.edit_settings({"retry_seconds": 0.1})
    rows = 60_000
    run = real.client.import_dataset(job(many_rows(real.folder / "many.jsonl", rows)))
    monitor = real.home.attempt(run.uid, 1).monitor
    wait_until(lambda: monitor.is_file() and json.loads(monitor.read_bytes())["worker"], 120, "the worker lives")
    real.until(run.uid, "running", "finishing", "completed", timeout=300)
    worker = json.loads(monitor.read_bytes())["worker"]["pid"]
    controller = real.client.health().pid
    os.kill(controller, signal.SIGKILL)
    wait_until(lambda: not real.running(), what="the controller has gone")
    with contextlib.suppress(ProcessLookupError):  # it was quicker
        os.kill(worker, signal.SIGKILL)
    real.start()
    real.until(run.uid, "completed", timeout=300)
    found = real.client.dataset("alpha")
    assert [(one.n, one.rows, one.present) for one in found.versions] == [(1, rows, True)]
    assert [path.name for path in real.home.datasets.iterdir()] == [found.versions[0].hash]
