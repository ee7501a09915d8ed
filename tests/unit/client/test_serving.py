"""Asking an instance over real HTTP: answers as they come, what ends them, refusals in their own words."""

from __future__ import annotations

import threading

import pytest

from engine.client.serving import Stop
from engine.contract.errors import UserError
from engine.contract.model import ModelConfig
from engine.contract.serving import LoadAdapter, ServeJob
from tests.helpers.chat_instance import CONTEXT, ChatInstance
from tests.helpers.waiting import wait_until
from tests.unit.client.test_client import SUMMARY, server

BODY = {"model": "demo", "messages": [{"role": "user", "content": "Hello there"}]}


@pytest.fixture
def instance():
    with ChatInstance() as made:
        yield made


def test_that_an_answer_comes_piece_by_piece_with_its_account_last(instance):
    with instance.client() as client:
        pieces = list(client.chat_stream("run", BODY | {"logprobs": True}, Stop()))
    assert "".join(one.text for one in pieces) == "demo heard: Hello there "
    assert [token.text for one in pieces for token in one.tokens] == ["demo ", "heard: ", "Hello ", "there "]
    assert pieces[0].tokens[0].others[1][0] == "other"
    assert (pieces[-1].finish, pieces[-1].prompt, pieces[-1].answer) == ("stop", 7, 4)
    assert pieces[-1].times["first"] == 0.142
    assert instance.asked[0]["stream_options"] == {"include_usage": True}


@pytest.mark.parametrize("held", ["go", "takes"])
def test_that_stopping_ends_an_answer_that_says_nothing_for_now(instance, held):
    """In its midst, and while it waits for its turn."""
    getattr(instance, held).clear()
    stop, got = Stop(), []

    def listen() -> None:
        with instance.client() as client:
            got.extend(piece.text for piece in client.chat_stream("run", BODY, stop))

    thread = threading.Thread(target=listen)
    thread.start()
    wait_until(lambda: bool(instance.asked), what="it was asked")
    stop.set()
    thread.join(20)
    assert not thread.is_alive()
    assert got in ([], ["demo "])
    wait_until(lambda: instance.cut == ["demo"], what="the instance knows that nobody waits")


def test_that_a_refusal_and_a_break_are_told(instance):
    instance.errors["demo"] = (400, "The prompt has 9,000 tokens; 8,192 is the most.")
    with instance.client() as client:
        with pytest.raises(UserError, match="9,000 tokens") as refused:
            list(client.chat_stream("run", BODY, Stop()))
        assert refused.value.code == "api.refused"
        instance.errors.clear()
        instance.breaks_off = True
        with pytest.raises(UserError, match="broke off"):
            list(client.chat_stream("run", BODY, Stop()))


def test_that_adapters_come_and_go(instance):
    instance.refused_paths["/llama"] = "It was made for another model."
    with instance.client() as client:
        client.load_adapter("run", LoadAdapter(name="mine", path="/a"))
        assert [(one.name, one.rank, one.loaded) for one in client.served_adapters("run")] == [("mine", 32, True)]
        with pytest.raises(UserError, match="another model"):
            client.load_adapter("run", LoadAdapter(name="llama", path="/llama"))
        client.unload_adapter("run", "mine")
        assert client.served_adapters("run") == []
        with pytest.raises(UserError, match="no adapter"):
            client.unload_adapter("run", "mine")


def test_that_it_tells_its_state_and_counts(instance):
    with instance.client() as client:
        assert client.instance("run").ready
        assert client.serving_status("run").context == CONTEXT
        assert client.count_tokens("run", BODY["messages"]) == (2, CONTEXT)
        assert client.complete("run", BODY).text.startswith("demo heard")


def test_that_an_instance_is_begun_as_any_run(tmp_path):
    with server(lambda _n: (200, SUMMARY)) as (address, requests):
        instance = ChatInstance.__new__(ChatInstance)
        instance.port = address.port
        with instance.client() as client:
            job = ServeJob(model=ModelConfig(path="demo", hub="bundled"), idle_minutes=15)
            assert client.serve(job, "Chat with demo", ["playground"]).uid == "u"
    assert requests[0][:2] == ("POST", "/runs")
    assert b'"kind":"serve"' in requests[0][3]
    assert b'"tags":["playground"]' in requests[0][3]
