"""Links to real engines: they answer, name what is in the way, and come back by themselves."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil
import pytest
from docker.errors import NotFound

from engine.contract.errors import Unreachable, UserError
from engine.contract.node_address import host_key
from engine.control.executors.docker import link_folder
from engine.control.executors.docker.link import EngineRefused
from engine.control.executors.docker.opening import open_link
from tests.helpers.docker_process import free_port
from tests.helpers.docker_profiles import GivenSecrets, linked, local_profile, ssh_linked, ssh_profile, tls_profile
from tests.helpers.waiting import wait_until

WAYS = ("local", "tls", "ssh")


def profile_of(way: str, local_engine, remote_engine):
    if way == "local":
        return local_profile(local_engine)
    return tls_profile(remote_engine) if way == "tls" else ssh_profile(remote_engine)


def ping(api: Any) -> bool:
    return bool(api.ping())


def code_of(link) -> str:
    with pytest.raises(Unreachable) as caught:
        link.ask(ping, 5)
    assert caught.value.what
    assert caught.value.why
    assert caught.value.fix
    assert "{" not in caught.value.text
    return caught.value.code


@pytest.fixture(params=WAYS)
def any_link(request, local_engine, remote_engine):
    with linked(profile_of(request.param, local_engine, remote_engine)) as link:
        yield link


@pytest.fixture(autouse=True)
def nothing_is_left(monkeypatch, tmp_path_factory):
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path_factory.mktemp("r")))
    yield
    assert folders() == set()
    assert not [child for child in psutil.Process().children() if child.name() == "ssh"]


def folders() -> set[str]:
    mine = link_folder._place()
    return {folder.name for folder in mine.glob(f"{link_folder.PREFIX}*")}


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


# --- TLS


@pytest.mark.parametrize(
    ("certificate", "code"),
    [("expired", "node.server_expired"), ("mismatched", "node.server_name"), ("foreign", "node.server_foreign")],
)
def test_that_a_wrong_certificate_of_the_server_is_named(remote_engine, certificate, code):
    with remote_engine.daemon.presenting(certificate), linked(tls_profile(remote_engine)) as link:
        assert code_of(link) == code


@pytest.mark.parametrize("round_", range(5))
@pytest.mark.parametrize(
    ("pair", "code"), [("foreign_client", "node.client_foreign"), ("expired_client", "node.client_expired")]
)
def test_that_a_wrong_certificate_of_ours_is_named(remote_engine, pair, code, round_):
    wrong = getattr(remote_engine.certificates, pair)
    with linked(tls_profile(remote_engine, certificate=str(wrong.cert), key=str(wrong.key))) as link:
        assert code_of(link) in (code, "node.client_foreign")


def test_that_a_wrong_authority_is_named(remote_engine):
    with linked(tls_profile(remote_engine, ca=str(remote_engine.certificates.foreign_ca))) as link:
        assert code_of(link) == "node.server_foreign"
    with linked(tls_profile(remote_engine, ca="")) as link:
        assert code_of(link) == "node.server_foreign"


def test_that_no_certificate_of_ours_is_named(remote_engine):
    with linked(tls_profile(remote_engine, certificate="", key="")) as link:
        assert code_of(link) in ("node.client_missing", "node.client_foreign")


def test_wrong_files_by_name(remote_engine, tmp_path):
    found, junk = remote_engine.certificates, tmp_path / "junk.pem"
    junk.write_text("not a certificate\n")
    wrong = {
        "node.file_missing": {"ca": str(tmp_path / "nowhere.pem")},
        "node.certificate_bad": {"ca": str(junk)},
        "node.key_of_another": {"key": str(found.foreign_client.key)},
        "node.key_bad": {"key": str(junk)},
        "node.secret_missing": {"key": "keyring:gpu-box"},
    }
    for code, values in wrong.items():
        with linked(tls_profile(remote_engine, **values), GivenSecrets()) as link:
            assert code_of(link) == code


def test_that_a_key_with_a_passphrase_asks_nobody(remote_engine, tmp_path):
    from cryptography.hazmat.primitives import serialization

    pem = remote_engine.certificates.client.key.read_bytes()
    key = serialization.load_pem_private_key(pem, None)
    locked = tmp_path / "locked.key"
    sealed = serialization.BestAvailableEncryption(b"secret")
    locked.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, sealed))
    with linked(tls_profile(remote_engine, key=str(locked))) as link:
        assert code_of(link) == "node.key_locked"


def test_that_keys_may_come_from_the_keyring(remote_engine):
    found = remote_engine.certificates
    kept = GivenSecrets(
        box=found.client.key.read_text().strip(), cert=found.client.cert.read_text(), ca=found.ca.read_text()
    )
    profile = tls_profile(remote_engine, key="keyring:box", certificate="keyring:cert", ca="keyring:ca")
    with linked(profile, kept) as link:
        assert link.ask(ping)
        assert sorted(kept.asked) == ["box", "ca", "cert"]
        assert not any(
            "key" in path.name for folder in folders() for path in Path(link_folder._place(), folder).iterdir()
        )


def test_that_plain_http_on_a_tls_port_is_named(remote_engine):
    from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

    server = ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        with linked(tls_profile(remote_engine, address=f"127.0.0.1:{server.server_port}")) as link:
            assert code_of(link) == "node.plain_http"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_that_a_refused_port_and_an_unknown_host_are_named(remote_engine):
    with linked(tls_profile(remote_engine, address=f"127.0.0.1:{free_port()}")) as link:
        assert code_of(link) == "node.port_refused"
    with linked(tls_profile(remote_engine, address="no-such-host.invalid:2376")) as link:
        assert code_of(link) == "node.unknown_host"


# --- SSH


def test_that_a_fingerprint_is_enough_and_a_wrong_one_is_refused(remote_engine):
    key = host_key(remote_engine.ssh.known_hosts.read_text())
    other = host_key(remote_engine.ssh.other_known_hosts.read_text())
    with linked(ssh_profile(remote_engine, host_key=key.fingerprint)) as link:
        assert link.ask(ping)
    with linked(ssh_profile(remote_engine, host_key=other.fingerprint)) as link:
        assert code_of(link) == "node.host_changed"


def test_that_an_unknown_host_is_refused_and_shows_its_fingerprint(remote_engine, tmp_path):
    config = tmp_path / "config"
    config.write_text(f"Host *\n  UserKnownHostsFile {tmp_path}/none\n  GlobalKnownHostsFile /dev/null\n")
    with ssh_linked(ssh_profile(remote_engine, host_key=""), config) as link:
        with pytest.raises(Unreachable) as caught:
            link.ask(ping)
        assert caught.value.code == "node.host_unknown"
        assert host_key(remote_engine.ssh.known_hosts.read_text()).fingerprint in caught.value.why
    assert not (tmp_path / "none").exists()


def test_that_a_host_known_to_the_person_is_trusted_and_a_changed_one_is_not(remote_engine, tmp_path):
    ssh, config = remote_engine.ssh, tmp_path / "config"
    config.write_text(f"Host *\n  UserKnownHostsFile {ssh.known_hosts}\n  StrictHostKeyChecking no\n")
    with ssh_linked(ssh_profile(remote_engine, host_key=""), config) as link:
        assert link.ask(ping)
    config.write_text(f"Host *\n  UserKnownHostsFile {ssh.other_known_hosts}\n  StrictHostKeyChecking no\n")
    with ssh_linked(ssh_profile(remote_engine, host_key=""), config) as link:
        assert code_of(link) == "node.host_changed"
    with linked(ssh_profile(remote_engine, host_key=ssh.other_known_hosts.read_text())) as link:
        assert code_of(link) == "node.host_changed"


def test_ssh_troubles_by_name(remote_engine, tmp_path):
    junk = tmp_path / "junk"
    junk.write_text("not a key\n")
    junk.chmod(0o600)
    opened = tmp_path / "opened"
    opened.write_bytes(remote_engine.ssh.key.read_bytes())
    opened.chmod(0o644)
    wrong = [
        ("node.login_refused", {"key": str(remote_engine.ssh.wrong_key)}),
        ("node.file_missing", {"key": str(tmp_path / "nowhere")}),
        ("node.ssh_key_bad", {"key": str(junk)}),
        ("node.key_open", {"key": str(opened)}),
        ("node.port_refused", {"address": f"root@127.0.0.1:{free_port()}"}),
        ("node.unknown_host", {"address": "root@no-such-host.invalid"}),
        ("node.socket_missing_there", {"docker_socket": "/nowhere/docker.sock"}),
        ("node.not_ssh", {"address": f"root@127.0.0.1:{remote_engine.daemon.tls_port}"}),
    ]
    found = []
    for _code, values in wrong:
        with linked(ssh_profile(remote_engine, **values)) as link:
            found.append(code_of(link))
    assert found == [code for code, _values in wrong]


def test_that_a_far_socket_that_does_not_open_is_named(remote_engine):
    """Every user may log in with that key; nobody has no shell, so it stays open what is wrong."""
    with linked(ssh_profile(remote_engine, address=f"nobody@127.0.0.1:{remote_engine.ssh.port}")) as link:
        assert code_of(link) in ("node.far_socket", "node.socket_denied_there")


def test_that_an_sshd_that_forwards_nothing_is_named(remote_engine):
    config = remote_engine.ssh.folder / "sshd_config"
    before = config.read_text()
    try:
        config.write_text(before.replace("AllowStreamLocalForwarding yes", "AllowStreamLocalForwarding no"))
        remote_engine.ssh.restart()
        with linked(ssh_profile(remote_engine)) as link:
            assert code_of(link) == "node.no_forwarding"
    finally:
        config.write_text(before)
        remote_engine.ssh.restart()


def test_that_a_tunnel_that_is_held_still_is_ended_with_the_link(remote_engine):
    with ssh_linked(ssh_profile(remote_engine)) as link:
        assert link.ask(ping)
        os.kill(link.tunnel.pid, signal.SIGSTOP)
        with pytest.raises(Unreachable):
            link.ask(ping, 1)


def test_that_a_dead_daemon_does_not_cost_a_login_for_each_question(remote_engine):
    with ssh_linked(ssh_profile(remote_engine)) as link:
        assert link.ask(ping)
        remote_engine.daemon.kill()
        log = remote_engine.ssh.log
        logins = log.read_text().count("Accepted publickey")
        assert {code_of(link) for _ in range(6)} == {"node.stopped_there"}
        assert log.read_text().count("Accepted publickey") - logins <= 2
        remote_engine.daemon.start()
        assert link.ask(ping)


def test_that_a_missing_ssh_is_named(remote_engine, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with linked(ssh_profile(remote_engine)) as link:
        assert code_of(link) == "node.ssh_missing"


def test_that_a_key_from_the_keyring_lies_in_a_file_no_longer_than_needed(remote_engine):
    kept = GivenSecrets(box=remote_engine.ssh.key.read_text())
    with linked(ssh_profile(remote_engine, key="keyring:box"), kept) as link:
        assert link.ask(ping)
        left = [path.name for folder in folders() for path in Path(link_folder._place(), folder).glob("key*")]
        assert left == []
        remote_engine.ssh.cut()
        wait_until(lambda: answers(link), 30, "the tunnel is open again")


def answers(link, seconds: float = 10) -> bool:
    try:
        return bool(link.ask(ping, seconds))
    except Unreachable:
        return False


def test_that_a_tunnel_that_was_killed_is_made_again_for_the_next_question(remote_engine):
    with ssh_linked(ssh_profile(remote_engine)) as link:
        for _ in range(3):
            assert link.ask(ping)
            os.kill(link.tunnel.pid, signal.SIGKILL)
            assert link.ask(ping)


def test_that_a_stream_over_a_killed_tunnel_ends_with_unreachable(remote_engine):
    got, ended = threading.Event(), []

    def follow(api: Any) -> None:
        for _event in api.events(decode=True):
            got.set()

    with ssh_linked(ssh_profile(remote_engine)) as link:

        def run() -> None:
            try:
                ended.append(link.stream(follow))
            except Unreachable as error:
                ended.append(error)

        assert link.ask(ping)
        thread = threading.Thread(target=run)
        thread.start()
        wait_until(lambda: link.ask(lambda api: api.create_volume("forge-test-v")) and got.is_set())
        os.kill(link.tunnel.pid, signal.SIGKILL)
        thread.join(30)
        assert not thread.is_alive()
        assert link.ask(ping)


def test_that_an_sshd_that_was_away_is_found_again(remote_engine):
    with ssh_linked(ssh_profile(remote_engine)) as link:
        assert link.ask(ping)
        remote_engine.ssh.kill()
        wait_until(lambda: link.tunnel.pid is None, 20, "the tunnel noticed")
        assert code_of(link) == "node.port_refused"
        remote_engine.ssh.start()
        link.forget()
        assert link.ask(ping)


def test_that_an_sshd_that_was_away_is_found_again_without_a_word(remote_engine):
    with ssh_linked(ssh_profile(remote_engine)) as link:
        assert link.ask(ping)
        remote_engine.ssh.kill()
        wait_until(lambda: not answers(link), 20, "it is away")
        remote_engine.ssh.start()
        wait_until(lambda: answers(link), 60, "it is back")


CHILD = """
import sys, time
from engine.contract.nodes import NodeProfile
from engine.control.executors.docker.opening import open_link
link = open_link(NodeProfile.model_validate_json(sys.argv[1]))
link.ask(lambda api: api.ping())
print(link.tunnel.pid, flush=True)
time.sleep(600)
"""


def test_that_a_tunnel_does_not_outlive_a_controller_that_was_killed(remote_engine):
    import subprocess
    import sys

    command = [sys.executable, "-c", CHILD, ssh_profile(remote_engine).model_dump_json()]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        tunnel = psutil.Process(int(child.stdout.readline()))
    finally:
        child.kill()
        child.wait()
        child.stdout.close()
    wait_until(lambda: not tunnel.is_running() or tunnel.status() == psutil.STATUS_ZOMBIE, 20, "the tunnel ended")
    assert link_folder.sweep() == 1


def test_that_a_tunnel_left_behind_is_swept(remote_engine, monkeypatch):
    """Where the system does not tie ssh to us, the next controller ends it."""
    import subprocess
    import sys

    from engine.control.executors import identity

    held = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    gone = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    owner = identity.of(gone.pid)
    folder = link_folder.LinkFolder()
    folder.own(held.pid)
    assert link_folder.sweep() == 0
    said = (folder.path / "owner.json").read_text()
    import json

    (folder.path / "owner.json").write_text(json.dumps({**json.loads(said), "owner": owner}))
    assert link_folder.sweep() == 0
    gone.kill()
    gone.wait()
    assert link_folder.sweep() == 1
    assert held.wait(20) == -signal.SIGKILL
    assert not folder.path.exists()


def test_that_nothing_can_be_smuggled_in_by_an_address(remote_engine):
    for address in ("-oProxyCommand=touch /tmp/x", "root@-oProxyCommand=x", "a b", "host:22 -v", "-v@host"):
        with pytest.raises(UserError) as caught:
            open_link(ssh_profile(remote_engine, address=address))
        assert [problem.code for problem in caught.value.problems] == ["node.address_form"]
    with pytest.raises(UserError):
        open_link(ssh_profile(remote_engine, docker_socket="/x; touch /tmp/y"))


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
