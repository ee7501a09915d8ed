"""Who may ask, how much, and who is first: keys, scopes, limits, tenants, tiers."""

import hmac
import threading
import time
from contextlib import suppress

import openai
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from serving_cases import ASKED, OWN, adapter, client, held, job_of, key, opened, plain, said, wait_for

from engine.compute.inference.engine.requests import Asked, Handle
from engine.compute.inference.engine.waiting import Queue
from engine.compute.serving import keys as keys_module
from engine.compute.serving.counts import Counts
from engine.compute.serving.keys import Keyring, check_scope
from engine.contract.errors import UserError
from engine.contract.serving import SCOPES

CHAT = {"model": "demo", "messages": ASKED, "max_tokens": 2, "temperature": 0}


@pytest.fixture(scope="module")
def server():
    with opened() as made:
        yield made


def ask(server, secret, path="/v1/chat/completions", body=CHAT, **headers):
    with plain(server, secret) as http:
        return http.post(path, json=body, headers=headers)


def test_that_a_key_is_needed_and_must_be_known(server):
    one = key(1)
    server.set_keys([one.about])
    assert ask(server, one.key).status_code == 200
    for secret, code in ((None, "missing_api_key"), ("lf-wrong", "invalid_api_key"), (one.key[:-1], "invalid_api_key")):
        found = ask(server, secret)
        assert (found.status_code, found.json()["error"]["code"]) == (401, code)
        assert found.headers["www-authenticate"] == "Bearer"
    with pytest.raises(openai.AuthenticationError):
        client(server, "lf-wrong").models.list()


def test_that_keys_change_without_a_restart(server):
    old, new = key(1), key(2)
    server.set_keys([old.about])
    assert ask(server, new.key).status_code == 401
    server.set_keys([old.about, new.about])
    assert ask(server, old.key).status_code == ask(server, new.key).status_code == 200
    server.set_keys([new.about])
    assert ask(server, old.key).status_code == 401
    assert ask(server, OWN).status_code == 200


@settings(max_examples=60, deadline=None)
@given(st.floats(0, 1e6), st.floats(-1e5, 1e5), st.booleans())
def test_that_a_rotated_key_ends_when_its_overlap_does(at, overlap, asked_with_old):
    old, new = key(1, at=0.0), key(2, at=0.0)
    over = old.about.model_copy(update={"expires": at + overlap, "replaced_by": "k2"})
    ring = Keyring([over, new.about], clock=lambda: at)
    secret = old.key if asked_with_old else new.key
    if asked_with_old and overlap <= 0:
        with pytest.raises(UserError) as caught:
            ring.asking(f"Bearer {secret}")
        assert caught.value.code == "serve.key_over" or at == at + overlap
        assert secret not in caught.value.text
    elif not asked_with_old or at < at + overlap:
        assert ring.asking(f"Bearer {secret}").id == ("k1" if asked_with_old else "k2")


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=80))
def test_that_no_other_text_is_a_key(text):
    one = key(1, at=0.0)
    ring = Keyring([one.about], OWN)
    for header in (text, f"Bearer {text}", f"Basic {one.key}", one.key):
        with pytest.raises(UserError):
            ring.asking(header)
    assert ring.asking(f"bearer {one.key}").id == "k1"


def test_that_every_key_is_compared_in_constant_time(monkeypatch):
    many = [key(number) for number in range(5)]
    compared, compare = [], hmac.compare_digest

    def watched(one, other):
        compared.append((len(one), len(other)))
        return compare(one, other)

    monkeypatch.setattr(keys_module.hmac, "compare_digest", watched)
    Keyring([one.about for one in many], OWN).asking(f"Bearer {many[0].key}")
    assert compared == [(64, 64)] * 6, "hashes of one length, the first match ends nothing"


