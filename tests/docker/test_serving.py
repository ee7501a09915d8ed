"""An instance in a container answers, on this computer's engine and on a remote one, and goes when it is stopped."""

from __future__ import annotations

import httpx
import pytest

from engine.client.client import ControllerClient
from engine.contract.errors import Conflict, UserError
from engine.contract.run_spec import RunSpec
from engine.contract.serving import Instance, NewKey
from tests.helpers.docker_engines import RemoteEngine
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
