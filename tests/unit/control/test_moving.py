"""A live run goes to another node and loses nothing; whatever fails, it goes on where it was."""

import asyncio
import contextlib
import json
import sqlite3
import threading
import time

import pytest

from engine.contract.checkpoints import MANIFEST, FileMark, Manifest
from engine.contract.errors import Conflict, NotFound, UserError
from engine.contract.stream import MoveChanged
from engine.control.executors.docker.whole import sha256
from engine.control.jobs import moving
from engine.control.jobs.requests import Request
from engine.control.store import nodes
from tests.helpers.nodes_at_work import ENDED, quick_nodes, step
from tests.helpers.nodes_at_work import STARTED as PLAIN

ENVIRONMENT = {"processor": "p", "torch": "t", "threads": 1}
__all__ = ["quick_nodes"]
STARTED = {**PLAIN, "environment": ENVIRONMENT}
PAUSED = {"kind": "ended", "state": "paused", "reason": "paused_by_person", "step": 3}


@pytest.fixture(autouse=True)
def quick_moves(monkeypatch):
    monkeypatch.setattr(moving, "LOOK_S", 0.01)
    monkeypatch.setattr(moving, "PATIENCE_S", 0.1)


def save_checkpoint(bench, uid, attempt=1, at=3):
    """A checkpoint as a worker makes it; its line of the journal."""
    folder = bench.home.run(uid) / "checkpoints" / f"a{attempt}-s{at}"
    folder.mkdir(parents=True, exist_ok=True)
    state = folder / "state.bin"
    state.write_bytes(b"x" * 1000)
    marks = {state.name: FileMark(bytes=1000, sha256=sha256(state))}
    manifest = Manifest(
        run=uid, attempt=attempt, step=at, epoch=1.0, total_steps=9, cause="move", created=time.time(), files=marks
    )
    (folder / MANIFEST).write_text(manifest.sealed().model_dump_json())
    return {
        "kind": "checkpoint", "path": f"checkpoints/{folder.name}", "step": at, "epoch": 1.0, "bytes": 1000,
        "sha256": sha256(folder / MANIFEST), "cause": "move",
    }  # fmt: skip


class Moves:
    """A run at work on the node `one`, and another node `two`."""

    def __init__(self, bench):
        self.bench = bench

    async def begin(self, **compute):
        bench = self.bench
        self.one, self.two = await bench.add_node("one"), await bench.add_node("two")
        self.stage = bench.places.stage("two")
        self.uid = await bench.create(compute={"node": "one", **compute})
        self.worker = await bench.worker(self.uid)
        self.worker.play(STARTED, step(1), step(2), step(3))
        await bench.until(self.uid, "running")
        return self

    async def move(self, node="two"):
        self.view = await self.bench.controller.move_run(self.uid, node, Request("move"))
        return self.view

    async def asked(self, attempt=1):
        """The worker has the command."""
        path = self.bench.home.attempt(self.uid, attempt).control / "move.json"
        for _ in range(1000):
            if path.exists():
                return json.loads(path.read_text())
            await asyncio.sleep(0.01)
        raise AssertionError("nobody asked it to move")

    def give_way(self):
        """As a worker does that was asked."""
        self.worker.play(save_checkpoint(self.bench, self.uid), PAUSED)
        self.worker.end(77)

    async def until(self, **wanted):
        for _ in range(1000):
            found = {view.uid: view for view in await self.bench.controller.moves()}[self.view.uid]
            if all(getattr(found, name) == value for name, value in wanted.items()):
                return found
            await asyncio.sleep(0.01)
        raise AssertionError(f"{found} is not {wanted}")

    def notes(self):
        rows = self.bench.fetch("SELECT body FROM event WHERE kind = 'note' ORDER BY cursor")
        return [json.loads(row[0])["code"] for row in rows]

    def attempts(self):
        rows = self.bench.fetch(
            "SELECT n, cause, reason, node.name AS node, resumed_from FROM attempt "
            "JOIN member ON member.attempt_id = attempt.id JOIN node ON node.id = node_id ORDER BY n"
        )
        return [(row["n"], row["cause"], row["reason"], row["node"]) for row in rows]

    async def goes_on_at_the_source(self, attempt=2):
        """From the same checkpoint."""
        worker = await self.bench.worker(self.uid, attempt)
        assert str(worker.folder.root) in self.one.workers
        assert [point.step for point in worker.launch.order.resume] == [3]
        row = await self.bench.row(self.uid)
        assert (row["node"], row["state"]) == ("one", "preparing")
        spec = json.loads(self.bench.fetch("SELECT spec FROM run_spec")[0][0])
        assert spec["compute"]["node"] == "one"
        return worker


