"""Worker images are listed, checked against the controller's protocol, and copied without a registry."""

from __future__ import annotations

import io
import random
import tarfile
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest
import requests

from engine.contract import PROTOCOL_VERSION
from engine.contract.errors import NotFound, UserError
from engine.control.executors.docker import labels
from engine.control.executors.docker.copy_image import Copied, best_packing, copy_image
from engine.control.executors.docker.images import Progress, find_image, require_image, same_image, worker_images
from tests.helpers.docker_daemon import API_VERSION
from tests.helpers.docker_engines import Engine, Engines, RemoteEngine
from tests.helpers.waiting import wait_until

NAME = "loraforge-test-copy:1"
CONTROLLER = "loraforge-test-controller:1"


@pytest.fixture
def small(local_engine: Engine, remote_engine: RemoteEngine) -> Iterator[str]:
    """A worker image of a few bytes here, which is not there; gone afterwards."""
    make(local_engine, NAME, labels.image_labels("9.9", "abc"), payload=b"x" * 5_000_000)
    yield NAME
    for engine in (local_engine, remote_engine):
        forget(engine.api, NAME)


def make(engine: Engine, name: str, carried: dict[str, str], payload: bytes = b"x", base: str = "scratch") -> str:
    """An image that holds one file, on top of another image."""
    recipe = f"FROM {base}\nCOPY payload /payload\n".encode()
    context = io.BytesIO()
    with tarfile.open(fileobj=context, mode="w") as tar:
        for path, content in {"Dockerfile": recipe, "payload": payload}.items():
            entry = tarfile.TarInfo(path)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    context.seek(0)
    lines = list(engine.api.build(fileobj=context, custom_context=True, tag=name, labels=carried, decode=True, rm=True))
    assert not [line for line in lines if "error" in line]
    return str(engine.api.inspect_image(name)["Id"])


def forget(api: docker.APIClient, name: str) -> None:
    image = find_image(api, name)
    if image is not None:
        api.remove_image(image.id, force=True)


def test_worker_images_are_known_by_their_label(local_engine: Engine, small: str, worker_image: str):
    make(local_engine, "loraforge-test-other:1", {"some": "label"}, payload=b"other")
    make(local_engine, CONTROLLER, {labels.PROTOCOL: ""}, payload=b"made from a worker image")
    try:
        found = {name: image for image in worker_images(local_engine.api) for name in image.names}
        assert "loraforge-test-other:1" not in found
        assert CONTROLLER not in found
        assert found[worker_image].fits
        assert (found[small].version, found[small].commit, found[small].protocol) == ("9.9", "abc", PROTOCOL_VERSION)
        with pytest.raises(UserError) as refused:
            require_image(local_engine.api, "loraforge-test-other:1", "box")
        assert refused.value.code == "image.not_worker"
    finally:
        forget(local_engine.api, "loraforge-test-other:1")
        forget(local_engine.api, CONTROLLER)


def test_another_protocol_is_refused_plainly(local_engine: Engine, small: str):
    make(local_engine, NAME, {labels.PROTOCOL: str(PROTOCOL_VERSION + 6)}, payload=b"newer")
    with pytest.raises(UserError) as refused:
        require_image(local_engine.api, NAME, "box")
    assert refused.value.code == "image.other_protocol"
    assert f"version {PROTOCOL_VERSION + 6}" in refused.value.why


def test_a_missing_image_is_named(remote_engine: RemoteEngine):
    with pytest.raises(NotFound) as refused:
        require_image(remote_engine.api, "loraforge-test-nowhere:1", "box")
    assert refused.value.params == {"name": "loraforge-test-nowhere:1", "node": "box"}


@pytest.mark.parametrize("pack", [True, False])
def test_an_image_is_copied_once(local_engine: Engine, remote_engine: RemoteEngine, small: str, pack: bool):
    told: list[Progress] = []
    copied = copy_image(local_engine.api, remote_engine.tls_client(), small, told.append, pack=pack)
    assert copied.copied
    assert copied.bytes > 5_000_000
    assert (copied.sent < 100_000) == pack  # the payload is one letter, five million times
    here, there = find_image(local_engine.api, small), require_image(remote_engine.api, small)
    assert here == there
    counted = [progress.done for progress in told if progress.step == "copying"]
    assert counted == sorted(counted)
    assert len(counted) > 3
    assert told[-1] == Progress("loading", copied.bytes, copied.bytes)
    again: list[Progress] = []
    assert copy_image(local_engine.api, remote_engine.api, small, again.append) == Copied(there.id, copied=False)
    assert again == []


def test_an_image_under_another_name_is_only_named(local_engine: Engine, remote_engine: RemoteEngine, small: str):
    copy_image(local_engine.api, remote_engine.api, small)
    local_engine.api.tag(small, "loraforge-test-copy", "2")
    assert not copy_image(local_engine.api, remote_engine.api, "loraforge-test-copy:2").copied
    assert same_image(find_image(remote_engine.api, "loraforge-test-copy:2"), find_image(remote_engine.api, small))


