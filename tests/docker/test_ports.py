"""A port that is served in a container, reached from this computer: over a socket, ssh and TLS."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from hashlib import sha256

import httpx
import psutil
import pytest

from engine.contract.errors import Unreachable
from engine.contract.paths import Home
from engine.control.executors.docker import container, names
from engine.control.executors.docker.container import Plan
from engine.control.executors.docker.executor import DockerExecutor
from engine.control.executors.docker.ports import DirectPort, open_port, published
from engine.control.executors.docker.remote import Remote
from tests.helpers.docker_profiles import linked, local_profile, ssh_profile, tls_profile
from tests.helpers.waiting import wait_until

PORT = 8000
UID = "served"
SERVER = """
import http.server, hashlib, os
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = 1 << 16
    def answer(self, body):
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def do_GET(self):
        self.answer(b"x" * int(self.path[1:] or 0))
    def do_POST(self):
        self.answer(hashlib.sha256(self.rfile.read(int(self.headers["Content-Length"]))).hexdigest().encode())
    def log_message(self, *args): pass
http.server.ThreadingHTTPServer(("0.0.0.0", 8000), Handler).serve_forever()
"""


@pytest.fixture(params=["socket", "ssh", "tls"])
def way(request, local_engine, remote_engine, worker_mounts):
    """A link of each kind, and the profile it was made of."""
    more = {"mounts": worker_mounts}
    profile = {
        "socket": lambda: local_profile(local_engine, **more), "ssh": lambda: ssh_profile(remote_engine, **more),
        "tls": lambda: tls_profile(remote_engine, **more),
    }[request.param]()  # fmt: skip
    with linked(profile) as link:
        yield request.param, link, profile


@contextmanager
def serving(link, profile, image, home, command=("python", "-c", SERVER)) -> Iterator[str]:
    """A container as a worker's, which serves; its name."""
    labels = {names.MANAGED: "1", names.RUN: UID, names.CONTROLLER: names.controller_id(home)}
    ports = (PORT,) if link.forwards else ()
    plan = Plan(names.container_name(UID, 1), image, list(command), labels, names.volume_name(UID), ports=ports)
    link.ask(lambda api: api.create_volume(plan.volume, labels=labels))
    link.ask(lambda api: container.create(api, plan, profile))
    link.ask(lambda api: api.start(plan.name))
    try:
        yield plan.name
    finally:
        Remote(link, plan.name).remove(force=True)


def answers(address: str) -> bool:
    try:
        return httpx.get(f"http://{address}/1", timeout=10, trust_env=False).text == "x"
    except httpx.HTTPError:
        return False


def test_that_a_served_port_is_reached_and_carries_much_both_ways(way, worker_image, tmp_path):
    kind, link, profile = way
    home = Home(tmp_path / "home")
    executor = DockerExecutor(link, profile, home, lambda: worker_image)
    with serving(link, profile, worker_image, home) as name:
        facts = link.ask(lambda api: api.inspect_container(name))
        assert facts["HostConfig"]["NetworkMode"] == ("none" if kind == "tls" else "bridge")
        for places in (facts["NetworkSettings"]["Ports"] or {}).values():
            assert [place["HostIp"] for place in places] == ["127.0.0.1"]
        assert (published(link, name, PORT) is None) == (kind == "tls")
        port = executor.reach(home.attempt(UID, 1), PORT)
        try:
            assert port.address.startswith("127.0.0.1:")
            wait_until(lambda: answers(port.address), 60, "it serves")
            with httpx.Client(base_url=f"http://{port.address}", timeout=60, trust_env=False) as client:
                assert len(client.get("/3000000").content) == 3_000_000
                sent = bytes(range(256)) * 8000
                assert client.post("/", content=sent).text == sha256(sent).hexdigest()
                began = time.perf_counter()
                for _ in range(20):
                    assert client.get("/1").text == "x"
                print(f"{kind}: {(time.perf_counter() - began) / 20 * 1000:.1f} ms a question on an open connection")
            with ThreadPoolExecutor(8) as threads:  # connections of their own
                assert all(threads.map(lambda _: answers(port.address), range(16)))
        finally:
            port.close()
        if not isinstance(port, DirectPort):
            assert not answers(port.address)
    executor.close()


def test_that_nobody_is_left_when_whoever_asked_goes(way, worker_image, tmp_path):
    """Connections that are dropped in the middle leave no command in the container."""
    _kind, link, profile = way
    with serving(link, profile, worker_image, Home(tmp_path)) as name:
        port = open_port(link, name, PORT)
        wait_until(lambda: answers(port.address), 60, "it serves")
        host, _, number = port.address.partition(":")
        for _ in range(3):
            with socket.create_connection((host, int(number)), 10) as dropped:
                dropped.sendall(b"GET /100000 HTTP/1.1\r\nHost: x\r\n\r\n")
                dropped.recv(10)

        def relays() -> int:
            found = link.ask(lambda api: api.top(name))["Processes"] or []
            return sum("worker.relay" in " ".join(row) for row in found)

        wait_until(lambda: relays() == 0, 60, "no command of theirs is left in there")
        assert answers(port.address)
        port.close()


def test_that_a_port_is_found_again_after_its_tunnel_was_cut(remote_engine, worker_image, worker_mounts, tmp_path):
    profile = ssh_profile(remote_engine, mounts=worker_mounts)
    with linked(profile) as link, serving(link, profile, worker_image, Home(tmp_path)) as name:
        port = open_port(link, name, PORT)
        wait_until(lambda: answers(port.address), 60, "it serves")
        remote_engine.ssh.cut()
        wait_until(lambda: answers(port.address), 60, "it is there again, at the same address")
        port.close()
        children = [child.cmdline() for child in psutil.Process().children() if child.name() == "ssh"]
        assert not [words for words in children if f"127.0.0.1:{published(link, name, PORT)}" in " ".join(words)]


def test_that_a_port_nobody_serves_is_said(remote_engine, worker_image, worker_mounts, tmp_path):
    profile = tls_profile(remote_engine, mounts=worker_mounts)
    sleeping = ("sleep", "600")
    with linked(profile) as link, serving(link, profile, worker_image, Home(tmp_path), sleeping) as name:
        from engine.control.executors.docker.ports import ExecFar

        with pytest.raises(Unreachable) as silent:
            link.alone(lambda api: ExecFar(api, name, PORT))
        assert silent.value.code == "node.port_silent"
        assert "refused" in silent.value.why
        port = open_port(link, name, PORT)
        assert not answers(port.address)
        port.close()
