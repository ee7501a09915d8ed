"""Failures provoked in a real worker, and what is said about each."""

import os
import signal
import subprocess
from pathlib import Path

import pytest

from engine.contract.advice import with_changes
from engine.contract.paths import code_root
from engine.contract.run_spec import RunConfig
from tests.helpers.controller import ControllerProcess
from tests.helpers.real_worker import WORKER, needs_worker
from tests.helpers.waiting import wait_until

BUNDLED = {"path": "demo", "hub": "bundled"}
pytestmark = needs_worker


@pytest.fixture
def real(tmp_path: Path):
    service = ControllerProcess(tmp_path, WORKER)
    yield service
    service.close()


def config(**groups):
    """A few steps of the demo, changed."""
    document = {
        "name": "will fail",
        "model": BUNDLED,
        "data": {"train": [{**BUNDLED, "limit": 64}], "max_length": 128},
        "training": {"max_steps": 40, "micro_batch_size": 8, "threads": 1},
        "compute": {"limits": {"retries": 0, "out_of_memory": "never"}},
    }
    for name, values in groups.items():
        document[name] = document.get(name, {}) | values
    return RunConfig.model_validate(document).to_spec()


def failed(service: ControllerProcess, spec, before_end=lambda _uid: None):
    """The detail of a run of this spec once it has failed."""
    run = service.client.create(spec)
    before_end(run.uid)
    return service.until(run.uid, "failed", timeout=300)


def wrapped(folder: Path, line: str) -> Path:
    """The worker's interpreter, started by a shell that does something first."""
    path = folder / "python"
    path.write_text(f'#!/bin/sh\n{line}\nexec "{WORKER}" "$@"\n')
    path.chmod(0o755)
    return path


def test_that_a_loss_out_of_range_is_laid_to_the_learning_rate(real):
    real.start()
    recipe = {"learning_rate": 10.0, "max_grad_norm": 0.0, "warmup_share": 0.0, "weight_decay": 10.0}
    detail = failed(real, config(tuner={"kind": "full"}, training=recipe))
    found = detail.diagnosis
    assert (detail.run.reason, found.rule) == ("loss_not_finite", "loss_not_finite")
    assert {change.field: (change.was, change.value) for change in found.changes} == {
        "training.learning_rate": (10.0, 1.0),
        "training.max_grad_norm": (0.0, 1.0),
    }
    better = with_changes(detail.spec, found.changes)
    assert (better.job.training.learning_rate, better.job.training.max_grad_norm) == (1.0, 1.0)
    shown = real.forge("advice", detail.run.uid, "--draft")
    assert shown.returncode == 0, shown.stderr
    assert "training.learning_rate: 10.0 → 1.0" in shown.stdout
    assert real.client.runs(states=["draft"]).total == 1


def test_that_too_little_memory_asks_for_fewer_rows_at_once(real, tmp_path):
    real.worker_python = wrapped(tmp_path, "ulimit -v 4000000")
    real.start()
    big = {"micro_batch_size": 512, "group_by_length": False}
    detail = failed(real, config(data={"train": [{**BUNDLED}], "max_length": 4096}, training=big))
    assert (detail.run.reason, detail.diagnosis.rule) == ("out_of_memory", "out_of_memory")
    assert {change.field: change.value for change in detail.diagnosis.changes} == {
        "training.micro_batch_size": 256,
        "training.accumulation": 2,
    }


def test_that_bad_rows_are_named(real, tmp_path):
    rows = tmp_path / "rows.jsonl"
    good = '{"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]}'
    rows.write_text(f'{good}\n{{"messages": []}}\n{good}\n{{half\n')
    real.start()
    detail = failed(real, config(data={"train": [{"path": str(rows)}]}))
    found = detail.diagnosis
    assert (detail.run.reason, found.rule, found.params["line"], found.params["count"]) == (
        "bad_data",
        "bad_rows",
        2,
        2,
    )
    assert not found.changes


