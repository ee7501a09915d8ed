"""Going on by itself: which failures, how often, how long between, and when the count begins anew."""

import asyncio
import json
import time

import pytest

from engine.contract.clock import now
from engine.control.jobs import retry
from engine.control.jobs.queue import waiting
from engine.control.jobs.requests import Request
from tests.helpers.controller import Bench

STARTED = {"kind": "started", "pid": 1}
LONG = 1000.0


def step(n):
    return {"kind": "step", "step": n, "epoch": n / 10, "values": {"loss": 1.0 / n}}


def saved(attempt, n):
    path = f"checkpoints/a{attempt}-s{n}"
    return {"kind": "checkpoint", "path": path, "step": n, "epoch": 1, "cause": "steps", "bytes": 1, "sha256": "s"}


async def die(bench: Bench, uid, attempt, *lines):
    worker = await bench.worker(uid, attempt)
    worker.play(STARTED, *lines)
    worker.end(None, 9)


def notes(bench):
    found = [json.loads(row[0]) for row in bench.fetch("SELECT body FROM event WHERE kind = 'note' ORDER BY cursor")]
    return [body["params"] for body in found if body["code"] == "run.retry"]


def test_that_a_killed_run_waits_in_sight_of_its_error_and_then_goes_on(bench):
    async def main():
        async with bench.running(retry_seconds=LONG):
            uid = await bench.create()
            await die(bench, uid, 1, step(1), saved(1, 1))
            row = await bench.until(uid, "queued")
            assert (row["reason"], json.loads(row["error"])["code"], row["retries"]) == (
                "worker_killed", "worker.killed", 1,
            )  # fmt: skip
            assert LONG - 60 < row["retry_at"] - now() <= LONG
            assert notes(bench)[0]["number"] == 1
            assert await bench.database.read(waiting) == 1
            assert bench.fetch("SELECT * FROM device_lease") == []
            await bench.controller.start(uid, Request("start"))  # a person need not wait
            worker = await bench.worker(uid, 2)
            assert json.loads(worker.folder.order.read_bytes())["resume"][0]["step"] == 1
            row = await bench.row(uid)
            assert (row["error"], row["retries"], row["retry_at"]) == (None, 0, None)

    asyncio.run(main())


def test_that_the_count_ends_in_failure_and_a_person_begins_it_anew(bench):
    async def main():
        async with bench.running(retry_seconds=0):
            uid = await bench.create(limits={"retries": 2})
            for attempt in (1, 2, 3):
                await die(bench, uid, attempt, step(1))
            row = await bench.until(uid, "failed")
            error = json.loads(row["error"])
            assert (row["reason"], error["code"], error["params"]["number"]) == (
                "worker_killed", "run.retries_used_up", 3,
            )  # fmt: skip
            assert "signal 9" in error["why"]
            await bench.controller.start(uid, Request("start"))
            await die(bench, uid, 4, step(1))
            await bench.worker(uid, 5)

    asyncio.run(main())


def test_that_a_new_checkpoint_begins_the_count_anew_and_steps_alone_do_not(bench):
    async def main():
        async with bench.running(retry_seconds=0):
            uid = await bench.create(limits={"retries": 1})
            for attempt in (1, 2, 3, 4):
                point = {"kind": "resumed", "attempt": attempt - 1, "step": attempt - 1,
                         "path": f"checkpoints/a{attempt - 1}-s{attempt - 1}"}  # fmt: skip
                lines = [point] if attempt > 1 else []
                await die(bench, uid, attempt, *lines, step(attempt), saved(attempt, attempt))
            await die(bench, uid, 5, step(9))
            assert (await bench.until(uid, "failed"))["attempt"] == 5

    asyncio.run(main())


@pytest.mark.parametrize(
    ("word", "code"),
    [
        ({"state": "failed", "reason": "out_of_memory"}, 1),
        ({"state": "failed", "reason": "bad_data"}, 1),
        ({"state": "failed", "reason": "loss_not_finite"}, 1),
        (None, 3),
    ],
)
def test_that_a_run_fails_at_once_by_its_own_fault(bench, word, code):
    async def main():
        async with bench.running(retry_seconds=0):
            uid = await bench.create(limits={"out_of_memory": "never"})
            worker = await bench.worker(uid)
            worker.play(STARTED, *([{"kind": "ended", **word}] if word else []))
            worker.end(code)
            assert (await bench.until(uid, "failed"))["attempt"] == 1

    asyncio.run(main())


def test_that_an_interrupted_run_goes_on_or_is_stopped_where_retries_are_off(bench):
    async def main():
        async with bench.running(retry_seconds=0, slots={"gpu": 2}):
            uids = [await bench.create(), await bench.create("off", limits={"retries": 0})]
            for uid in uids:
                worker = await bench.worker(uid)
                worker.play(STARTED, {"kind": "ended", "state": "stopped", "reason": "interrupted", "step": 3})
                worker.end(77)
            await bench.worker(uids[0], 2)
            assert (await bench.until(uids[1], "stopped"))["reason"] == "interrupted"

    asyncio.run(main())


def test_that_a_start_refused_by_the_system_is_tried_again(bench):
    async def main():
        async with bench.running(retry_seconds=0.05):
            bench.executor.refuse = OSError(11, "busy")
            uid = await bench.create(limits={"retries": 100})
            while (await bench.row(uid))["attempt"] < 2:
                await asyncio.sleep(0.01)
            bench.executor.refuse = None
            while not bench.executor.workers:
                await asyncio.sleep(0.01)

    asyncio.run(main())


def test_that_a_waiting_retry_is_stopped_and_paused_like_any_waiting_run(bench):
    async def main():
        async with bench.running(retry_seconds=LONG):
            uid = await bench.create()
            await die(bench, uid, 1, step(1))
            await bench.until(uid, "queued")
            assert (await bench.controller.pause(uid, Request("pause"))).retry_at is None
            assert await bench.state(uid) == "paused"

    asyncio.run(main())


def test_that_a_retry_that_waits_does_not_hold_up_the_others(bench):
    async def main():
        async with bench.running(retry_seconds=LONG):
            uid = await bench.create()
            await die(bench, uid, 1, step(1))
            await bench.until(uid, "queued")
            await bench.worker(await bench.create("another"))

    asyncio.run(main())


def test_that_a_retry_is_due_also_for_the_next_controller(bench):
    async def main():
        async with bench.running(retry_seconds=LONG):
            uid = await bench.create()
            await die(bench, uid, 1, step(1))
            await bench.until(uid, "queued")
            bench.database.write_now(lambda t: t.execute("UPDATE run SET retry_at = ?", (time.time() - 1,)))
        async with bench.running():
            await bench.worker(uid, 2)

    asyncio.run(main())


def test_that_a_clock_set_back_makes_nobody_wait_longer_than_the_back_off(bench):
    async def main():
        async with bench.running(retry_seconds=LONG):
            uid = await bench.create()
            await die(bench, uid, 1, step(1))
            await bench.until(uid, "queued")
            bench.database.write_now(lambda t: t.execute("UPDATE run SET retry_at = ?", (time.time() + 1e7,)))
            wait = await asyncio.to_thread(retry.Alarm().ring, bench.database, 40.0)
            assert 0 < wait <= 40.001  # the clock is a float
            alarm = retry.Alarm()
            assert await asyncio.to_thread(alarm.ring, bench.database, 0.0) is None
            assert (await bench.row(uid))["retry_at"] is None

    asyncio.run(main())


def test_the_waits():
    assert [retry.back_off(10, n) for n in (1, 2, 3, 20, 10_000)] == [10, 20, 40, 3600, 3600]
