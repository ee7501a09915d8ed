"""Asking: errors as what they were, repetition only where it is harmless."""

import json
import threading
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from engine.client import launch
from engine.client.address import Address, check_protocol, read_address
from engine.client.client import ControllerClient
from engine.contract.errors import Conflict, NotFound, Problem, Refused, Unreachable, UserError
from engine.contract.paths import Home


@contextmanager
def server(answer):
    """Answers every request with `answer(request)`: (status, body), or hangs up on None."""
    requests = []

    class Handler(BaseHTTPRequestHandler):
        def do(self):
            length = int(self.headers.get("Content-Length", 0))
            requests.append((self.command, self.path, dict(self.headers), self.rfile.read(length)))
            found = answer(len(requests))
            if found is None:
                self.connection.close()
                return
            body = found[1] if isinstance(found[1], bytes) else json.dumps(found[1]).encode()
            self.send_response(found[0])
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = do_DELETE = do  # noqa: N815

        def log_message(self, *_):
            pass

        def finish(self):
            with suppress(OSError, ValueError):
                super().finish()

    http = HTTPServer(("127.0.0.1", 0), Handler)
    http.handle_error = lambda *_: None
    thread = threading.Thread(target=http.serve_forever)
    thread.start()
    try:
        yield Address(http.server_port, "secret", 1, 1.0, "1", 1), requests
    finally:
        http.shutdown()
        thread.join()
        http.server_close()


SUMMARY = {"uid": "u", "name": "n", "project": "p", "owner": "", "kind": "train", "created": 1}
SUMMARY |= {"lane": "gpu", "state": "queued"}


@pytest.mark.parametrize(("status", "kind"), [(404, NotFound), (409, Conflict), (422, Refused), (500, UserError)])
def test_that_errors_arrive_as_what_they_were(tmp_path, status, kind):
    problem = Problem(code="config.choice", field="stage", params={"value": "x", "choices": "sft"})
    body = kind("run.unknown", run="u", problems=[problem]).body().model_dump(mode="json")
    with server(lambda _: (status, body)) as (address, _), ControllerClient(Home(tmp_path), lambda: address) as client:
        with pytest.raises(kind) as raised:
            client.run("u")
        assert type(raised.value) is kind
        assert raised.value.what == "There is no run 'u'."
        assert raised.value.problems == [problem]


def test_that_an_answer_that_is_no_error_of_ours_is_named(tmp_path):
    with (
        server(lambda _: (502, b"<html>")) as (address, _),
        ControllerClient(Home(tmp_path), lambda: address) as client,
    ):
        with pytest.raises(UserError) as raised:
            client.health()
        assert raised.value.code == "controller.strange_answer"


def test_that_a_change_cut_off_is_repeated_under_the_same_key(tmp_path):
    with server(lambda n: None if n == 1 else (200, SUMMARY)) as (address, requests):
        with ControllerClient(Home(tmp_path), lambda: address) as client:
            assert client.start("u").uid == "u"
        keys = [headers["Idempotency-Key"] for _, _, headers, _ in requests]
        assert len(keys) == 2
        assert keys[0] == keys[1]
        assert requests[0][2]["Authorization"] == "Bearer secret"


def test_that_every_change_has_a_key_of_its_own(tmp_path):
    with (
        server(lambda _: (200, SUMMARY)) as (address, requests),
        ControllerClient(Home(tmp_path), lambda: address) as c,
    ):
        c.start("u")
        c.stop("u")
        assert len({headers["Idempotency-Key"] for _, _, headers, _ in requests}) == 2


def test_that_a_question_to_a_helper_is_not_repeated(tmp_path):
    with server(lambda _: None) as (address, requests), ControllerClient(Home(tmp_path), lambda: address) as client:
        with pytest.raises(Unreachable):
            client.query("inspect_model", path="/m")
        assert len(requests) == 1


def test_that_a_controller_that_moved_is_found_again(tmp_path):
    gone = Address(1, "old", 1, 1.0, "1", 1)
    with server(lambda _: (200, SUMMARY)) as (address, _):
        places = [gone, address]
        with ControllerClient(Home(tmp_path), lambda: places.pop(0)) as client:
            assert client.start("u").uid == "u"


def test_that_without_a_controller_it_says_so(tmp_path):
    with ControllerClient(Home(tmp_path)) as client, pytest.raises(Unreachable) as raised:
        client.health()
    assert raised.value.code == "controller.unreachable"


@pytest.mark.parametrize("text", ["", "{", "[]", '{"port": "x"}', "null"])
def test_that_a_half_written_address_is_none(tmp_path, text):
    home = Home(tmp_path)
    home.controller_file.write_text(text)
    home.token_file.write_text("t")
    assert read_address(home) is None


def test_that_another_protocol_is_refused_in_plain_words():
    with pytest.raises(Conflict) as refused:
        check_protocol(99)
    assert "another version" in refused.value.text


def test_that_a_stranger_on_the_old_port_is_not_taken_for_the_controller(tmp_path):
    home = Home(tmp_path)
    with server(lambda _: (200, b"hello")) as (address, _):
        home.token_file.write_text("t")
        home.controller_file.write_text(
            json.dumps({"port": address.port, "pid": 1, "started": 1, "version": "1", "protocol": 1})
        )
        with ControllerClient(home) as client:
            assert not launch.answers(client)


def test_that_a_controller_that_cannot_start_says_why(tmp_path):
    home = Home(tmp_path / "home")
    home.root.mkdir()
    home.database.write_bytes(b"not a database" * 100)
    with pytest.raises(Unreachable) as raised:
        launch.connect(home)
    assert raised.value.code == "controller.not_started"
    assert "cannot be used" in raised.value.why
