"""Models from hubs: fetched whole and checked, gone on with, refused in plain words; against a hub on loopback."""

import errno
import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
import threading
import time
import zipfile

import pytest

from engine.compute.hubs.download import Download
from engine.contract.errors import UserError
from engine.contract.hubs import HubAccess
from engine.contract.model import ModelConfig
from engine.contract.paths import Home
from engine.contract.secrets import GivenSecrets
from tests.helpers.forward_proxy import ForwardProxy
from tests.helpers.hub import Hub, archive_of
from tests.helpers.waiting import wait_until

ID = "tiny/qwen3-instruct"


class Told:
    """Notes, progress and an end that can be asked for."""

    def __init__(self):
        self.notes, self.amounts, self.commit, self.stop = [], [], "", None

    def note(self, code, level="info", **params):
        self.notes.append(code)

    def downloading(self, tally):
        if tally is not None:
            self.amounts.append((tally.done, tally.total))

    def check(self):
        if self.stop is not None and self.stop():
            raise InterruptedError

    def resolved(self, commit):
        self.commit = commit


@pytest.fixture(autouse=True)
def online(monkeypatch):
    monkeypatch.setenv("FORGE_HUB_OFFLINE", "0")
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def hub(model):
    with Hub() as hub:
        large = {"model.safetensors": (model / "model.safetensors").read_bytes() + b""}
        files = {path.name: path.read_bytes() for path in model.iterdir()} | large
        hub.add(ID, files)
        yield hub


@pytest.fixture
def home(tmp_path):
    return Home(tmp_path / "home")


def fetch(double, home, told=None, pinned=None, hang_s=60.0, secrets=None, access=None, **config):
    config = {"path": ID, "hub": "huggingface"} | config
    access = HubAccess(**({"endpoints": double.settings()} | (access or {})))
    given = GivenSecrets.model_validate(secrets or {})
    return Download(ModelConfig(**config), access, given, home, told or Told(), hang_s).obtain(pinned)


def refusal(*arguments, **more) -> UserError:
    with pytest.raises(UserError) as caught:
        fetch(*arguments, **more)
    return caught.value


def assert_whole(found, hub, name=ID):
    files = {path.name: path.read_bytes() for path in found.folder.iterdir()}
    assert files == hub.models[name].files
    assert not list(found.folder.parent.glob(".*.part"))


@pytest.mark.parametrize("source", ["huggingface", "modelscope"])
def test_that_a_model_comes_whole_and_only_once(hub, home, source):
    told = Told()
    found = fetch(hub, home, told, hub=source)
    assert_whole(found, hub)
    assert (found.commit, told.commit) == (hub.models[ID].commit, found.commit)
    total = sum(map(len, hub.models[ID].files.values()))
    assert told.amounts[-1][1] == total
    assert told.amounts == sorted(told.amounts)
    before = len(hub.asked)
    again = Told()
    assert fetch(hub, home, again, hub=source) == found
    assert len(hub.asked) == before + 1, "only the revision was asked for"
    assert again.notes == ["hub.from_cache"]


def test_that_a_commit_that_is_here_is_used_without_any_request(hub, home):
    found = fetch(hub, home)
    before = len(hub.asked)
    assert fetch(hub, home, revision=found.commit) == found
    assert fetch(hub, home, pinned=found.commit) == found
    assert len(hub.asked) == before


