"""Going on: which checkpoint, which attempt, how far; pausing; commands during training."""

import asyncio
import json

import pytest

from engine.contract.api import EditRun, ResumeRun, SampleNow
from engine.contract.errors import Conflict, NotFound, Refused
from engine.control.jobs.requests import Request
from engine.control.store import details
from tests.helpers.controller import make_spec

STARTED = {"kind": "started", "pid": 1}
TRAINING = {"kind": "phase", "phase": "training"}
ENDED = {"kind": "ended", "state": "completed", "reason": "finished"}
NO_RETRY = {"retries": 0}


def step(n):
    return {"kind": "step", "step": n, "epoch": n / 10, "values": {"loss": 1.0 / n}}


def saved(attempt, n, **more):
    path = f"checkpoints/a{attempt}-s{n}"
    return {"kind": "checkpoint", "path": path, "step": n, "epoch": n / 10, "cause": "steps", "bytes": 1,
            "sha256": "s", **more}  # fmt: skip


def resumed(attempt, n):
    return {"kind": "resumed", "attempt": attempt, "step": n, "path": f"checkpoints/a{attempt}-s{n}"}


async def run_through(bench, uid, attempt, *lines, code=0):
    """Play one attempt to its end."""
    worker = await bench.worker(uid, attempt)
    worker.play(STARTED, TRAINING, *lines)
    worker.end(code)
    await bench.until(uid, "completed", "failed", "stopped", "paused")
    return worker


async def order(bench, uid, attempt):
    """What a worker finds in its order: attempt and step of each checkpoint, and whether one is required."""
    worker = await bench.worker(uid, attempt)
    content = json.loads(worker.folder.order.read_bytes())
    return [(point["attempt"], point["step"]) for point in content["resume"]], content["resume_required"]


async def look(bench, uid):
    row = await bench.row(uid)
    return await bench.database.read(lambda c: details.detail(c, row["id"]))


async def resume(bench, uid, **body):
    return await bench.controller.resume(uid, ResumeRun(**body), Request("resume"))


def training(bench, **settings):
    job = make_spec(bench.folder).model_dump(mode="json")["job"]
    job["training"] |= settings
    return job


def test_that_checkpoints_are_told_and_those_that_went_are_not(bench):
    async def main():
        async with bench.running():
            uid = await bench.create(limits=NO_RETRY)
            lines = [
                saved(1, 10, validation_loss=2.0, best=True),
                saved(1, 20, validation_loss=1.0, best=True),
                saved(1, 30),
                {"kind": "checkpoint_removed", "path": "checkpoints/a1-s10"},
            ]
            await run_through(bench, uid, 1, step(1), *lines, code=3)
            detail = await look(bench, uid)
            assert [(one.step, one.best, one.name) for one in detail.checkpoints] == [
                (20, True, "a1-s20"),
                (30, False, "a1-s30"),
            ]
            assert detail.artifacts == []

    asyncio.run(main())


def test_that_a_start_after_a_failure_goes_on_from_the_newest(bench):
    async def main():
        async with bench.running():
            uid = await bench.create(limits=NO_RETRY)
            await run_through(bench, uid, 1, step(1), saved(1, 10), saved(1, 20), code=3)
            await bench.controller.start(uid, Request("start"))
            assert await order(bench, uid, 2) == ([(1, 20), (1, 10)], False)
            await run_through(bench, uid, 2, resumed(1, 20), step(21), code=3)
            second = (await look(bench, uid)).attempts[1]
            assert (second.cause, second.resumed_attempt, second.resumed_step, second.first_step) == (
                "resume", 1, 20, 21,
            )  # fmt: skip

    asyncio.run(main())


