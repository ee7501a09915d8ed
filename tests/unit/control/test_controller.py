"""The controller at work, its workers pretended."""

import asyncio
import errno
import json

import pytest

from engine.contract.api import EditRun, Settings
from engine.contract.errors import Conflict, NotFound, Refused
from engine.control.jobs import commands, watch
from engine.control.jobs.requests import Request
from tests.helpers.controller import make_spec

STARTED = {"kind": "started", "pid": 1}
ENDED = {"kind": "ended", "state": "completed", "reason": "finished"}


def step(n):
    return {"kind": "step", "step": n, "epoch": 1.0, "values": {"loss": 1.0 / n}}


def test_a_run_from_its_order_to_its_end(bench):
    async def main():
        async with bench.running():
            uid = await bench.create()
            worker = await bench.worker(uid)
            order = json.loads(worker.folder.order.read_bytes())
            assert (order["run"], order["attempt"], order["spec"]["name"]) == (uid, 1, "a run")
            worker.play(STARTED, step(1))
            await bench.until(uid, "running")
            worker.play({"kind": "phase", "phase": "saving"}, ENDED)
            await bench.until(uid, "finishing")
            worker.end(0)
            row = await bench.until(uid, "completed")
            assert (row["reason"], row["phase"], row["last_step"]) == ("finished", "done", 1)
            assert bench.fetch("SELECT * FROM device_lease") == []

    asyncio.run(main())


def test_that_a_draft_waits_to_be_started(bench):
    async def main():
        async with bench.running():
            uid = await bench.create(start=False)
            assert await bench.state(uid) == "draft"
            await bench.controller.start(uid, Request("start"))
            await bench.worker(uid)

    asyncio.run(main())


def test_that_a_draft_may_name_files_that_are_not_there_but_not_start(bench):
    async def main():
        async with bench.running():
            spec = make_spec(bench.folder)
            (bench.folder / "rows.jsonl").unlink()
            run = await bench.controller.create(spec, False, Request("create"))
            with pytest.raises(Refused) as refused:
                await bench.controller.start(run.uid, Request("start"))
            assert [problem.code for problem in refused.value.problems] == ["config.path_missing"]
            with pytest.raises(Refused):
                await bench.controller.create(spec, True, Request("create"))
            assert await bench.state(run.uid) == "draft"

    asyncio.run(main())


def test_that_without_a_worker_environment_nothing_starts(bench, monkeypatch):
    monkeypatch.setenv("FORGE_WORKER_PYTHON", "/nowhere/python")

    async def main():
        async with bench.running():
            with pytest.raises(Conflict) as refused:
                await bench.create()
            assert refused.value.code == "worker.no_environment"

    asyncio.run(main())


def test_that_one_slot_runs_one_and_then_the_next(bench):
    async def main():
        async with bench.running():
            first, second = await bench.create("first"), await bench.create("second")
            (await bench.worker(first)).play(STARTED)
            await bench.until(first, "running")
            assert await bench.state(second) == "queued"
            (await bench.worker(first)).end(0)
            await bench.worker(second)

    asyncio.run(main())


def test_that_more_slots_take_effect_at_once(bench):
    async def main():
        async with bench.running():
            uids = [await bench.create(str(n)) for n in range(8)]
            await bench.worker(uids[0])
            await bench.controller.change_settings(Settings(slots={"gpu": 8}), Request("settings"))
            for uid in uids:
                await bench.worker(uid)

    asyncio.run(main())


def test_that_a_waiting_run_is_stopped_at_once(bench):
    async def main():
        async with bench.running():
            first, second = await bench.create(), await bench.create()
            await bench.worker(first)
            assert (await bench.controller.stop(second, True, Request("stop"))).state == "stopped"

    asyncio.run(main())


def test_that_a_live_run_is_asked_to_save_and_stop(bench):
    async def main():
        async with bench.running():
            uid = await bench.create()
            worker = await bench.worker(uid)
            worker.play(STARTED)
            await bench.until(uid, "running")
            await bench.controller.stop(uid, True, Request("stop"))
            while not worker.stops:
                await asyncio.sleep(0.01)
            command = json.loads((worker.folder.control / "stop.json").read_bytes())
            assert command["verb"] == "stop"
            worker.end(77)
            assert (await bench.until(uid, "stopped"))["reason"] == "stopped_by_person"

    asyncio.run(main())