def test_a_newer_build_of_the_same_name_is_copied(local_engine: Engine, remote_engine: RemoteEngine, small: str):
    copy_image(local_engine.api, remote_engine.api, small)
    old = find_image(remote_engine.api, small)
    make(local_engine, small, labels.image_labels("9.10", "def"), payload=b"newer")
    assert copy_image(local_engine.api, remote_engine.api, small).copied
    assert require_image(remote_engine.api, small).version == "9.10"
    assert old is not None
    forget(remote_engine.api, old.id)


def test_a_new_version_sends_only_its_own_layers(local_engine: Engine, remote_engine: RemoteEngine, worker_image: str):
    """The worker image's packages are there with the older version; only what was added crosses the line."""
    make(local_engine, NAME, {}, payload=random.Random(3).randbytes(50_000), base=worker_image)
    try:
        copied = copy_image(local_engine.api, remote_engine.tls_client(), NAME)
        assert copied.bytes > 100_000_000
        assert copied.sent < 1_000_000
        here = find_image(local_engine.api, NAME)
        assert here == require_image(remote_engine.api, NAME)
        container = remote_engine.api.create_container(
            NAME, ["python", "-c", "print(len(open('/payload','rb').read()))"]
        )
        remote_engine.api.start(container["Id"])
        assert remote_engine.api.wait(container["Id"])["StatusCode"] == 0
        assert remote_engine.api.logs(container["Id"]) == b"50000\n"
    finally:
        remote_engine.clear()
        for engine in (local_engine, remote_engine):
            forget(engine.api, NAME)


def test_layers_that_vanish_meanwhile_are_sent_after_all(local_engine: Engine, remote_engine: RemoteEngine, small: str):
    """Somebody removes the older version there, between our look and our copy."""
    newer = "loraforge-test-copy:2"
    make(local_engine, newer, {}, payload=b"newer", base=small)
    copy_image(local_engine.api, remote_engine.api, small)
    told: list[Progress] = []

    def tell(progress: Progress) -> None:
        told.append(progress)
        if progress.step == "comparing":
            forget(remote_engine.api, small)

    try:
        assert copy_image(local_engine.api, remote_engine.client(), newer, tell, pack=False).sent > 5_000_000
        assert [progress.step for progress in told].count("saving") == 2
        assert require_image(remote_engine.api, newer) == find_image(local_engine.api, newer)
    finally:
        for engine in (local_engine, remote_engine):
            forget(engine.api, newer)


def test_a_copy_that_is_given_up_leaves_nothing(local_engine: Engine, remote_engine: RemoteEngine, small: str):
    class GivenUp(Exception):
        pass

    def tell(progress: Progress) -> None:
        if progress.done > 1_000_000:
            raise GivenUp

    before = {image["Id"] for image in remote_engine.api.images(all=True)}
    with pytest.raises(GivenUp):
        copy_image(local_engine.api, remote_engine.client(), small, tell, pack=False)
    assert find_image(remote_engine.api, small) is None
    wait_until(lambda: {image["Id"] for image in remote_engine.api.images(all=True)} == before)
    assert copy_image(local_engine.api, remote_engine.api, small).copied


def test_a_full_disk_is_said(engines: Engines, local_engine: Engine):
    """The image has no two bytes alike, so that packing does not help it in."""
    make(local_engine, NAME, labels.image_labels("9.9", "abc"), payload=random.Random(1).randbytes(40_000_000))
    try:
        with engines.small("30m") as small, pytest.raises(UserError) as refused:
            copy_image(local_engine.api, small.api, NAME, node="box")
        assert refused.value.code == "image.no_room", refused.value.text
        assert refused.value.params["node"] == "box"
    finally:
        forget(local_engine.api, NAME)


def test_a_copy_over_a_tunnel_that_is_cut_is_done_again(
    local_engine: Engine, remote_engine: RemoteEngine, tmp_path: Path
):
    make(local_engine, NAME, labels.image_labels("9.9", "abc"), payload=random.Random(2).randbytes(30_000_000))
    ssh, here = remote_engine.ssh, tmp_path / "docker.sock"
    tunnel = ssh.tunnel(here, remote_engine.socket)

    def cut(progress: Progress) -> None:
        if progress.done > 10_000_000 and tunnel.pid is not None:
            ssh.cut()
            wait_until(lambda: tunnel.pid is None, what="the tunnel ends")

    try:
        tunnel.start()
        far = docker.APIClient(f"unix://{here}", version=API_VERSION, timeout=60)
        with pytest.raises(requests.exceptions.ConnectionError):
            copy_image(local_engine.api, far, NAME, cut)
        assert find_image(remote_engine.api, NAME) is None
        here.unlink(missing_ok=True)
        tunnel.start()
        assert copy_image(local_engine.api, far, NAME).copied
        assert require_image(remote_engine.api, NAME).fits
    finally:
        tunnel.stop()
        for engine in (local_engine, remote_engine):
            forget(engine.api, NAME)


def test_what_is_not_here_cannot_be_copied(local_engine: Engine, remote_engine: RemoteEngine):
    with pytest.raises(NotFound) as refused:
        copy_image(local_engine.api, remote_engine.api, "loraforge-test-nowhere:1")
    assert refused.value.code == "image.missing_here"


def test_the_packing_is_one_the_engine_reads(remote_engine: RemoteEngine):
    old = int(remote_engine.api.version()["Version"].split(".")[0]) < 23
    assert best_packing(remote_engine.api) == ("gzip" if old else "zstd")
