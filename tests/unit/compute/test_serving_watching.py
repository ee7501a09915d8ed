"""What is told of requests: traces, audit, log, figures, alerts. Never a prompt, never a key."""

import gzip
import json
import logging
import math
import shutil
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families
from serving_cases import ASKED, OWN, key, opened, plain, wait_for

from engine.compute.inference.engine.metrics import percentile
from engine.compute.inference.engine.requests import Timing
from engine.compute.serving.alerts import THRESHOLDS, Alerts
from engine.compute.serving.audit import Audit, redacted, tell
from engine.compute.serving.figures import MOST_JUDGED, MOST_LABELS, Bounded, Figures
from engine.compute.serving.tracing import Tracer, trace_of
from engine.contract.serving import ServeStatus
from tests.helpers.disks import full, small_disk

SECRET = "the-secret-word-of-this-prompt"
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
CHAT = {"model": "demo", "messages": [{"role": "user", "content": SECRET}], "max_tokens": 2}


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "audit"


@pytest.fixture
def server(folder):
    one = key(1, tenant="acme", requests_per_minute=4)
    with opened([one], folder) as made:
        made.secret = one.key
        yield made


def audited(folder, count=0):
    """The lines; a line is written when its answer is sent, so that it may come a moment later."""
    path = folder / "audit.jsonl"
    wait_for(lambda: len(path.read_text().splitlines()) >= count)
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_that_every_request_has_one_line_in_the_audit_refused_ones_too(server, folder):
    asked = [
        ("POST", "/v1/chat/completions", CHAT, server.secret), ("POST", "/v1/chat/completions", {}, server.secret),
        ("POST", "/v1/chat/completions", {**CHAT, "model": "none"}, server.secret),
        ("POST", "/v1/chat/completions", CHAT, "lf-wrong-key-0123456789"),
        ("POST", "/v1/chat/completions", CHAT, None), ("GET", "/v1/models", None, server.secret),
        ("GET", "/nothing", None, server.secret), ("GET", "/health", None, None),
        ("POST", "/v1/chat/completions", CHAT | {"stream": True, "user": "anna"}, server.secret),
        ("POST", "/v1/chat/completions", CHAT, server.secret), ("GET", "/v1/chat/completions", None, server.secret),
    ]  # fmt: skip
    statuses, traces = [], []
    for method, path, body, secret in asked:
        with plain(server, secret) as http:
            found = http.request(method, path, json=body)
        statuses.append(found.status_code)
        traces.append(found.headers["x-trace-id"])
    assert statuses == [200, 400, 404, 401, 401, 200, 404, 200, 200, 429, 405]
    lines = audited(folder, len(asked))
    assert [line["status"] for line in lines] == statuses
    assert [line["trace"] for line in lines] == traces
    assert [(line["method"], line["endpoint"]) for line in lines] == [(method, path) for method, path, _, _ in asked]
    for line in lines:
        assert {"time", "trace", "key_id", "key_hash", "endpoint", "method", "status", "ms"} <= set(line)
        assert line["ms"] >= 0
    assert lines[0]["key_id"] == "k1"
    assert lines[0]["tenant"] == "acme"
    assert len(lines[0]["key_hash"]) == 12
    assert lines[3]["key_id"] == lines[4]["key_id"] == ""
    assert lines[8]["user"] not in ("", "anna")
    assert [line["code"] for line in lines[1:4]] == ["serve.invalid", "serve.model", "serve.bad_key"]


@pytest.mark.parametrize(
    ("sent", "why"),
    [
        (b"GET /health HTTP/1.1\r\n\r\n", "Missing mandatory Host"), (b"hello\r\n\r\n", "illegal request line"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(40) + b"\r\n\r\n", "https"),
        (b"GET / HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer lf-" + b"k" * 40 + b"\0\r\n\r\n", "illegal header line"),
    ],
)  # fmt: skip
def test_that_what_is_no_http_is_refused_and_told_as_everything_else(server, folder, sent, why, caplog):
    caplog.set_level(logging.DEBUG)
    with socket.create_connection((server.host, server.port), timeout=30) as connection:
        connection.sendall(sent)
        found = b"".join(iter(lambda: connection.recv(65536), b""))
    head, _, body = found.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 ")
    assert b"application/json" in head
    error = json.loads(body)["error"]
    assert (error["type"], error["code"]) == ("invalid_request_error", "serve.not_http")
    assert why in error["message"]
    assert error["trace_id"].encode() in head
    (line,) = audited(folder, 1)
    assert (line["status"], line["code"], line["trace"]) == (400, "serve.not_http", error["trace_id"])
    assert "kkkk" not in body.decode() + caplog.text + json.dumps(line)
    with plain(server, None) as http:
        assert http.get("/health").status_code == 200
    assert server.desk.figures.registry.get_sample_value(
        "forge_requests_total", {"endpoint": "other", "status": "400", "model_id": "", "tenant": ""}
    )  # fmt: skip