def test_that_a_worker_that_does_not_heed_is_killed(bench):
    async def main():
        async with bench.running(stop_grace_seconds=0):
            uid = await bench.create()
            await bench.worker(uid)
            await bench.controller.stop(uid, True, Request("stop"))
            await bench.until(uid, "stopped")
            notes = bench.fetch("SELECT body FROM event WHERE kind = 'note'")
            assert "run.killed" in notes[0][0]

    asyncio.run(main())


def test_that_a_worker_that_does_not_go_after_its_last_word_is_ended(bench, monkeypatch):
    monkeypatch.setattr(watch, "FAREWELL_S", 0.0)

    async def main():
        async with bench.running():
            uid = await bench.create()
            (await bench.worker(uid)).play(STARTED, ENDED)
            await bench.until(uid, "completed")

    asyncio.run(main())


def test_that_stop_without_saving_sends_no_signal_that_means_save(bench):
    async def main():
        async with bench.running():
            uid = await bench.create()
            worker = await bench.worker(uid)
            await bench.controller.stop(uid, False, Request("stop"))
            while not (worker.folder.control / "stop_without_saving.json").exists():
                await asyncio.sleep(0.01)
            assert worker.stops == 0
            worker.end(1)
            await bench.until(uid, "stopped")

    asyncio.run(main())


def test_that_a_killed_worker_fails_its_run_and_another_start_is_a_new_attempt(bench):
    async def main():
        async with bench.running():
            uid = await bench.create(limits={"retries": 0})
            worker = await bench.worker(uid)
            worker.play(STARTED, step(1))
            worker.end(None, 9)
            row = await bench.until(uid, "failed")
            assert row["reason"] == "worker_killed"
            assert json.loads(row["error"])["params"] == {"signal": 9}
            await bench.controller.start(uid, Request("start"))
            await bench.worker(uid, attempt=2)
            row = await bench.row(uid)
            assert (row["error"], row["reason"], row["finished"]) == (None, None, None)

    asyncio.run(main())


@pytest.mark.parametrize(("code", "reason"), [(errno.ENOSPC, "disk_full"), (errno.EACCES, "start_failed")])
def test_that_a_start_that_fails_fails_the_run_and_frees_the_slot(bench, code, reason):
    async def main():
        async with bench.running():
            bench.executor.refuse = OSError(code, "no")
            uid = await bench.create(limits={"retries": 0})
            assert (await bench.until(uid, "failed"))["reason"] == reason
            bench.executor.refuse = None
            await bench.worker(await bench.create())

    asyncio.run(main())


def test_that_a_live_run_is_not_deleted_and_an_ended_one_leaves_nothing(bench):
    async def main():
        async with bench.running():
            uid = await bench.create()
            worker = await bench.worker(uid)
            worker.play(STARTED, step(1))
            await bench.until(uid, "running")
            with pytest.raises(Conflict):
                await bench.controller.delete(uid, Request("delete"))
            worker.end(0)
            await bench.until(uid, "completed")
            await bench.controller.delete(uid, Request("delete"))
            assert not bench.home.run(uid).exists()
            for table in ("run", "attempt", "member", "tail", "series", "artifact"):
                assert bench.fetch(f"SELECT * FROM {table}") == [], table
            assert [row["kind"] for row in bench.fetch("SELECT kind FROM event")] == ["deleted"]
            with pytest.raises(NotFound):
                await bench.controller.start(uid, Request("start"))

    asyncio.run(main())


def test_that_a_deletion_broken_off_is_finished_by_the_next_controller(bench):
    async def main():
        async with bench.running():
            uid = await bench.create(start=False)
            bench.home.run(uid).mkdir(parents=True)
            bench.database.write_now(lambda t: commands.mark_deleted(t, uid))
        async with bench.running():
            while bench.fetch("SELECT * FROM run"):
                await asyncio.sleep(0.01)
            assert not bench.home.run(uid).exists()

    asyncio.run(main())


