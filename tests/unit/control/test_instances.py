"""Every container and process on every node, what may be done to each, and what is made a run again."""

import asyncio
import json

import pytest

from engine.contract import PROTOCOL_VERSION
from engine.contract.nodes import InstanceDeed
from engine.contract.run_spec import AttemptOrder
from engine.control.executors.docker.names import computer, controller_id
from engine.control.executors.fake import FakeWorker
from engine.control.executors.seen import Seen
from engine.control.jobs import reach, watch
from tests.helpers.controller import make_spec

STARTED = {"kind": "started", "pid": 1}
ENDED = {"kind": "ended", "state": "completed", "reason": "finished"}


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(reach, "EVERY_S", 0.02)
    monkeypatch.setattr(reach, "AWAY_EVERY_S", 0.02)
    monkeypatch.setattr(watch, "AWAY_POLL_S", 0.01)


def step(n):
    return {"kind": "step", "step": n, "epoch": 1.0, "values": {"loss": 1.0 / n}}


async def shown(bench, name):
    found = await bench.controller.instances()
    return next((one for one in found.instances if one.id == name), None)


async def do(bench, verb, *ids):
    return await bench.controller.instance_deed(InstanceDeed(ids=list(ids), verb=verb))


async def at_work(bench, node="box"):
    uid = await bench.create(compute={"node": node})
    worker = await bench.worker(uid)
    worker.play(STARTED, step(1))
    await bench.until(uid, "running")
    return uid, worker


def stray(bench, node="box", uid="lost-run", n=1, **seen):
    """An attempt on a node that the history does not know; its worker, which goes on."""
    spec = make_spec(bench.folder, "a lost run")
    order = AttemptOrder(protocol=PROTOCOL_VERSION, run=uid, attempt=n, lease=f"lease {n}", spec=spec)
    folder = bench.home.attempt(uid, n)
    folder.control.mkdir(parents=True)
    worker = bench.places.executor(node).workers[str(folder.root)] = FakeWorker(folder)
    hands, handle = bench.places.hand(node), f"{uid}-{n}"
    hands.orders[handle] = order.model_dump_json().encode()
    if seen:
        del bench.places.executor(node).workers[str(folder.root)]
        hands.strays[handle] = Seen(handle, uid, n, lease=f"lease {n}", **seen)
    return f"{node}/{handle}", worker


def test_that_each_is_shown_with_its_run_and_silent_nodes_are_named(bench):
    async def main():
        async with bench.running():
            await bench.add_node("box")
            far = await bench.add_node("far")
            uid, worker = await at_work(bench)
            lost, _ = await at_work(bench, "far")
            one = await shown(bench, f"box/{uid}-1")
            assert (one.node, one.state, one.run_name, one.attempt, one.known) == ("box", "running", "a run", 1, True)
            worker.frozen = True
            assert (await shown(bench, f"box/{uid}-1")).state == "paused"
            far.away = True
            await bench.until_reach("far", "unreachable")
            found = await bench.controller.instances()
            assert found.unreachable["far"].code == "placement.unreachable"
            silent = next(one for one in found.instances if one.node == "far")
            assert (silent.state, silent.run) == ("unreachable", lost)

    asyncio.run(main())


def test_that_an_attempt_whose_container_went_is_shown_as_gone(bench):
    async def main():
        async with bench.running():
            await bench.add_node("box")
            uid, _ = await at_work(bench)
            bench.places.hand("box")._gone.add(f"{uid}-1")
            found = await bench.controller.instances()
            assert [(one.state, one.run) for one in found.instances if one.node == "box"] == [("gone", uid)]

    asyncio.run(main())


def test_that_many_are_stopped_at_once(bench):
    async def main():
        async with bench.running():
            await bench.add_node("box", gpus=2)
            runs = [await at_work(bench) for _ in range(2)]
            unknown, _ = stray(bench, controller=controller_id(bench.home))
            result = await do(bench, "stop", *(f"box/{uid}-1" for uid, _ in runs), unknown, "box/none", "no/where")
            assert (result.done, {key: error.code for key, error in result.errors.items()}) == (
                3, {"box/none": "instances.unknown", "no/where": "nodes.unknown"},
            )  # fmt: skip
            assert bench.places.hand("box").done == [("stop", "lost-run-1")]
            for uid, worker in runs:
                worker.play({"kind": "ended", "state": "stopped", "reason": "stopped_by_person"})
                worker.end(77)
                await bench.until(uid, "stopped")

    asyncio.run(main())


def test_that_one_that_is_killed_is_over_and_does_not_come_back(bench):
    async def main():
        async with bench.running():
            await bench.add_node("box")
            uid, worker = await at_work(bench)
            assert (await do(bench, "kill", f"box/{uid}-1")).errors == {}
            assert worker.exit.signal == 9
            assert (await bench.until(uid, "stopped"))["reason"] == "stopped_by_person"

    asyncio.run(main())