PATHS = {
    "inference": [("POST", "/v1/chat/completions"), ("POST", "/v1/completions"), ("POST", "/v1/tokenize"),
                  ("POST", "/v1/route")],
    "embeddings": [("POST", "/v1/embeddings")],
    "adapters": [("POST", "/v1/adapters"), ("DELETE", "/v1/adapters/a"), ("POST", "/v1/load_lora_adapter"),
                 ("POST", "/v1/unload_lora_adapter")],
    "metrics": [("GET", "/metrics"), ("GET", "/v1/status")],
}  # fmt: skip


@pytest.mark.parametrize("scope", SCOPES)
def test_that_a_key_reaches_what_its_scopes_say_and_nothing_else(server, scope):
    one = key(1, scopes=[scope])
    server.set_keys([one.about])
    with plain(server, one.key) as http:
        for needed, paths in PATHS.items():
            for method, path in paths:
                found = http.request(method, path, json={})
                assert (found.status_code == 403) == (needed != scope), (method, path, found.text)
        assert http.get("/v1/models").status_code == 200
    assert ask(server, one.key, "/v1/route", {"text": "x"}).status_code == (200 if scope == "inference" else 403)


def test_that_health_needs_no_key(server):
    with plain(server, None) as http:
        assert [http.get(path).status_code for path in ("/health", "/ready")] == [200, 200]
        assert [(found.status_code, found.content) for found in map(http.head, ("/health", "/ready"))] == [
            (200, b"")
        ] * 2
        assert http.get("/metrics").status_code == 401


def test_that_an_open_instance_needs_no_key_and_knows_those_it_has():
    one = key(1, tenant="known")
    with opened([one], open=True) as server:
        assert ask(server, None).status_code == 200
        assert ask(server, one.key).status_code == 200
        with plain(server, None) as http:
            text = http.get("/metrics").text
        assert 'tenant="known"' in text


def test_that_a_key_that_is_over_opens_no_less_than_none():
    old = key(1, at=0.0, days=1)
    assert Keyring([old.about], without=True, clock=lambda: 1e9).asking(f"Bearer {old.key}").id == "open"


def test_that_scopes_are_refused_with_what_is_missing():
    with pytest.raises(UserError, match="adapters"):
        check_scope(key(1, scopes=["inference"]).about, "adapters")


# How much.


def test_that_more_requests_than_a_minute_allows_are_refused_with_when_to_come_again(server):
    one, other = key(11, requests_per_minute=2), key(12)
    server.set_keys([one.about, other.about])
    assert [ask(server, one.key).status_code for _ in range(3)] == [200, 200, 429]
    found = ask(server, one.key)
    assert 1 <= int(found.headers["retry-after"]) <= 60
    assert found.json()["error"]["code"] == "rate_limit_exceeded"
    assert ask(server, other.key).status_code == 200
    with pytest.raises(openai.RateLimitError):
        client(server, one.key).chat.completions.create(**CHAT)


def test_that_a_key_and_the_one_in_its_place_make_no_more_requests_than_one(server):
    old, new = key(13, requests_per_minute=2), key(14, requests_per_minute=2)
    heir = new.about.model_copy(update={"counted_as": old.about.hash})
    server.set_keys([old.about, heir])
    assert [ask(server, secret).status_code for secret in (old.key, new.key, old.key, new.key)] == [200, 200, 429, 429]


def test_that_tokens_of_prompts_and_answers_count(server):
    prompt = client(server).chat.completions.create(**CHAT).usage.prompt_tokens
    one = key(21, tokens_per_minute=prompt + 8)
    server.set_keys([one.about])
    more = {**CHAT, "max_tokens": 8, "ignore_eos": True}
    assert ask(server, one.key, body=more).status_code == 200
    found = ask(server, one.key, body=more)
    assert found.status_code == 429
    assert "retry-after" in found.headers
    small = key(22, tokens_per_minute=prompt - 1)
    server.set_keys([small.about])
    assert ask(server, small.key).status_code == 429


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 2), min_size=1, max_size=30), st.integers(1, 6))
def test_that_no_key_ever_makes_more_requests_than_it_may(order, most):
    """Each key has counts of its own, whatever others do."""
    counts = Counts(job_of(requests_per_minute=most))
    allowed = {0: 0, 1: 0, 2: 0}
    keys = [key(number, at=0.0).about for number in range(3)]
    for number in order:
        with suppress(UserError):
            counts._request(keys[number])
            allowed[number] += 1
    assert allowed == {number: min(most, order.count(number)) for number in range(3)}


