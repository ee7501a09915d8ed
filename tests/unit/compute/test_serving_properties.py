"""What holds for any request, over the wire: schema, swaps, memory, hits, audit, tenants, sizes, times, traces."""

import itertools
import json
from collections import Counter

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from openai.types.chat import ChatCompletion
from prometheus_client.parser import text_string_to_metric_families
from serving_cases import ASKED, QUESTION, adapter, client, key, opened, plain, said, wait_for

from engine.compute.inference.engine.passes import Passes

CHAT = {"model": "demo", "messages": ASKED, "max_tokens": 2, "temperature": 0}
BODY_KB = 16
COUNT = 8
FEW = settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
FRESH = itertools.count()
VERSIONS = ("first", "second")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("audit")


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    where = tmp_path_factory.mktemp("adapters")
    return {name: str(adapter(where, name, seed)) for seed, name in enumerate(VERSIONS, 3)}


@pytest.fixture(scope="module")
def tenants():
    return {name: key(number, tenant=name) for number, name in enumerate("abc")}


@pytest.fixture(scope="module")
def server(folder, tenants):
    with opened(list(tenants.values()), folder, body_kb=BODY_KB) as made:
        yield made


@pytest.fixture(scope="module")
def http(server):
    with plain(server) as made:
        yield made


def audited(folder):
    return [json.loads(line) for line in (folder / "audit.jsonl").read_text().splitlines()]


@FEW
@given(
    st.fixed_dictionaries(
        {"max_tokens": st.integers(1, 6)},
        optional={
            "n": st.integers(1, 3), "temperature": st.floats(0, 2), "top_p": st.floats(0.1, 1),
            "top_k": st.integers(0, 9), "min_p": st.floats(0, 1), "seed": st.integers(0, 99),
            "logprobs": st.just(True), "ignore_eos": st.booleans(),
            "presence_penalty": st.floats(-2, 2), "repetition_penalty": st.floats(0.5, 2), "user": st.text("ab"),
            "stop": st.lists(st.text("ab ", min_size=1), max_size=2),
        },
    )
)  # fmt: skip
def test_that_any_answer_has_its_schema_and_its_sums_are_right(http, asked):
    found = http.post("/v1/chat/completions", json={"model": "demo", "messages": ASKED, **asked})
    assert found.status_code == 200, found.text
    whole = ChatCompletion.model_validate(found.json())
    assert len(whole.choices) == asked.get("n", 1)
    assert whole.usage.completion_tokens <= asked["max_tokens"] * len(whole.choices)
    assert whole.usage.total_tokens == whole.usage.prompt_tokens + whole.usage.completion_tokens
    for choice in whole.choices:
        assert choice.finish_reason in ("stop", "length")
        assert not any(stop in choice.message.content for stop in asked.get("stop", []))
        assert (choice.logprobs is not None) == ("logprobs" in asked)


@settings(FEW, max_examples=6)
@given(st.lists(st.sampled_from([*VERSIONS, "ask", "begin", "end"]), min_size=2, max_size=10))
def test_that_whatever_is_swapped_meanwhile_each_answer_is_one_versions(server, files, deeds):
    """A stream that has begun ends in the version it began with; what is asked later gets the newest one."""
    book = server.desk.served.book
    texts = {}
    for name in VERSIONS:
        book.add("swapped", files[name], replace=True)
        texts[name] = said(server, "swapped", count=COUNT)
    assert len(set(texts.values())) == 2
    newest, going = VERSIONS[-1], []
    for deed in deeds:
        if deed in VERSIONS:
            book.add("swapped", files[deed], replace=True)
            newest = deed
        elif deed == "ask":
            assert said(server, "swapped", count=COUNT) == texts[newest]
        elif deed == "begin":
            stream = client(server).chat.completions.create(
                model="swapped", messages=[{"role": "user", "content": QUESTION}], stream=True, temperature=0,
                max_tokens=COUNT, extra_body={"ignore_eos": True},
            )  # fmt: skip
            going.append((newest, next(iter(stream)).choices[0].delta.content or "", stream))
        elif going:
            begun, text, stream = going.pop()
            assert text + "".join(one.choices[0].delta.content or "" for one in stream) == texts[begun]
    for _, _, stream in going:
        list(stream)
    wait_for(lambda: len(server.desk.served.manager.names) == 1)


@FEW
@given(st.integers(0, 5), st.booleans(), st.booleans())
def test_that_wherever_memory_runs_out_advice_is_given(server, http, monkeypatch, step, on_gpu, stream):
    before = said(server, count=COUNT)
    passes, real = itertools.count(), Passes.logits

    def logits(*given_):
        if next(passes) == step:
            raise torch.OutOfMemoryError("CUDA out of memory") if on_gpu else MemoryError
        return real(*given_)

    with monkeypatch.context() as patched:
        patched.setattr(Passes, "logits", logits)
        asked = {**CHAT, "max_tokens": 10, "ignore_eos": True, "stream": stream}
        found = http.post("/v1/chat/completions", json=asked)
    assert "inference.out_of_memory" in found.text
    assert "Lower the engine's rows, blocks or piece" in found.text
    assert found.status_code == (200 if stream and step else 503)
    assert said(server, count=COUNT) == before
    assert server.desk.served.engine.pool.used == 0


