"""Files of ended runs: announced, results kept and verified, gone; and deleting, which leaves nothing."""

import asyncio
import dataclasses
import json
import shutil
import sqlite3
import time

import pytest

from engine.contract.api import EditRun, Settings
from engine.contract.errors import Conflict
from engine.control.jobs.library import fingerprint
from engine.control.jobs.requests import Request
from engine.control.jobs.retention import DAY_S
from engine.control.store import artifacts

STARTED = {"kind": "started", "pid": 1}


def step(n):
    return {"kind": "step", "step": n, "epoch": n / 10, "values": {"loss": 1.0 / n}}


async def ended(bench, name="a run", damaged=False):
    """A run that left an adapter, answers, a checkpoint and a log."""
    uid = await bench.create(name)
    worker = await bench.worker(uid)
    adapter = worker.folder.outputs / "adapter"
    adapter.mkdir()
    (adapter / "weights").write_bytes(b"w" * 5000)
    (adapter / "config.json").write_text("{}")
    answers = worker.folder.outputs / "answers.jsonl"
    answers.write_text("{}\n")
    place = worker.folder.checkpoints / "a1-s1"
    place.mkdir(parents=True)
    (place / "manifest.json").write_text("{}")
    (worker.folder.checkpoints / ".a1-s2.partial").mkdir()
    worker.folder.log.write_text("it worked\n")
    sha = "0" * 64 if damaged else fingerprint(adapter)
    worker.play(
        STARTED,
        step(1),
        {"kind": "checkpoint", "path": "checkpoints/a1-s1", "step": 1, "epoch": 1, "cause": "end", "bytes": 2,
         "sha256": "s"},
        {"kind": "artifact", "artifact": "adapter", "path": "outputs/adapter", "sha256": sha, "bytes": 5002},
        {"kind": "artifact", "artifact": "answers", "path": "outputs/answers.jsonl", "sha256": fingerprint(answers)},
        {"kind": "ended", "state": "completed", "reason": "finished"},
    )  # fmt: skip
    worker.end(0)
    await bench.until(uid, "completed")
    return uid


async def until(bench, uid, column):
    for _ in range(1000):
        row = await bench.row(uid)
        if row[column] is not None:
            return row
        await asyncio.sleep(0.01)
    raise AssertionError(f"{column} stays empty")


def codes(bench):
    rows = bench.fetch("SELECT body FROM event WHERE kind = 'note' ORDER BY cursor")
    return [json.loads(row[0])["code"] for row in rows]


def test_that_files_go_when_their_time_has_come_and_results_stay(bench):
    async def main():
        async with bench.running(keep_days=0):
            uid = await ended(bench)
            await until(bench, uid, "cleaned")
            while bench.home.run(uid).exists():
                await asyncio.sleep(0.01)
            assert codes(bench) == ["run.files_expire", "run.files_gone"]
            kept = bench.home.library / uid
            assert sorted(path.name for path in kept.iterdir()) == [
                "1-adapter", "1-answers.jsonl", "config.yaml", "worker.log",
            ]  # fmt: skip
            found = bench.database.read_now(lambda c: artifacts.of_run(c, 1))
            assert [one.kind for one in found] == ["adapter", "answers"]
            for one in found:
                root, relative = one.place(bench.home, uid)
                assert fingerprint(root / relative) == one.sha256
            assert len(bench.fetch("SELECT * FROM series")) > 0
            await bench.controller.start(await bench.create("next", start=False), Request("start"))

    asyncio.run(main())


def test_that_it_is_told_once_however_many_look_at_the_same_moment(bench):
    async def main():
        async with bench.running(keep_days=7):
            uid = await ended(bench)
            await until(bench, uid, "expires")
            keeper = dataclasses.replace(bench.controller.retention)
            bench.controller.retention.due = list
            bench.database.write_now(lambda t: t.execute("UPDATE run SET expires = ?", (time.time() - 5,)))
            seen = keeper._until(time.time(), announced=False)
            for row in (*seen, *seen):
                keeper._announce(row, 7)
            assert codes(bench) == ["run.files_expire"]

    asyncio.run(main())


def test_that_a_date_is_set_at_the_end_and_told_a_day_before(bench):
    async def main():
        async with bench.running(keep_days=7):
            uid = await ended(bench)
            row = await until(bench, uid, "expires")
            assert abs(row["expires"] - row["finished"] - 7 * DAY_S) < 1
            assert codes(bench) == []
            keeper = dataclasses.replace(bench.controller.retention)
            bench.controller.retention.due = list  # the controller looks, too: it must not clean what is tried here
            bench.database.write_now(lambda t: t.execute("UPDATE run SET expires = ?", (time.time() - 5,)))
            keeper.plan(7)
            assert codes(bench) == ["run.files_expire"]
            assert keeper.due() == []
            assert (await bench.row(uid))["expires"] > time.time() + DAY_S - 60  # the whole notice
            bench.database.write_now(lambda t: t.execute("UPDATE run SET expires = ?", (time.time() - 5,)))
            assert keeper.due() == [uid]
            keeper.plan(7)
            assert codes(bench) == ["run.files_expire"]

    asyncio.run(main())