def test_that_a_run_moves_and_the_source_is_let_go_only_then(bench):
    async def main():
        async with bench.running():
            moves = await Moves(bench).begin()
            view = await moves.move()
            assert (view.source, view.target, view.step) == ("one", "two", "saving")
            assert await moves.asked() == {"id": "move", "verb": "pause", "params": {"cause": "move"}}
            assert moves.stage.made_ready == [moves.uid]  # before the source was asked to stop
            moves.give_way()
            there = await bench.worker(moves.uid, 2)
            assert str(there.folder.root) in moves.two.workers
            assert moves.stage.sent == ["a1-s3"]
            assert [(p.attempt, p.step) for p in there.launch.order.resume] == [(1, 3)]
            assert there.launch.order.resume_required
            assert moves.one.removed == []
            there.play(STARTED, {"kind": "resumed", "attempt": 1, "step": 3, "path": "checkpoints/a1-s3"}, step(4))
            done = await moves.until(state="done")
            assert (done.step, done.train_step, done.bytes, done.bytes_total) == ("done", 3, 1000, 1000)
            assert done.downtime is not None
            assert done.downtime >= 0
            assert done.error is None
            assert moves.one.removed == [moves.uid]
            assert moves.attempts() == [(1, "first", "moved", "one"), (2, "move", None, "two")]
            assert "move.done" in moves.notes()
            assert [tuple(row) for row in bench.fetch("SELECT action, target FROM audit WHERE action = 'move'")] == [
                ("move", moves.uid)
            ]
            row = await bench.row(moves.uid)
            assert (row["node"], row["state"], row["retries"]) == ("two", "running", 0)
            spec = json.loads(bench.fetch("SELECT spec FROM run_spec")[0][0])
            assert spec["compute"]["node"] == "two"
            there.play({"kind": "phase", "phase": "saving"}, ENDED)
            there.end(0)
            await bench.until(moves.uid, "completed")

    asyncio.run(main())


def test_that_every_step_is_told(bench, monkeypatch):
    async def main():
        async with bench.running():
            told = []
            publish = bench.controller.hub.publish
            monkeypatch.setattr(bench.controller.hub, "publish", lambda news: (told.extend(news), publish(news))[1])
            moves = await Moves(bench).begin()
            await moves.move()
            await moves.asked()
            moves.give_way()
            there = await bench.worker(moves.uid, 2)
            there.play(STARTED, step(4))
            await moves.until(state="done")
            steps = list(dict.fromkeys(one.move.step for one in told if isinstance(one, MoveChanged)))
            assert [name for name in steps if name != "stopping"] == [
                "saving", "copying", "verifying", "starting", "releasing", "done",
            ]  # fmt: skip

    asyncio.run(main())


def test_that_the_timeline_says_when_losses_may_differ(bench):
    async def main():
        async with bench.running():
            moves = await Moves(bench).begin()
            await moves.move()
            await moves.asked()
            moves.give_way()
            there = await bench.worker(moves.uid, 2)
            there.play({**STARTED, "environment": {**ENVIRONMENT, "processor": "another"}}, step(4))
            await moves.until(state="done")
            assert "move.done_may_differ" in moves.notes()

    asyncio.run(main())


@pytest.mark.parametrize("where", ["ready", "send", "sums", "damaged"])
def test_that_whatever_fails_on_the_target_costs_nothing(bench, where):
    async def main():
        async with bench.running():
            moves = await Moves(bench).begin()
            if where == "damaged":
                moves.stage.damaged = True
            else:
                moves.stage.failing[where] = UserError("node.disk_full", node="two", detail="no room")
            await moves.move()
            if where == "ready":  # the source has never noticed
                found = await moves.until(state="failed")
                assert moves.attempts() == [(1, "first", None, "one")]
                assert not (bench.home.attempt(moves.uid, 1).control / "move.json").exists()
                assert "move.stayed" in moves.notes()
            else:
                await moves.asked()
                moves.give_way()
                found = await moves.until(state="failed")
                await moves.goes_on_at_the_source()
                assert moves.two.workers == {}
                assert "move.gone_back" in moves.notes()
            assert found.error.code == ("move.differs" if where == "damaged" else "node.disk_full")

    asyncio.run(main())


def test_that_what_a_move_in_vain_laid_on_the_target_is_looked_for_there(bench):
    async def main():
        async with bench.running():
            moves = await Moves(bench).begin()
            moves.stage.failing["send"] = UserError("node.unreachable", node="two", detail="its daemon was killed")
            await moves.move()
            await moves.asked()
            assert not bench.controller._may_go(moves.uid)
            moves.give_way()
            await moves.until(state="failed")
            with contextlib.closing(sqlite3.connect(bench.home.database)) as connection:
                assert set(nodes.with_remains(connection, moves.uid)) >= {"two"}
                assert nodes.kept_days(connection, 0.0) == {moves.uid: 0.0}

    asyncio.run(main())