def test_that_neither_prompts_nor_keys_stand_in_audit_or_log(server, folder, caplog):
    caplog.set_level(logging.DEBUG, logger="forge.serving")
    caplog.set_level(logging.INFO, logger="uvicorn")
    with plain(server, server.secret) as http:
        http.post("/v1/chat/completions", json=CHAT)
        http.post("/v1/chat/completions", json=CHAT | {"temperature": SECRET})
        http.post(f"/v1/{server.secret}", json=CHAT)
    audited(folder, 3)
    ours = [record.getMessage() for record in caplog.records if not record.name.startswith(("httpx", "httpcore"))]
    written = (folder / "audit.jsonl").read_text() + "".join(ours)
    assert written.count("chat/completions") >= 4
    for hidden in (SECRET, server.secret):
        assert hidden not in written
    for line in (json.loads(one) for one in ours if one.startswith("{")):
        assert line["event"] == "request"
        assert line["trace"] in written


def test_that_keys_people_chose_are_redacted_too(folder, caplog):
    caplog.set_level(logging.DEBUG, logger="forge.serving")
    own = key(1, key="correct-horse-battery")
    with opened([own], folder) as server, plain(server, own.key) as http:
        found = http.get(f"/v1/models/{own.key}", headers={"x-request-id": own.key})
        http.get(f"/{own.key}?key={own.key}")
        assert found.headers["x-trace-id"] != own.key
        line, _ = audited(folder, 2)
        assert line["endpoint"] == "/v1/models/•••"
        assert http.get("/v1/models", headers={"x-request-id": "mine-1"}).headers["x-trace-id"] == "mine-1"
    assert own.key not in (folder / "audit.jsonl").read_text() + caplog.text.replace("HTTP Request", "")


def test_that_a_bug_is_told_with_its_trace_and_without_the_prompt(server, caplog, monkeypatch):
    def broken(*_):
        raise RuntimeError(f"could not read {SECRET}")

    monkeypatch.setattr(server.desk.served, "of_turns", broken)
    with plain(server) as http:
        found = http.post("/v1/chat/completions", json=CHAT, headers={"x-request-id": "mine-1"})
    assert found.status_code == 500
    error = found.json()["error"]
    assert (error["type"], error["trace_id"]) == ("server_error", "mine-1")
    assert "mine-1" in error["message"]
    bug = next(record.getMessage() for record in caplog.records if '"bug"' in record.getMessage())
    assert json.loads(bug)["trace"] == "mine-1"
    assert "of_turns" in bug or "broken" in bug
    assert SECRET not in caplog.text + found.text
    monkeypatch.undo()
    with plain(server) as http:
        assert http.post("/v1/chat/completions", json=CHAT).status_code == 200


@settings(max_examples=100, deadline=None)
@given(st.text(st.characters(codec="utf-8"), max_size=30), st.text("abc", max_size=10))
def test_that_keys_and_what_was_said_are_redacted_wherever_they_stand(text, around):
    secret = key(1, at=0.0).key
    fields = {"a": [f"{around}{secret}"], "b": {"prompt": text, "messages": [text]}, "c": f"Bearer {secret} {around}"}
    found = json.dumps(redacted(fields), ensure_ascii=False)
    assert secret not in found
    assert json.loads(found)["b"] == {"prompt": "•••", "messages": "•••"}


def test_that_the_audit_is_cut_into_pieces_by_size(tmp_path):
    audit = Audit(tmp_path, most_bytes=300, kept=3)
    for number in range(20):
        audit.add(trace=str(number), status=200)
    audit.close()
    pieces = sorted(path.name for path in tmp_path.iterdir())
    assert pieces == ["audit.jsonl", "audit.jsonl.1", "audit.jsonl.2", "audit.jsonl.3"]
    assert all(path.stat().st_size <= 300 for path in tmp_path.iterdir())
    kept = [
        json.loads(line)["trace"] for name in reversed(pieces) for line in (tmp_path / name).read_text().splitlines()
    ]
    assert kept == [str(number) for number in range(20 - len(kept), 20)]


