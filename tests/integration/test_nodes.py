"""Nodes over the wire and from the command line, with a real controller. No engine is needed: what cannot be reached
is said plainly."""

from __future__ import annotations

import json

import httpx
import pytest

from engine.client.address import read_address
from engine.contract.errors import Conflict, NotFound, Refused
from tests.helpers.waiting import wait_until


def raw(service, method, path, **content):
    address = read_address(service.home)
    return httpx.request(method, address.http + path, headers=address.headers, trust_env=False, **content)


def test_a_node_from_its_adding_to_its_removal(service, tmp_path):
    service.start()
    client = service.client
    assert [node.profile.name for node in client.nodes().nodes] == ["local"]
    assert client.node("local").reach == "reachable"
    view = client.add_node({"name": "box", "kind": "docker_local", "address": str(tmp_path / "no.sock"), "price": 2.5})
    assert (view.state, view.profile.price, view.slots) == ("online", 2.5, 1)
    view = wait_until(lambda: (found := client.node("box")).reach == "unreachable" and found, what="it is asked")
    assert view.error is not None
    assert view.error.fix
    answer = client.place(service.spec("x", compute={"node": "box"}))
    assert (answer.node, answer.code) == (None, "placement.unreachable")
    run = client.create(service.spec("x", compute={"node": "box"}))
    assert client.placement(run.uid).code == "placement.unreachable"
    with pytest.raises(Conflict) as refused:
        client.remove_node("box")
    assert refused.value.code == "nodes.is_waited_for"
    client.stop(run.uid)
    assert client.set_node_state("box", "offline").state == "offline"
    client.remove_node("box")
    with pytest.raises(NotFound) as gone:
        client.node("bax")
    assert gone.value.code == "nodes.unknown"


def test_that_every_problem_of_a_profile_is_named(service):
    service.start()
    with pytest.raises(Refused) as refused:
        service.client.add_node({"name": "a b", "kind": "docker_ssh", "price": "much", "colour": "red"})
    assert {"name", "address", "price", "colour"} <= {problem.field for problem in refused.value.problems}
    answer = raw(service, "POST", "/nodes", content=b"[]")
    assert answer.status_code == 422
    assert raw(service, "GET", "/nodes/none").json()["code"] == "nodes.unknown"
    assert raw(service, "POST", "/nodes/local/state", json={"state": "asleep"}).status_code == 422
    assert raw(service, "GET", "/costs?since=5&until=1").status_code == 400
    assert raw(service, "GET", "/costs?by=colour").status_code == 422


def test_that_an_order_for_a_node_that_is_not_there_is_refused_with_a_near_name(service):
    service.start()
    problems = service.client.check(service.spec("x", compute={"node": "locl"})).problems
    assert [(one.code, one.params["near"]) for one in problems] == [("config.node_near", "local")]
    with pytest.raises(Refused):
        service.client.create(service.spec("x", compute={"node": "locl"}))


def test_that_keys_of_nodes_are_kept_and_never_told(service):
    service.start()
    key = "-----BEGIN OPENSSH PRIVATE KEY-----\nabc\n-----END OPENSSH PRIVATE KEY-----"
    done = service.forge("secret", "set", "node/box/key", "--json")
    assert done.returncode == 2  # nothing came in
    assert service.client.set_secret("node/box/key", key).is_set
    listed = {one.name: one.is_set for one in service.client.secrets().secrets}
    assert listed["node/box/key"]
    assert "abc" not in service.client.secrets().model_dump_json()
    assert service.home.secrets_file.stat().st_mode & 0o077 == 0
    assert not service.client.delete_secret("node/box/key").is_set
    with pytest.raises(NotFound):
        service.client.set_secret("node/box/colour", "x")


def test_why_a_run_waits_and_what_was_spent(service, tmp_path):
    service.start()
    client = service.client
    client.add_node({"name": "box", "kind": "docker_local", "address": str(tmp_path / "no.sock")})
    wait_until(lambda: client.node("box").reach == "unreachable", what="it is asked")
    waits = client.create(service.spec("waits", compute={"node": "box"}))
    said = service.forge("why", waits.uid)
    assert (said.returncode, said.stdout.splitlines()[0][:20]) == (0, "box does not answer.")
    assert service.forge("costs", "--by", "node").stdout.strip() == "Nothing was spent."
    done = service.forge("settings", "--prices", "gpu=3600", "--owner-limit", "2", "--budget", "100")
    assert "2 at once; budget: 100 USD in 30 days" in done.stdout
    run = client.create(service.spec("quick"))
    service.until(run.uid, "completed")
    listed = service.forge("costs", "--by", "node")
    assert listed.stdout.splitlines()[1].startswith("local")
    assert "Budget:" in listed.stdout
    assert service.forge("settings", "--owner-limit", "none").returncode == 0
    assert client.settings().owner_limit is None
    gone = service.forge("elsewhere", waits.uid)
    assert gone.returncode == 5
    client.stop(waits.uid)


def test_the_command_line(service, tmp_path):
    service.start()
    sock = str(tmp_path / "no.sock")
    added = service.forge(
        "node", "add", "box", "--kind", "docker_local", "--address", sock, "--price", "2.5", "--currency", "EUR",
        "--label", "team=a", "--max-runs", "3",
    )  # fmt: skip
    assert (added.returncode, added.stdout.startswith("box was added")) == (0, True), added.stderr
    listed = service.forge("node", "list")
    assert "box" in listed.stdout
    assert "2.5 EUR" in listed.stdout
    assert service.forge("node", "edit", "box", "--label", "team=", "--price", "none").returncode == 0
    node = json.loads(service.forge("node", "list", "--json").stdout)["nodes"][1]["profile"]
    assert (node["labels"], node["price"], node["max_runs"]) == ({}, None, 3)
    assert service.forge("node", "drain", "box").stdout.strip() == "box is draining"
    assert service.forge("node", "online", "box").stdout.strip() == "box is online"
    tried = service.forge("node", "test", "other", "--address", sock)
    assert tried.returncode == 1
    assert "BAD" in tried.stdout
    file = tmp_path / "nodes.json"
    assert service.forge("node", "export", str(file)).returncode == 0
    assert service.forge("node", "remove", "box").returncode == 0
    assert service.forge("node", "remove", "box").returncode == 3
    assert service.forge("node", "import", str(file)).returncode == 0
    assert [one.profile.name for one in service.client.nodes().nodes] == ["local", "box"]
    file.write_text("{}")
    assert service.forge("node", "import", str(file)).returncode == 2
    refused = service.forge("node", "add", "bad name")
    assert (refused.returncode, "name" in refused.stderr) == (2, True)
