"""Listening: from where it goes on after a break, what it tells, and how it ends."""

import threading
from contextlib import contextmanager
from urllib.parse import parse_qs, urlparse

from websockets.sync.server import serve

from engine.client.address import Address
from engine.client.stream import RunStream
from engine.contract.paths import Home
from engine.contract.stream import Hello, RunEvent
from tests.helpers.waiting import wait_until


class Script:
    """A server that greets, sends stored events after the cursor asked for, and hangs up after each round."""

    def __init__(self, *rounds: list[int]) -> None:
        self.rounds = list(rounds)
        self.asked: list[str | None] = []
        self.tokens: list[str] = []
        self.hold = threading.Event()

    def __call__(self, socket):
        since = parse_qs(urlparse(socket.request.path).query).get("since", [None])[0]
        self.asked.append(since)
        self.tokens.append(socket.request.headers["Authorization"])
        socket.send(Hello(version="1", protocol=1, cursor=int(since or 0)).model_dump_json())
        if not self.rounds:
            self.hold.wait(30)
            return
        for cursor in self.rounds.pop(0):
            socket.send(RunEvent(cursor=cursor, at=1, run="u", kind="note").model_dump_json())


@contextmanager
def listening(script, **options):
    told = []
    with serve(script, "127.0.0.1", 0) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        address = Address(server.socket.getsockname()[1], "secret", 1, 1.0, "1", 1)
        stream = RunStream(
            Home.find(),
            locate=lambda: address,
            on_online=lambda: told.append("online"),
            on_offline=lambda reason: told.append("offline"),
            on_gap=lambda: told.append("gap"),
            **options,
        )
        try:
            yield stream, told
        finally:
            stream.close()
            script.hold.set()
            server.shutdown()
            thread.join()


def cursors(stream, count):
    found = []
    for message in stream:
        if message.type == "event":
            found.append(message.cursor)
        if len(found) == count:
            return found
    return found


def test_that_it_goes_on_after_the_last_event_it_saw():
    script = Script([1, 2], [3])
    with listening(script) as (stream, told):
        assert cursors(stream, 3) == [1, 2, 3]
        assert script.asked == [None, "2"]
        assert script.tokens[0] == "Bearer secret"
        assert told == ["online", "offline", "online", "gap"]


def test_that_it_can_begin_at_a_cursor():
    script = Script([8])
    with listening(script, since=7) as (stream, _):
        assert cursors(stream, 1) == [8]
    assert script.asked[0] == "7"


def test_that_a_message_of_a_newer_version_is_passed_over():
    class Newer(Script):
        def __call__(self, socket):
            socket.send('{"type": "hologram"}')
            super().__call__(socket)

    with listening(Newer([1])) as (stream, _):
        assert cursors(stream, 1) == [1]


def test_that_close_ends_an_iteration_that_waits():
    with listening(Script()) as (stream, told):
        done = threading.Event()
        thread = threading.Thread(target=lambda: (list(stream), done.set()))
        thread.start()
        wait_until(lambda: "online" in told)
        stream.close()
        assert done.wait(5)
        thread.join()


def test_that_close_ends_an_iteration_without_a_controller(tmp_path):
    stream, done = RunStream(Home(tmp_path)), threading.Event()
    thread = threading.Thread(target=lambda: (list(stream), done.set()))
    thread.start()
    stream.close()
    assert done.wait(5)
    thread.join()


def test_that_a_closed_stream_stays_closed(tmp_path):
    stream = RunStream(Home(tmp_path))
    stream.close()
    assert list(stream) == []
