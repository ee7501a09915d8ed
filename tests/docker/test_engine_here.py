"""Images are taken from whichever engine DOCKER_HOST names: a socket, TLS, ssh; by the controller and by `forge`."""

from __future__ import annotations

import os
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from engine.contract.errors import Unreachable, UserError
from engine.contract.images import EngineSource
from engine.control.executors.docker.here import open_here
from engine.control.executors.docker.images import find_image
from tests.docker.test_images import forget, make, small
from tests.helpers.controller import ControllerProcess
from tests.helpers.docker_profiles import local_profile, nothing_left, ssh_profile, tls_profile
from tests.helpers.waiting import wait_until

__all__ = ["nothing_left", "small"]
IMAGE = "loraforge-test-from:1"


@pytest.fixture
def certificates(remote_engine, tmp_path) -> Path:
    """As Docker's own client wants them."""
    folder = tmp_path / "certificates"
    folder.mkdir()
    found = remote_engine.certificates
    for name, path in (("ca.pem", found.ca), ("cert.pem", found.client.cert), ("key.pem", found.client.key)):
        (folder / name).write_bytes(Path(path).read_bytes())
    return folder


def id_of(source: EngineSource) -> str:
    link = open_here(source)
    try:
        return str(link.ask(lambda api: api.info()["ID"]))
    finally:
        link.close()


def test_that_each_way_leads_to_the_engine_that_is_named(
    local_engine, remote_engine, certificates, tmp_path, monkeypatch, nothing_left
):
    here, far = local_engine.api.info()["ID"], remote_engine.api.info()["ID"]
    assert here != far
    assert id_of(EngineSource(host=local_engine.url)) == here
    port = remote_engine.daemon.tls_port
    tls = EngineSource(host=f"tcp://127.0.0.1:{port}", verify="1", certificates=str(certificates))
    assert id_of(tls) == far
    monkeypatch.setenv("DOCKER_HOST", local_engine.url)
    assert id_of(EngineSource.of_environment()) == here
    # ssh asks the person's own configuration for keys and hosts.
    ssh = remote_engine.ssh
    config = tmp_path / "home" / ".ssh"
    config.mkdir(parents=True, mode=0o700)
    path = f"{ssh.user}@{ssh.host}:{ssh.port}{remote_engine.socket}"
    with pytest.raises(Unreachable) as unknown:
        id_of(EngineSource(host=f"ssh://{path}"))
    assert unknown.value.code in ("node.host_unknown", "node.login_refused", "node.host_changed")


def test_that_an_open_engine_is_asked_within_this_computer_only():
    class Speaks(BaseHTTPRequestHandler):
        def do_GET(self):
            body = b'{"ApiVersion": "1.41", "MinAPIVersion": "1.12", "Version": "20.10", "ID": "plain"}'
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Speaks)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        assert id_of(EngineSource(host=f"tcp://127.0.0.1:{server.server_port}")) == "plain"
    finally:
        server.shutdown()
        server.server_close()
    for host, code in (
        ("tcp://10.1.2.3:2375", "image.open_host"), ("nonsense", "image.bad_host"), ("tcp://", "image.bad_host"),
        ("tcp://host:99999", "image.bad_host"), ("npipe:////./pipe/docker", "image.bad_host"),
        ("ssh://-oProxyCommand=x", "image.bad_host"),
    ):  # fmt: skip
        with pytest.raises(UserError) as refused:
            open_here(EngineSource(host=host, verify=""))
        assert refused.value.code == code, host


@pytest.mark.parametrize("way", ["socket to tls", "socket to ssh", "tls to socket"])
def test_that_an_image_is_pushed_from_the_engine_that_the_command_names(
    local_engine, remote_engine, certificates, tmp_path, way
):
    """`forge image push-to`, with the controller knowing of no engine but its nodes."""
    outwards = way.startswith("socket")
    source, target = (local_engine, remote_engine) if outwards else (remote_engine, local_engine)
    make(source, IMAGE, {"some": "label"}, payload=b"y" * 200_000)
    profile = local_profile(local_engine)
    if outwards:
        profile = tls_profile(remote_engine) if way.endswith("tls") else ssh_profile(remote_engine)
    named = {"DOCKER_HOST": local_engine.url}
    if not outwards:
        address = f"tcp://127.0.0.1:{remote_engine.daemon.tls_port}"
        named = {"DOCKER_HOST": address, "DOCKER_TLS_VERIFY": "1", "DOCKER_CERT_PATH": str(certificates)}
    service = Named(tmp_path, tmp_path / "no-python")
    try:
        service.start()
        service.client.add_node(profile)
        wait_until(lambda: service.client.node(profile.name).reach == "reachable")
        service.named = named
        done = service.forge("image", "push-to", profile.name, "--image", IMAGE)
        assert done.returncode == 0, done.stderr
        assert find_image(target.api, IMAGE).id == find_image(source.api, IMAGE).id
        listed = service.forge("image", "list", "--json")
        assert listed.returncode == 0, listed.stderr
    finally:
        service.close()
        for engine in (local_engine, remote_engine):
            forget(engine.api, IMAGE)


class Named(ControllerProcess):
    """Commands get variables that the controller did not have."""

    named: dict[str, str] | None = None

    @property
    def environment(self) -> dict[str, str]:
        """Without what the test run itself may have."""
        usual = {name: value for name, value in super().environment.items() if not name.startswith("DOCKER_")}
        return {**usual, "PATH": os.environ["PATH"], **(self.named or {})}