def test_that_the_instances_limit_holds_for_keys_without_one_and_not_for_the_controller():
    counts = Counts(job_of(requests_per_minute=3, tokens_per_minute=7))
    assert counts.most_requests(key(1).about) == 3
    assert counts.most_requests(key(1, requests_per_minute=0).about) == 0
    assert counts.most_tokens(key(1, tokens_per_minute=9).about) == 9
    own = Keyring([], OWN).asking(f"Bearer {OWN}")
    assert counts.most_requests(own) == counts.most_tokens(own) == 0


# Tenants and tiers.


def test_that_tenants_do_not_see_what_others_asked(server):
    first, same, other = key(31, tenant="a"), key(32, tenant="a"), key(33, tenant="b")
    server.set_keys([first.about, same.about, other.about])
    asked = {**CHAT, "messages": [{"role": "user", "content": "Only tenants of one name share this beginning. " * 3}]}

    def cached(secret):
        return ask(server, secret, body=asked).json()["forge"]["cached"]

    assert cached(first.key) == 0
    assert cached(other.key) == 0
    assert cached(same.key) > 0
    assert cached(other.key) > 0


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(0, 9), min_size=1, max_size=12))
def test_that_a_smaller_tier_is_answered_first_and_of_equal_ones_who_came_first(tiers):
    queue = Queue(ageing=1e9)
    for number, tier in enumerate(tiers):
        queue.add(Handle(Asked((1,), tier=tier, id=str(number))), 0.0)
    found = [(one.handle.asked.tier, int(one.handle.asked.id)) for one in queue.in_order(0.0)]
    assert found == sorted((tier, number) for number, tier in enumerate(tiers))


def test_that_a_keys_tier_decides_who_is_next():
    late, soon = key(41, tier=9), key(42, tier=0)
    with opened([late, soon], parallel=1) as server, held() as going:
        engine, order = server.desk.served.engine, []

        def run(name, secret):
            client(server, secret).chat.completions.create(**CHAT)
            order.append(name)

        threads = []
        for number, (name, secret) in enumerate((("first", OWN), ("late", late.key), ("soon", soon.key))):
            threads.append(threading.Thread(target=run, args=(name, secret)))
            threads[-1].start()
            wait_for(lambda count=number: engine.running == 1 and engine.waiting == count)
        going.set()
        for thread in threads:
            thread.join()
    assert order == ["first", "soon", "late"]


def test_that_an_expired_key_is_refused_over_the_wire(server):
    one = key(51, at=time.time() - 100, days=0.001)
    server.set_keys([one.about])
    found = ask(server, one.key)
    assert (found.status_code, found.json()["error"]["code"]) == (401, "expired_api_key")
    assert said(server, count=1) is not None


def test_that_where_adapters_are_and_what_others_asked_is_for_who_may_change_them(tmp_path):
    asks, changes = key(1, tenant="acme", scopes=("inference",)), key(2, tenant="beta")
    adapters = [{"name": "one", "path": str(adapter(tmp_path, "one", 1))}]
    with opened([asks, changes], adapters=adapters) as server:
        said(server, "one", count=1)

        def told(secret):
            with plain(server, secret) as http:
                (found,) = http.get("/v1/adapters").json()["adapters"]
            return found

        assert (told(changes.key)["requests"], told(changes.key)["path"]) == (1, adapters[0]["path"])
        assert (told(asks.key)["requests"], told(asks.key)["path"]) == (0, "")
        assert told(asks.key)["name"] == "one"
