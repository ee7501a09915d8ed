"""Checkpoints of real runs that were mirrored off their node lie at the second place, and outlive node and copy."""

from __future__ import annotations

import shutil

import pytest

from tests.docker.test_move import LONG, numbers, start
from tests.helpers.artifact_places import place_of
from tests.helpers.docker_profiles import tls_profile
from tests.helpers.waiting import wait_until

MANY_STEPS = 100_000
"""It trains until it is stopped, however fast the computer is."""


def far_only(fleet, remote_engine, **more):
    """The other engine mirrors each checkpoint."""
    profile = tls_profile(remote_engine, mounts=fleet.mounts, mirror_minutes=0, max_runs=4, **more)
    fleet.client.edit_node("far", profile)
    wait_until(lambda: fleet.client.node("far").reach == "reachable", what="the node answers")


@pytest.mark.parametrize("kind", ["folder", "s3"])
def test_that_the_mirrored_checkpoints_of_a_real_run_lie_there(real_fleet, remote_engine, tmp_path, kind):
    fleet = real_fleet
    with place_of(kind, tmp_path) as place:
        place.tell(fleet.client)
        far_only(fleet, remote_engine)
        order = fleet.order("mirrored", "far", max_steps=MANY_STEPS)
        job = order.job.model_copy(
            update={"checkpoints": order.job.checkpoints.model_copy(update={"every_steps": 10, "every_minutes": None})}
        )
        uid = fleet.client.create(order.model_copy(update={"job": job})).uid
        wait_until(lambda: place.checkpoints(uid), 240, "one is there while it trains")
        assert fleet.client.run(uid).run.state in ("running", "finishing")
        fleet.client.stop(uid)
        detail = fleet.until(uid, "stopped", timeout=240)
        wait_until(lambda: fleet.client.artifacts().state == "whole", 120, "all of it is there")
        assert set(place.checkpoints(uid)) == {one.name for one in detail.checkpoints}
        for kept in ("checkpoints", "results"):
            store = place.opened().store(kept, uid)
            assert store.listed()
            assert all(store.verify(digest) for digest in store.listed())
        bytes_there = sum(one.bytes for one in detail.checkpoints)
        print(f"{kind}: {len(detail.checkpoints)} checkpoints, {bytes_there / 1e6:.1f} MB")


def test_that_a_run_restarts_elsewhere_from_the_bucket_when_its_node_is_lost(light_fleet, remote_engine, tmp_path):
    fleet = light_fleet
    with place_of("s3", tmp_path) as place:
        place.tell(fleet.client)
        far_only(fleet, remote_engine)
        uid = start(fleet, "far", LONG)
        wait_until(lambda: place.checkpoints(uid), 60, "a mirrored checkpoint lies there")
        remote_engine.daemon.pause()
        try:
            wait_until(lambda: fleet.client.run(uid).run.mark == "unreachable", 60, "the node is lost")
            kept = max(int(name.partition("-s")[2]) for name in place.checkpoints(uid))
            shutil.rmtree(fleet.home.run(uid) / "checkpoints")  # and so is the disk's copy
            fleet.client.start_elsewhere(uid, "here")
            journal = fleet.home.attempt(uid, 2).journal
            stepped = b'"kind":"step"'  # notes before it tell of steps, too
            wait_until(lambda: journal.exists() and stepped in journal.read_bytes(), 60, "it takes steps again")
            resumed = next(line for line in fleet.journal(uid, 2) if line["kind"] == "resumed")
            assert 0 < resumed["step"] <= kept
            assert "artifacts.brought_back" in fleet.codes(uid)
            found = fleet.losses(uid)
            assert found == numbers(len(found))
            fleet.client.stop(uid)
            fleet.until(uid, "stopped")
        finally:
            remote_engine.daemon.resume()
