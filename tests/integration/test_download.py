"""Downloads over a line that breaks: what came is continued, what changed begins anew, nothing lands elsewhere."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from engine.client.address import read_address
from engine.client.client import ControllerClient
from engine.client.download import Cancelled, Item, download, target_name
from engine.contract.api import ArtifactInfo
from engine.contract.errors import Conflict, UserError
from tests.helpers.proxy import Proxy

SIZE = 3_000_000


@pytest.fixture
def done(service):
    """A run that has ended, with a result of a few megabytes; its detail."""
    service.start()
    uid = service.client.create(service.spec(f"steps=2 bytes={SIZE}")).uid
    return service.until(uid, "completed")


def through(service, proxy: Proxy) -> ControllerClient:
    address = read_address(service.home)
    return ControllerClient(service.home, lambda: replace(address, port=proxy.port))


def weights(service, detail):
    return service.home.attempt(detail.run.uid, 1).outputs / "adapter" / "adapter_model.safetensors"


@pytest.fixture
def folder(tmp_path):
    """Where it is saved into."""
    made = tmp_path / "got"
    made.mkdir()
    return made


def test_that_a_download_cut_twice_goes_on_where_it_was(service, done, folder):
    heard = []
    address = read_address(service.home)
    with Proxy(address.port, [1_000_000, 1_200_000]) as proxy, through(service, proxy) as client:
        target = download(
            client, done, Item("artifact", done.artifacts[0].id), folder, tell=lambda *so: heard.append(so)
        )
        assert proxy.connections == 3
    assert (target / "adapter_model.safetensors").read_bytes() == weights(service, done).read_bytes()
    lengths = [length for length, _total in heard]
    assert lengths == sorted(lengths), "it began again instead of going on"
    assert heard[-1][0] == heard[-1][1] > SIZE
    assert [path.name for path in (folder).iterdir()] == [target.name]


def test_that_a_file_changed_meanwhile_begins_anew(service, done, folder):
    uid = service.client.create(service.spec(f"steps=2 bytes={SIZE} unhashed")).uid  # else it is refused as damaged
    done = service.until(uid, "completed")

    def change(number):
        if number == 0:
            weights(service, done).write_bytes(b"y" * SIZE)

    heard = []
    address = read_address(service.home)
    with Proxy(address.port, [2_000_000], change) as proxy, through(service, proxy) as client:
        target = download(
            client, done, Item("artifact", done.artifacts[0].id), folder, tell=lambda *so: heard.append(so[0])
        )
    assert (target / "adapter_model.safetensors").read_bytes() == b"y" * SIZE
    assert heard != sorted(heard), "it was continued"


def test_that_a_cancelled_download_is_continued_later(service, done, folder):
    item = Item("artifact", done.artifacts[0].id)

    def stop(length, _total):
        if length > 1_000_000:
            raise Cancelled

    with pytest.raises(Cancelled):
        download(service.client, done, item, folder, tell=stop)
    assert sorted(path.suffix for path in folder.iterdir()) == [".json", ".part"]
    heard = []
    download(service.client, done, item, folder, tell=lambda *so: heard.append(so[0]))
    assert heard[0] > 1_000_000


def test_that_bytes_that_do_not_agree_are_refused(service, done, folder):
    item = Item("artifact", done.artifacts[0].id)

    def stop(length, _total):
        if length > 1_000_000:
            raise Cancelled

    with pytest.raises(Cancelled):
        download(service.client, done, item, folder, tell=stop)
    part = next(folder.glob("*.part"))
    with part.open("r+b") as file:
        file.seek(500_000)
        file.write(b"damage")
    with pytest.raises(UserError) as raised:
        download(service.client, done, item, folder)
    assert raised.value.code == "download.damaged"
    target = download(service.client, done, item, folder)
    assert (target / "adapter_model.safetensors").read_bytes() == weights(service, done).read_bytes()


def test_that_what_is_there_is_refused_replaced_or_kept(service, done, folder):
    item = Item("artifact", done.artifacts[0].id)
    first = download(service.client, done, item, folder)
    (first / "mine.txt").write_text("mine")
    with pytest.raises(Conflict):
        download(service.client, done, item, folder)
    second = download(service.client, done, item, folder, exists="keep_both")
    assert second.name == f"{first.name} (2)"
    assert (first / "mine.txt").exists()
    assert download(service.client, done, item, folder, exists="replace") == first
    assert not (first / "mine.txt").exists()
    assert sorted(path.name for path in folder.iterdir()) == sorted([first.name, second.name])


def test_that_log_and_config_come_too(service, done, folder):
    log = download(service.client, done, Item("log"), folder)
    assert log.read_bytes() == service.home.attempt(done.run.uid, 1).log.read_bytes()
    config = download(service.client, done, Item("config"), folder, name="mine.yaml")
    assert "learning_rate" in config.read_text()


def test_that_a_log_cut_into_pieces_comes_whole(service, done, folder):
    log = service.home.attempt(done.run.uid, 1).log
    log.rename(log.with_name("worker.log.20"))
    whole = log.with_name("worker.log.20").read_bytes().ljust(20, b"\n")
    log.with_name("worker.log.20").write_bytes(whole)
    log.write_bytes(b"the newest piece\n" * 100_000)
    address = read_address(service.home)
    with Proxy(address.port, [700_000]) as proxy, through(service, proxy) as client:
        got = download(client, done, Item("log"), folder)
        assert proxy.connections == 2
    assert got.read_bytes() == whole + log.read_bytes()


def test_that_no_name_leads_out_of_the_folder(service, done):
    evil = ArtifactInfo(id=7, attempt=1, kind="../../evil", name="../../../etc/passwd")
    worse = ArtifactInfo(id=8, attempt=1, kind="answers", name="..")
    run = done.run.model_copy(update={"name": "../.."})
    detail = done.model_copy(update={"artifacts": [evil, worse], "run": run})
    for item in (Item("artifact", 7), Item("artifact", 8), Item("log"), Item("checkpoint", 9)):
        assert Path(target_name(detail, item)).name == target_name(detail, item) not in ("", ".", "..")


def test_that_a_folder_that_cannot_be_written_is_said(service, done, folder):
    (folder / "file").write_text("")
    with pytest.raises(UserError) as raised:
        download(service.client, done, Item("log"), folder / "file" / "below")
    assert raised.value.code == "file.unwritable"
