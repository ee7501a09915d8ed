"""One deed for many runs: each by itself, with the guards, audit and keys of a single one."""

import asyncio
import json

import pytest

from engine.contract.errors import Conflict, Refused
from engine.contract.listing import BulkRequest
from engine.control.jobs import bulk
from engine.control.jobs.requests import Request
from engine.control.store import audit
from tests.helpers.waiting import eventually


def ask(bench, deed, uids, key=None, **more):
    body = BulkRequest(uids=uids, deed=deed, **more)
    return bench.controller.bulk(body, Request("bulk", key=key, body=body.model_dump_json()))


def codes(result):
    return {one.uid: one.error.code for one in result.refused}


def test_that_each_run_is_stopped_or_refused_by_itself(bench):
    async def main():
        async with bench.running(slots={"gpu": 1}):
            live = await bench.create("live")
            worker = await bench.worker(live)
            waiting, draft = await bench.create("waiting"), await bench.create("draft", start=False)
            result = await ask(bench, "stop", [draft, waiting, "nobody", live, waiting])
            assert result.done == [waiting, live]
            assert [(one.uid, one.name, one.error.code) for one in result.refused] == [
                (draft, "draft", "run.wrong_state"),
                ("nobody", "", "run.unknown"),
            ]
            assert await bench.state(waiting) == "stopped"
            assert (await bench.row(live))["state"] in ("preparing", "running")
            await eventually(lambda: worker.stops)
            written = bench.fetch("SELECT action, target FROM audit WHERE action = 'stop' ORDER BY id")
            assert [tuple(row) for row in written] == [("stop", waiting), ("stop", live)]
            assert bench.fetch("SELECT 1 FROM event WHERE run_id = (SELECT id FROM run WHERE uid = ?) AND kind = "
                               "'stop_asked'", live)  # fmt: skip
            assert bench.database.read_now(audit.verify).broken is None

    asyncio.run(main())


def test_that_a_repeated_request_has_the_first_answer_and_does_nothing(bench):
    async def main():
        async with bench.running(slots={"gpu": 0}):
            uids = [await bench.create(name) for name in "abc"]
            first = await ask(bench, "pause", [*uids, "nobody"], key="k")
            await bench.controller.start(uids[0], Request("start"))
            assert await ask(bench, "pause", [*uids, "nobody"], key="k") == first
            assert await bench.state(uids[0]) == "queued"
            with pytest.raises(Conflict, match="idempotency key"):
                await ask(bench, "pause", uids, key="k")

    asyncio.run(main())


def test_that_a_request_that_broke_off_goes_on_where_it_was(bench, monkeypatch):
    monkeypatch.setattr(bulk, "CHUNK", 2)

    async def main():
        async with bench.running(slots={"gpu": 0}):
            uids = [await bench.create(name) for name in "abcd"]
            body = BulkRequest(uids=uids, deed="priority", priority=3)
            request = Request("bulk", key="k", body=body.model_dump_json())
            await bench.controller._do_each(uids[:2], body, request)  # the controller died after these
            result = await bench.controller.bulk(body, request)
            assert result.done == uids
            assert [row[0] for row in bench.fetch("SELECT priority FROM run")] == [3] * 4
            assert len(bench.fetch("SELECT 1 FROM event WHERE kind = 'edited'")) == 4  # none was done twice

    asyncio.run(main())


def test_that_deleted_runs_are_out_of_sight_at_once_and_gone_soon(bench):
    async def main():
        async with bench.running(slots={"gpu": 1}):
            live = await bench.create("live")
            await bench.worker(live)
            uids = [await bench.create(f"{number}", start=False, tags=["old"]) for number in range(45)]
            folder = bench.home.run(uids[0])
            folder.mkdir(parents=True)
            (folder / "file").write_text("x")
            result = await ask(bench, "delete", [*uids, live], key="k")
            assert (result.done, codes(result)) == (uids, {live: "run.wrong_state"})
            assert [row[0] for row in bench.fetch("SELECT uid FROM run WHERE deleting = 0")] == [live]
            assert bench.fetch("SELECT 1 FROM run_tag") == []
            await eventually(lambda: len(bench.fetch("SELECT 1 FROM run")) == 1)
            assert not folder.exists()
            assert await ask(bench, "delete", [*uids, live], key="k") == result
            assert len(bench.fetch("SELECT 1 FROM event WHERE kind = 'deleted'")) == 45

    asyncio.run(main())


def test_tags_pins_and_priorities(bench):
    async def main():
        async with bench.running(slots={"gpu": 0}):
            one = await bench.create("one", tags=["a"])
            two = await bench.create("two", tags=[f"t{number}" for number in range(50)])
            result = await ask(bench, "tag", [one, two], tags=["b", "a", "b"])
            assert (result.done, codes(result)) == ([one], {two: "request.refused"})
            assert json.loads((await bench.row(one))["tags"]) == ["a", "b"]
            await ask(bench, "untag", [one, two], tags=["a", "t7"])
            assert json.loads((await bench.row(one))["tags"]) == ["b"]
            assert len(json.loads((await bench.row(two))["tags"])) == 49
            await ask(bench, "pin", [one, two])
            assert (await bench.row(one))["pinned"] == 1
            await ask(bench, "unpin", [one])
            assert [row[0] for row in bench.fetch("SELECT pinned FROM run ORDER BY id")] == [0, 1]
            assert codes(await ask(bench, "priority", [one], priority=500)) == {one: "request.refused"}
            await ask(bench, "priority", [two], priority=5)
            assert [row[0] for row in bench.fetch("SELECT priority FROM run ORDER BY id")] == [0, 5]
            with pytest.raises(Refused, match="No tag"):
                await ask(bench, "tag", [one])

    asyncio.run(main())


def test_that_runs_are_started_as_if_one_by_one(bench):
    async def main():
        async with bench.running(slots={"gpu": 0}):
            uids = [await bench.create(name, start=False) for name in "abc"]
            (bench.folder / "rows.jsonl").rename(bench.folder / "elsewhere.jsonl")
            assert set(codes(await ask(bench, "start", uids)).values()) == {"config.refused"}
            (bench.folder / "elsewhere.jsonl").rename(bench.folder / "rows.jsonl")
            assert (await ask(bench, "start", [*uids, "nobody"])).done == uids
            assert [row[0] for row in bench.fetch("SELECT state FROM run")] == ["queued"] * 3

    asyncio.run(main())


def test_that_a_refused_deed_leaves_no_trace_in_a_transaction_with_others(bench):
    async def main():
        async with bench.running(slots={"gpu": 0}):
            uid = await bench.create("one")
            heard = []
            publish, bench.database.on_commit = bench.database.on_commit, heard.extend
            await ask(bench, "priority", ["nobody", uid], key="k", priority=2)
            bench.database.on_commit = publish
            assert [news.run.uid for news in heard] == [uid]
            kept = [
                row[0] for row in bench.fetch("SELECT idempotency FROM command WHERE idempotency LIKE 'k%' ORDER BY id")
            ]
            assert kept == [f"k/{uid}", "k"]

    asyncio.run(main())