def test_that_a_start_that_fails_there_sends_it_back(bench):
    async def main():
        async with bench.running():
            moves = await Moves(bench).begin()
            moves.two.faults = UserError("docker.image_missing", node="two", image="i", detail="").body()
            await moves.move()
            await moves.asked()
            moves.give_way()
            found = await moves.until(state="failed")
            assert found.error.code == "docker.image_missing"
            back = await moves.goes_on_at_the_source(3)
            back.play(STARTED, step(4))
            row = await bench.until(moves.uid, "running")
            assert (row["retries"], row["retry_at"]) == (0, None)
            assert [one[1:] for one in moves.attempts()] == [
                ("first", "moved", "one"), ("move", "start_failed", "two"), ("resume", None, "one"),
            ]  # fmt: skip
            assert moves.uid in moves.two.removed

    asyncio.run(main())


def test_that_a_worker_that_dies_there_before_its_first_step_sends_it_back(bench):
    async def main():
        async with bench.running():
            moves = await Moves(bench).begin()
            await moves.move()
            await moves.asked()
            moves.give_way()
            there = await bench.worker(moves.uid, 2)
            there.play(STARTED)
            there.end(1)
            await moves.until(state="failed")
            await moves.goes_on_at_the_source(3)

    asyncio.run(main())


def test_that_a_target_that_falls_silent_in_the_start_is_given_up_and_fenced(bench):
    async def main():
        async with bench.running():
            moves = await Moves(bench).begin()
            await moves.move()
            await moves.asked()
            moves.give_way()
            there = await bench.worker(moves.uid, 2)
            moves.two.away = True
            found = await moves.until(state="failed")
            assert found.error.code == "move.target_silent"
            back = await moves.goes_on_at_the_source(3)
            moves.two.away = False
            for _ in range(1000):
                if there.exit is not None:
                    break
                await asyncio.sleep(0.01)
            assert there.exit is not None
            assert back.exit is None
            assert moves.two.fenced == [(moves.uid, back.lease)]

    asyncio.run(main())


@pytest.mark.parametrize("when", ["ready", "saving", "copying", "starting"])
def test_that_a_move_can_be_cancelled(bench, when):
    async def main():
        async with bench.running():
            moves = await Moves(bench).begin()
            hold = threading.Event()
            if when == "copying":
                moves.stage.hold = hold
            if when == "ready":
                moves.stage.made_ready = Slow(hold)
            await moves.move()
            if when != "ready":
                await moves.asked()
            if when in ("copying", "starting"):
                moves.give_way()
            if when == "copying":
                await moves.until(step="copying", bytes_total=1000)
            if when == "starting":
                await bench.worker(moves.uid, 2)
            await bench.controller.cancel_move(moves.view.uid)
            hold.set()
            if when == "saving":
                moves.give_way()
            found = await moves.until(state="cancelled")
            assert found.error is None
            if when == "ready":
                assert moves.attempts() == [(1, "first", None, "one")]
            else:
                await moves.goes_on_at_the_source(3 if when == "starting" else 2)

    asyncio.run(main())


class Slow(list):
    """Is only added to once it may."""

    def __init__(self, hold):
        super().__init__()
        self._hold = hold

    def append(self, item):
        self._hold.wait(60)
        super().append(item)


@pytest.mark.parametrize("verb", ["stop", "pause"])
def test_that_what_a_person_wishes_meanwhile_counts_for_more(bench, verb):
    async def main():
        async with bench.running():
            moves = await Moves(bench).begin()
            await moves.move()
            await moves.asked()
            if verb == "stop":
                await bench.controller.stop(moves.uid, True, Request("stop"))
            else:
                await bench.controller.pause(moves.uid, Request("pause"))
            moves.give_way()
            await bench.until(moves.uid, "stopped" if verb == "stop" else "paused")
            await moves.until(state="cancelled")
            assert moves.two.workers == {}

    asyncio.run(main())


