"""`POST /runs/{uid}/push`: the result of the last attempt that left one, with the token and to where it was asked."""

import asyncio
import sys

import keyring
import pytest
from keyring.backends.fail import Keyring

from engine.contract.api import QueryAnswer
from engine.contract.push import PushAsked
from engine.control.api import queries
from engine.control.jobs import push_desk
from engine.control.jobs.controller import Controller
from engine.control.jobs.requests import Request
from engine.control.jobs.secrets import SecretStore, needed
from tests.helpers.controller import make_spec
from tests.unit.control.test_api import api

TOKEN = "hf_TopSecret42"


@pytest.fixture(autouse=True)
def usual(monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    before = keyring.get_keyring()
    keyring.set_keyring(Keyring())
    yield
    keyring.set_keyring(before)


def spec(bench, **push):
    plain = make_spec(bench.folder).model_dump(mode="json")
    plain["job"]["outputs"]["push"] |= push
    return type(make_spec(bench.folder)).model_validate(plain)


def test_that_the_result_is_pushed_with_the_token_on_stdin(bench, monkeypatch):
    asked = []

    async def ask(python, home, query, receive, confidential=None, spare=None, limit=0.0):
        asked.append((query, confidential, limit))
        return QueryAnswer(result={"url": "https://hub/me/x", "commit": "c" * 40})

    monkeypatch.setattr(queries, "ask", ask)
    monkeypatch.setattr(Controller, "worker_python", property(lambda _: sys.executable))

    async def main():
        async with api(bench) as client:
            bench.controller.secrets.set("huggingface", TOKEN)
            uid = (await bench.controller.create(spec(bench), False, Request("create"))).uid
            return await client.post(f"/runs/{uid}/push", json={"hub": "huggingface", "repo": "me/x"})

    nothing = asyncio.run(main())
    assert (nothing.status_code, nothing.json()["code"]) == (409, "push.no_result")
    assert asked == []


def test_where_a_result_goes(bench):
    plain, set_up = spec(bench), spec(bench, hub="huggingface", repo="me/x", licence="mit")
    with pytest.raises(Exception, match=r"push\.not_asked"):
        push_desk.target(plain, PushAsked())
    assert push_desk.target(set_up, PushAsked()).repo == "me/x"
    other = push_desk.target(set_up, PushAsked(hub="modelscope", repo="we/y", private=False))
    assert (other.hub, other.repo, other.private, other.licence) == ("modelscope", "we/y", False, "mit")
    with pytest.raises(Exception, match=r"config\.refused"):
        push_desk.target(plain, PushAsked(hub="mars", repo="x"))


def test_that_a_worker_that_pushes_is_told_the_token_of_that_hub(bench):
    store = SecretStore(bench.home)
    store.set("huggingface", TOKEN)
    store.set("modelscope", "ms-other")
    found = needed(spec(bench, hub="modelscope", repo="me/x"), store)
    assert (found.plain("modelscope"), found.plain("huggingface")) == ("ms-other", "")
    assert needed(spec(bench), store).plain("huggingface") == ""


def test_that_the_last_attempt_with_a_result_is_taken_and_its_token_told(bench, monkeypatch):
    asked = []

    async def ask(python, home, query, receive, confidential=None, spare=None, limit=0.0):
        asked.append((query, confidential))
        return QueryAnswer(result={"url": "https://hub/me/x", "commit": "c" * 40})

    monkeypatch.setattr(queries, "ask", ask)
    monkeypatch.setattr(Controller, "worker_python", property(lambda _: sys.executable))

    async def main():
        async with api(bench) as client:
            bench.controller.secrets.set("huggingface", TOKEN)
            uid = (await bench.controller.create(spec(bench), True, Request("create"))).uid
            worker = await bench.worker(uid)
            (worker.folder.outputs / "adapter").mkdir(parents=True)
            worker.end(0)
            await bench.until(uid, "completed")
            return uid, await client.post(f"/runs/{uid}/push", json={"hub": "huggingface", "repo": "me/x"})

    uid, answer = asyncio.run(main())
    assert answer.json() == {"url": "https://hub/me/x", "commit": "c" * 40}
    query, told = asked[0]
    assert query.kind == "push_result"
    assert query.params["folder"] == str(bench.home.attempt(uid, 1).root)
    assert query.params["push"]["private"] is True
    assert TOKEN not in query.model_dump_json()
    assert told["secrets"] == {"huggingface": TOKEN}
