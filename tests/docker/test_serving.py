"""An instance in a container answers, on this computer's engine and on a remote one, and goes when it is stopped."""

from __future__ import annotations

import httpx
import pytest

from engine.client.client import ControllerClient
from engine.contract.adapter_library import AdapterEntry
from engine.contract.errors import Conflict, UserError
from engine.contract.run_spec import RunSpec
from engine.contract.serving import Instance, LoadAdapter, NewKey
from tests.helpers.docker_engines import Engine, RemoteEngine
from tests.helpers.docker_fleet import Fleet
from tests.helpers.waiting import wait_until

ASKED = {"model": "demo", "messages": [{"role": "user", "content": "Hello"}], "temperature": 0, "max_tokens": 12}


def ready(client: ControllerClient, uid: str) -> Instance:
    """It answers."""

    def look() -> Instance | None:
        run = client.run(uid).run
        assert not run.state.ended, run.error
        found = client.instance(uid)
        return found if found.ready else None

    found = wait_until(look, 240, "the instance answers")
    assert found is not None
    return found


@pytest.mark.parametrize("node", ["here", "far"])
def test_that_a_container_serves(real_fleet: Fleet, node: str) -> None:
    client = real_fleet.client
    job = {"kind": "serve", "model": {"path": "demo", "hub": "bundled"}, "context": 128}
    spec = {"name": "served", "job": job, "compute": {"node": node, "gpus": 0}}
    run = client.create(RunSpec.model_validate(spec))
    instance = ready(client, run.uid)
    assert instance.address.startswith("http://127.0.0.1:")  # a port of this computer, wherever the container is
    answer = client.complete(run.uid, ASKED)
    assert answer.text
    assert client.serving_status(run.uid).requests >= 1
    client.stop(run.uid)
    real_fleet.until(run.uid, "stopped")
    with pytest.raises(Conflict):
        client.complete(run.uid, ASKED)


def test_that_an_instance_outlives_the_loss_of_its_node(real_fleet: Fleet, remote_engine: RemoteEngine) -> None:
    client = real_fleet.client
    job = {"kind": "serve", "model": {"path": "demo", "hub": "bundled"}, "context": 128}
    spec = {"name": "served", "job": job, "compute": {"node": "far", "gpus": 0}}
    run = client.create(RunSpec.model_validate(spec), False)
    key = client.make_serve_key(run.uid, NewKey()).key
    client.start(run.uid)
    ready(client, run.uid)
    before = client.complete(run.uid, ASKED).text
    lose(client, run.uid, remote_engine)
    with pytest.raises(UserError) as caught:  # in words, and at once
        client.complete(run.uid, ASKED)
    assert caught.value.code in ("serve.gone", "serve.unreachable", "node.unreachable"), caught.value.text
    remote_engine.daemon.ensure()  # it was only away
    wait_until(lambda: not client.run(run.uid).run.mark, 120, "it is there again")
    wait_until(lambda: answer_of(client, run.uid) == before, 60, "it answers again")
    assert client.run(run.uid).run.attempt == 1
    lose(client, run.uid, remote_engine)  # and now it stays away
    client.start_elsewhere(run.uid, "here")
    wait_until(lambda: client.run(run.uid).run.attempt == 2, 120, "it is started elsewhere")
    instance = ready(client, run.uid)
    assert client.complete(run.uid, ASKED).text == before
    held = {"authorization": f"Bearer {key}"}
    asked = httpx.post(f"{instance.address}/v1/chat/completions", json=ASKED, headers=held, timeout=60, trust_env=False)
    assert asked.json()["choices"][0]["message"]["content"] == before  # its keys went with it
    remote_engine.daemon.ensure()
    container = f"forge-{run.uid}-1"
    wait_until(
        lambda: not remote_engine.api.inspect_container(container)["State"]["Running"], 60, "the old worker is ended"
    )
    client.stop(run.uid)
    real_fleet.until(run.uid, "stopped")


@pytest.mark.parametrize("node", ["here", "far"])
def test_that_adapters_of_this_computer_come_into_a_container_and_are_there_after_its_death(
    real_fleet: Fleet, local_engine: Engine, remote_engine: RemoteEngine, node: str
) -> None:
    client, engine = real_fleet.client, local_engine if node == "here" else remote_engine
    made = adapter_of(real_fleet)
    job = {"kind": "serve", "model": {"path": "demo", "hub": "bundled"}, "context": 128,
           "adapters": [{"name": "first", "path": made.path}]}  # fmt: skip
    spec = {"name": "served", "job": job, "compute": {"node": node, "gpus": 0}}
    run = client.create(RunSpec.model_validate(spec))
    ready(client, run.uid)
    client.load_adapter(run.uid, LoadAdapter(name="late", path=made.path))
    client.load_adapter(run.uid, LoadAdapter(name="folder", path=made.folder))
    client.unload_adapter(run.uid, "first")
    answers = {name: client.complete(run.uid, {**ASKED, "model": name}).text for name in ("demo", "late", "folder")}
    assert answers["late"] == answers["folder"] != answers["demo"]
    with pytest.raises(UserError) as caught:
        client.load_adapter(run.uid, LoadAdapter(name="none", path="/nowhere/a.lora.arrow"))
    assert caught.value.code == "lora.missing"
    wait_until(lambda: "folder" in client.instance(run.uid).models, what="what is there is told")
    engine.api.kill(f"forge-{run.uid}-1")
    wait_until(lambda: client.run(run.uid).run.attempt == 2, 120, "it is started again")
    ready(client, run.uid)
    assert {one.name for one in client.served_adapters(run.uid)} == {"late", "folder"}
    assert client.complete(run.uid, {**ASKED, "model": "late"}).text == answers["late"]
    client.stop(run.uid)
    real_fleet.until(run.uid, "stopped")


def adapter_of(fleet: Fleet) -> AdapterEntry:
    """What a run on this computer made."""
    training = {"max_steps": 2, "micro_batch_size": 4, "learning_rate": 0.02, "threads": 1}
    demo = {"path": "demo", "hub": "bundled"}
    order = {"kind": "train", "model": demo, "data": {"train": [{**demo, "limit": 16}], "max_length": 128},
             "training": training, "tuner": {"rank": 4}}  # fmt: skip
    run = fleet.client.create(
        RunSpec.model_validate({"name": "teaches", "job": order, "compute": {"node": "local", "gpus": 0}})
    )
    fleet.until(run.uid, "completed", timeout=300)
    return fleet.client.adapters().adapters[0]


def lose(client: ControllerClient, uid: str, engine: RemoteEngine) -> None:
    """The engine of its node is no longer there."""
    engine.daemon.kill()
    wait_until(lambda: client.run(uid).run.mark == "unreachable", 60, "it is marked")


def answer_of(client: ControllerClient, uid: str) -> str:
    """Empty while it cannot be asked."""
    try:
        return client.complete(uid, ASKED).text
    except UserError:
        return ""