def test_that_a_copy_is_a_draft_with_the_same_spec(bench):
    async def main():
        async with bench.running():
            uid = await bench.create(start=False)
            copy = await bench.controller.copy(uid, Request("copy"))
            assert copy.state == "draft"
            assert (await bench.row(copy.uid))["spec_hash"] == (await bench.row(uid))["spec_hash"]

    asyncio.run(main())


def test_that_only_drafts_change_their_spec_and_anything_its_name(bench):
    async def main():
        async with bench.running():
            uid = await bench.create("old name", start=False)
            controller = bench.controller
            run = await controller.edit(uid, EditRun(name="new name", tags=["a"], priority=3), Request("edit"))
            assert (run.name, run.tags, run.priority) == ("new name", ["a"], 3)
            with pytest.raises(Refused):
                await controller.edit(uid, EditRun(name=""), Request("edit"))
            await controller.start(uid, Request("start"))
            await bench.worker(uid)
            with pytest.raises(Conflict):
                await controller.edit(uid, EditRun(spec=make_spec(bench.folder)), Request("edit"))
            assert (await controller.edit(uid, EditRun(name="newer"), Request("edit"))).name == "newer"

    asyncio.run(main())


def test_that_a_repeated_request_is_answered_but_not_done_again(bench):
    async def main():
        async with bench.running():
            first = await bench.create(key="k", start=False)
            assert await bench.create(key="k", start=False) == first
            assert len(bench.fetch("SELECT * FROM run")) == 1
            with pytest.raises(Conflict) as refused:
                await bench.create("another", key="k", start=False)
            assert refused.value.code == "request.key_reused"

    asyncio.run(main())


def test_that_the_next_controller_takes_up_what_runs(bench):
    async def main():
        async with bench.running():
            uid = await bench.create()
            worker = await bench.worker(uid)
            worker.play(STARTED, step(1))
            await bench.until(uid, "running")
        worker.play(step(2), step(3))
        async with bench.running():
            worker.play(step(4), ENDED)
            worker.end(0)
            await bench.until(uid, "completed")
            (series,) = bench.fetch(
                "SELECT n FROM series JOIN metric ON metric.id = metric_id WHERE metric.name = 'loss'"
            )
            assert series["n"] == 4
            assert len(bench.fetch("SELECT * FROM attempt")) == 1

    asyncio.run(main())


def test_that_a_worker_that_ended_meanwhile_is_found_ended(bench):
    async def main():
        async with bench.running():
            uid = await bench.create()
            worker = await bench.worker(uid)
            worker.play(STARTED)
            await bench.until(uid, "running")
        worker.play(step(1), ENDED)
        worker.end(0)
        async with bench.running():
            assert (await bench.until(uid, "completed"))["last_step"] == 1

    asyncio.run(main())


def test_that_a_start_lost_with_the_controller_is_made_again(bench):
    async def main():
        async with bench.running():
            uid = await bench.create()
            await bench.worker(uid)
        bench.executor.workers.clear()  # it never came to life
        async with bench.running():
            await bench.worker(uid)
            causes = [json.loads(row[0]) for row in bench.fetch("SELECT body FROM event WHERE kind = 'state'")]
            assert "run.start_lost" in [(body["error"] or {}).get("code") for body in causes]
            found = bench.fetch("SELECT n, cause, ended, worked_seconds FROM attempt JOIN run ON run.id = run_id")
            assert [tuple(row) for row in found] == [(1, "first", None, 0.0)]  # nothing was done, and it costs nothing

    asyncio.run(main())


def test_that_a_wish_to_stop_survives_the_controller(bench):
    async def main():
        async with bench.running():
            uid = await bench.create()
            worker = await bench.worker(uid)
            bench.database.write_now(lambda t: commands.stop(t, uid, True, "local"))
        async with bench.running():
            while not worker.stops:
                await asyncio.sleep(0.01)
            worker.end(77)
            await bench.until(uid, "stopped")

    asyncio.run(main())
