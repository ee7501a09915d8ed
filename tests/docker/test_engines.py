"""The parts the other tests stand on: engines that can be killed, held and misused, and what they leave."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import docker
import psutil
import pytest
import requests
from docker.tls import TLSConfig

from tests.helpers import docker_traces
from tests.helpers.docker_daemon import API_VERSION
from tests.helpers.docker_engines import Engine, Engines, RemoteEngine
from tests.helpers.docker_process import CannotStart, Server
from tests.helpers.waiting import wait_until

ROOT = Path(__file__).parents[2]
SLEEP = ["python", "-c", "import time; time.sleep(3600)"]


def start(engine: Engine, image: str, command: list[str]) -> str:
    config = engine.api.create_host_config(network_mode="none", init=True)
    made = engine.api.create_container(image, command, host_config=config)["Id"]
    engine.api.start(made)
    return str(made)


def state(engine: Engine, container: str) -> dict:
    return engine.api.inspect_container(container)["State"]


def test_engines_are_two(engines: Engines):
    assert engines.local.api.info()["ID"] != engines.remote.api.info()["ID"]


def test_a_container_outlives_its_daemon(remote_engine: RemoteEngine, worker_image: str):
    container = start(remote_engine, worker_image, SLEEP)
    before = state(remote_engine, container)
    remote_engine.daemon.kill()
    assert not remote_engine.answers()
    assert psutil.pid_exists(before["Pid"])
    remote_engine.daemon.start()
    after = state(remote_engine, container)
    assert (after["Running"], after["Pid"], after["StartedAt"]) == (True, before["Pid"], before["StartedAt"])


def test_a_daemon_held_still_keeps_its_connections_and_goes_on(remote_engine: RemoteEngine):
    api = remote_engine.client(timeout=1)
    remote_engine.daemon.pause()
    with pytest.raises(requests.exceptions.ReadTimeout):
        api.version()
    remote_engine.daemon.resume()
    assert remote_engine.client().version()["ApiVersion"]


def test_a_port_of_a_container_is_published_here_only(remote_engine: RemoteEngine, worker_image: str):
    """What a served model or a tracker needs, though the engine filters and forwards no packets."""
    api = remote_engine.api
    config = api.create_host_config(port_bindings={8000: ("127.0.0.1", None)}, init=True, read_only=True)
    command = ["python", "-m", "http.server", "8000", "--directory", "/opt/venv"]
    container = api.create_container(worker_image, command, ports=[8000], host_config=config)["Id"]
    api.start(container)
    places = api.inspect_container(container)["NetworkSettings"]["Ports"]["8000/tcp"]
    assert [place["HostIp"] for place in places] == ["127.0.0.1"]
    page = f"http://127.0.0.1:{places[0]['HostPort']}/pyvenv.cfg"
    assert "version" in wait_until(lambda: _text(page), what="the container's port answers")


def test_tls_takes_the_right_certificate(remote_engine: RemoteEngine):
    assert remote_engine.tls_client().info()["ID"] == remote_engine.api.info()["ID"]


@pytest.mark.parametrize(
    ("presented", "said"),
    [
        ("expired", "certificate has expired"),
        ("mismatched", "IP address mismatch"),
        ("foreign", "unable to get local issuer"),
    ],
)
def test_a_wrong_server_is_noticed(remote_engine: RemoteEngine, presented: str, said: str):
    with remote_engine.daemon.presenting(presented), pytest.raises(requests.exceptions.SSLError, match=said):
        remote_engine.tls_client().version()
    assert remote_engine.tls_client().version()


def test_a_foreign_client_is_refused(remote_engine: RemoteEngine):
    found = remote_engine.certificates
    pair = (str(found.foreign_client.cert), str(found.foreign_client.key))
    tls = TLSConfig(pair, ca_cert=str(found.ca), verify=True)
    api = docker.APIClient(remote_engine.tls_url, tls=tls, version=API_VERSION, timeout=10)
    api.trust_env = False
    with pytest.raises(requests.exceptions.RequestException):
        api.version()


def test_a_tunnel_reaches_the_socket_and_can_be_cut(remote_engine: RemoteEngine, tmp_path: Path):
    ssh = remote_engine.ssh
    here = tmp_path / "docker.sock"
    tunnel = ssh.tunnel(here, remote_engine.socket)
    tunnel.start()
    try:
        through = docker.APIClient(f"unix://{here}", version=API_VERSION)
        assert through.info()["ID"] == remote_engine.api.info()["ID"]
        ssh.cut()
        wait_until(lambda: tunnel.pid is None, what="the tunnel ends")
    finally:
        tunnel.stop()


@pytest.mark.parametrize(
    ("key", "hosts", "said"),
    [
        ("wrong_key", "known_hosts", "Permission denied"),
        ("key", "other_known_hosts", "HOST IDENTIFICATION HAS CHANGED"),
    ],
)
def test_a_wrong_key_or_host_is_refused(remote_engine: RemoteEngine, key: str, hosts: str, said: str):
    ssh = remote_engine.ssh
    options = [o.replace(str(ssh.key), str(getattr(ssh, key))) for o in ssh.options()]
    options = [o.replace(str(ssh.known_hosts), str(getattr(ssh, hosts))) for o in options]
    done = subprocess.run(
        ["ssh", *options, f"{ssh.user}@{ssh.host}", "true"], capture_output=True, text=True, timeout=30
    )  # fmt: skip
    assert done.returncode == 255
    assert said in done.stderr


def test_what_a_killed_test_run_left_is_cleared_away(tmp_path: Path, worker_image: str):
    """Another run's engine and container, whose owner is gone."""
    script = tmp_path / "run.py"
    script.write_text(
        "import os, sys\n"
        "from tests.helpers.docker_engines import running_engines\n"
        "from tests.helpers.docker_image import thin_image\n"
        "from tests.docker.test_engines import SLEEP, start\n"
        "running = running_engines(own_local=True)\n"
        "engines = running.__enter__()\n"
        "start(engines.local, thin_image(engines.local), SLEEP)\n"
        "print(engines.local.daemon.folder.parent, flush=True)\n"
        "os.kill(os.getpid(), 9)\n"
    )
    done = subprocess.run(
        [sys.executable, str(script)], cwd=ROOT, capture_output=True, text=True, timeout=300,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.returncode == -9, done.stderr
    left = Path(done.stdout.strip())
    assert left.is_dir()
    assert _processes_of(left), "the killed run left nothing, so this test shows nothing"
    docker_traces.sweep()
    assert not left.exists()
    assert not _processes_of(left)
    assert str(left) not in Path("/proc/self/mountinfo").read_text()


@pytest.mark.parametrize(("variable", "outcome"), [("", "1 skipped"), ("true", "1 error")])
def test_where_no_engine_can_start_the_tests_say_why(variable: str, outcome: str):
    """As nobody special, in a user namespace: skipped, but a failure in continuous integration."""
    inner = [sys.executable, "-m", "pytest", "-q", f"{__file__}::test_engines_are_two"]
    unshare = ["unshare", "--user", *inner]
    environment = {**os.environ, "CI": variable}
    done = subprocess.run(unshare, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=300)
    if "unshare failed" in done.stderr:
        pytest.skip("no user namespaces here")
    assert outcome in done.stdout
    assert "only root can start a Docker engine" in done.stdout


def test_a_server_that_cannot_start_says_its_last_words(tmp_path: Path):
    server = Server("dockerd", ["/bin/sh", "-c", "echo no space left; exit 1"], tmp_path / "log", lambda: False)
    with pytest.raises(CannotStart, match="no space left"):
        server.start()


def _text(address: str) -> str:
    try:
        return requests.Session().get(address, timeout=5).text
    except requests.exceptions.ConnectionError:
        return ""


def _processes_of(folder: Path) -> list[int]:
    named = [p.pid for p in psutil.process_iter(["cmdline"]) if f"{folder}/" in " ".join(p.info["cmdline"] or [])]
    held = [pid for cgroup in docker_traces._cgroups(folder) for pid in (cgroup / "cgroup.procs").read_text().split()]
    return named + [int(pid) for pid in held]