@pytest.mark.parametrize(("verb", "ends"), [("stop", "stopped"), ("pause", "paused")])
@pytest.mark.parametrize("target", [True, False])
def test_that_a_wish_while_the_checkpoint_is_on_its_way_starts_nothing_anywhere(bench, verb, ends, target):
    """Neither on the target nor, where the copy fails then, on the source."""

    async def main():
        async with bench.running():
            moves = await Moves(bench).begin()
            hold = moves.stage.hold = threading.Event()
            await moves.move()
            await moves.asked()
            moves.give_way()
            await bench.until(moves.uid, "queued")
            await moves.until(step="copying", bytes_total=1000)
            if not target:
                moves.stage.failing["send"] = UserError("move.not_laid", node="two", detail="no")
            if verb == "stop":
                await bench.controller.stop(moves.uid, True, Request("stop"))
            else:
                await bench.controller.pause(moves.uid, Request("pause"))
            await bench.until(moves.uid, ends)
            hold.set()
            await moves.until(state="cancelled")
            assert await bench.state(moves.uid) == ends
            assert moves.attempts() == [(1, "first", "moved", "one")]
            assert moves.two.workers == {}
            assert bench.fetch("SELECT * FROM device_lease") == []

    asyncio.run(main())


def test_that_places_are_kept_while_a_run_moves(bench):
    async def main():
        async with bench.running():
            moves = await Moves(bench).begin()
            hold = moves.stage.hold = threading.Event()
            await moves.move()
            await moves.asked()
            others = [await bench.create(name, compute={"node": name}) for name in ("one", "two")]
            moves.give_way()
            await bench.until(moves.uid, "queued")
            await moves.until(step="copying", bytes_total=1000)
            assert [await bench.state(uid) for uid in [*others, moves.uid]] == ["queued"] * 3
            assert (await bench.controller.placement(moves.uid)).code == "placement.moving"
            hold.set()
            there = await bench.worker(moves.uid, 2)
            assert await bench.state(others[0]) == "queued"  # it may still come back
            there.play(STARTED, step(4))
            await moves.until(state="done")
            await bench.worker(others[0])
            assert await bench.state(others[1]) == "queued"

    asyncio.run(main())


def test_that_without_a_node_the_scheduler_chooses_another(bench):
    async def main():
        async with bench.running():
            moves = await Moves(bench).begin()
            await bench.controller.set_node_state("local", "draining", Request("state"))
            assert (await moves.move("")).target == "two"

    asyncio.run(main())


def test_what_is_refused(bench):
    async def main():
        async with bench.running():
            moves = await Moves(bench).begin()
            idle = await bench.create("idle", start=False)

            async def refused(uid, node, kind=Conflict):
                with pytest.raises(kind) as caught:
                    await bench.controller.move_run(uid, node, Request("move"))
                return caught.value.code

            assert await refused(idle, "two") == "move.not_live"
            assert await refused(moves.uid, "one") == "move.same_node"
            assert await refused(moves.uid, "nowhere", NotFound) == "nodes.unknown"
            await bench.controller.set_node_state("two", "draining", Request("state"))
            assert await refused(moves.uid, "two") == "move.no_room"
            await bench.controller.set_node_state("two", "online", Request("state"))
            moves.two.away = True
            await bench.until_reach("two", "unreachable")
            assert await refused(moves.uid, "two") == "move.no_room"
            moves.two.away = False
            await bench.until_reach("two", "reachable")
            other = await bench.create("other", compute={"node": "two"})
            await bench.worker(other)
            assert await refused(moves.uid, "two") == "move.no_room"
            (await bench.worker(other)).end(0)
            await bench.until(other, "completed")
            moves.one.away = True
            await bench.until_reach("one", "unreachable")
            assert await refused(moves.uid, "two") == "move.source_unreachable"
            moves.one.away = False
            await bench.until_reach("one", "reachable")
            await moves.move()
            assert await refused(moves.uid, "two") == "move.under_way"

    asyncio.run(main())


@pytest.mark.parametrize("when", ["asked", "stopped", "copying", "starting", "stepped"])
def test_that_another_controller_takes_a_move_up(bench, when):
    async def first():
        async with bench.running():
            moves = await Moves(bench).begin()
            if when == "copying":
                moves.stage.hold = threading.Event()
            await moves.move()
            await moves.asked()
            if when == "asked":
                return moves
            if when != "stopped":
                moves.give_way()
            if when == "copying":
                await moves.until(step="copying", bytes_total=1000)
            if when in ("starting", "stepped"):
                there = await bench.worker(moves.uid, 2)
                if when == "stepped":
                    there.play(STARTED, step(4))
            return moves

    async def second(moves):
        async with bench.running():
            await bench.until_reach("two", "reachable")
            if when == "copying":
                moves.stage.hold.set()
            if when in ("asked", "stopped"):
                moves.give_way()
            there = await bench.worker(moves.uid, 2)
            if when != "stepped":
                there.play(STARTED, step(4))
            await moves.until(state="done")
            assert [one[1:] for one in moves.attempts()] == [("first", "moved", "one"), ("move", None, "two")]
            assert bench.fetch("SELECT count(*) FROM event WHERE kind = 'note' AND body LIKE '%move.done%'")[0][0] == 1

    moves = asyncio.run(first())
    asyncio.run(second(moves))