def test_that_connections_that_break_are_gone_on_with(hub, home):
    size = len(hub.models[ID].files["model.safetensors"])
    hub.cuts["model.safetensors"] = [size // 3, 1000, 0, size // 3]
    assert_whole(fetch(hub, home), hub)
    offsets = [one.offset for one in hub.weights()]
    assert offsets == [0, size // 3, size // 3 + 1000, size // 3 + 1000, 2 * (size // 3) + 1000]


def test_that_a_server_without_ranges_is_asked_for_the_whole_again(hub, home):
    hub.no_ranges = True
    hub.cuts["model.safetensors"] = [len(hub.models[ID].files["model.safetensors"]) // 2]
    assert_whole(fetch(hub, home), hub)


def test_that_a_download_goes_on_where_it_was_ended(hub, home):
    size, told = len(hub.models[ID].files["model.safetensors"]), Told()
    hub.silent["model.safetensors"] = size // 2
    told.stop = lambda: any(done >= size // 2 for done, _ in told.amounts)
    with pytest.raises(InterruptedError):
        fetch(hub, home, told)
    hub.speak.set()
    hub.silent.clear()
    assert_whole(fetch(hub, home), hub)
    assert hub.weights()[-1].offset >= size // 2


def test_that_a_damaged_file_is_fetched_once_more_and_then_refused(hub, home):
    hub.corrupt["model.safetensors"] = 1
    assert_whole(fetch(hub, home), hub)
    hub.models[ID].files["README.md"] = b"# new"
    hub.models[ID].revisions["main"] = hub.models[ID].commit
    hub.corrupt["model.safetensors"] = 2
    error = refusal(hub, home)
    assert (error.code, error.params["file"]) == ("hub.checksum", "model.safetensors")
    assert not list(home.models.rglob("model.safetensors.part"))


def test_that_a_small_file_is_checked_by_the_name_git_gives_it(hub, home):
    from engine.compute.hubs.fetch import Digests, _right
    from engine.compute.hubs.listing import RemoteFile

    data = b'{"a": 1}'
    name = hashlib.sha1(b"blob 8\0" + data, usedforsecurity=False).hexdigest()
    file = RemoteFile("config.json", len(data), "", git_sha1=name)
    for content, right in ((data, True), (b'{"a": 2}', False)):
        digests = Digests.of(file)
        digests.add(content)
        assert _right(file, digests) is right


def test_that_a_token_reaches_the_hub_and_nobody_else(hub, home):
    hub.tokens["hf_secret_token"] = "ada"
    hub.models[ID].gated = True
    assert refusal(hub, home).code == "hub.gated_no_token"
    given = {"huggingface": "hf_secret_token"}
    error = refusal(hub, home, secrets=given)
    assert (error.code, error.params["page"]) == ("hub.gated", f"{hub.url}/{ID}")
    hub.admitted.add("ada")
    assert_whole(fetch(hub, home, secrets=given), hub)
    assert {one.authorised for one in hub.asked if one.host == "localhost"} == {False}
    assert refusal(hub, home, path="x/y", secrets={"huggingface": "hf_wrong"}).code == "hub.token_rejected"
    assert not any("hf_secret" in path.read_text(errors="replace") for path in home.models.rglob("*.json"))


def test_that_unknown_names_and_revisions_are_refused_with_what_may_be_meant(hub, home):
    error = refusal(hub, home, path="tinny/qwen3-instruct")
    assert (error.code, error.params["near"]) == ("hub.unknown_near", ID)
    assert refusal(hub, home, path="nobody/nothing").code == "hub.unknown_or_private"
    assert refusal(hub, home, revision="v9").code == "hub.revision_unknown"
    assert refusal(hub, home, revision="v9", hub="modelscope").code == "hub.revision_unknown"


def test_that_a_model_of_pickles_is_refused(hub, home):
    hub.add("old/pickled", {"config.json": b"{}", "pytorch_model.bin": b"x", "tokenizer.json": b"{}"})
    error = refusal(hub, home, path="old/pickled")
    assert (error.code, error.params["found"]) == ("hub.only_pickles", "pytorch_model.bin")
    assert not any("pytorch_model" in one.path for one in hub.asked)


def test_that_pickles_and_what_leads_elsewhere_are_never_fetched(hub, home):
    files = {"pytorch_model.bin": b"x" * 10, "../evil.json": b"{}", "onnx/model.json": b"{}", ".gitattributes": b""}
    hub.add("both/kinds", {**hub.models[ID].files, **files})
    found = fetch(hub, home, path="both/kinds")
    assert {path.name for path in found.folder.iterdir()} == set(hub.models[ID].files)


def test_that_a_hub_cannot_name_a_folder_elsewhere(hub, home):
    hub.models[ID].revisions |= {"main": "../../../evil", "master": "../../../evil"}
    assert refusal(hub, home).code == "hub.strange_answer"
    found = fetch(hub, home, hub="modelscope")
    assert found.folder.parent.parent == home.models / "modelscope"
    assert not (home.root.parent / "evil").exists()


def test_that_weights_come_once_where_they_lie_there_in_several_forms():
    from engine.compute.hubs.listing import RemoteFile, wanted

    def names(*paths):
        return {file.path for file in wanted("m", [RemoteFile(path, 1, "") for path in ("config.json", *paths)])}

    shards = {"model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"}
    index = "model.safetensors.index.json"
    assert names(*shards, index, "consolidated.safetensors") == {"config.json", index, *shards}
    assert names("model.safetensors", "model.fp16.safetensors", index) == {"config.json", "model.safetensors"}
    assert names("odd.safetensors") == {"config.json", "odd.safetensors"}


def test_that_a_revision_keeps_its_meaning_for_a_run(hub, home):
    first = fetch(hub, home)
    old = hub.models[ID].commit
    hub.models[ID].files["README.md"] = b"# changed"
    hub.models[ID].revisions["main"] = hub.models[ID].commit
    assert fetch(hub, home, pinned=old).commit == first.commit
    assert fetch(hub, home).commit != first.commit


def test_that_offline_uses_what_is_here_or_refuses(hub, home, monkeypatch):
    assert refusal(hub, home, access={"offline": True}).code == "hub.offline"
    found = fetch(hub, home)
    before = len(hub.asked)
    assert fetch(hub, home, access={"offline": True}) == found
    monkeypatch.setenv("FORGE_HUB_OFFLINE", "1")
    assert fetch(hub, home) == found
    assert refusal(hub, home, revision="v9").code == "hub.offline"
    assert len(hub.asked) == before


def test_that_a_hub_that_does_not_answer_is_no_harm_to_a_model_that_is_here(hub, home, monkeypatch):
    monkeypatch.setattr("engine.compute.hubs.download.LIST_WAITS_S", (0.01,))
    hub.failing = 100
    assert refusal(hub, home).code == "hub.unreachable"
    hub.failing = 0
    found = fetch(hub, home)
    told, hub.failing = Told(), 100
    assert fetch(hub, home, told) == found
    assert told.notes == ["hub.used_cache", "hub.from_cache"]


def test_that_nobody_at_the_address_is_said_plainly(hub, home, monkeypatch):
    monkeypatch.setattr("engine.compute.hubs.download.LIST_WAITS_S", ())
    error = refusal(hub, home, access={"endpoints": {"huggingface": "http://127.0.0.1:9"}})
    assert (error.code, error.params["endpoint"]) == ("hub.unreachable", "http://127.0.0.1:9")


def test_that_a_proxy_is_used_with_its_login_and_passed_by_where_told(hub, home):
    with ForwardProxy("ada:s3cret") as proxy:
        way = {"proxy": proxy.url}
        assert refusal(hub, home, access=way, secrets={}).code == "hub.proxy_login"
        error = refusal(hub, home, access=way, secrets={"proxy": "ada:wrong"})
        assert error.code == "hub.proxy_login"
        assert "wrong" not in error.text
        assert_whole(fetch(hub, home, access=way, secrets={"proxy": "ada:s3cret"}), hub)
        assert {f"127.0.0.1:{hub.port}", f"localhost:{hub.port}"} == set(proxy.hosts)
        asked = len(proxy.hosts)
        fetch(hub, home, access={**way, "no_proxy": "127.0.0.1, localhost"})
        assert len(proxy.hosts) == asked


@pytest.fixture
def safe_hub(model, tmp_path, monkeypatch):
    """The same over TLS, with a certificate this process trusts."""
    pem = tmp_path / "hub.pem"
    names = "subjectAltName=IP:127.0.0.1,DNS:localhost"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    command += ["-days", "2", "-subj", "/CN=hub", "-addext", names, "-keyout", str(pem), "-out", str(tmp_path / "c")]
    if shutil.which("openssl") is None:
        pytest.skip("there is no openssl")
    subprocess.run(command, check=True, capture_output=True)
    pem.write_text(pem.read_text() + (tmp_path / "c").read_text())
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "c"))
    with Hub(pem) as hub:
        hub.add(ID, model)
        yield hub


def test_that_a_hub_is_reached_over_tls_through_a_proxy(safe_hub, home):
    assert safe_hub.url.startswith("https://")
    with ForwardProxy("ada:s3cret") as proxy:
        given, way = {"proxy": "ada:s3cret"}, {"proxy": proxy.url}
        assert_whole(fetch(safe_hub, home, access=way, secrets=given), safe_hub)
        assert set(proxy.hosts) == {f"127.0.0.1:{safe_hub.port}", f"localhost:{safe_hub.port}"}
        assert refusal(safe_hub, home, access=way, path="x/y").code == "hub.proxy_login"


def test_that_a_proxy_that_refuses_or_is_not_there_is_named(safe_hub, home, monkeypatch):
    monkeypatch.setattr("engine.compute.hubs.download.LIST_WAITS_S", ())
    with ForwardProxy(refuse=True) as proxy:
        error = refusal(safe_hub, home, access={"proxy": proxy.url})
        assert (error.code, error.params["proxy"]) == ("hub.proxy_refused", proxy.url)
    assert refusal(safe_hub, home, access={"proxy": "http://127.0.0.1:9"}).code == "hub.unreachable"


def test_that_a_hub_nobody_vouches_for_is_not_trusted(safe_hub, home, monkeypatch):
    monkeypatch.setattr("engine.compute.hubs.download.LIST_WAITS_S", ())
    monkeypatch.delenv("SSL_CERT_FILE")
    error = refusal(safe_hub, home)
    assert error.code == "hub.unreachable"
    assert "certificate" in error.why.lower()


def test_that_a_second_download_of_a_model_waits_for_the_first(hub, home):
    size = len(hub.models[ID].files["model.safetensors"])
    hub.silent["model.safetensors"] = size // 2
    second, answers = Told(), []
    threads = [threading.Thread(target=lambda told=told: answers.append(fetch(hub, home, told))) for told in
               (Told(), second)]  # fmt: skip
    threads[0].start()
    wait_until(lambda: hub.weights(), what="the first is at it")
    threads[1].start()
    wait_until(lambda: "hub.waiting" in second.notes, what="the second waits")
    hub.speak.set()
    for thread in threads:
        thread.join(60)
    assert len(answers) == 2
    assert answers[0] == answers[1]
    assert len(hub.weights()) == 1


def test_that_silence_ends_a_download_and_bytes_do_not(hub, home):
    hub.silent["model.safetensors"] = 1000
    began = time.monotonic()
    assert refusal(hub, home, hang_s=0.5).code in ("hub.stalled", "hub.unreachable")
    assert time.monotonic() - began < 60
    hub.speak.set()
    assert_whole(fetch(hub, home, hang_s=60), hub)


def test_that_a_model_without_room_is_refused_with_the_numbers(hub, home, monkeypatch):
    import shutil

    usage = shutil.disk_usage("/")
    small = type(usage)(usage.total, usage.used, (64 << 20) + 1000)
    monkeypatch.setattr("engine.compute.hubs.download.shutil.disk_usage", lambda _path: small)
    error = refusal(hub, home)
    assert error.code == "hub.no_room"
    assert (error.params["need"], error.params["free"]) == (sum(map(len, hub.models[ID].files.values())), 1000)


@pytest.mark.parametrize("form", ["zip", "gztar", "tar"])
def test_that_an_archive_at_an_address_becomes_a_model(hub, home, model, tmp_path, form):
    name = {"zip": "m.zip", "gztar": "m.tar.gz", "tar": "m.tar"}[form]
    hub.archives[name] = archive_of(model, tmp_path, form)
    config = {"hub": "url", "path": f"{hub.url}/archives/{name}"}
    found = fetch(hub, home, **config)
    assert {path.name: path.read_bytes() for path in found.folder.iterdir()} == hub.models[ID].files
    sent = sum(f"/archives/{name}" in one.path for one in hub.asked)
    assert fetch(hub, home, **config) == found
    assert sum(f"/archives/{name}" in one.path for one in hub.asked) == sent + 1
    sha256 = hashlib.sha256(hub.archives[name]).hexdigest()
    assert fetch(hub, home, **config, revision=sha256).commit != found.commit
    assert refusal(hub, home, **config, revision="0" * 64).code == "hub.checksum"


def evil_tar(kind: str) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as packed:
        for name in ("m/config.json", "m/model.safetensors"):
            packed.addfile(tarfile.TarInfo(name), io.BytesIO())
        entry = tarfile.TarInfo("m/a.json")
        if kind == "link":
            entry.type, entry.linkname = tarfile.SYMTYPE, "/etc/passwd"
        elif kind == "hard":
            entry.type, entry.linkname = tarfile.LNKTYPE, "../../x"
        elif kind == "device":
            entry.type = tarfile.CHRTYPE
        else:
            entry.name = kind
        packed.addfile(entry)
    return out.getvalue()


@pytest.mark.parametrize("kind", ["link", "hard", "device", "../../a.json", "/etc/a.json"])
def test_that_an_archive_that_leads_out_is_refused(hub, home, kind):
    hub.archives["m.tar"] = evil_tar(kind)
    assert refusal(hub, home, hub="url", path=f"{hub.url}/archives/m.tar").code == "hub.archive_unsafe"
    assert not list(home.root.parent.rglob("a.json"))


def test_that_a_bomb_and_what_is_no_archive_are_refused(hub, home):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("config.json", "{}")
        packed.writestr("model.safetensors", b"\0" * (100 << 20))
    hub.archives |= {"bomb.zip": out.getvalue(), "text.zip": b"no archive", "empty.tar": evil_tar("x")[:700]}
    for name, code in (
        ("bomb.zip", "hub.archive_too_large"),
        ("text.zip", "hub.archive_damaged"),
        ("gone.zip", "hub.nothing_there"),
    ):
        assert refusal(hub, home, hub="url", path=f"{hub.url}/archives/{name}").code == code


def test_that_the_library_of_hugging_face_finds_the_same_in_this_hub(hub, home, tmp_path):
    """The double speaks as the real hub does: the real library gets the same files from it."""
    code = (
        f"from huggingface_hub import snapshot_download as get; print(get({ID!r}, cache_dir={str(tmp_path / 'hf')!r}))"
    )
    environment = {**os.environ, "HF_ENDPOINT": hub.url, "HF_HUB_OFFLINE": "0", "HF_HUB_DISABLE_XET": "1"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    theirs = {path.name: path.read_bytes() for path in __import__("pathlib").Path(done.stdout.strip()).iterdir()}
    found = fetch(hub, home)
    assert theirs == {path.name: path.read_bytes() for path in found.folder.iterdir()}


def test_that_a_query_describes_a_model_before_it_is_fetched(hub, home, monkeypatch, model):
    from engine.compute.inference.inspect import inspect_folder
    from engine.compute.worker.queries import answer

    monkeypatch.setenv("FORGE_HOME", str(home.root))
    hub.models[ID].files["model.safetensors"] += b""
    order = {
        "kind": "inspect_model",
        "params": {"path": ID, "hub": "huggingface"},
        "access": {"endpoints": hub.settings()},
    }
    found = answer(json.dumps(order))
    assert found.error is None
    here = inspect_folder(model)
    for key in ("architecture", "parameters", "targets", "context_length", "dtype", "bytes", "template"):
        assert found.result[key] == here[key], key
    assert found.result["problems"] == []
    assert found.result["download_bytes"] == sum(map(len, hub.models[ID].files.values()))
    assert (found.result["cached"], found.result["commit"], found.result["licence"]) == (
        False, hub.models[ID].commit, "apache-2.0",
    )  # fmt: skip
    fetch(hub, home)
    assert answer(json.dumps(order)).result["cached"] is True
    order["params"]["path"] = "a b c"
    assert answer(json.dumps(order)).error.code == "config.refused"


def test_that_an_error_of_the_disk_is_passed_on(hub, home, monkeypatch):
    from engine.compute.hubs import fetch as module

    def full(*_arguments):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(module.os, "fsync", full)
    with pytest.raises(OSError) as caught:
        fetch(hub, home)
    assert caught.value.errno == errno.ENOSPC