def test_that_a_branch_that_was_given_up_is_never_taken_up_again(bench):
    async def main():
        async with bench.running():
            uid = await bench.create(limits=NO_RETRY)
            await run_through(bench, uid, 1, step(1), saved(1, 10), saved(1, 20), saved(1, 30), code=3)
            ten = (await look(bench, uid)).checkpoints[0]
            await resume(bench, uid, checkpoint=ten.id)
            assert await order(bench, uid, 2) == ([(1, 10)], True)
            await run_through(bench, uid, 2, resumed(1, 10), step(11), code=3)
            await bench.controller.start(uid, Request("start"))
            assert await order(bench, uid, 3) == ([(1, 10)], False)
            await run_through(bench, uid, 3, resumed(1, 10), step(11), saved(3, 15), code=3)
            await bench.controller.start(uid, Request("start"))
            assert (await order(bench, uid, 4))[0] == [(3, 15), (1, 10)]

    asyncio.run(main())


def test_that_after_starting_over_earlier_checkpoints_are_left_alone(bench):
    async def main():
        async with bench.running():
            uid = await bench.create(limits=NO_RETRY)
            await run_through(bench, uid, 1, step(1), saved(1, 10), code=3)
            await resume(bench, uid, from_start=True)
            assert await order(bench, uid, 2) == ([], False)
            await run_through(bench, uid, 2, step(1), code=3)
            await bench.controller.start(uid, Request("start"))
            assert await order(bench, uid, 3) == ([], False)
            assert [one.cause for one in (await look(bench, uid)).attempts] == ["first", "restart", "resume"]

    asyncio.run(main())


def test_that_a_worker_that_found_no_whole_one_counts_as_started_over(bench):
    async def main():
        async with bench.running():
            uid = await bench.create(limits=NO_RETRY)
            await run_through(bench, uid, 1, step(1), saved(1, 10), code=3)
            await bench.controller.start(uid, Request("start"))
            await run_through(bench, uid, 2, step(1), saved(2, 5), code=3)
            await bench.controller.start(uid, Request("start"))
            assert (await order(bench, uid, 3))[0] == [(2, 5)]

    asyncio.run(main())


def test_that_a_completed_run_is_extended_but_not_repeated_or_shrunk(bench):
    async def main():
        async with bench.running():
            uid = await bench.create(limits=NO_RETRY, job=training(bench, max_steps=20))
            await run_through(bench, uid, 1, step(1), saved(1, 10), saved(1, 20), ENDED)
            for body, kind, code in (
                ({}, Conflict, "run.nothing_to_resume"),
                ({"max_steps": 20}, Conflict, "run.nothing_to_resume"),
                ({"max_steps": 15}, Refused, "run.cannot_shrink"),
                ({"checkpoint": 99}, NotFound, "checkpoint.unknown"),
            ):
                with pytest.raises(kind) as refused:
                    await resume(bench, uid, **body)
                assert refused.value.code == code
            assert await bench.state(uid) == "completed"
            with pytest.raises(Conflict):
                await bench.controller.start(uid, Request("start"))
            await resume(bench, uid, epochs=3)
            assert await order(bench, uid, 2) == ([(1, 20), (1, 10)], True)
            detail = await look(bench, uid)
            assert (detail.spec.job.training.epochs, detail.spec.job.training.max_steps) == (3, None)
            assert detail.attempts[1].cause == "extend"
            first = json.loads(bench.fetch("SELECT spec FROM attempt WHERE n = 1")[0][0])
            assert first["job"]["training"]["max_steps"] == 20

    asyncio.run(main())


def test_that_a_completed_run_goes_on_from_an_earlier_checkpoint(bench):
    async def main():
        async with bench.running():
            uid = await bench.create(job=training(bench, max_steps=20))
            await run_through(bench, uid, 1, step(1), saved(1, 10), saved(1, 20), ENDED)
            await resume(bench, uid, checkpoint=(await look(bench, uid)).checkpoints[0].id)
            assert await order(bench, uid, 2) == ([(1, 10)], True)

    asyncio.run(main())


