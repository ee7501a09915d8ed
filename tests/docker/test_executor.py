"""Runs in containers of a real engine: what they make is here at the end, whole, every journal line once."""

from __future__ import annotations

import json

import pytest

from engine.contract.commands import WorkerCommand
from engine.contract.states import EXIT_COMPLETED, EXIT_SAVED_ON_REQUEST
from engine.control.executors.base import Exit
from engine.control.executors.docker.whole import check_checkpoint
from tests.helpers.docker_bench import BUNDLED, DockerBench, docker_bench
from tests.helpers.waiting import wait_until


@pytest.fixture
def bench(local_engine, worker_image, worker_mounts, tmp_path):
    with docker_bench(local_engine, worker_image, worker_mounts, tmp_path) as made:
        yield made


def test_that_a_run_completes_and_everything_is_here(bench: DockerBench):
    attempt = bench.attempt("steps=12 delay=0.05 every=4 seed=3 noise=40").start()
    assert attempt.ended() == Exit(EXIT_COMPLETED)
    attempt.prove_copied()
    assert [line["step"] for line in attempt.lines("step")] == list(range(1, 13))
    adapter = attempt.lines("artifact")[0]
    assert json.loads((attempt.folder.outputs / "adapter" / "number.json").read_text())
    assert adapter["path"] == "outputs/adapter"
    kept = sorted(path.name for path in attempt.folder.checkpoints.iterdir())
    assert kept == ["a1-s12", "a1-s8"]
    assert [check_checkpoint(attempt.folder.checkpoints / name).step for name in kept] == [12, 8]
    assert [path.name for path in attempt.folder.root.iterdir() if path.name.startswith(".")] == []


def test_that_a_real_worker_trains(local_engine, worker_image, worker_mounts, tmp_path):
    with docker_bench(local_engine, worker_image, worker_mounts, tmp_path, light=False) as bench:
        data = {"train": [{**BUNDLED, "limit": 32}], "max_length": 128}
        training = {"max_steps": 4, "micro_batch_size": 4, "learning_rate": 0.001, "threads": 1}
        attempt = bench.attempt("a few steps", data=data, training=training).start()
        assert attempt.ended(170) == Exit(EXIT_COMPLETED)
        attempt.prove_copied()
        assert (attempt.folder.outputs / "adapter" / "adapter_model.safetensors").is_file()
        assert check_checkpoint(attempt.folder.checkpoints / "a1-s4").step == 4


def test_that_a_stopped_run_has_its_checkpoint_here(bench: DockerBench):
    attempt = bench.attempt("steps=5000 delay=0.02 every=100000 seed=1").start()
    attempt.until_step(3)
    bench.executor.stop(attempt.folder, attempt.handle)
    assert attempt.ended() == Exit(EXIT_SAVED_ON_REQUEST)
    last = attempt.lines("step")[-1]["step"]
    assert check_checkpoint(attempt.folder.checkpoints / f"a1-s{last}").step == last
    attempt.prove_copied()


def test_that_commands_reach_the_worker(bench: DockerBench):
    attempt = bench.attempt("steps=5000 delay=0.02 every=100000 seed=1").start()
    attempt.until_step(2)
    for _ in range(2):  # repeating one is harmless
        bench.executor.send(attempt.folder, attempt.handle, WorkerCommand(id="save-1", verb="save"))
    wait_until(lambda: attempt.lines("ack"), what="the save is acknowledged")
    made = attempt.lines("checkpoint")[0]
    wait_until(lambda: (attempt.folder.run / made["path"]).is_dir(), what="the checkpoint is copied on the way")
    check_checkpoint(attempt.folder.run / made["path"])
    bench.executor.send(attempt.folder, attempt.handle, WorkerCommand(id="pause", verb="pause"))
    assert attempt.ended() == Exit(EXIT_SAVED_ON_REQUEST)
    assert [line["command"] for line in attempt.lines("ack")] == ["save-1", "pause"]
    assert attempt.lines("ended")[0]["state"] == "paused"


def test_that_a_stop_before_the_start_ends_it_unstarted(bench: DockerBench):
    attempt = bench.attempt("steps=5000 delay=0.02 every=100000 seed=1")
    attempt.start()
    bench.executor.send(attempt.folder, attempt.handle, WorkerCommand(id="stop", verb="stop"))
    bench.executor.stop(attempt.folder, attempt.handle)
    assert attempt.ended() == Exit(EXIT_SAVED_ON_REQUEST)


def test_that_a_run_goes_on_from_a_checkpoint_that_is_only_here(bench: DockerBench):
    first = bench.attempt("steps=30 delay=0.02 every=5 seed=1").start()
    first.until_step(12)
    bench.executor.stop(first.folder, first.handle)
    assert first.ended().code == EXIT_SAVED_ON_REQUEST
    made = first.lines("checkpoint")[-1]
    assert bench.executor.keep.remove(first.order.run)  # as on another node: nothing of it is there
    point = {"attempt": 1, "step": made["step"], "path": made["path"]}
    second = bench.attempt("steps=30 delay=0.02 every=5 seed=1", first.order.run, 2, resume=[point]).start()
    assert second.ended() == Exit(EXIT_COMPLETED)
    assert second.lines("resumed")[0]["step"] == made["step"]
    alone = bench.attempt("steps=30 delay=0 every=5 seed=1").start()
    assert alone.ended() == Exit(EXIT_COMPLETED)
    assert [line["values"]["loss"] for line in [*first.lines("step"), *second.lines("step")]] == [
        line["values"]["loss"] for line in alone.lines("step")
    ]