def test_that_pinned_runs_and_runs_of_a_careful_person_keep_their_files(bench):
    async def main():
        async with bench.running(keep_days=None):
            uid = await ended(bench)
            await bench.controller.edit(uid, EditRun(pinned=True), Request("edit"))
            await bench.controller.change_settings(Settings(keep_days=0), Request("settings"))
            other = await ended(bench, "other")
            await until(bench, other, "cleaned")
            row = await bench.row(uid)
            assert (row["expires"], row["cleaned"]) == (None, None)
            await bench.controller.edit(uid, EditRun(pinned=False), Request("edit"))
            await until(bench, uid, "cleaned")

    asyncio.run(main())


@pytest.mark.parametrize("how", ["damaged", "missing"])
def test_that_nothing_goes_where_a_result_cannot_be_kept_whole(bench, how):
    async def main():
        async with bench.running(keep_days=None):
            uid = await ended(bench, damaged=how == "damaged")
            if how == "missing":
                shutil.rmtree(bench.home.attempt(uid, 1).outputs / "adapter")
            with pytest.raises(Conflict) as refused:
                await bench.controller.delete_files(uid, Request("clean"))
            assert refused.value.code == "run.files_kept"
            assert (bench.home.run(uid) / "checkpoints" / "a1-s1").exists()
            assert (await bench.row(uid))["cleaned"] is None
            assert codes(bench) == ["run.files_kept"]
            assert [path for path in (bench.home.library / uid).iterdir() if path.name.startswith(".")] == []

    asyncio.run(main())


def test_that_files_go_at_once_when_asked_and_only_of_ended_runs(bench):
    async def main():
        async with bench.running(keep_days=None):
            uid = await ended(bench)
            for _ in range(2):
                summary = await bench.controller.delete_files(uid, Request("clean", key="k"))
                assert summary.cleaned
            assert not bench.home.run(uid).exists()
            await bench.controller.start((second := await bench.create("live", start=False)), Request("start"))
            await bench.worker(second)
            with pytest.raises(Conflict):
                await bench.controller.delete_files(second, Request("clean"))

    asyncio.run(main())


def test_that_a_cleaned_run_starts_over_and_has_files_again(bench):
    async def main():
        async with bench.running(keep_days=None):
            uid = await ended(bench)
            bench.database.write_now(lambda t: t.execute("UPDATE run SET state = 'stopped'"))
            await bench.controller.delete_files(uid, Request("clean"))
            await bench.controller.start(uid, Request("start"))
            worker = await bench.worker(uid, 2)
            assert json.loads(worker.folder.order.read_bytes())["resume"] == []
            assert (await bench.row(uid))["cleaned"] is None

    asyncio.run(main())


def test_that_a_folder_left_by_a_crash_goes_with_the_next_controller(bench):
    async def main():
        async with bench.running(keep_days=None):
            uid = await ended(bench)
            bench.database.write_now(lambda t: t.execute("UPDATE run SET cleaned = 1"))
            other = await ended(bench, "other")
            (bench.home.runs / ".gone-x").mkdir()
        async with bench.running():
            assert [path.name for path in bench.home.runs.iterdir()] == [other]
            assert not bench.home.run(uid).exists()

    asyncio.run(main())


def test_that_half_made_checkpoints_go_with_their_attempt(bench):
    async def main():
        async with bench.running(keep_days=None):
            uid = await ended(bench)
            assert [path.name for path in (bench.home.run(uid) / "checkpoints").iterdir()] == ["a1-s1"]

    asyncio.run(main())


def counts(bench):
    """Rows by table, but for names of metrics and the audit, which only ever grow."""
    connection = sqlite3.connect(bench.home.database)
    names = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    shown = {name for name in names if not name.startswith(("sqlite_", "metric", "audit"))}
    found = {name: connection.execute(f"SELECT count(*) FROM {name}").fetchone()[0] for name in shown}
    found["run_count"] = connection.execute("SELECT sum(n) FROM run_count").fetchone()[0]  # zeros may stay
    connection.close()
    return found


def tree(bench):
    return {path for path in bench.home.root.rglob("*") if not path.name.startswith("history.sqlite3")}


def test_that_deleting_leaves_nothing_behind(bench):
    async def main():
        async with bench.running(keep_days=None):
            await ended(bench, "stays")
            (bench.home.library).mkdir(exist_ok=True)
            before, files = counts(bench), tree(bench)
            uid = await ended(bench, "unmistakable")
            await bench.controller.delete_files(uid, Request("clean", key="c"))
            bench.database.write_now(lambda t: t.execute("UPDATE run SET state = 'stopped' WHERE uid = ?", (uid,)))
            await bench.controller.start(uid, Request("start", key="s", target=uid))
            worker = await bench.worker(uid, 2)
            worker.play(STARTED, step(1))
            worker.end(3)
            await bench.until(uid, "failed")
            await bench.controller.delete(uid, Request("delete", key="d", target=uid))
            after = counts(bench)
            assert after.pop("event") - before.pop("event") == 1  # that it was deleted
            assert after.pop("command") - before.pop("command") == 1  # the deletion, which may be asked for again
            assert after == before
            assert tree(bench) == files
            connection = sqlite3.connect(bench.home.database)
            dump = "\n".join(line for line in connection.iterdump() if "unmistakable" in line and '"audit"' not in line)
            connection.close()
            assert dump == ""
            await bench.controller.delete(uid, Request("delete", key="d", target=uid))

    asyncio.run(main())