def test_that_a_form_no_row_has_is_taken_back(real, tmp_path):
    rows = tmp_path / "rows.jsonl"
    good = '{"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]}'
    rows.write_text(f"{good}\n" * 3)
    real.start()
    detail = failed(real, config(data={"train": [{"path": str(rows), "format": "alpaca"}]}))
    found = detail.diagnosis
    assert found.rule == "wrong_format"
    assert with_changes(detail.spec, found.changes).job.data.train[0].format == "auto"


def test_that_a_file_that_went_is_named(real, tmp_path):
    rows = tmp_path / "rows.jsonl"
    rows.write_text('{"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]}\n')
    real.start()
    real.forge("settings", "--slots", "gpu=0")

    def remove(_uid: str) -> None:
        rows.unlink()
        real.forge("settings", "--slots", "gpu=1")

    found = failed(real, config(data={"train": [{"path": str(rows)}]}), remove).diagnosis
    assert (found.rule, found.params["path"]) == ("missing_file", str(rows))


def test_that_a_worker_without_its_packages_is_sent_to_the_installer(real):
    real.worker_python = code_root() / ".venv" / "bin" / "python"  # the desktop's own: it has no torch
    real.start()
    detail = failed(real, config())
    assert (detail.diagnosis.rule, detail.diagnosis.params["module"]) == ("import_error", "torch")
    assert "forge worker install" in detail.diagnosis.fix


def test_that_a_kill_by_the_system_is_called_one(real):
    real.start()

    def kill(uid: str) -> None:
        wait_until(lambda: real.client.run(uid).run.step, 120, "the first step")
        started = next(line for line in real.journal(uid) if line["kind"] == "started")
        os.kill(started["pid"], signal.SIGKILL)

    detail = failed(real, config(training={"max_steps": 5000}), kill)
    assert (detail.run.reason, detail.diagnosis.rule) == ("worker_killed", "killed")
    assert int(detail.diagnosis.params["signal"]) == signal.SIGKILL


@pytest.fixture
def small_disk(real, request):
    """The runs of this home lie on a disk of so many MB."""
    runs = real.home.runs
    runs.mkdir(parents=True)
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={request.param}m", "tmpfs", str(runs)], capture_output=True
    )
    if done.returncode:
        pytest.skip("only root may mount a small disk")
    yield runs
    real.close()
    subprocess.run(["umount", "-l", str(runs)], check=True)


@pytest.mark.parametrize("small_disk", [6], indirect=True)
def test_that_a_full_disk_is_called_one_and_nothing_saved_before_is_lost(real, small_disk):
    real.start()
    spec = config(tuner={"kind": "full"}, checkpoints={"every_steps": 5}, training={"max_steps": 20})
    detail = failed(real, spec)  # the model alone has 16 MB
    assert (detail.run.reason, detail.diagnosis.rule) == ("disk_full", "disk_full")
    assert {change.field: change.value for change in detail.diagnosis.changes} == {"checkpoints.keep_last": 1}
    notes = [event.body["code"] for event in detail.events if event.kind == "note"]
    assert "checkpoint.not_saved" in notes  # and training went on
    assert real.client.series(detail.run.uid, ["loss"])["loss"].x.tolist() == list(range(1, 21))
    assert not list(small_disk.rglob("*.partial"))


@pytest.mark.parametrize("small_disk", [20], indirect=True)
def test_that_a_run_with_room_for_its_result_but_no_checkpoint_comes_to_its_end(real, small_disk):
    real.start()
    spec = config(tuner={"kind": "full"}, checkpoints={"every_steps": 5}, training={"max_steps": 10})
    run = real.client.create(spec)  # the weights have 16 MB, the optimiser's state 32
    detail = real.until(run.uid, "completed", timeout=300)
    codes = [event.body["code"] for event in detail.events if event.kind == "note"]
    assert codes.count("checkpoint.not_saved") == 3  # twice on the way, once at the end
    assert not detail.checkpoints
    assert not list(small_disk.rglob(".*.partial"))
