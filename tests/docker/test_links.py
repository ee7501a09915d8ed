"""Links to real engines: they answer, name what is in the way, and come back by themselves."""

from __future__ import annotations

import os
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from docker.errors import NotFound

from engine.contract.errors import Unreachable, UserError
from engine.control.executors.docker.link import EngineRefused
from engine.control.executors.docker.opening import open_link
from tests.helpers.docker_profiles import (
    answers,
    code_of,
    linked,
    local_profile,
    nothing_left,  # noqa: F401 - a fixture
    ping,
    ssh_profile,
    tls_profile,
)
from tests.helpers.waiting import wait_until

pytestmark = pytest.mark.usefixtures("nothing_left")
WAYS = ("local", "tls", "ssh")


def profile_of(way: str, local_engine, remote_engine):
    if way == "local":
        return local_profile(local_engine)
    return tls_profile(remote_engine) if way == "tls" else ssh_profile(remote_engine)


@pytest.fixture(params=WAYS)
def any_link(request, local_engine, remote_engine):
    with linked(profile_of(request.param, local_engine, remote_engine)) as link:
        yield link


def test_that_every_way_answers_many_threads_at_once(any_link):
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: any_link.ask(lambda api: api.info()["ServerVersion"]), range(40)))
    assert len(set(answers)) == 1


def test_that_what_is_not_there_passes_through(any_link):
    with pytest.raises(NotFound):
        any_link.ask(lambda api: api.inspect_container("no-such-container"))


def test_that_what_the_engine_refuses_bears_its_words_and_status(any_link):
    with pytest.raises(EngineRefused) as caught:
        any_link.ask(lambda api: api.create_volume("not a name!"))
    assert caught.value.answer == 400
    assert "not a name!" in caught.value.detail
    assert not isinstance(caught.value, Unreachable)


def test_that_a_full_disk_here_is_not_taken_for_a_broken_way(any_link):
    def work(api: Any) -> None:
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space") as caught:
        any_link.ask(work)
    assert not isinstance(caught.value, UserError)


def test_that_a_daemon_that_was_killed_is_reached_again(local_engine, remote_engine, any_link):
    engine = local_engine if any_link.node == "here" else remote_engine
    if not engine.owned:
        pytest.skip("this computer's engine is not ours to kill")
    assert any_link.ask(ping)
    engine.daemon.kill()
    assert code_of(any_link) in ("node.daemon_stopped", "node.port_refused", "node.stopped_there")
    engine.daemon.start()
    any_link.forget()
    assert any_link.ask(ping)


def test_that_a_daemon_held_still_is_no_answer_in_time(local_engine, remote_engine, any_link):
    engine = local_engine if any_link.node == "here" else remote_engine
    if not engine.owned:
        pytest.skip("this computer's engine is not ours to hold")
    assert any_link.ask(ping)
    engine.daemon.pause()
    wait_until(lambda: not answers(any_link, 1), 20, "it stands still")
    with pytest.raises(Unreachable) as caught:
        any_link.ask(ping, 1)
    assert caught.value.code == "node.no_answer"
    engine.daemon.resume()
    assert any_link.ask(ping)


def test_that_a_closed_link_says_so(any_link):
    any_link.close()
    assert code_of(any_link) == "node.link_closed"


def test_that_the_environments_proxies_and_authorities_do_not_count(monkeypatch, remote_engine):
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(remote_engine.certificates.foreign_ca))
    with linked(tls_profile(remote_engine)) as link:
        assert link.ask(ping)


# --- this computer


def test_local_troubles_by_name(local_engine, tmp_path):
    nobody = tmp_path / "docker.sock"
    with linked(local_profile(local_engine, address=str(nobody))) as link:
        assert code_of(link) == "node.socket_missing"
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(str(nobody))
        with linked(local_profile(local_engine, address=str(nobody))) as link:
            assert code_of(link) == "node.daemon_stopped"


def test_that_a_socket_of_others_is_denied_by_name(local_engine, tmp_path):
    """Root may everything, so another user asks, in a process of its own."""
    if os.getuid() != 0:
        pytest.skip("only root can become another user")
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.setgroups([])
            os.setgid(65534)
            os.setuid(65534)
            open_link(local_profile(local_engine)).ask(ping)
            os.write(writing, b"answered")
        except UserError as error:
            os.write(writing, error.code.encode())
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    assert os.read(reading, 100) == b"node.socket_denied"
    os.close(reading)
    os.close(writing)


@pytest.mark.parametrize("way", ["tls", "ssh"])
def test_that_a_black_holed_address_is_named_in_time(remote_engine, way, black_hole):
    profile = tls_profile(remote_engine, address=f"{black_hole}:2376")
    if way == "ssh":
        profile = ssh_profile(remote_engine, address=f"root@{black_hole}:22")
    began = time.monotonic()
    with linked(profile) as link:
        assert code_of(link) == "node.no_answer"
    assert time.monotonic() - began < 60


@pytest.fixture
def black_hole():
    """An address behind a veth whose other end, in a namespace of ours, answers to nothing but ARP."""
    import secrets
    import subprocess

    name = f"lfhole{secrets.token_hex(3)}"
    near, far, number = f"{name}a"[:15], f"{name}b"[:15], 2 + secrets.randbelow(200)

    def ip(*words: str) -> None:
        subprocess.run(["ip", *words], check=True, capture_output=True)

    try:
        ip("netns", "add", name)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("no network namespace can be made here")
    try:
        ip("link", "add", near, "type", "veth", "peer", "name", far, "netns", name)
        ip("addr", "add", f"198.18.{number}.1/24", "dev", near)
        ip("link", "set", near, "up")
        ip("-n", name, "addr", "add", f"198.18.{number}.2/24", "dev", far)
        ip("-n", name, "link", "set", far, "up")
        ip("-n", name, "route", "add", "blackhole", f"198.18.{number}.1/32")
        yield f"198.18.{number}.2"
    finally:
        subprocess.run(["ip", "netns", "delete", name], check=False, capture_output=True)
        subprocess.run(["ip", "link", "delete", near], check=False, capture_output=True)


def test_that_a_disk_that_fills_in_mid_copy_is_named(any_link, local_engine, remote_engine, worker_image):
    import tarfile

    def work(api: Any) -> None:
        api.create_volume("forge-test-small", driver_opts={"type": "tmpfs", "device": "tmpfs", "o": "size=2m"})
        mount = {"Type": "volume", "Source": "forge-test-small", "Target": "/job"}
        box = api.create_container(worker_image, ["true"], host_config={**api.create_host_config(), "Mounts": [mount]})
        facts = tarfile.TarInfo("large")
        facts.size = 64 << 20

        def archive():
            yield facts.tobuf()
            for _ in range(64):
                yield bytes(1 << 20)
            yield bytes(1024)

        api.put_archive(box, "/job", archive())

    with pytest.raises(EngineRefused) as caught:
        any_link.stream(work)
    assert caught.value.code == "node.disk_full"