def test_what_may_be_removed(bench):
    async def main():
        async with bench.running():
            executor = await bench.add_node("box")
            uid, worker = await at_work(bench)
            name, hands = f"box/{uid}-1", bench.places.hand("box")
            foreign, _ = stray(bench, uid="theirs", state="exited", controller="another")
            ours, _ = stray(bench, uid="ours", state="exited", controller=controller_id(bench.home))

            async def refused(one):
                return (await do(bench, "remove", one)).errors[one].code

            assert await refused(name) == "instances.not_ended"
            assert await refused(foreign) == "instances.foreign"
            worker.play({"kind": "phase", "phase": "saving"}, ENDED)
            worker.end(0)
            await bench.until(uid, "completed")
            assert await refused(name) == "instances.not_copied"  # nothing says that its files are here
            bench.home.attempt(uid, 1).exit.write_text(json.dumps({"code": 0}))
            result = await do(bench, "remove", name, ours)
            assert result.errors == {}
            assert sorted(hands.done) == sorted([("remove", "ours-1"), ("remove", f"{uid}-1")])
            assert sorted(executor.removed) == sorted(["ours", uid])  # the volume went with the last container
            assert await shown(bench, foreign) is not None

    asyncio.run(main())


def test_that_what_the_history_does_not_know_is_made_a_run_again(bench):
    async def main():
        async with bench.running():
            await bench.add_node("box")
            name, worker = stray(bench)
            worker.play(STARTED, step(1), step(2))
            assert not (await shown(bench, name)).known
            assert (await do(bench, "adopt", name)).errors == {}
            row = await bench.until("lost-run", "running")
            assert (row["name"], row["node"], json.loads(row["tags"])) == ("a lost run", "box", ["adopted"])
            assert (await shown(bench, name)).known
            worker.play(step(3), {"kind": "phase", "phase": "saving"}, ENDED)
            worker.end(0)
            row = await bench.until("lost-run", "completed")
            assert row["last_step"] == 3
            seqs = bench.fetch("SELECT count(*), count(DISTINCT seq) FROM event WHERE seq NOT NULL")[0]
            assert tuple(seqs) == (3, 3)
            assert (await do(bench, "adopt", name)).errors[name].code == "instances.known"

    asyncio.run(main())


def test_that_another_controller_goes_on_with_an_adopted_run(bench):
    async def first():
        async with bench.running():
            await bench.add_node("box")
            name, worker = stray(bench)
            worker.play(STARTED, step(1))
            await do(bench, "adopt", name)
            await bench.until("lost-run", "running")
            return worker

    async def second(worker):
        async with bench.running():
            worker.play(step(2), {"kind": "phase", "phase": "saving"}, ENDED)
            worker.end(0)
            assert (await bench.until("lost-run", "completed"))["last_step"] == 2

    asyncio.run(second(asyncio.run(first())))


def test_that_all_attempts_of_a_lost_run_are_adopted_in_their_order(bench):
    async def main():
        async with bench.running():
            await bench.add_node("box")
            (one, first), (two, second) = stray(bench, n=1), stray(bench, n=2)
            first.play(STARTED, step(1), {"kind": "ended", "state": "paused", "reason": "paused_by_person"})
            first.end(77)
            second.play(STARTED, step(2))
            assert (await do(bench, "adopt", two, one)).errors == {}
            row = await bench.until("lost-run", "running")
            assert row["attempt"] == 2
            assert [r[0] for r in bench.fetch("SELECT n FROM attempt ORDER BY n")] == [1, 2]

    asyncio.run(main())


def test_what_is_not_adopted(bench, monkeypatch):
    async def main():
        async with bench.running():
            await bench.add_node("box")
            uid, _ = await at_work(bench)
            theirs, _ = stray(bench, uid="theirs", controller="another", computer=computer())
            helper, _ = stray(bench, uid="helper", kind="probe")
            torn, _ = stray(bench, uid="torn")
            bench.places.hand("box").orders["torn-1"] = b"{"
            monkeypatch.setattr("engine.control.jobs.instances.living_controllers", lambda: {"another"})
            result = await do(bench, "adopt", f"box/{uid}-1", theirs, helper, torn)
            assert {key: error.code for key, error in result.errors.items()} == {
                f"box/{uid}-1": "instances.known", theirs: "instances.other_controller", helper: "instances.no_run",
                torn: "instances.no_order",
            }  # fmt: skip
            monkeypatch.setattr("engine.control.jobs.instances.living_controllers", set)
            bench.places.executor("box").workers[str(bench.home.attempt("theirs", 1).root)] = FakeWorker(
                bench.home.attempt("theirs", 1)
            )
            assert (await do(bench, "adopt", theirs)).errors == {}

    asyncio.run(main())


def test_that_a_deed_is_written_down(bench):
    async def main():
        async with bench.running():
            await bench.add_node("box")
            uid, _ = await at_work(bench)
            await do(bench, "stop", f"box/{uid}-1")
            rows = bench.fetch("SELECT detail FROM audit WHERE action = 'instances'")
            assert json.loads(rows[0][0]) == {"verb": "stop", "ids": [f"box/{uid}-1"], "refused": []}

    asyncio.run(main())


def test_that_what_another_computers_controller_made_is_adopted_only_when_a_person_is_sure(bench):
    async def main():
        async with bench.running():
            await bench.add_node("box")
            theirs, _ = stray(bench, uid="theirs", controller="another", computer="far-away/abc")
            unsaid, _ = stray(bench, uid="unsaid", controller="another")
            mine, _ = stray(bench, uid="mine", controller="another", computer=computer())
            result = await do(bench, "adopt", theirs, unsaid, mine)
            assert {key: error.code for key, error in result.errors.items()} == {
                theirs: "instances.other_computer", unsaid: "instances.other_computer"
            }  # fmt: skip
            assert "far-away" in result.errors[theirs].why
            sure = InstanceDeed(ids=[theirs], verb="adopt", force=True)
            assert (await bench.controller.instance_deed(sure)).errors == {}
            assert (await shown(bench, theirs)).known

    asyncio.run(main())
