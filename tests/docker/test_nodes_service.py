"""A real controller with real Docker nodes: added over HTTP, examined, given runs, lost and found again."""

from __future__ import annotations

import pytest

from engine.client.client import ControllerClient
from engine.contract.checkpoints import CheckpointConfig
from engine.contract.errors import Conflict
from engine.contract.run_spec import RunSpec
from tests.helpers.controller import ControllerProcess
from tests.helpers.waiting import wait_until

STEPS = 12


@pytest.fixture
def service(tmp_path):
    made = ControllerProcess(tmp_path, tmp_path / "no-python")  # nothing can run as a process here
    try:
        yield made
    finally:
        made.close()


def order(node="auto", steps=STEPS, **changes):
    job = {
        "kind": "train",
        "model": {"path": "demo", "hub": "bundled"},
        "data": {"train": [{"path": "demo", "hub": "bundled"}]},
        "training": {"max_steps": steps, "micro_batch_size": 2, "epochs": 50},
    }
    return RunSpec.model_validate({"name": "there", "job": job, "compute": {"node": node}, **changes})


def add(client: ControllerClient, name, engine, image, mounts, **changes):
    profile = {"name": name, "kind": "docker_local", "address": engine.socket, "image": image, "mounts": mounts}
    return client.add_node({**profile, **changes})


def reachable(client, name):
    return wait_until(lambda: client.node(name).reach == "reachable", what=f"{name} answers")


def test_a_run_on_a_docker_node_from_its_order_to_its_result(service, local_engine, worker_image, worker_mounts):
    service.start()
    client = service.client
    add(client, "box", local_engine, worker_image, worker_mounts, price=1.5, currency="EUR")
    reachable(client, "box")
    report = client.doctor("box")
    assert {check.name: check.state for check in report.checks}["reach"] == "ok"
    run = client.create(order())
    detail = service.until(run.uid, "completed", "failed", timeout=180)
    assert (detail.run.state, detail.run.error) == ("completed", None)
    assert (detail.run.node, detail.run.step, detail.run.currency) == ("box", STEPS, "EUR")
    assert detail.artifacts
    assert "placement.only_one" in [event.body.get("code") for event in detail.events]
    assert [row.key for row in client.costs(by="node").rows] == ["box"]


def test_a_restart_takes_up_what_works_in_a_container(service, local_engine, worker_image, worker_mounts):
    process = service.start()
    client = service.client
    add(client, "box", local_engine, worker_image, worker_mounts)
    reachable(client, "box")
    run = client.create(order("box", steps=60))
    wait_until(lambda: (client.run(run.uid).run.step or 0) > 3, 120, "it trains")
    with pytest.raises(Conflict):
        client.remove_node("box")
    process.kill()
    process.wait()
    service.start()
    detail = service.until(run.uid, "completed", "failed", timeout=180)
    assert (detail.run.state, detail.run.attempt, detail.run.step) == ("completed", 1, 60)


def test_an_engine_that_goes_away_and_comes_back_costs_a_run_nothing(
    service, remote_engine, worker_image, worker_mounts
):
    service.start()
    client = service.client
    add(client, "box", remote_engine, worker_image, worker_mounts)
    reachable(client, "box")
    run = client.create(order("box", steps=100))
    wait_until(lambda: (client.run(run.uid).run.step or 0) > 3, 120, "it trains")
    remote_engine.daemon.kill()
    wait_until(lambda: client.run(run.uid).run.mark == "unreachable", 60, "it is marked")
    assert client.node("box").reach == "unreachable"
    remote_engine.daemon.ensure()
    detail = service.until(run.uid, "completed", "failed", timeout=180)
    assert (detail.run.state, detail.run.attempt, detail.run.step) == ("completed", 1, 100)
    codes = [event.body.get("code") for event in detail.events]
    assert codes.count("run.unreachable") == codes.count("run.reachable") == 1


def test_a_run_on_a_lost_node_goes_on_at_another_from_what_was_mirrored(
    service, local_engine, remote_engine, worker_image, worker_mounts
):
    service.start()
    client = service.client
    add(client, "lost", remote_engine, worker_image, worker_mounts, mirror_minutes=0)
    add(client, "here", local_engine, worker_image, worker_mounts)
    reachable(client, "lost")
    reachable(client, "here")
    spec = order("lost", steps=400)
    spec = spec.model_copy(update={"job": spec.job.model_copy(update={"checkpoints": CheckpointConfig(every_steps=5)})})
    run = client.create(spec)
    mirrored = service.home.run(run.uid) / "checkpoints"
    wait_until(lambda: list(mirrored.glob("a1-s*/manifest.json")), 120, "a checkpoint is here")
    remote_engine.daemon.kill()
    wait_until(lambda: client.run(run.uid).run.mark == "unreachable", 60, "it is marked")
    client.start_elsewhere(run.uid, "here")
    detail = wait_until(
        lambda: (found := client.run(run.uid)).run.attempt == 2 and found.attempts[1].resumed_step and found,
        120, "it goes on",
    )  # fmt: skip
    assert (detail.run.node, detail.attempts[0].reason) == ("here", "lost")
    assert detail.attempts[1].resumed_attempt == 1
    remote_engine.daemon.ensure()
    container = f"forge-{run.uid}-1"
    wait_until(
        lambda: not remote_engine.api.inspect_container(container)["State"]["Running"], 60, "the old worker is ended"
    )
    client.stop(run.uid, save=False)
    service.until(run.uid, "stopped")
