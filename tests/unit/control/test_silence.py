"""Workers that say nothing: remarked on, ended when they hang, and never for time nobody was awake."""

import asyncio
import json

from engine.control.jobs import silence, watch
from engine.control.jobs.silence import Silence

STARTED = {"kind": "started", "pid": 1}


def codes(bench):
    rows = bench.fetch("SELECT body FROM event WHERE kind = 'note' ORDER BY cursor")
    return [json.loads(row[0])["code"] for row in rows]


def test_that_a_silent_worker_is_marked_until_it_speaks(bench, monkeypatch):
    monkeypatch.setattr(watch, "SILENT_AFTER_S", 0.3)

    async def main():
        async with bench.running():
            uid = await bench.create()
            worker = await bench.worker(uid)
            worker.play(STARTED)
            while (await bench.row(uid))["mark"] != "not_responding":
                await asyncio.sleep(0.01)
            assert await bench.state(uid) == "running"
            worker.play({"kind": "device", "values": {"cpu.utilisation": 1.0}})
            while (await bench.row(uid))["mark"] is not None:
                await asyncio.sleep(0.01)
            assert codes(bench)[:2] == ["run.not_responding", "run.responding"]

    asyncio.run(main())


def test_that_a_log_that_grows_is_a_sign_of_life_too(bench, monkeypatch):
    monkeypatch.setattr(watch, "SILENT_AFTER_S", 0.3)

    async def main():
        async with bench.running():
            uid = await bench.create()
            worker = await bench.worker(uid)
            while (await bench.row(uid))["mark"] is None:
                await asyncio.sleep(0.01)
            worker.folder.log.write_text("still here\n")
            while (await bench.row(uid))["mark"] is not None:
                await asyncio.sleep(0.01)

    asyncio.run(main())


def test_that_a_worker_that_hangs_is_ended_and_its_run_goes_on(bench):
    async def main():
        async with bench.running(retry_seconds=0):
            uid = await bench.create(limits={"hang_minutes": 0.005, "retries": 1})
            (await bench.worker(uid)).play(STARTED)
            (await bench.worker(uid, 2)).play(STARTED)
            row = await bench.until(uid, "failed")
            assert (row["reason"], json.loads(row["error"])["code"]) == ("hang", "run.retries_used_up")
            reasons = [row[0] for row in bench.fetch("SELECT reason FROM attempt ORDER BY n")]
            assert reasons == ["hang", "hang"]

    asyncio.run(main())


def test_that_a_worker_held_still_by_somebody_is_marked_but_not_ended(bench, monkeypatch):
    monkeypatch.setattr(watch, "SILENT_AFTER_S", 0.1)

    async def main():
        async with bench.running():
            uid = await bench.create(limits={"hang_minutes": 0.005})
            worker = await bench.worker(uid)
            worker.frozen = True
            worker.play(STARTED)
            while (await bench.row(uid))["mark"] is None:
                await asyncio.sleep(0.01)
            one = next(iter(bench.controller._watches.values()))
            while one._silence.seconds < 0.3:
                await asyncio.sleep(0.01)
            for _ in range(5):  # five more looks
                seen = one._silence._last
                while one._silence._last == seen:
                    await asyncio.sleep(0.01)
            assert worker.exit is None
            worker.frozen = False
            await bench.until(uid, "queued")

    asyncio.run(main())


def test_that_time_nobody_was_awake_does_not_count(monkeypatch):
    clock = [100.0]
    monkeypatch.setattr(silence.time, "monotonic", lambda: clock[0])
    one = Silence()
    for _ in range(10):
        clock[0] += 0.1
        one.look(False)
    clock[0] += 100_000  # the computer slept
    assert one.look(False) <= 1 + silence.COUNTS_AT_MOST_S + 0.01
    assert one.look(True) == 0
