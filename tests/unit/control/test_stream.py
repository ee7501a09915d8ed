"""The WebSocket: what a client gets that reads slowly, leaves, or is there when the controller ends."""

import asyncio
import json

import pytest

from engine.contract.stream import RunEvent
from engine.control.api.app import make_app
from engine.control.api.context import Context
from engine.control.jobs import news
from tests.helpers.waiting import PATIENCE_S

TOKEN = "ab" * 32


class Client:
    """The other end of an ASGI WebSocket; reads only while `reading` is set."""

    def __init__(self, bench) -> None:
        self.bench = bench
        self.got: list[dict] = []
        self.closed: int | None = None
        self.reading = asyncio.Event()
        self.reading.set()
        self.left = asyncio.Event()
        self._connected = False

    async def receive(self):
        if not self._connected:
            self._connected = True
            return {"type": "websocket.connect"}
        await self.left.wait()
        return {"type": "websocket.disconnect", "code": 1000}

    async def send(self, message):
        await self.reading.wait()
        if message["type"] == "websocket.send":
            self.got.append(json.loads(message["text"]))
        elif message["type"] == "websocket.close":
            self.closed = message["code"]

    def connect(self, query=b""):
        app = make_app(Context(self.bench.controller, self.bench.home, "1", 1.0), TOKEN)
        scope = {
            "type": "websocket", "path": "/stream", "raw_path": b"/stream", "query_string": query, "root_path": "",
            "headers": [(b"host", b"127.0.0.1:1"), (b"authorization", f"Bearer {TOKEN}".encode())],
            "scheme": "ws", "subprotocols": [], "extensions": {},
            "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 1),
        }  # fmt: skip
        return asyncio.create_task(app(scope, self.receive, self.send))

    async def until(self, condition):
        for _ in range(1000):
            if condition():
                return
            await asyncio.sleep(0.01)
        raise AssertionError(self.got[-3:])


def events(first, last):
    return [RunEvent(cursor=cursor, at=1, run="u", kind="note") for cursor in range(first, last)]


def test_that_a_slow_client_is_cut_off_instead_of_filling_the_memory(bench, monkeypatch):
    monkeypatch.setattr(news, "MAX_STORED", 50)

    async def main():
        async with bench.running():
            client = Client(bench)
            serving = client.connect()
            await client.until(lambda: client.got)
            client.reading.clear()
            bench.controller.hub.publish(events(1, 11))
            await asyncio.sleep(0)
            bench.controller.hub.publish(events(11, 200))
            client.reading.set()
            await asyncio.wait_for(serving, PATIENCE_S)
            assert client.closed == 1013
            assert len(client.got) < 60
            assert len(bench.controller.hub) == 0

    asyncio.run(main())


def test_that_a_client_that_leaves_is_forgotten(bench):
    async def main():
        async with bench.running():
            client = Client(bench)
            serving = client.connect()
            await client.until(lambda: client.got)
            assert len(bench.controller.hub) == 1
            client.left.set()
            await asyncio.wait_for(serving, PATIENCE_S)
            assert len(bench.controller.hub) == 0

    asyncio.run(main())


def test_that_the_end_of_the_controller_ends_the_stream(bench):
    async def main():
        async with bench.running():
            client = Client(bench)
            serving = client.connect()
            await client.until(lambda: client.got)
            bench.controller.hub.close()
            await asyncio.wait_for(serving, PATIENCE_S)
            assert client.closed == 1001

    asyncio.run(main())


@pytest.mark.parametrize(("query", "first"), [(b"since=0", 1), (b"since=1", 2), (b"since=99", 3)])
def test_that_stored_events_come_once_and_in_order(bench, query, first):
    async def main():
        async with bench.running():
            for _ in range(2):
                await bench.create(start=False)
            client = Client(bench)
            serving = client.connect(query)
            await client.until(lambda: client.got)
            await bench.create(start=False)
            await client.until(lambda: client.got[-1].get("cursor") == 3)
            cursors = [message["cursor"] for message in client.got if message["type"] == "run"]
            assert cursors == list(range(first, 4))
            client.left.set()
            await serving

    asyncio.run(main())


def test_that_a_burst_comes_in_few_pushes(bench):
    async def main():
        async with bench.running():
            client = Client(bench)
            serving = client.connect()
            await client.until(lambda: client.got)
            uid = await bench.create()
            worker = await bench.worker(uid)
            lines = [{"kind": "step", "step": n, "epoch": 1.0, "values": {"loss": 1.0}} for n in range(1, 501)]
            worker.play({"kind": "started", "pid": 1}, *lines)
            await client.until(lambda: sum(len(p) for m in client.got for p in m.get("points", {}).values()) >= 1000)
            assert len([m for m in client.got if m["type"] == "points"]) < 30
            client.left.set()
            await serving

    asyncio.run(main())
