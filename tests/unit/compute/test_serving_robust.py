"""Clients that leave, dawdle, send too much or come all at once; memory that runs out; the end of an instance."""

import json
import resource
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import openai
import psutil
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter
from serving_cases import ASKED, LONG, OWN, client, held, key, opened, plain, said, wait_for

from engine.compute.inference.engine.passes import Passes
from engine.compute.serving import desk, door, hearing, patient
from engine.compute.serving.bodies import Text
from engine.contract.errors import UserError

CHAT = {"model": "demo", "messages": ASKED, "max_tokens": 4, "temperature": 0}
ENDLESS = {**CHAT, "max_tokens": 450, "ignore_eos": True}


@pytest.fixture(scope="module")
def server():
    with opened(parallel=2, body_kb=64) as made:
        yield made


def raw(server, body, path="/v1/chat/completions", more="", length=None):
    """A connection on which this was sent."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    head = (
        f"POST {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {OWN}\r\nContent-Type: application/json\r\n"
        f"{more}Content-Length: {len(content) if length is None else length}\r\n"
    )
    made = socket.create_connection((server.host, server.port), timeout=30)
    made.sendall(head.encode() + b"\r\n" + content)
    return made


def everything(connection):
    found = b""
    while True:
        try:
            piece = connection.recv(65536)
        except ConnectionResetError:
            return found
        if not piece:
            return found
        found += piece


# Clients that leave or dawdle.


@pytest.mark.parametrize("stream", [True, False])
def test_that_a_client_that_leaves_frees_its_place(server, stream):
    engine = server.desk.served.engine
    connection = raw(server, {**ENDLESS, "stream": stream})
    wait_for(lambda: engine.running == 1)
    steps = engine.metrics.steps
    connection.close()
    wait_for(lambda: engine.running == 0 and server.desk.busy == 0)
    assert engine.metrics.steps - steps < 400, "long before its answer would have been whole"
    assert engine.pool.used == 0
    assert said(server, count=2)


def test_that_one_who_waits_and_leaves_is_forgotten(server):
    engine = server.desk.served.engine
    busy = [raw(server, ENDLESS) for _ in range(2)]
    wait_for(lambda: engine.running == 2)
    waiting = raw(server, ENDLESS)
    wait_for(lambda: engine.waiting == 1)
    waiting.close()
    wait_for(lambda: engine.waiting == 0)
    for connection in busy:
        connection.close()
    wait_for(lambda: server.desk.busy == 0)


def test_that_one_who_reads_byte_by_byte_holds_up_nobody(server):
    slow = raw(server, {**ENDLESS, "stream": True, "max_tokens": 60}, more="Connection: close\r\n")
    slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
    read = slow.recv(1)
    for _ in range(3):
        assert said(server, count=8)
        read += slow.recv(1)
    wait_for(lambda: server.desk.served.engine.running == 0)
    assert read == b"HTTP"
    whole = read + everything(slow)
    assert b"data: [DONE]" in whole


def test_that_one_who_reads_nothing_is_let_go_of(monkeypatch):
    monkeypatch.setattr(hearing, "STALL_S", 0.2)
    with opened(parallel=2, context=1024) as server:
        asked = {**ENDLESS, "stream": True, "max_tokens": 900, "logprobs": True, "top_logprobs": 20, "n": 2}
        connection = socket.socket()
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
        connection.connect((server.host, server.port))
        content = json.dumps(asked).encode()
        head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {OWN}\r\n"
        head += f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
        connection.sendall(head.encode() + content)
        wait_for(lambda: server.desk.busy == 1)
        wait_for(lambda: server.desk.busy == 0)
        assert said(server, count=2)
        connection.close()


def test_that_one_who_sends_slowly_is_told_so(server, monkeypatch):
    monkeypatch.setattr(door, "BODY_S", 0.1)
    connection = raw(server, b"{", length=100, more="Connection: close\r\n")
    found = everything(connection)
    assert b" 408 " in found.split(b"\r\n")[0]
    assert b"0.1 s" in found
    assert server.desk.busy == 0


def test_that_those_who_send_slowly_keep_nobody_out(monkeypatch):
    with opened(parallel=1, waiting=1, body_kb=64) as server:
        slow = [raw(server, b"{", length=100) for _ in range(8)]
        wait_for(lambda: server.desk.arriving == len(slow))
        assert said(server, count=2)
        monkeypatch.setattr(desk, "MOST_ARRIVING", 100_000)  # memory for them has an end
        large = [raw(server, b"{" * 60_000, length=65_000)]
        wait_for(lambda: server.desk.arriving > 60_000)
        large.append(raw(server, b"{" * 60_000, length=65_000, more="Connection: close\r\n"))
        assert b" 429 " in everything(large[1]).split(b"\r\n")[0]
        for connection in slow + large:
            connection.close()
        wait_for(lambda: server.desk.arriving == 0 and server.desk.busy == 0)
        assert said(server, count=2)


def test_that_one_who_asks_nothing_is_let_go_of(server, monkeypatch):
    monkeypatch.setattr(patient, "HEADERS_S", 0.05)
    connection = socket.create_connection((server.host, server.port), timeout=30)
    connection.sendall(b"POST /v1/chat/comp")
    assert everything(connection) == b""


HEALTH = b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.mark.parametrize(
    ("first", "after"),
    [
        (HEALTH, b"GET /health HTTP/1.1\r\nX: "),
        (b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n", b"a"),
        (HEALTH[:-2] + b"Content-Length: 1000\r\n\r\n", b"a"),
    ],
)
def test_that_one_who_never_ends_the_next_request_is_let_go_of(server, monkeypatch, first, after):
    """Neither headers that come byte by byte nor the rest of what was refused keep a connection for good."""
    monkeypatch.setattr(patient, "HEADERS_S", 0.2)
    connection = socket.create_connection((server.host, server.port), timeout=30)
    connection.sendall(first)
    assert connection.recv(65536).startswith(b"HTTP/1.1 ")
    connection.settimeout(0.02)
    connection.sendall(after)
    until = time.monotonic() + 20
    while time.monotonic() < until:
        try:
            connection.sendall(b"a")
            if not connection.recv(1):
                return
        except TimeoutError:
            continue
        except OSError:
            return
    pytest.fail("it was never let go of")


# Size, and what a text may hold.


def test_that_a_body_above_the_limit_is_refused_whole_or_in_chunks(server):
    large = {**CHAT, "messages": [{"role": "user", "content": "a" * (64 << 10)}]}
    with plain(server) as http:
        found = http.post("/v1/chat/completions", json=large)
        assert (found.status_code, found.json()["error"]["code"]) == (413, "serve.body")

        def chunks():
            whole = json.dumps(large).encode()
            for begin in range(0, len(whole), 8192):
                yield whole[begin : begin + 8192]

        found = http.post("/v1/chat/completions", content=chunks(), headers={"content-type": "application/json"})
        assert found.status_code == 413
        assert http.post("/v1/adapters", json={"name": "a", "path": "x" * (65 << 10)}).status_code == 413


def test_that_a_body_that_is_said_to_be_large_is_not_waited_for(server):
    connection = raw(server, b"", length=10 << 30, more="Connection: close\r\n")
    assert b" 413 " in everything(connection).split(b"\r\n")[0]


def test_that_a_prompt_of_200_000_tokens_is_refused_before_it_is_made_into_tokens(monkeypatch):
    with opened(body_kb=4096) as server:
        served, made = server.desk.served, []
        monkeypatch.setattr(served._control, "tokens", lambda *said: made.append(said) or ())
        text = "a b " * 100_000
        with plain(server) as http:
            asked = {**CHAT, "messages": [{"role": "user", "content": text}]}
            found = http.post("/v1/chat/completions", json=asked)
            assert (found.status_code, found.json()["error"]["code"]) == (400, "context_length_exceeded")
            assert made == []
            for path, body in (("completions", {"model": "demo", "prompt": text}),
                               ("embeddings", {"model": "demo", "input": [text]}), ("tokenize", {"text": text}),
                               ("route", {"text": text})):  # fmt: skip
                found = http.post(f"/v1/{path}", json=body)
                assert (path, found.status_code) == (path, 400)
                assert found.json()["error"]["code"] == "context_length_exceeded"


def test_that_no_text_that_fits_is_refused_for_its_characters(server):
    served = server.desk.served
    longest = max(served.tokenizer.get_vocab(), key=len)
    text = served.tokenizer.decode([served.tokenizer.get_vocab()[longest]])
    served.fits_characters([text * served.context])


def test_that_a_prompt_longer_than_the_context_is_refused_with_the_numbers(server):
    text = "1 2 3 4 " * 150
    with pytest.raises(openai.BadRequestError) as caught:
        said(server, text=text, count=5)
    assert caught.value.code == "context_length_exceeded"
    assert "512" in str(caught.value)


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=30))
def test_that_a_text_is_taken_as_it_is_or_refused(text):
    """Control characters but line ends and tabs are refused, and so is half of a character: nothing is taken out."""
    bad = any((ord(c) < 32 and c not in "\n\r\t") or 127 <= ord(c) < 160 or 0xD800 <= ord(c) < 0xE000 for c in text)
    try:
        assert TypeAdapter(Text).validate_python(text) == text
    except ValueError:
        assert bad
        return
    assert not bad


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.sampled_from(["\x00", "\x1b", "\x7f", "\x85", "\ud800"]), st.sampled_from(["content", "name", "prompt", "input"])
)
def test_that_control_characters_are_refused_with_their_place(server, character, where):
    body = {**CHAT, "messages": [{"role": "user", "content": "x", where: f"a{character}"}]}
    path, field = "/v1/chat/completions", f"messages.0.{where}"
    if where == "prompt":
        path, body, field = "/v1/completions", {"model": "demo", "prompt": f"a{character}"}, "prompt"
    elif where == "input":
        path, body, field = "/v1/embeddings", {"model": "demo", "input": f"a{character}"}, "input"
    content = json.dumps(body).encode()
    with plain(server) as http:
        found = http.post(path, content=content, headers={"content-type": "application/json"})
    assert found.status_code == 400
    assert found.json()["error"]["param"].startswith(field)


def test_that_what_is_no_utf8_is_refused(server):
    with plain(server) as http:
        found = http.post("/v1/tokenize", content=b'{"text": "\xff"}', headers={"content-type": "application/json"})
    assert (found.status_code, found.json()["error"]["code"]) == (400, "serve.not_utf8")


# Time.


def test_that_each_timeout_names_its_stage_and_seconds():
    for setting, stage in (("queue_timeout", "queue"), ("prompt_timeout", "prefill"), ("answer_timeout", "stream")):
        text = "1 2 3 " * 110 if stage == "prefill" else "x"  # of a long prompt a piece is read at a time
        with opened(parallel=1, context=1024, **{setting: 1e-6}) as server, plain(server) as http:
            asked = {**CHAT, "messages": [{"role": "user", "content": text}], "ignore_eos": True}
            assert stage != "prefill" or len(server.desk.served.of_turns(asked["messages"])) > 512
            found = http.post("/v1/chat/completions", json=asked)
            assert found.status_code == 504, stage
            error = found.json()["error"]
            assert error["type"] == "timeout_error"
            assert stage in error["message"]
            assert "1e-06 s" in error["message"]


def test_that_embeddings_have_the_same_limits_and_others_go_on(monkeypatch):
    asked, held = {"model": "demo", "input": ["one", "two"]}, threading.Event()
    with opened(queue_timeout=0.5, prompt_timeout=0.5) as server, plain(server) as http:
        served = server.desk.served
        served.embedder.submit(held.wait)  # somebody's embeddings take long
        for more, status, stage in (({}, 504, "queue"), ({"timeout": 0.01}, 408, "embedding")):
            found = http.post("/v1/embeddings", json={**asked, **more})
            assert (found.status_code, stage in found.json()["error"]["message"]) == (status, True)
        assert http.post("/v1/chat/completions", json=CHAT).status_code == 200
        held.set()
        again = threading.Event()
        with monkeypatch.context() as patched:
            patched.setattr(served, "pooled", lambda _tokens: again.wait())
            found = http.post("/v1/embeddings", json=asked)
            assert (found.status_code, "prefill" in found.json()["error"]["message"]) == (504, True)
            again.set()
        wait_for(lambda: http.post("/v1/embeddings", json=asked).status_code == 200)


def test_that_a_request_may_have_a_timeout_of_its_own(server):
    with plain(server) as http:
        found = http.post("/v1/chat/completions", json={**ENDLESS, "timeout": 0.02})
        assert found.status_code == 408
        assert "0.02 s" in found.json()["error"]["message"]
        with http.stream("POST", "/v1/chat/completions", json={**ENDLESS, "timeout": 0.1, "stream": True}) as response:
            lines = [line for line in response.iter_lines() if line]
    assert lines[-1] == "data: [DONE]"
    assert json.loads(lines[-2][6:])["error"]["code"] == "serve.timeout"
    wait_for(lambda: server.desk.served.engine.running == 0)


# Too many, and too little memory.


def test_that_a_body_that_is_no_http_any_more_is_told_as_refused(server):
    def times(status):
        labels = {"endpoint": "/v1/chat/completions", "status": str(status), "model_id": "", "tenant": ""}
        return server.desk.figures.registry.get_sample_value("forge_requests_total", labels) or 0

    gone, refused = times(499), times(400)
    head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {OWN}\r\nX-Request-Id: t-4\r\n"
    with socket.create_connection((server.host, server.port), timeout=30) as connection:
        connection.sendall(f"{head}Transfer-Encoding: chunked\r\n\r\n4\r\nabcd\r\nzz\r\n".encode())
        answer = everything(connection)
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert (b"serve.not_http" in answer, b"t-4" in answer) == (True, True)
    wait_for(lambda: times(400) == refused + 1)
    assert times(499) == gone


def test_that_more_than_may_wait_are_refused_at_once():
    with opened(parallel=1, waiting=1) as server, held():
        engine = server.desk.served.engine
        busy = raw(server, ENDLESS)
        wait_for(lambda: engine.running == 1)
        waits = raw(server, ENDLESS)
        wait_for(lambda: engine.waiting == 1)
        with plain(server) as http:
            found = http.post("/v1/chat/completions", json=CHAT)
            assert (found.status_code, found.json()["error"]["code"]) == (429, "rate_limit_exceeded")
            assert int(found.headers["retry-after"]) >= 1
            assert http.get("/v1/status").json()["waiting"] == 1
        busy.close()
        waits.close()


def flood(server, count):
    """So many connections at once; how often which status came."""
    body = json.dumps(CHAT).encode()
    head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {OWN}\r\nConnection: close\r\n"
    sent = f"{head}Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body
    asks = [sys.executable, Path(__file__).with_name("serving_flood.py"), server.host, str(server.port), str(count)]
    done = subprocess.run(asks, input=sent, capture_output=True, check=True, timeout=240)
    return {int(status): times for status, times in json.loads(done.stdout).items()}


@pytest.mark.slow
def test_that_a_flood_of_requests_leaves_a_server_that_answers():
    """As many as the system lets a process have: each is answered or refused, memory stays about where it was."""
    with opened(parallel=4, waiting=16) as server:
        assert flood(server, 8) == {200: 8}
        count = min(10_000, resource.getrlimit(resource.RLIMIT_NOFILE)[0] - 1000)
        before = psutil.Process().memory_info().rss
        found = flood(server, count)
        grown = psutil.Process().memory_info().rss - before
        assert set(found) == {200, 429}
        assert found[200] >= 16
        assert found[200] + found[429] == count
        assert grown < 200 << 20
        wait_for(lambda: server.desk.busy == 0)
        assert said(server, count=2)


@pytest.mark.parametrize("error", [torch.OutOfMemoryError("CUDA out of memory"), MemoryError()])
def test_that_out_of_memory_is_told_with_what_to_do_and_the_server_goes_on(server, monkeypatch, error):
    def broken(*_, **__):
        raise error

    monkeypatch.setattr(Passes, "logits", broken)
    monkeypatch.setattr(type(server.desk.served.model.get_decoder()), "forward", broken)
    with plain(server) as http:
        found = http.post("/v1/chat/completions", json=CHAT)
        embedded = http.post("/v1/embeddings", json={"model": "demo", "input": "x"})
    for one, advice in ((found, "Lower"), (embedded, "shorter")):
        assert one.status_code == 503
        assert one.json()["error"]["type"] == "server_error"
        assert advice in one.json()["error"]["message"]
        assert "retry-after" in one.headers
    monkeypatch.undo()
    assert said(server, count=2)
    assert server.desk.served.engine.pool.used == 0


# The end.


def test_that_an_end_waits_for_answers_and_takes_no_more():
    with opened(parallel=2) as server:
        whole = said(server, count=100)
        stream = client(server).chat.completions.create(
            model="demo", messages=ASKED, stream=True, temperature=0, max_tokens=100, extra_body={"ignore_eos": True}
        )
        texts = [next(iter(stream)).choices[0].delta.content or ""]
        server.drain()
        with plain(server) as http:
            found = http.post("/v1/chat/completions", json=CHAT)
            assert (found.status_code, found.json()["error"]["code"]) == (503, "serve.draining")
            assert "retry-after" in found.headers
            assert http.get("/ready").status_code == 503
            assert http.get("/health").status_code == 200
        stopping = threading.Thread(target=server.stop, args=(30,))
        stopping.start()
        texts += [chunk.choices[0].delta.content or "" for chunk in stream]
        stopping.join()
        assert "".join(texts) == whole
        assert not server.alive
        with pytest.raises(OSError):
            socket.create_connection((server.host, server.port), timeout=1)


def test_that_an_end_without_grace_breaks_off_what_is_left():
    with opened(parallel=2) as server:
        stream = client(server).chat.completions.create(model="demo", messages=ASKED, stream=True, **LONG)
        next(iter(stream))
        stopping = threading.Thread(target=server.stop, args=(0,))
        stopping.start()
        with pytest.raises(openai.APIError, match="ended"):
            list(stream)
        stopping.join()
        assert not server.alive


def test_that_idle_time_begins_when_the_last_request_is_over(server):
    before = time.time()
    assert said(server, count=1) is not None
    wait_for(lambda: server.idle_since is not None)
    assert server.idle_since >= before
    connection = raw(server, ENDLESS)
    wait_for(lambda: server.idle_since is None)
    connection.close()
    wait_for(lambda: server.idle_since is not None)


def test_that_a_port_of_ones_own_is_taken_and_known():
    free = socket.create_server(("127.0.0.1", 0))
    port = free.getsockname()[1]
    free.close()
    with opened([key(1)], port=port) as server:
        assert server.port == port
        assert server.models == ["demo", "auto"]


def test_that_a_cache_too_small_for_one_request_is_refused():
    with pytest.raises(UserError) as caught, opened(cache_mb=1, context=1024):
        pass
    assert caught.value.code == "serve.cache_small"
    assert "cache_mb" in caught.value.fix