def test_that_a_full_disk_keeps_the_audit_whole_and_goes_by(tmp_path, caplog):
    with small_disk(tmp_path / "disk", "64k") as disk:
        audit = Audit(disk, most_bytes=9000, kept=1)
        audit.add(trace="before", status=200)
        with full(disk):
            for _ in range(100):
                audit.add(trace="x" * 150, status=200)
        audit.add(trace="after", status=200)
        audit.close()
        pieces = ("audit.jsonl.1", "audit.jsonl")
        lines = [line for name in pieces if (disk / name).exists() for line in (disk / name).read_text().splitlines()]
        traces = [json.loads(line)["trace"] for line in lines]  # none is torn
        assert (traces[0], traces[-1]) == ("before", "after")
        assert "audit failed" in caplog.text


def test_that_an_audit_that_could_not_be_opened_is_opened_later(tmp_path):
    audit = Audit(tmp_path / "there", most_bytes=100, kept=1)
    audit.add(trace="1" * 60, status=200)
    shutil.rmtree(tmp_path / "there")
    audit.add(trace="2" * 60, status=200)  # cannot be put aside: nobody is kept from being answered
    (tmp_path / "there").mkdir()
    audit.add(trace="3" * 60, status=200)
    audit.close()
    assert json.loads((tmp_path / "there" / "audit.jsonl").read_text())["trace"] == "3" * 60


def test_that_lines_of_many_threads_stay_whole(tmp_path):
    audit = Audit(tmp_path)
    threads = [threading.Thread(target=lambda: [audit.add(trace="t" * 200, n=n) for n in range(50)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    audit.close()
    assert len([json.loads(line) for line in (tmp_path / "audit.jsonl").read_text().splitlines()]) == 200


# Traces.


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=60), st.text(max_size=60))
def test_that_a_trace_is_always_one_that_can_stand_in_a_header(parent, request):
    trace = trace_of({"traceparent": parent, "x-request-id": request})
    assert trace.isascii()
    assert trace.isprintable()
    assert 1 <= len(trace) <= 128


@pytest.mark.parametrize(
    ("parent", "taken"),
    [
        (f"00-{TRACE}-00f067aa0ba902b7-01", True), (f"00-{TRACE}-0000000000000000-01", False),
        (f"ff-{TRACE}-00f067aa0ba902b7-01", False), (f"00-{TRACE}-00f067aa0ba902b7-01-more", False),
        (f"01-{TRACE}-00f067aa0ba902b7-01-more", True), (f"00-{'0' * 32}-00f067aa0ba902b7-01", False),
    ],
)  # fmt: skip
def test_that_a_traceparent_is_taken_as_its_standard_says(parent, taken):
    assert (trace_of({"traceparent": parent}) == TRACE) is taken


def test_that_a_trace_goes_through_everything(server, folder, caplog):
    caplog.set_level(logging.INFO, logger="forge.serving")
    seen = []
    submit = server.desk.served.engine.submit
    server.desk.served.engine.submit = lambda asked: (seen.append(asked.id), submit(asked))[1]
    for turn, (headers, expected) in enumerate(
        (
            ({"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01", "x-request-id": "x"}, TRACE),
            ({"x-request-id": "my-request:1"}, "my-request:1"),
        )
    ):
        with plain(server) as http:
            good = http.post("/v1/chat/completions", json=CHAT, headers=headers)
            bad = http.post("/v1/chat/completions", json={}, headers=headers)
        assert good.headers["x-trace-id"] == bad.headers["x-trace-id"] == expected
        assert bad.json()["error"]["trace_id"] == expected
        assert seen[-1] == f"{expected}-0"
        assert [line["trace"] for line in audited(folder, 2 * turn + 2)[-2:]] == [expected] * 2
        wait_for(lambda trace=expected: caplog.text.count(trace) >= 2)  # told after the audit
    made = [trace_of({}) for _ in range(100)]
    assert len(set(made)) == 100


def test_that_spans_are_begun_in_the_trace_of_the_header():
    opentelemetry = pytest.importorskip("opentelemetry.trace")
    begun = []

    class Recording(opentelemetry.NoOpTracer):
        def start_as_current_span(self, name, context=None, kind=None, **more):
            begun.append((name, opentelemetry.get_current_span(context).get_span_context().trace_id))
            return super().start_as_current_span(name, context=context, kind=kind, **more)

    class Provider(opentelemetry.TracerProvider):
        def get_tracer(self, *_, **__):
            return Recording()

    with Tracer(Provider()).span("POST /v1", {"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"}, TRACE) as span:
        assert span is not None
    assert begun == [("POST /v1", int(TRACE, 16))]
    with Tracer().span("POST /v1", {}, TRACE) as span:
        assert span is None


def test_that_a_collector_is_told_of_requests_and_of_nothing_that_was_said(folder):
    pytest.importorskip("opentelemetry.sdk")
    pytest.importorskip("opentelemetry.exporter.otlp.proto.http")
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    told = []

    class Collector(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["content-length"]))
            body = gzip.decompress(body) if self.headers.get("content-encoding") == "gzip" else body
            told.append((self.path, ExportTraceServiceRequest.FromString(body)))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Collector) as collector:
        thread = threading.Thread(target=collector.serve_forever)
        thread.start()
        try:
            with (
                opened([], folder, tracing=f"http://127.0.0.1:{collector.server_address[1]}") as server,
                plain(server) as http,
            ):
                headers = {"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"}
                assert http.post("/v1/chat/completions", json=CHAT, headers=headers).status_code == 200
                with http.stream("POST", "/v1/chat/completions", json={**CHAT, "stream": True}) as answer:
                    assert answer.read()
                assert http.post("/v1/chat/completions", json={}).status_code == 400
        finally:
            collector.shutdown()
            thread.join()
    assert {path for path, _ in told} == {"/v1/traces"}
    spans = [span for _, body in told for of in body.resource_spans for scope in of.scope_spans for span in scope.spans]
    assert [span.name for span in spans] == ["POST /v1/chat/completions"] * 3
    assert spans[0].trace_id.hex() == TRACE
    assert spans[0].parent_span_id.hex() == "00f067aa0ba902b7"
    assert len({span.trace_id for span in spans}) == 3
    assert all(span.end_time_unix_nano > span.start_time_unix_nano for span in spans)
    assert SECRET not in str(told)


