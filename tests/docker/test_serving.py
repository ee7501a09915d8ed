"""An instance in a container answers, on this computer's engine and on a remote one, and goes when it is stopped."""

from __future__ import annotations

import pytest

from engine.client.client import ControllerClient
from engine.contract.errors import Conflict
from engine.contract.run_spec import RunSpec
from engine.contract.serving import Instance
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
