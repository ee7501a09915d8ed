"""Runs that move between real engines and processes: nothing is lost, and losses go on bit for bit."""

from __future__ import annotations

import signal

import pytest

from engine.control.executors.docker import names
from tests.helpers.docker_fleet import Fleet
from tests.helpers.waiting import PATIENCE_S, wait_until

STEPS = 60
LIGHT_RUN = "steps=400 delay=0.03 every=50 seed=7"
LONG = "steps=90000 delay=0.03 every=50 seed=7"


def ours(engine, uid):
    """Containers and volumes of a run on an engine."""
    only = {"label": f"{names.RUN}={uid}"}
    return [box["Names"][0] for box in engine.api.containers(all=True, filters=only)] + [
        volume["Name"] for volume in engine.api.volumes(filters=only)["Volumes"] or []
    ]


def start(fleet: Fleet, node: str, name: str = LIGHT_RUN) -> str:
    return fleet.client.create(fleet.order(name, node)).uid


def numbers(steps: int, seed: int = 7) -> list[tuple[int, float]]:
    """The losses of a light run that nobody moved."""
    from tests.chaos import number

    found, x = [], seed
    for step in range(1, steps + 1):
        x = number.step(x)
        found.append((step, number.loss(x)))
    return found


def stop_and_compare(fleet: Fleet, uid: str) -> None:
    """Every step so far is that of a run nobody moved."""
    known = len(fleet.losses(uid))
    wait_until(lambda: len(fleet.losses(uid)) > known + 5, what="it goes on")
    fleet.client.stop(uid)
    fleet.until(uid, "stopped")
    found = fleet.losses(uid)
    assert found == numbers(len(found))


def test_that_losses_after_two_moves_are_those_of_a_run_that_stayed(real_fleet, local_engine, remote_engine):
    fleet = real_fleet
    stayed = fleet.client.create(fleet.order("stayed", "local", max_steps=STEPS)).uid
    moved = fleet.client.create(fleet.order("moved", "local", max_steps=STEPS)).uid
    fleet.until_step(moved, 2)
    first = fleet.until_moved(fleet.client.move_run(moved, "here"), 240)
    assert (first.state, first.error) == ("done", None)
    second = fleet.until_moved(fleet.client.move_run(moved, "far"), 240)
    assert (second.state, second.error) == ("done", None)
    assert ours(local_engine, moved) == []
    fleet.until(moved, "completed", timeout=240)
    fleet.until(stayed, "completed", timeout=240)
    assert fleet.losses(moved) == fleet.losses(stayed)
    assert len(fleet.losses(moved)) == STEPS
    assert fleet.codes(moved).count("move.done") == 2
    causes = [attempt.cause for attempt in fleet.client.run(moved).attempts]
    assert causes == ["first", "move", "move"]
    kept = [checkpoint.cause for checkpoint in fleet.client.run(moved).checkpoints]
    assert "move" in kept
    print(f"downtime {first.downtime:.2f} s to a container here, {second.downtime:.2f} s to another engine")


@pytest.mark.parametrize(("source", "target"), [("here", "far"), ("far", "local"), ("local", "here")])
def test_that_a_run_moves_and_the_source_is_let_go(light_fleet, local_engine, remote_engine, source, target):
    fleet = light_fleet
    uid = start(fleet, source)
    fleet.until_step(uid, 10)
    move = fleet.until_moved(fleet.client.move_run(uid, target))
    assert (move.state, move.step, move.error) == ("done", "done", None)
    assert move.bytes == move.bytes_total > 0
    engines = {"here": local_engine, "far": remote_engine}
    if source in engines:
        assert ours(engines[source], uid) == []
    assert fleet.client.run(uid).run.node == target
    fleet.until(uid, "completed")
    assert fleet.losses(uid) == numbers(400)


def test_that_a_node_is_drained_by_moving_its_runs_away(light_fleet, local_engine):
    fleet = light_fleet
    runs = [start(fleet, "here", LONG) for _ in range(2)]
    for uid in runs:
        fleet.until_step(uid, 3)
    fleet.client.set_node_state("local", "offline")
    answer = fleet.forge("node", "drain", "here", "--move")
    assert (answer.returncode, "2 of 2 runs" in answer.stdout) == (0, True), answer.stderr
    for move in fleet.client.moves():
        assert fleet.until_moved(move).state == "done"
    assert [fleet.client.run(uid).run.node for uid in runs] == ["far", "far"]
    assert fleet.client.node("here").runs == []
    listed = fleet.forge("instances")
    assert listed.stdout.count(" train ") == 2, listed.stdout
    refused = fleet.forge("move", runs[0], "here")
    assert refused.returncode != 0
    assert "being drained" in refused.stderr
    assert fleet.forge("node", "online", "here").returncode == 0
    moved = fleet.forge("move", runs[0], "here")
    assert (moved.returncode, "works on here now" in moved.stdout) == (0, True), moved.stderr
    for uid in runs:
        stop_and_compare(fleet, uid)