def test_that_a_waiting_run_pauses_at_once_and_keeps_what_was_chosen(bench):
    async def main():
        async with bench.running():
            uid = await bench.create(limits=NO_RETRY)
            await run_through(bench, uid, 1, step(1), saved(1, 10), saved(1, 20), code=3)
            blocker = await bench.create("blocker")
            await bench.worker(blocker)
            await resume(bench, uid, checkpoint=(await look(bench, uid)).checkpoints[0].id)
            assert (await bench.controller.pause(uid, Request("pause"))).state == "paused"
            (await bench.worker(blocker)).end(0)
            await bench.until(blocker, "completed")
            await bench.controller.start(uid, Request("start"))
            assert await order(bench, uid, 2) == ([(1, 10)], True)

    asyncio.run(main())


def test_that_a_live_run_pauses_without_a_signal_and_frees_its_slot(bench):
    async def main():
        async with bench.running():
            uid, other = await bench.create(), await bench.create("other")
            worker = await bench.worker(uid)
            worker.play(STARTED, TRAINING, step(1))
            await bench.until(uid, "running")
            await bench.controller.pause(uid, Request("pause"))
            while not (worker.folder.control / "pause.json").exists():
                await asyncio.sleep(0.01)
            assert worker.stops == 0
            worker.play(saved(1, 1, cause="pause"), {"kind": "ended", "state": "paused", "reason": "paused_by_person"})
            worker.end(77)
            row = await bench.until(uid, "paused")
            assert (row["reason"], row["error"]) == ("paused_by_person", None)
            await bench.worker(other)
            await resume(bench, uid)
            assert await bench.state(uid) == "queued"

    asyncio.run(main())


def test_that_a_worker_that_takes_long_to_pause_is_not_killed(bench):
    async def main():
        async with bench.running(stop_grace_seconds=0):
            uid = await bench.create()
            worker = await bench.worker(uid)
            await bench.controller.pause(uid, Request("pause"))
            while not bench.fetch("SELECT 1 FROM event WHERE kind = 'note' AND body LIKE '%run.pause_waits%'"):
                await asyncio.sleep(0.01)
            assert worker.exit is None
            await bench.controller.stop(uid, True, Request("stop"))
            with pytest.raises(Conflict):
                await bench.controller.pause(uid, Request("pause"))
            await bench.until(uid, "stopped")

    asyncio.run(main())


def test_that_a_wish_to_pause_survives_the_controller_and_a_lost_start(bench):
    async def main():
        async with bench.running():
            uid = await bench.create()
            await bench.worker(uid)
            await bench.controller.pause(uid, Request("pause"))
        bench.executor.workers.clear()  # it never came to life
        async with bench.running():
            assert await bench.state(uid) == "paused"

    asyncio.run(main())


def test_that_a_choice_holds_when_the_start_was_lost(bench):
    async def main():
        async with bench.running():
            uid = await bench.create(limits=NO_RETRY)
            await run_through(bench, uid, 1, step(1), saved(1, 10), saved(1, 20), code=3)
            await resume(bench, uid, checkpoint=(await look(bench, uid)).checkpoints[0].id)
            await order(bench, uid, 2)
        bench.executor.workers.clear()
        async with bench.running():
            assert await order(bench, uid, 2) == ([(1, 10)], True)  # the same attempt: it never began

    asyncio.run(main())


def test_that_commands_during_training_are_files_written_once_a_key(bench):
    async def main():
        async with bench.running():
            uid = await bench.create()
            worker = await bench.worker(uid)
            with pytest.raises(Conflict):
                await bench.controller.save_now(uid, Request("checkpoint"))
            worker.play(STARTED, TRAINING, step(1))
            while (await bench.row(uid))["phase"] != "training":
                await asyncio.sleep(0.01)
            body = SampleNow(prompts=["Who?"])
            for _ in range(2):
                await bench.controller.sample_now(uid, body, Request("sample", key="k", target=uid))
            await bench.controller.save_now(uid, Request("checkpoint"))
            await bench.controller.save_now(uid, Request("checkpoint"))
            found = [json.loads(path.read_bytes()) for path in sorted(worker.folder.control.iterdir())]
            assert sorted(one["verb"] for one in found) == ["sample", "save", "save"]
            assert next(one for one in found if one["verb"] == "sample")["params"]["prompts"] == ["Who?"]
            worker.play({"kind": "sample", "when": "now", "index": 0, "step": 1, "prompt": "Who?", "answer": "Me."})
            while not (await look(bench, uid)).samples:
                await asyncio.sleep(0.01)

    asyncio.run(main())


