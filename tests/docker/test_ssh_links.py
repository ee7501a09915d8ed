"""Links through sshd: whom they trust, what they say, and that their tunnels come back and go with us."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import psutil
import pytest

from engine.contract.errors import Unreachable, UserError
from engine.contract.node_address import host_key
from engine.control.executors import identity
from engine.control.executors.docker import link_folder
from engine.control.executors.docker.opening import open_link
from tests.helpers.docker_process import free_port
from tests.helpers.docker_profiles import (
    GivenSecrets,
    answers,
    code_of,
    folders,
    linked,
    nothing_left,  # noqa: F401 - a fixture
    ping,
    ssh_linked,
    ssh_profile,
)
from tests.helpers.waiting import wait_until

pytestmark = pytest.mark.usefixtures("nothing_left")


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


def test_that_a_tunnel_that_was_killed_is_made_again_for_the_next_question(remote_engine):
    with ssh_linked(ssh_profile(remote_engine)) as link:
        for _ in range(3):
            assert link.ask(ping)
            os.kill(link.tunnel.pid, signal.SIGKILL)
            assert link.ask(ping)


def test_that_a_tunnel_whose_folder_was_tidied_away_is_made_again(remote_engine):

    with ssh_linked(ssh_profile(remote_engine)) as link:
        assert link.ask(ping)
        for folder in folders():
            shutil.rmtree(link_folder._place() / folder)
        wait_until(lambda: answers(link), 30, "the tunnel is open again")


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

    held = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    gone = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    owner = identity.of(gone.pid)
    folder = link_folder.LinkFolder()
    folder.own(held.pid)
    assert link_folder.sweep() == 0
    said = (folder.path / "owner.json").read_text()

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