# Figures.

TIMINGS = st.lists(
    st.builds(
        Timing, st.floats(0, 10), st.floats(0, 10), st.floats(0, 100), st.integers(1, 500), st.integers(0, 500),
        st.integers(0, 50),
    ),
    max_size=30,
)  # fmt: skip


@settings(max_examples=100, deadline=None)
@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=50), st.sampled_from([0.5, 0.95, 0.99]))
def test_that_a_percentile_is_the_smallest_value_that_enough_do_not_exceed(values, share):
    found = percentile(values, share)
    assert found in values
    assert sum(one <= found for one in values) >= math.floor(share * len(values))
    assert sum(one < found for one in values) < share * len(values)


@settings(max_examples=50, deadline=None)
@given(TIMINGS, st.lists(st.tuples(st.sampled_from([200, 400, 429, 500]), st.sampled_from("abc")), max_size=20))
def test_that_figures_have_prometheus_form_and_add_up(timings, ends):
    figures = Figures()
    for timing in timings:
        figures.answered(timing, "demo", "t")
    for status, model in ends:
        figures.over("/v1/chat/completions", status, model, "t")
    found = {one.name: one for one in text_string_to_metric_families(figures.text({"running": 1.0}).decode())}
    tokens = {one.labels["kind"]: one.value for one in found["forge_tokens"].samples if one.name.endswith("_total")}
    if timings:
        assert tokens["answer"] == sum(one.answer for one in timings)
        assert tokens["prompt"] == sum(one.prompt for one in timings)
        (count,) = [one.value for one in found["forge_request_seconds"].samples if one.name.endswith("_count")]
        assert count == len(timings)
    requests = [one for one in found["forge_requests"].samples if one.name.endswith("_total")]
    assert sum(one.value for one in requests) == len(ends) == figures.requests
    assert figures.failed == sum(status >= 500 for status, _ in ends)
    assert figures.refused == sum(400 <= status < 500 for status, _ in ends)


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(0, 400).map(str), max_size=600))
def test_that_labels_are_bounded(values):
    bounded = Bounded()
    found = [bounded.of(value) for value in values]
    assert len(set(found) - {"other"}) <= MOST_LABELS
    first = list(dict.fromkeys(values))[:MOST_LABELS]
    assert [one for one in found if one != "other"] == [one for one in values if one in first]


def test_that_metrics_tell_of_requests_by_model_and_tenant(server):
    with plain(server, server.secret) as http:
        assert http.post("/v1/chat/completions", json=CHAT).status_code == 200
        assert http.post("/v1/chat/completions", json={}).status_code == 400
        found = http.get("/metrics")
    assert found.headers["content-type"].startswith("text/plain; version=0.0.4")
    families = {one.name: one for one in text_string_to_metric_families(found.text)}
    labels = [one.labels for one in families["forge_requests"].samples if one.name.endswith("_total")]
    wanted = {"endpoint": "/v1/chat/completions", "status": "200", "model_id": "demo", "tenant": "acme"}
    assert wanted in labels
    assert wanted | {"status": "400", "model_id": ""} in labels
    for name in ("queue", "first_token", "each_token", "request"):
        assert f"forge_{name}_seconds" in families
    for name in ("running", "waiting", "cache_used", "cache_hit_rate", "adapters", "alerts"):
        assert f"forge_{name}" in families


