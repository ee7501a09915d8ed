"""What is shared by all links, at an engine that says what a test wants."""

from __future__ import annotations

import json
import socketserver
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any, ClassVar

import pytest

from engine.contract.errors import Unreachable
from engine.control.executors.docker.local import LocalLink


class Said:
    """What the engine answers next, and what it was asked."""

    version: ClassVar[dict[str, Any]] = {}
    asked: ClassVar[list[str]] = []
    drop: ClassVar[int] = 0
    """So many requests are taken, and the connection closed without an answer."""
    body: ClassVar[bytes | None] = None


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def _answer(self) -> None:
        Said.asked.append(f"{self.command} {self.path}")
        if Said.drop > 0:
            Said.drop -= 1
            self.close_connection = True
            return
        body = Said.body if Said.body is not None else json.dumps(Said.version).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = _answer  # noqa: N815 - http.server's names

    def address_string(self) -> str:
        return "unix"

    def log_message(self, *_args: Any) -> None:
        """Quiet."""


class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True


@pytest.fixture
def link(tmp_path: Path) -> Iterator[LocalLink]:
    Said.version, Said.asked, Said.drop, Said.body = {"ApiVersion": "1.43", "MinAPIVersion": "1.24"}, [], 0, None
    server = Server(str(tmp_path / "s"), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    made = LocalLink("n", str(tmp_path / "s"))
    yield made
    made.close()
    server.shutdown()
    server.server_close()
    thread.join()


def version_used(link: LocalLink) -> str:
    link.ask(lambda api: api.info())
    return Said.asked[-1].split("/")[1]


@pytest.mark.parametrize(
    ("newest", "oldest", "used"),
    [("1.43", "1.24", "v1.43"), ("1.41", "1.12", "v1.41"), ("1.52", "1.44", "v1.45"), ("1.60", "1.50", "v1.50")],
)
def test_that_the_newest_common_version_is_spoken(link, newest, oldest, used):
    Said.version = {"ApiVersion": newest, "MinAPIVersion": oldest}
    assert version_used(link) == used
    assert [line for line in Said.asked if "version" in line] == ["GET /version"]


def test_that_an_engine_that_is_too_old_is_named(link):
    Said.version = {"ApiVersion": "1.40", "Version": "19.03.15"}
    with pytest.raises(Unreachable) as caught:
        link.ask(lambda api: api.info())
    assert caught.value.code == "node.engine_old"
    assert "19.03.15" in caught.value.why


@pytest.mark.parametrize("body", [b"{}", b"<html>hello</html>", b"[]"])
def test_that_something_else_is_no_engine(link, body):
    Said.body = body
    with pytest.raises(Unreachable) as caught:
        link.ask(lambda api: api.info())
    assert caught.value.code == "node.not_docker"


def test_that_after_forgetting_the_engine_may_be_another(link):
    assert version_used(link) == "v1.43"
    Said.version = {"ApiVersion": "1.44", "MinAPIVersion": "1.24"}
    assert version_used(link) == "v1.43"
    link.forget()
    assert version_used(link) == "v1.44"


def test_that_a_question_that_only_reads_is_asked_again_and_a_deed_is_not(link):
    assert version_used(link)
    Said.drop = 1
    assert link.ask(lambda api: api.info())
    Said.asked.clear()
    Said.drop = 1
    with pytest.raises(Unreachable) as caught:
        link.ask(lambda api: api.start("box"))
    assert caught.value.code == "node.broken"
    assert Said.asked == ["POST /v1.43/containers/box/start"]
    Said.asked.clear()
    Said.drop = 5
    with pytest.raises(Unreachable):
        link.ask(lambda api: api.info())
    assert len(Said.asked) == 2
    Said.drop = 0
    assert link.ask(lambda api: api.info())


def test_that_what_work_raises_itself_passes_through(link):
    def work(_api: Any) -> None:
        raise KeyError("mine")

    with pytest.raises(KeyError):
        link.ask(work)
    assert link.ask(lambda api: api.info())