def test_that_a_target_without_the_image_costs_nothing(light_fleet, remote_engine):
    fleet = light_fleet
    values = fleet.client.node("far").profile.model_copy(update={"image": "no-such-image:1"})
    fleet.client.edit_node("far", values)
    wait_until(lambda: fleet.client.node("far").reach == "reachable")
    uid = start(fleet, "here")
    fleet.until_step(uid, 5)
    move = fleet.until_moved(fleet.client.move_run(uid, "far"))
    assert (move.state, move.error.code) == ("failed", "docker.image_missing")
    assert fleet.client.run(uid).run.attempt == 1
    fleet.until(uid, "completed")
    assert fleet.losses(uid) == numbers(400)
    assert ours(remote_engine, uid) == []


def test_that_a_target_whose_engine_dies_in_the_start_is_given_up(light_fleet, remote_engine, monkeypatch):
    fleet = light_fleet
    uid = start(fleet, "here", "steps=900 delay=0.03 every=50 seed=7")
    fleet.until_step(uid, 5)
    move = fleet.client.move_run(uid, "far")
    wait_until(lambda: fleet.client.run(uid).run.attempt == 2, what="it is the target's")
    remote_engine.daemon.pause()
    try:
        assert fleet.client.cancel_move(move.uid).run == uid
        done = fleet.until_moved(move)
    finally:
        remote_engine.daemon.resume()
    assert done.state in ("cancelled", "done")  # its first step may have come before
    fleet.until(uid, "completed")
    assert fleet.losses(uid) == numbers(900)


@pytest.mark.parametrize(
    "place",
    [
        "moving.after_request", "moving.after_ask", "moving.after_stop", "moving.after_copy", "moving.after_claim",
        "start.after_order", "moving.before_release",
    ],
)  # fmt: skip
def test_that_a_controller_killed_at_any_step_loses_nothing(light_fleet, local_engine, monkeypatch, place):
    fleet = light_fleet
    uid = start(fleet, "here", LONG)
    fleet.until_step(uid, 5)
    fleet.stop_controller()
    setting = place if place != "start.after_order" else "start.after_order:kill:1"
    monkeypatch.setenv("FORGE_FAULT", setting)
    controller = fleet.start()
    monkeypatch.delenv("FORGE_FAULT")
    wait_until(lambda: fleet.client.node("far").reach == "reachable", what="the target answers")
    wait_until(lambda: fleet.client.node("here").reach == "reachable", what="the source answers")
    fleet.ask_for_move(uid, "far")
    assert controller.wait(PATIENCE_S) == -signal.SIGKILL
    fleet.start()
    move = fleet.until_moved(fleet.client.moves()[0])
    assert move.state == "done", move.error.model_dump()
    stop_and_compare(fleet, uid)
    assert ours(local_engine, uid) == []
    assert fleet.codes(uid).count("move.done") + fleet.codes(uid).count("move.done_may_differ") == 1


def test_that_a_controller_killed_on_the_way_back_loses_nothing(light_fleet, remote_engine, monkeypatch):
    fleet = light_fleet
    fleet.stop_controller()
    monkeypatch.setenv("FORGE_FAULT", "moving.before_back")
    controller = fleet.start()
    monkeypatch.delenv("FORGE_FAULT")
    for name in ("here", "far"):
        wait_until(lambda name=name: fleet.client.node(name).reach == "reachable", what=f"{name} answers")
    uid = start(fleet, "here", LONG)
    fleet.until_step(uid, 5)
    move = fleet.client.move_run(uid, "far")
    wait_until(lambda: fleet.client.moves()[0].step != "saving", what="it was asked")
    fleet.cancel(move.uid)
    assert controller.wait(PATIENCE_S) == -signal.SIGKILL
    fleet.start()
    assert fleet.until_moved(move).state == "cancelled"
    wait_until(lambda: fleet.client.run(uid).run.node == "here", what="the source has it again")
    stop_and_compare(fleet, uid)
