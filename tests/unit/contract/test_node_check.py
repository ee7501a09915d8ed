"""Profiles of nodes: what is wrong with one is said at once, all of it, by field."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.contract.node_address import fingerprint, host_key, socket_path, ssh_address, tls_address
from engine.contract.node_check import problems_of
from engine.contract.nodes import NodeProfile

ED25519 = "AAAAC3NzaC1lZDI1NTE5AAAAIHVvhVTWYQ0KOwgTkqLH4vXbGgjwRrzG5nW4dV2RkTzS"


def found(**values) -> list[tuple[str, str]]:
    return [(problem.field, problem.code) for problem in problems_of({"name": "gpu-box", **values})]


def test_that_right_profiles_have_no_problems(tmp_path):
    key = tmp_path / "key"
    key.write_text("-----BEGIN OPENSSH PRIVATE KEY-----\n")
    key.chmod(0o600)
    assert found(kind="docker_local") == []
    assert found(kind="docker_local", address="/run/user/1000/docker.sock") == []
    assert (
        found(kind="docker_ssh", address="ada@box.lab:2222", key=str(key), host_key=f"box ssh-ed25519 {ED25519}") == []
    )
    assert (
        found(kind="docker_tls", address="[fd00::1]:2376", ca=str(key), key="keyring:box", certificate=str(key)) == []
    )
    assert found(mounts=["/data:/data", "/models:/models/hub"], labels={"zone": "a b", "x/y.z": ""}) == []
    assert problems_of(NodeProfile(name="local", kind="process").model_dump()) == []


def test_that_everything_wrong_is_said_at_once(tmp_path):
    problems = found(
        name="-rm", kind="docker_tls", address="ssh://box", ca=str(tmp_path / "none.pem"), key="keyring:-x",
        price="much", currency="Euro", max_runs=1000, mirror_minutes=float("nan"), limits={"cpus": 0, "shm_gb": -1},
        mounts=["/data", "/a:/proc", "/a:/b", "/c:/b/"], labels={"a b": "x"}, image="Not An Image", adress="x", wrong=1,
    )  # fmt: skip
    assert set(problems) == {
        ("adress", "node.unknown_setting_near"), ("wrong", "node.unknown_setting"), ("price", "settings.number"),
        ("currency", "settings.currency"), ("max_runs", "settings.most"), ("limits.cpus", "node.above"),
        ("limits.shm_gb", "node.above"), ("name", "node.bad_name"), ("image", "node.image_form"),
        ("labels.a b", "node.label_form"), ("address", "node.address_form"), ("key", "node.keyring_form"),
        ("ca", "node.file_missing"), ("certificate", "node.half_a_pair"), ("mounts.0", "node.mount_form"),
        ("mounts.1", "node.mount_reserved"), ("mounts.3", "node.mount_twice"), ("mirror_minutes", "settings.number"),
    }  # fmt: skip


def test_that_every_problem_has_its_words():
    problems = problems_of(
        {"kind": "docker_ssh", "key": "-----BEGIN PRIVATE KEY-----", "host_key": "hello", "notes": 3}
    )
    problems += problems_of({"name": "x" * 61, "kind": "moon"})
    problems += problems_of({"name": "local"})
    problems += problems_of({"name": "a", "kind": "docker_ssh", "address": "h", "key": "relative/key"})
    assert len(problems) >= 8
    for problem in problems:
        assert problem.reason
        assert problem.fix
        assert "{" not in problem.reason + problem.fix


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ({"name": "local"}, ("name", "node.name_of_local")),
        ({"name": "other", "kind": "process"}, ("name", "node.name_of_local")),
        ({"name": ""}, ("name", "node.missing")),
        ({"kind": "moon"}, ("kind", "node.kind")),
        ({"kind": "docker_ssh"}, ("address", "node.no_address")),
        ({"kind": "docker_ssh", "address": "h", "host_key": "ssh-ed25519 AAAA"}, ("host_key", "node.host_key_form")),
        (
            {"kind": "docker_ssh", "address": "h", "docker_socket": "docker.sock"},
            ("docker_socket", "node.address_form"),
        ),
        ({"kind": "docker_ssh", "address": "h", "key": "-----BEGIN"}, ("key", "node.key_pasted")),
        ({"notes": "x" * 4001}, ("notes", "node.too_long")),
    ],
)
def test_single_problems(values, problem):
    assert problem in found(**values)


def test_that_a_public_key_and_an_open_key_are_noticed(tmp_path):
    public, opened = tmp_path / "id.pub", tmp_path / "id"
    public.write_text(f"ssh-ed25519 {ED25519}")
    opened.write_text("-----BEGIN OPENSSH PRIVATE KEY-----\n")
    opened.chmod(0o644)
    ssh = {"kind": "docker_ssh", "address": "h"}
    assert found(**ssh, key=str(public)) == [("key", "node.key_is_public")]
    assert found(**ssh, key=str(opened)) == [("key", "node.key_open")]
    assert problems_of({"name": "a", **ssh, "key": str(tmp_path / "none")}, look=False) == []


@pytest.mark.parametrize(
    ("text", "host", "port", "user"),
    [
        ("box", "box", 22, ""), ("ada@box.lab:2222", "box.lab", 2222, "ada"), ("[fd00::1]", "fd00::1", 22, ""),
        ("root@[::1]:22", "::1", 22, "root"), (" 192.0.2.7 ", "192.0.2.7", 22, ""),
    ],
)  # fmt: skip
def test_addresses(text, host, port, user):
    address = ssh_address(text)
    assert (address.host, address.port, address.user) == (host, port, user)
    assert ssh_address(str(address)) == address


@pytest.mark.parametrize(
    "text",
    ["", "-v", "-oProxyCommand=x", "a@-v", "-l@box", "box:0", "box:65536", "box:", "box:22:22", "a b", "box;ls",
     "$(ls)", "box\n-v", "[box]", "[::1", "box/path", "ssh://box", "@box", "box:٣"],
)  # fmt: skip
def test_that_wrong_addresses_are_refused(text):
    assert ssh_address(text) is None


@given(st.text(max_size=40))
def test_that_no_address_begins_like_an_option(text):
    for address in (ssh_address(text), tls_address(text)):
        if address is not None:
            assert not address.host.startswith("-")
            assert not address.user.startswith("-")
            assert address.host.isprintable()
            assert " " not in address.host


@given(st.text(max_size=40))
def test_that_a_far_socket_is_a_path_and_no_command(text):
    if (path := socket_path(text)) is not None:
        assert path.startswith("/")
        assert not set(path) & set(" ;&|$`'\"\\\n:*?<>(){}[]#~!")


def test_host_keys_in_every_form():
    import base64

    mark = fingerprint(base64.b64decode(ED25519))
    for text in (
        f"ssh-ed25519 {ED25519}",
        f"[box]:2222 ssh-ed25519 {ED25519} comment",
        f"box,1.2.3.4 ssh-ed25519 {ED25519}",
    ):
        key = host_key(text)
        assert (key.fingerprint, key.line) == (mark, f"ssh-ed25519 {ED25519}")
    assert host_key(mark).fingerprint == host_key(mark.removeprefix("SHA256:")).fingerprint == mark
    assert host_key(mark).line == ""
    for text in ("", "ssh-ed25519", "ssh-rsa " + ED25519, "ssh-ed25519 !!!", "MD5:00:11", "@revoked * ssh-ed25519"):
        assert host_key(text) is None