@FEW
@given(st.lists(st.integers(0, 3), min_size=1, max_size=6))
def test_that_the_hit_rate_is_what_answers_say_was_found_again(server, http, prompts):
    tally, example = server.desk.served.engine.metrics.cache, next(FRESH)
    asked, found = tally.asked, tally.found
    seen, sums = set(), Counter()
    for prompt in prompts:
        text = f"{example} of the hit rate, {prompt}: " + "some words that take more than a block " * 3
        forge = http.post("/v1/chat/completions", json={**CHAT, "messages": [{"role": "user", "content": text}]}).json()
        sums.update({name: forge["forge"][name] for name in ("prompt", "cached")})
        assert (forge["forge"]["cached"] > 32) == (prompt in seen)
        seen.add(prompt)
    assert (tally.asked - asked, tally.found - found) == (sums["prompt"], sums["cached"])


KINDS = {
    "good": ("POST", "/v1/chat/completions", CHAT, 200), "stream": ("POST", "/v1/completions", {
        "model": "demo", "prompt": "1 2", "max_tokens": 1, "stream": True}, 200),
    "bad": ("POST", "/v1/chat/completions", {"model": 1}, 400), "embedding": ("POST", "/v1/embeddings", {
        "model": "demo", "input": "a"}, 200),
    "model": ("POST", "/v1/embeddings", {"model": "none", "input": "a"}, 404),
    "models": ("GET", "/v1/models", None, 200),
    "path": ("GET", "/v2", None, 404), "method": ("PUT", "/v1/route", {}, 405), "health": ("GET", "/health", None, 200),
}  # fmt: skip


@FEW
@given(st.lists(st.tuples(st.sampled_from(sorted(KINDS)), st.sampled_from(["good", "wrong", "none"])), max_size=6))
def test_that_audit_and_figures_know_each_request_once(server, folder, wanted):
    def counted(http):
        families = {one.name: one for one in text_string_to_metric_families(http.get("/metrics").text)}
        samples = families["forge_requests"].samples if "forge_requests" in families else []
        found = Counter()
        for one in samples:
            if one.name.endswith("_total") and one.labels["endpoint"] != "/metrics":
                found[one.labels["status"]] += round(one.value)
        return found

    with plain(server) as http:
        http.get("/health")
        lines = len(wait_lines(folder))
        before, expected, traces = counted(http), [], []
        for kind, who in wanted:
            method, path, body, status = KINDS[kind]
            secret = {"good": http.headers["authorization"], "wrong": "Bearer lf-wrong", "none": ""}[who]
            found = http.request(method, path, json=body, headers={"authorization": secret})
            expected.append(status if who == "good" or kind == "health" else 401)
            assert found.status_code == expected[-1]
            traces.append(found.headers["x-trace-id"])
        wait_for(lambda: len(audited(folder)) >= lines + 1 + len(wanted))
        written = [line for line in audited(folder)[lines:] if line["endpoint"] != "/metrics"]
        assert [line["status"] for line in written] == expected
        assert [line["trace"] for line in written] == traces
        assert counted(http) - before == Counter(map(str, expected))


def wait_lines(folder):
    """The audit once it does not grow any more by what was asked before."""
    count = -1

    def still():
        nonlocal count
        count, before = len(audited(folder)), count
        return count == before

    wait_for(still)
    return audited(folder)


@FEW
@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 1)), min_size=1, max_size=6))
def test_that_what_a_tenant_asked_is_found_again_for_that_tenant_only(server, tenants, wanted):
    example, seen = next(FRESH), set()
    for tenant, prompt in wanted:
        text = f"{example} of tenants, {prompt}: " + "some words that take more than a block " * 3
        with plain(server, tenants[tenant].key) as http:
            body = {**CHAT, "messages": [{"role": "user", "content": text}]}
            forge = http.post("/v1/chat/completions", json=body).json()["forge"]
        assert (forge["cached"] > 32) == ((tenant, prompt) in seen)
        seen.add((tenant, prompt))


@FEW
@given(st.integers(-40, 40), st.booleans())
def test_that_the_largest_body_is_taken_and_one_byte_more_is_not(http, more, in_chunks):
    content = json.dumps({"text": "x"}).encode()
    content += b" " * ((BODY_KB << 10) + more - len(content))

    def chunks():
        yield from (content[begin : begin + 1000] for begin in range(0, len(content), 1000))

    sent = chunks() if in_chunks else content
    found = http.post("/v1/tokenize", content=sent, headers={"content-type": "application/json"})
    assert found.status_code == (413 if more > 0 else 200)


@FEW
@given(st.floats(1e-6, 2e-3), st.booleans())
def test_that_a_request_that_takes_too_long_is_told_its_seconds(http, seconds, stream):
    asked = {**CHAT, "max_tokens": 400, "ignore_eos": True, "timeout": seconds, "stream": stream}
    found = http.post("/v1/chat/completions", json=asked)
    assert f"allows {seconds} s" in found.text
    assert "serve.timeout" in found.text
    assert found.status_code == 408 or (stream and found.text.endswith("data: [DONE]\n\n"))


@FEW
@given(st.from_regex(r"[A-Za-z0-9._:-]{1,40}", fullmatch=True), st.booleans())
def test_that_a_trace_is_the_same_everywhere(server, http, folder, request_id, good):
    found = http.post("/v1/chat/completions", json=CHAT if good else {}, headers={"x-request-id": request_id})
    assert found.headers["x-trace-id"] == request_id
    assert good or found.json()["error"]["trace_id"] == request_id
    wait_for(lambda: any(line["trace"] == request_id for line in audited(folder)))
