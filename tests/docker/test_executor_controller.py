"""A whole controller whose workers are containers: the history holds every line exactly once, whatever dies."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest

from engine.contract.api import ResumeRun
from engine.control.jobs.requests import Request
from tests.helpers.controller import Bench
from tests.helpers.docker_bench import BUNDLED, docker_bench

LOSSES = (
    "SELECT n FROM series JOIN metric ON metric.id = metric_id JOIN run ON run.id = run_id "
    "WHERE uid = ? AND metric.name = 'loss'"
)
JOB = {"kind": "train", "model": BUNDLED, "data": {"train": [BUNDLED]}}


@pytest.fixture
def docker(local_engine, worker_image, worker_mounts, tmp_path, monkeypatch):
    monkeypatch.setenv("FORGE_WORKER_PYTHON", sys.executable)
    with docker_bench(local_engine, worker_image, worker_mounts, tmp_path) as made:
        yield made


def steps(bench: Bench, uid: str) -> list[int]:
    """Of the journal as it was taken in: number of lines, and of the last one."""
    rows = bench.fetch(
        "SELECT ingested_seq, ingested_bytes FROM member JOIN attempt ON attempt.id = attempt_id "
        "JOIN run ON run.id = run_id WHERE uid = ?",
        uid,
    )
    return [tuple(row) for row in rows]  # type: ignore[misc]


def taken_in(bench: Bench, uid: str) -> None:
    journal = bench.home.attempt(uid, 1).journal.read_bytes()
    assert steps(bench, uid) == [(len(journal.splitlines()), len(journal))]


async def until_step(bench: Bench, uid: str, step: int) -> None:
    for _ in range(2000):
        row = await bench.row(uid)
        if (row["last_step"] or 0) >= step:
            return
        await asyncio.sleep(0.02)
    raise AssertionError(f"no step {step}")


async def until(bench: Bench, uid: str, state: str) -> None:
    for _ in range(3000):
        if await bench.state(uid) == state:
            return
        await asyncio.sleep(0.02)
    raise AssertionError(f"run is {await bench.state(uid)}, not {state}")


def test_a_run_over_the_death_of_the_daemon_and_of_the_controller(docker, tmp_path: Path):
    async def main():
        bench = Bench(tmp_path, docker.executor)
        async with bench.running():
            uid = await bench.create("steps=400 delay=0.02 every=100 seed=1", job=JOB)
            await until_step(bench, uid, 10)
            await asyncio.to_thread(docker.engine.daemon.kill)
            await asyncio.to_thread(docker.engine.daemon.start)
            await until_step(bench, uid, 150)
        docker.controller_dies()
        bench = Bench(tmp_path, docker.executor)
        async with bench.running():
            await until(bench, uid, "completed")
            taken_in(bench, uid)
            assert bench.fetch(LOSSES, uid)[0][0] == 400

    asyncio.run(main())


def test_stop_and_resume_in_another_container(docker, tmp_path: Path):
    async def main():
        bench = Bench(tmp_path, docker.executor)
        async with bench.running():
            uid = await bench.create("steps=200 delay=0.02 every=1000 seed=1", job=JOB)
            await until_step(bench, uid, 5)
            await bench.controller.stop(uid, True, Request("stop"))
            await until(bench, uid, "stopped")
            await bench.controller.resume(uid, ResumeRun(), Request("resume"))
            await until(bench, uid, "completed")
            assert (await bench.row(uid))["attempt"] == 2
            assert bench.fetch(LOSSES, uid)[0][0] == 200

    asyncio.run(main())
