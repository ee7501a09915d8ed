"""A real controller with real Docker nodes: added over HTTP, examined, given runs, lost and found again.

Where it does not matter what a worker learns, it learns a number: that takes a tenth of the time.
"""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from engine.client.client import ControllerClient
from engine.contract.data import DataSource
from engine.contract.errors import Conflict
from engine.contract.paths import resources_folder
from engine.contract.run_spec import RunSpec
from tests.docker.test_move import numbers
from tests.helpers.controller import ControllerProcess
from tests.helpers.docker_bench import LIGHT
from tests.helpers.waiting import PATIENCE_S, wait_until

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


def light(node, steps, every=1000):
    """A run of the light worker, which reads its name."""
    return order(node, steps, name=f"steps={steps} delay=0.05 every={every} seed=1")


@pytest.fixture
def light_mounts(worker_mounts):
    """Of a node whose workers learn a number."""
    return [*worker_mounts, *LIGHT]


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
    detail = service.until(run.uid, "completed", "failed", timeout=300)
    assert (detail.run.state, detail.run.error) == ("completed", None)
    assert (detail.run.node, detail.run.step, detail.run.currency) == ("box", STEPS, "EUR")
    assert detail.artifacts
    assert "placement.only_one" in [event.body.get("code") for event in detail.events]
    assert [row.key for row in client.costs(by="node").rows] == ["box"]
    answer = client.place(order())
    assert [one.data_there for one in answer.candidates if one.node == "box"] == [False]  # bundled: in the image
    of_run = {"label": f"io.loraforge.run={run.uid}"}
    assert local_engine.api.volumes(filters=of_run)["Volumes"]
    client.delete(run.uid)
    wait_until(lambda: not local_engine.api.volumes(filters=of_run)["Volumes"], what="nothing of it is left there")
    assert not local_engine.api.containers(all=True, filters=of_run)


def test_a_restart_takes_up_what_works_in_a_container(service, local_engine, worker_image, light_mounts):
    process = service.start()
    client = service.client
    add(client, "box", local_engine, worker_image, light_mounts)
    reachable(client, "box")
    run = client.create(light("box", 200))
    wait_until(lambda: (client.run(run.uid).run.step or 0) > 3, 120, "it trains")
    with pytest.raises(Conflict):
        client.remove_node("box")
    process.kill()
    process.wait()
    service.start()
    detail = service.until(run.uid, "completed", "failed", timeout=300)
    assert (detail.run.state, detail.run.attempt, detail.run.step) == ("completed", 1, 200)


def test_an_engine_that_goes_away_and_comes_back_costs_a_run_nothing(
    service, remote_engine, worker_image, light_mounts
):
    service.start()
    client = service.client
    add(client, "box", remote_engine, worker_image, light_mounts)
    reachable(client, "box")
    run = client.create(light("box", 200))
    wait_until(lambda: (client.run(run.uid).run.step or 0) > 3, 120, "it trains")
    remote_engine.daemon.kill()
    wait_until(lambda: client.run(run.uid).run.mark == "unreachable", 60, "it is marked")
    assert client.node("box").reach == "unreachable"
    remote_engine.daemon.ensure()
    detail = service.until(run.uid, "completed", "failed", timeout=300)
    assert (detail.run.state, detail.run.attempt, detail.run.step) == ("completed", 1, 200)
    codes = [event.body.get("code") for event in detail.events]
    assert codes.count("run.unreachable") == codes.count("run.reachable") == 1


def test_a_run_on_a_lost_node_goes_on_at_another_from_what_was_mirrored(
    service, local_engine, remote_engine, worker_image, light_mounts
):
    service.start()
    client = service.client
    add(client, "lost", remote_engine, worker_image, light_mounts, mirror_minutes=0)
    add(client, "here", local_engine, worker_image, light_mounts)
    reachable(client, "lost")
    reachable(client, "here")
    run = client.create(light("lost", 90_000, every=5))
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


def test_that_a_node_over_tls_is_reached_with_keys_that_are_kept_as_secrets(service, remote_engine):
    service.start()
    client, pair = service.client, remote_engine.certificates.client
    for name, file in (("key", pair.key), ("certificate", pair.cert), ("ca", remote_engine.certificates.ca)):
        client.set_secret(f"node/far/{name}", Path(file).read_text())
    address = remote_engine.tls_url.partition("://")[2]
    references = {name: f"keyring:node/far/{name}" for name in ("key", "certificate", "ca")}
    profile = {"name": "far", "kind": "docker_tls", "address": address, **references}
    report = client.test_node(profile)
    assert {check.name: check.state for check in report.checks} == {
        "reach": "ok", "authentication": "ok", "version": "ok",
    }  # fmt: skip
    client.add_node(profile)
    reachable(client, "far")
    assert client.node("far").facts.engine
    client.delete_secret("node/far/key")
    edited = {**profile, "notes": "without its key", "docker_socket": "/run/x.sock"}  # another way: connected anew
    client.edit_node("far", edited)
    error = wait_until(lambda: client.node("far").error, what="it is said")
    assert (error.code, error.params["setting"]) == ("node.secret_missing", "key")


def test_that_a_node_that_has_the_data_is_preferred(service, local_engine, remote_engine, worker_image, light_mounts):
    """Copied files are known by the name orders have for them."""
    service.start()
    client = service.client
    add(client, "a", remote_engine, worker_image, light_mounts)
    add(client, "b", local_engine, worker_image, light_mounts)
    reachable(client, "a")
    reachable(client, "b")
    rows = service.home.root / "rows.jsonl"
    rows.write_bytes((resources_folder() / "demo" / "data" / "train.jsonl").read_bytes())
    spec = light("b", 3)
    data = spec.job.data.model_copy(update={"train": [DataSource(path=str(rows))]})
    spec = spec.model_copy(update={"job": spec.job.model_copy(update={"data": data})})
    run = client.create(spec)
    service.until(run.uid, "completed", timeout=300)
    free = spec.model_copy(update={"compute": spec.compute.model_copy(update={"node": "auto"})})
    answer = client.place(free)
    assert (answer.node, answer.code) == ("b", "placement.data_there")


@pytest.mark.parametrize("place", ["start.after_claim", "start.after_order", "start.after_monitor"])
def test_that_a_start_there_cut_off_by_a_killed_controller_is_made_again_as_the_same_attempt(
    light_fleet, monkeypatch, place
):
    fleet = light_fleet
    fleet.stop_controller()
    monkeypatch.setenv("FORGE_FAULT", place)
    controller = fleet.start()
    monkeypatch.delenv("FORGE_FAULT")
    wait_until(lambda: fleet.client.node("here").reach == "reachable", what="the node answers")
    uid = fleet.client.create(fleet.order("steps=40 delay=0.01 every=20 seed=7", "here")).uid
    assert controller.wait(PATIENCE_S) == -signal.SIGKILL
    fleet.start()
    detail = fleet.until(uid, "completed", "failed")
    assert [(one.n, one.cause, one.exit_code) for one in detail.attempts] == [(1, "first", 0)]
    assert fleet.losses(uid) == numbers(40)