def test_that_scores_of_an_earlier_attempt_stay_where_a_later_has_none(bench):
    async def main():
        async with bench.running():
            uid = await bench.create(limits=NO_RETRY)
            before = {"kind": "score", "when": "before", "value": 0.1, "correct": 1, "rows": 10}
            after = {"kind": "score", "when": "after", "value": 0.5, "correct": 5, "rows": 10}
            now = {"kind": "sample", "when": "now", "index": 0, "prompt": "?", "answer": "1"}
            await run_through(bench, uid, 1, before, step(1), now, saved(1, 1), after, code=3)
            await bench.controller.start(uid, Request("start"))
            await run_through(
                bench, uid, 2, resumed(1, 1), step(2), now | {"answer": "2"}, after | {"value": 0.9}, ENDED
            )
            detail = await look(bench, uid)
            assert [(one.when, one.value) for one in detail.scores] == [("before", 0.1), ("after", 0.9)]
            assert [one.answer for one in detail.samples] == ["1", "2"]

    asyncio.run(main())


def test_that_a_checkpoint_is_deleted_only_while_nobody_works(bench):
    async def main():
        async with bench.running():
            uid = await bench.create(limits=NO_RETRY)
            worker = await bench.worker(uid)
            place = bench.home.run(uid) / "checkpoints" / "a1-s10"
            place.mkdir(parents=True)
            worker.play(STARTED, TRAINING, step(1), saved(1, 10))
            while not (await look(bench, uid)).checkpoints:
                await asyncio.sleep(0.01)
            one = (await look(bench, uid)).checkpoints[0]
            with pytest.raises(Conflict):
                await bench.controller.delete_checkpoint(uid, one.id, Request("delete_checkpoint"))
            worker.end(3)
            await bench.until(uid, "failed")
            for _ in range(2):
                await bench.controller.delete_checkpoint(uid, one.id, Request("delete_checkpoint", key="k"))
            assert not place.exists()
            assert (await look(bench, uid)).checkpoints == []

    asyncio.run(main())


def test_that_a_checkpoint_that_is_kept_keeps_the_files_of_its_run(bench):
    async def main():
        async with bench.running():
            uid = await bench.create(limits=NO_RETRY)
            worker = await bench.worker(uid)
            worker.play(STARTED, TRAINING, step(1), saved(1, 10))
            while not (await look(bench, uid)).checkpoints:
                await asyncio.sleep(0.01)
            one = (await look(bench, uid)).checkpoints[0]
            mark = bench.home.kept(uid) / "a1-s10"
            controller = bench.controller
            await controller.keep_checkpoint(uid, one.id, True, Request("keep_checkpoint"))
            assert (await look(bench, uid)).checkpoints[0].kept
            assert mark.exists()
            with pytest.raises(NotFound):
                await controller.keep_checkpoint(uid, 99, True, Request("keep_checkpoint"))
            worker.end(3)
            await bench.until(uid, "failed")
            controller.retention.plan(0.0)
            assert (controller.retention.due(), (await look(bench, uid)).run.expires) == ([], None)
            await controller.keep_checkpoint(uid, one.id, False, Request("keep_checkpoint"))
            assert not (await look(bench, uid)).checkpoints[0].kept
            assert not mark.exists()
            controller.retention.plan(0.0)
            assert controller.retention.due() == [uid]

    asyncio.run(main())


def test_that_a_run_is_pinned(bench):
    async def main():
        async with bench.running():
            uid = await bench.create(start=False)
            assert (await bench.controller.edit(uid, EditRun(pinned=True), Request("edit"))).pinned
            assert not (await bench.controller.edit(uid, EditRun(pinned=False), Request("edit"))).pinned

    asyncio.run(main())
