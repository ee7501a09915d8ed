"""A node whose clock is hours off: its workers' times are wrong, and nothing else is."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from engine.contract.states import EXIT_COMPLETED
from tests.helpers.docker_bench import docker_bench
from tests.helpers.waiting import wait_until

LIBRARY = Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1")
AHEAD, BEHIND = "+5h", "-5h"
HOURS_5 = 5 * 3600.0
SLACK_S = 600.0
RUN = "steps=400 delay=0.03 every=50 seed=7"

pytestmark = pytest.mark.skipif(not LIBRARY.exists(), reason="the Debian package faketime is not installed")


def off(folder: Path, by: str) -> list[str]:
    """What is mounted so that every program of a container is told another time of day."""
    folder.mkdir()
    (folder / "preload").write_text("/opt/libfaketime.so.1\n")
    (folder / "by").write_text(f"{by}\n")
    return [f"{LIBRARY}:/opt/libfaketime.so.1", f"{folder / 'preload'}:/etc/ld.so.preload",
            f"{folder / 'by'}:/etc/faketimerc"]  # fmt: skip


@pytest.mark.parametrize(("by", "seconds"), [(AHEAD, HOURS_5), (BEHIND, -HOURS_5)])
def test_that_a_worker_whose_clock_is_off_is_followed(local_engine, worker_image, worker_mounts, tmp_path, by, seconds):
    mounts = [*worker_mounts, *off(tmp_path / "off", by)]
    with docker_bench(local_engine, worker_image, mounts, tmp_path) as bench:
        attempt = bench.attempt("steps=40 delay=0.02 every=10 seed=1").start()
        assert attempt.ended().code == EXIT_COMPLETED
        attempt.prove_copied()
        assert abs(attempt.lines("started")[0]["t"] - seconds - time.time()) < SLACK_S


@pytest.mark.parametrize(("source", "target"), [(AHEAD, ""), ("", AHEAD), (BEHIND, "")])
def test_that_a_run_moves_between_nodes_whose_clocks_differ(
    light_fleet, local_engine, remote_engine, tmp_path, source, target
):
    fleet = light_fleet
    for name, by in (("here", source), ("far", target)):
        if by:
            profile = fleet.client.node(name).profile
            mounts = [*profile.mounts, *off(tmp_path / "off", by)]
            fleet.client.edit_node(name, profile.model_copy(update={"mounts": mounts, "price": 2.0}))
    for name in ("here", "far"):
        wait_until(lambda name=name: fleet.client.node(name).reach == "reachable", what=f"{name} answers")
    began = time.time()
    uid = fleet.client.create(fleet.order(RUN, "here")).uid
    fleet.until_step(uid, 10)
    assert fleet.client.run(uid).run.mark is None
    move = fleet.until_moved(fleet.client.move_run(uid, "far"))
    assert (move.state, move.error) == ("done", None)
    taken = time.time() - began
    assert move.downtime is not None
    assert 0 < move.downtime < taken
    fleet.until(uid, "completed")
    taken = time.time() - began
    run = fleet.client.run(uid).run
    assert 0 < run.seconds <= taken
    assert (run.cost or 0.0) <= 2.0 * taken / 3600
    assert began - 1 <= run.finished <= time.time() + 1
    assert [step for step, _loss in fleet.losses(uid)] == list(range(1, 401))
