"""Hubs over the interface: settings checked whole, secrets that never come back, the cache of models."""

import asyncio
import json

import keyring
import pytest
from keyring.backends.fail import Keyring

from engine.contract.api import Settings
from engine.contract.errors import ErrorBody, Refused
from engine.contract.model_cache import CachedModel, Shelf
from engine.contract.run_spec import AttemptOrder
from engine.control.jobs.requests import Request
from tests.helpers.forward_proxy import ForwardProxy
from tests.helpers.hub import Hub
from tests.unit.control.test_api import api, ask

TOKEN = "hf_TopSecret42"


@pytest.fixture(autouse=True)
def usual(monkeypatch):
    """No keyring, and hubs may be asked."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    before = keyring.get_keyring()
    keyring.set_keyring(Keyring())
    yield
    keyring.set_keyring(before)


def hub_spec(bench):
    """A run whose model comes from a hub."""
    from tests.helpers.controller import make_spec

    plain = make_spec(bench.folder).model_dump(mode="json")
    plain["job"]["model"] |= {"path": "org/name", "hub": "huggingface"}
    return type(make_spec(bench.folder)).model_validate(plain)


def test_that_all_that_is_wrong_with_the_settings_is_said_at_once_and_nothing_kept(bench):
    change = {
        "endpoints": {"mars": "https://x.example", "huggingface": "ftp://x", "modelscope": "https://a:b@x.example"},
        "proxy": "http://ada:s3cret@proxy.example:3128",
        "no_proxy": "ok.example, no blanks",
    }
    answer = ask(bench, "PATCH", "/settings", json=change)
    body = ErrorBody.model_validate_json(answer.content)
    assert (answer.status_code, body.code) == (422, "settings.refused")
    assert {(one.field, one.code) for one in body.problems} == {
        ("endpoints.mars", "settings.hub"),
        ("endpoints.huggingface", "settings.endpoint"),
        ("endpoints.modelscope", "settings.endpoint"),
        ("proxy", "settings.proxy_login"),
        ("no_proxy", "settings.no_proxy"),
    }
    assert b"s3cret" not in answer.content
    assert not bench.home.settings_file.exists()


def test_that_good_settings_are_kept(bench):
    change = {
        "endpoints": {"huggingface": "http://127.0.0.1:8080/hf"}, "proxy": "http://[::1]:3128/",
        "no_proxy": "localhost, .example.com,10.0.0.1:80, *", "offline": True,
    }  # fmt: skip
    answer = ask(bench, "PATCH", "/settings", json=change)
    assert answer.status_code == 200
    assert Settings.model_validate_json(answer.content).endpoints == change["endpoints"]


def test_that_a_secret_is_set_and_never_shown(bench):
    async def main():
        async with api(bench) as client:
            answers = [
                await client.put("/secrets/huggingface", json={"value": TOKEN}),
                await client.get("/secrets"),
                await client.get("/settings"),
                await client.put("/secrets/huggingface", json={"value": f"{TOKEN} " * 1000}),
                await client.put("/secrets/huggingface", json={"value": [TOKEN]}),
                await client.put("/secrets/mars", json={"value": TOKEN}),
                await client.delete("/secrets/huggingface"),
                await client.delete("/secrets/huggingface"),
            ]
            return [(one.status_code, one.text) for one in answers]

    found = asyncio.run(main())
    assert [status for status, _ in found] == [200, 200, 200, 422, 422, 404, 200, 404]
    assert not any(TOKEN in text for _, text in found)
    stored = b"".join(path.read_bytes() for path in bench.home.root.glob("history*"))
    assert b"secret_set" in stored
    assert TOKEN.encode() not in stored


def test_that_a_worker_is_told_in_a_closed_file_that_goes_with_the_attempt(bench):
    async def main():
        async with bench.running():
            for name, value in (("huggingface", TOKEN), ("modelscope", "ms-other"), ("proxy", "ada:pw")):
                bench.controller.secrets.set(name, value)
            await bench.controller.change_settings(Settings(proxy="http://127.0.0.1:1"), Request("settings"))
            uid = (await bench.controller.create(hub_spec(bench), True, Request("create"))).uid
            worker = await bench.worker(uid)
            file = worker.folder.secrets
            told, mode = json.loads(file.read_bytes()), file.stat().st_mode & 0o777
            order = AttemptOrder.model_validate_json(worker.folder.order.read_bytes())
            worker.end(1)
            await bench.until(uid, "failed")
            return told, mode, order, file.exists()

    told, mode, order, left = asyncio.run(main())
    assert told == {"huggingface": TOKEN, "proxy": "ada:pw"}
    assert (mode, left) == (0o600, False)
    assert order.hubs.proxy == "http://127.0.0.1:1"
    assert "pw" not in order.model_dump_json()


def test_that_a_worker_without_a_hub_is_told_nothing_and_a_start_that_fails_leaves_nothing(bench):
    async def main():
        async with bench.running(retry_seconds=1000):
            bench.controller.secrets.set("huggingface", TOKEN)
            uid = await bench.create()
            told = (await bench.worker(uid)).folder.secrets.exists()
            (await bench.worker(uid)).end(0)
            await bench.until(uid, "completed")
            bench.executor.refuse = OSError(13, "no")
            uid = (await bench.controller.create(hub_spec(bench), True, Request("create"))).uid
            await bench.until(uid, "failed")
            return told, bench.home.attempt(uid, 1).secrets.exists()

    assert asyncio.run(main()) == (False, False)


def test_that_a_token_is_checked_with_the_hub_that_it_is_for(bench):
    async def main(hub, proxy):
        async with api(bench) as client:
            none = await client.post("/secrets/huggingface/check")
            await client.patch("/settings", json={"endpoints": hub.settings()})
            answers = []
            for name, value in (("huggingface", TOKEN), ("modelscope", TOKEN), ("huggingface", "hf_wrong")):
                await client.put(f"/secrets/{name}", json={"value": value})
                answers.append((await client.post(f"/secrets/{name}/check")).json())
            await client.put("/secrets/proxy", json={"value": "ada:wrong"})
            unset = await client.post("/secrets/proxy/check")
            await client.patch("/settings", json={"proxy": proxy.url})
            answers.append((await client.post("/secrets/proxy/check")).json())
            await client.put("/secrets/proxy", json={"value": "ada:right"})
            answers.append((await client.post("/secrets/proxy/check")).json())
            await client.patch("/settings", json={"offline": True})
            offline = await client.post("/secrets/huggingface/check")
            return answers, [one.json()["code"] for one in (none, unset, offline)]

    with Hub() as hub, ForwardProxy("ada:right") as proxy:
        hub.tokens[TOKEN] = "ada"
        answers, codes = asyncio.run(main(hub, proxy))
    assert [(one["accepted"], one["account"]) for one in answers] == [
        (True, "ada"), (True, "ada"), (False, ""), (False, ""), (True, ""),
    ]  # fmt: skip
    assert codes == ["secret.not_set", "secret.no_proxy", "hub.offline"]


def put_on_shelf(home, path="org/name", commit="a" * 40, whole=True):
    """A model in the cache."""
    shelf = Shelf.of(home, "huggingface", path)
    part = shelf.part(commit)
    part.mkdir(parents=True)
    (part / "model.safetensors").write_bytes(b"x" * 5000)
    card = CachedModel(hub="huggingface", path=path, commit=commit, bytes=5000)
    shelf.note(card)
    if whole:
        shelf.keep(card)
        shelf.remember("main", commit)
    return shelf


def test_that_the_cache_is_listed_and_emptied(bench):
    put_on_shelf(bench.home)
    put_on_shelf(bench.home, commit="b" * 40, whole=False)
    put_on_shelf(bench.home, path="gpt2", commit="c" * 40)

    async def main():
        async with api(bench) as client:
            before = (await client.get("/models/cache")).json()
            which = {"hub": "huggingface", "path": "org/name"}
            one = (await client.delete("/models/cache", params={**which, "commit": "bbbb"})).json()
            rest = (await client.delete("/models/cache", params=which)).json()
            gone = await client.delete("/models/cache", params=which)
            return before, one, rest, gone.json()["code"], (await client.get("/models/cache")).json()

    before, one, rest, gone, after = asyncio.run(main())
    assert [(m["path"], m["commit"][0], m["whole"], m["revisions"]) for m in before["models"]] == [
        ("gpt2", "c", True, ["main"]), ("org/name", "b", False, []), ("org/name", "a", True, ["main"]),
    ]  # fmt: skip
    assert all(model["bytes"] >= 5000 for model in before["models"])
    assert [[m["commit"][0] for m in found["models"]] for found in (one, rest)] == [["b"], ["a"]]
    assert gone == "hub.not_cached"
    assert [model["path"] for model in after["models"]] == ["gpt2"]


def test_that_a_run_with_a_bad_name_is_refused_before_it_begins(bench):
    async def main(**model):
        async with bench.running():
            plain = hub_spec(bench).model_dump(mode="json")
            plain["job"]["model"] |= model
            with pytest.raises(Refused) as caught:
                await bench.controller.create(type(hub_spec(bench)).model_validate(plain), True, Request("create"))
            return [(one.field, one.code) for one in caught.value.problems]

    for model, code in (
        ({"path": "../../etc"}, "config.hub_id"),
        ({"path": "a/b/c"}, "config.hub_id"),
        ({"path": "name", "hub": "modelscope"}, "config.hub_id"),
        ({"path": "http://x.example/m.zip", "hub": "url"}, "config.url"),
        ({"path": "https://a:b@x.example/m.zip", "hub": "url"}, "config.url"),
        ({"path": "https://x.example/m.bin", "hub": "url"}, "config.url_archive"),
    ):
        assert asyncio.run(main(**model)) == [("model.path", code)]
    revision = {"path": "https://x.example/m.zip", "hub": "url", "revision": "main"}
    assert asyncio.run(main(**revision)) == [("model.revision", "config.url_sha256")]