def test_that_the_status_tells_what_was_asked_and_found_again(server):
    asked = {**CHAT, "messages": [{"role": "user", "content": "the same beginning, again and again " * 4}]}
    with plain(server) as http:
        answers = [http.post("/v1/chat/completions", json=asked).json() for _ in range(3)]
        found = ServeStatus.model_validate(http.get("/v1/status").json())
    assert found.requests == 3
    assert found.requests_per_minute == 3
    assert found.running == found.waiting == found.failed == 0
    assert found.context == 512
    prompts = sum(one["forge"]["prompt"] for one in answers)
    assert found.cache_hit_rate == pytest.approx(sum(one["forge"]["cached"] for one in answers) / prompts)
    assert found.cache_hit_rate > 0.4
    assert 0 < found.first_token.p50 <= found.first_token.p95 <= found.first_token.p99 <= found.whole.p99


# Alerts.


@settings(max_examples=100, deadline=None)
@given(st.lists(st.floats(0, 10), max_size=30), st.sampled_from(THRESHOLDS))
def test_that_an_alert_begins_above_one_threshold_and_ends_below_another(values, threshold):
    alerts, on = Alerts(), False
    for value in values:
        found = alerts.look({threshold.value: value})
        on = value > threshold.on if not on else value >= threshold.off
        assert found == ([threshold.code] if on else [])


def test_that_an_alert_is_told_once_when_it_begins_and_once_when_it_ends(caplog):
    caplog.set_level(logging.INFO, logger="forge.serving")
    alerts = Alerts()
    for value in (0.9, 0.95, 0.7, 0.85, 0.6, 0.4, 0.3):
        alerts.look({"queue": value})
    told = [json.loads(record.getMessage())["event"] for record in caplog.records]
    assert told == ["alert begins", "alert ends"]


def test_that_a_bad_hour_is_over_some_time():
    now = [0.0]
    figures = Figures(lambda: now[0])
    for _ in range(30):
        figures.over("/v1/chat/completions", 503, "demo", "")
        figures.answered(Timing(0.0, 9.0, 9.0, 1, 0, 3), "demo", "")
    assert (figures.error_rate, figures.first_token) == (1.0, 9.0)
    assert figures.rates == (30.0, 1.5)
    now[0] = 301.0
    assert (figures.error_rate, figures.first_token) == (0.0, 0.0)
    assert figures.rates == (0.0, 0.0)


def test_that_no_more_is_kept_of_a_week_than_of_a_minute():
    now = [0.0]
    figures = Figures(lambda: now[0])
    for second in range(20_000):
        now[0] = float(second)
        figures.over("/v1/chat/completions", 200, "demo", "")
        figures.answered(Timing(0.0, 0.1, 0.2, 1, 0, 3), "demo", "")
    kept = [len(one) for one in vars(figures).values() if hasattr(one, "__len__")]
    assert max(kept) <= MOST_JUDGED
    assert figures.rates == (61.0, 61 * 3 / 60)


def test_that_those_who_only_look_are_not_counted_as_requests(server):
    with plain(server) as http:
        for path in ("/health", "/v1/models", "/metrics", "/v1/status"):
            http.get(path)
        found = http.get("/v1/status").json()
    assert (found["requests"], found["requests_per_minute"]) == (0, 0)


def test_that_failed_requests_raise_an_alert(server):
    for status in [200] * 17 + [503] * 3:
        server.desk.figures.over("/v1/chat/completions", status, "demo", "")
    with plain(server) as http:
        assert http.get("/v1/status").json()["alerts"] == ["serve.alert_errors"]


def test_that_a_line_of_the_log_is_json(caplog):
    caplog.set_level(logging.INFO, logger="forge.serving")
    tell("something", trace="t", answer="hidden", count=3)
    assert json.loads(caplog.records[-1].getMessage()) == {
        "event": "something", "trace": "t", "answer": "•••", "count": 3,
    }  # fmt: skip


def test_that_the_controllers_key_is_in_no_list(server, folder):
    with plain(server, OWN) as http:
        http.post("/v1/chat/completions", json={**CHAT, "messages": ASKED})
    assert audited(folder, 1)[-1]["key_id"] == "controller"
