"""Deeds for 1,000 of 100,000 runs, and all runs as points: how long they take and hold up the controller's loop."""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx

from engine.contract.clock import now
from engine.contract.ids import new_id
from engine.contract.paths import Home
from engine.contract.states import RunState
from engine.control.api.app import make_app
from engine.control.api.context import Context
from engine.control.executors.fake import FakeExecutor
from engine.control.jobs import transitions
from engine.control.jobs.controller import Controller
from engine.control.store import points, runs
from engine.control.store.database import Database, Transaction
from tests.bench import history
from tests.helpers.controller import make_spec

MANY = 1000
TICK_S = 0.001
TOKEN = "ab" * 32


class Pulse:
    """Notes how long the loop was busy at a stretch."""

    def __init__(self) -> None:
        self.longest = 0.0

    async def beat(self) -> None:
        """For ever."""
        while True:
            begin = time.perf_counter()
            await asyncio.sleep(TICK_S)
            self.longest = max(self.longest, time.perf_counter() - begin - TICK_S)


def add(database: Database, folder: Path) -> list[str]:
    """Runs that wait."""
    spec = make_spec(folder, "one of many", tags=["many"])

    def write(transaction: Transaction) -> list[str]:
        made = []
        for _ in range(MANY):
            uid = new_id()
            run_id = runs.insert(transaction, uid, spec, "ann", now())
            transitions.move(transaction, run_id, RunState.QUEUED, actor="bench", at=now())
            made.append(uid)
        return made

    return database.write_now(write)


async def timed(title: str, work: Callable[[], Awaitable[Any]]) -> Any:
    """A line of the table."""
    pulse = Pulse()
    task = asyncio.create_task(pulse.beat())
    await asyncio.sleep(0.05)
    pulse.longest, begin = 0.0, time.perf_counter()
    answer = await work()
    taken = time.perf_counter() - begin
    task.cancel()
    print(f"| {title} | {taken:.2f} | {1000 * pulse.longest:.1f} |", flush=True)
    return answer


async def deeds(home: Home, database: Database, uids: list[str]) -> None:
    """Each through the HTTP interface, without a network."""
    controller = Controller(home, database, FakeExecutor())
    await controller.begin()
    app = make_app(Context(controller, home, "bench", now()), TOKEN)
    headers = {"Authorization": f"Bearer {TOKEN}"}
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:1", headers=headers) as client:

        async def bulk(deed: str, **more: Any) -> None:
            answer = await client.post("/runs/bulk", json={"uids": uids, "deed": deed, **more}, timeout=600)
            assert len(answer.json()["done"]) == MANY, answer.text[:500]

        async def all_gone() -> None:
            while await database.read(lambda c: c.execute("SELECT count(*) FROM run WHERE deleting").fetchone()[0]):
                await asyncio.sleep(0.05)

        print("| what | s | longest stall of the loop, ms |\n|---|---:|---:|")
        await timed("nothing for a second", lambda: asyncio.sleep(1))
        await timed("100 pages of 100, one after another", lambda: _pages(client))
        await timed(f"queue of {MANY:,}", lambda: client.get("/queue"))
        await timed("move in it", lambda: client.post(f"/queue/{uids[-1]}/move", json={"before": uids[0]}))
        await timed(f"tag {MANY:,} runs", lambda: bulk("tag", tags=["x"]))
        await timed(f"priority of {MANY:,}", lambda: bulk("priority", priority=3))
        await timed(f"stop {MANY:,}", lambda: bulk("stop"))
        await timed(f"start {MANY:,}", lambda: bulk("start"))
        await timed(f"delete {MANY:,}", lambda: bulk("delete"))
        await timed("their files and rows", all_gone)
        await timed("all ended runs as points (20,000)", lambda: client.get("/runs/points"))
    await controller.end()


async def _pages(client: httpx.AsyncClient) -> None:
    for number in range(100):
        await client.get(f"/runs?offset={number * 100}")


def main() -> int:
    """The table."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        home = Home(folder / "home")
        home.root.mkdir()
        home.settings_file.write_text(
            json.dumps({"slots": {"gpu": 0}, "worker_python": sys.executable, "keep_days": None})
        )
        database = Database(home.database)
        history.fill(database)
        uids = add(database, folder)
        asyncio.run(deeds(home, database, uids))
        begin = time.process_time()
        text = database.read_now(lambda c: points.points(c))
        print(f"\nPoints: {1000 * (time.process_time() - begin):.0f} ms of processor time, {len(text) / 1e6:.1f} MB.")
        database.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
