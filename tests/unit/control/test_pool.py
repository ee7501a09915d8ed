"""Several nodes behind one controller: where runs go, and what happens to them when a node does not answer."""

import asyncio
import json
import time

import pytest

from engine.contract.api import Settings
from engine.contract.errors import Conflict, NotFound, Refused, UserError
from engine.contract.stream import NodeChanged, NodeRemoved
from engine.control.jobs.requests import Request
from tests.helpers.controller import make_spec
from tests.helpers.nodes_at_work import ENDED, STARTED, codes, quick_nodes, step
from tests.helpers.waiting import eventually

__all__ = ["quick_nodes"]


async def marked(bench, uid, mark):
    for _ in range(1000):
        row = await bench.row(uid)
        if row["mark"] == mark:
            return row
        await asyncio.sleep(0.01)
    raise AssertionError(row["mark"])


def test_that_a_run_goes_to_the_node_it_names_and_says_why(bench):
    async def main():
        async with bench.running():
            executor = await bench.add_node("gpu-box", gpus=2, price=2.0, currency="EUR")
            uid = await bench.create(compute={"node": "gpu-box"})
            worker = await bench.worker(uid)
            assert list(executor.workers.values()) == [worker]
            launch = worker.launch
            assert (launch.devices, launch.command, launch.order.run, launch.keep_days) == (("0",), [], uid, 7.0)
            assert "placement.asked_for" in codes(bench, uid)
            row = await bench.row(uid)
            assert (row["node"], row["price"], row["currency"]) == ("gpu-box", 2.0, "EUR")
            worker.play(STARTED, {"kind": "phase", "phase": "saving"}, ENDED)
            worker.end(0)
            row = await bench.until(uid, "completed")
            kept = bench.fetch("SELECT price, currency, remains_until, ended FROM attempt")[0]
            assert tuple(kept)[:2] == (2.0, "EUR")
            assert kept["remains_until"] == pytest.approx(kept["ended"] + 7 * 86_400, abs=5)
            costs = await bench.controller.costs(0.0, row["finished"] + 1, "node")
            assert [(one.key, one.currency, one.runs) for one in costs.rows] == [("gpu-box", "EUR", 1)]

    asyncio.run(main())


def test_that_auto_runs_spread_over_what_is_free(bench):
    async def main():
        async with bench.running():
            await bench.add_node("one", gpus=1)
            await bench.add_node("two", gpus=2)
            uids = [await bench.create(str(n), compute={"node": "auto"}) for n in range(4)]
            for uid in uids[:3]:
                await bench.worker(uid)
            assert sorted(r["node"] for r in bench.fetch("SELECT node FROM run WHERE state = 'preparing'")) == [
                "one", "two", "two",
            ]  # fmt: skip
            answer = await bench.controller.placement(uids[3])
            assert (answer.node, answer.code) == (None, "placement.nowhere")
            assert {one.node: one.code for one in answer.candidates} == {
                "local": "placement.no_gpu", "one": "placement.slots", "two": "placement.slots",
            }  # fmt: skip
            (await bench.worker(uids[0])).end(0)
            await bench.worker(uids[3])

    asyncio.run(main())


def test_that_a_run_for_a_full_node_holds_up_nobody_else(bench):
    async def main():
        async with bench.running():
            await bench.add_node("box", gpus=1)
            first, second = [await bench.create(str(n), compute={"node": "box"}) for n in range(2)]
            await bench.worker(first)
            third = await bench.create("third")
            await bench.worker(third)
            assert await bench.state(second) == "queued"
            assert (await bench.controller.placement(second)).code == "placement.slots"

    asyncio.run(main())


def test_that_a_node_that_does_not_answer_fails_no_run(bench):
    async def main():
        async with bench.running():
            executor = await bench.add_node("box")
            uid = await bench.create(compute={"node": "box"})
            worker = await bench.worker(uid)
            worker.play(STARTED, step(1))
            await bench.until(uid, "running")
            executor.away = True
            row = await marked(bench, uid, "unreachable")
            assert row["mark_since"] == pytest.approx(time.time(), abs=30)
            await bench.until_reach("box", "unreachable")
            waits = await bench.create("waits", compute={"node": "box"})
            assert (await bench.controller.placement(waits)).code == "placement.unreachable"
            worker.play(step(2))
            executor.away = False
            assert (await marked(bench, uid, None))["mark_since"] is None
            assert codes(bench, uid)[-2:] == ["run.unreachable", "run.reachable"]
            worker.play({"kind": "phase", "phase": "saving"}, ENDED)
            worker.end(0)
            assert (await bench.until(uid, "completed"))["last_step"] == 2
            assert len(bench.fetch("SELECT * FROM attempt WHERE run_id = 1")) == 1
            await bench.worker(waits)

    asyncio.run(main())


def test_that_silence_of_an_unreachable_node_is_not_a_hang(bench):
    async def main():
        async with bench.running():
            executor = await bench.add_node("box")
            uid = await bench.create(compute={"node": "box"}, limits={"hang_minutes": 0.0001})
            worker = await bench.worker(uid)
            executor.away = True
            await marked(bench, uid, "unreachable")
            asked = executor.asked
            while executor.asked < asked + 20:
                await asyncio.sleep(0.01)
            assert worker.exit is None

    asyncio.run(main())


def test_that_a_restart_keeps_runs_on_nodes_that_do_not_answer(bench):
    async def main():
        async with bench.running():
            executor = await bench.add_node("box")
            uid = await bench.create(compute={"node": "box"})
            worker = await bench.worker(uid)
            worker.play(STARTED, step(1))
            await bench.until(uid, "running")
        executor.away = True
        worker.play(step(2))
        async with bench.running():
            await marked(bench, uid, "unreachable")
            assert await bench.state(uid) == "running"
            executor.away = False
            await marked(bench, uid, None)
            worker.play({"kind": "phase", "phase": "saving"}, ENDED)
            worker.end(0)
            assert (await bench.until(uid, "completed"))["last_step"] == 2
            assert len(bench.fetch("SELECT * FROM attempt")) == 1

    asyncio.run(main())


def test_that_a_start_whose_answer_is_lost_is_not_made_twice(bench):
    async def main():
        async with bench.running():
            executor = await bench.add_node("box")
            executor.lost_answer = True
            uid = await bench.create(compute={"node": "box"})
            worker = await bench.worker(uid)
            worker.play(STARTED)
            await bench.until(uid, "running")
            assert len(bench.fetch("SELECT * FROM attempt")) == 1

    asyncio.run(main())


def test_that_a_start_that_never_reached_the_node_waits_and_is_made_there_later(bench):
    async def main():
        async with bench.running():
            executor = await bench.add_node("box")
            executor.away = True  # and nobody has noticed yet
            uid = await bench.create(compute={"node": "box"})
            await marked(bench, uid, "unreachable") if await bench.state(uid) == "preparing" else None
            executor.away = False
            for n in range(1, 4):
                if any(f"/attempts/{n}" in key for key in executor.workers):
                    break
                await asyncio.sleep(0.2)
            while not executor.workers:
                await asyncio.sleep(0.01)
            assert len(executor.workers) == 1

    asyncio.run(main())


def test_that_a_run_on_a_lost_node_goes_on_elsewhere_and_the_old_worker_is_fenced(bench):
    async def main():
        async with bench.running():
            lost = await bench.add_node("lost")
            uid = await bench.create(compute={"node": "lost"})
            old = await bench.worker(uid)
            old.play(STARTED, step(1))
            await bench.until(uid, "running")
            ask = Request("elsewhere", target=uid)
            with pytest.raises(Conflict) as refused:
                await bench.controller.start_elsewhere(uid, "", ask)
            assert refused.value.code == "run.node_answers"
            lost.away = True
            await marked(bench, uid, "unreachable")
            other = await bench.add_node("other")
            await bench.controller.start_elsewhere(uid, "other", ask)
            new = await bench.worker(uid, attempt=2)
            assert list(other.workers.values()) == [new]
            new.play(STARTED, step(1))
            old.play(step(2))  # what it says now is nobody's business any more
            await bench.until(uid, "running")
            assert old.exit is None
            lost.away = False
            await bench.until_reach("lost", "reachable")
            while not lost.fenced:
                await asyncio.sleep(0.01)
            assert old.exit is not None
            new.play({"kind": "phase", "phase": "saving"}, ENDED)
            new.end(0)
            row = await bench.until(uid, "completed")
            assert (row["node"], row["last_step"]) == ("other", 1)
            reasons = [row["reason"] for row in bench.fetch("SELECT reason FROM attempt ORDER BY n")]
            assert reasons == ["lost", "finished"]

    asyncio.run(main())


def test_that_a_nodes_fault_puts_the_run_back_and_another_node_takes_it(bench):
    async def main():
        async with bench.running(retry_seconds=0.05):
            bad = await bench.add_node("bad", gpus=1, price=1.0)
            good = await bench.add_node("good", gpus=1, price=2.0)
            bad.faults = UserError("placement.offline", node="bad").body()
            uid = await bench.create(compute={"node": "auto"}, limits={"retries": 0})
            while not good.workers:
                await asyncio.sleep(0.01)
            await bench.until(uid, "preparing")
            row = await bench.row(uid)
            assert (row["node"], row["retries"]) == ("good", 0)
            assert "run.node_fault" in codes(bench, uid)
            assert "placement.not_where_it_failed" in codes(bench, uid) or "placement.only_one" in codes(bench, uid)

    asyncio.run(main())


def test_that_an_image_of_its_own_choice_is_the_runs_fault_and_the_node_is_not_blamed(bench):
    async def main():
        async with bench.running(retry_seconds=0.01):
            box = await bench.add_node("box")
            box.faults = UserError("placement.offline", node="box").body()
            uid = await bench.create(compute={"node": "box", "image": "mine:1"}, limits={"retries": 1})
            row = await bench.until(uid, "failed")
            assert row["reason"] == "start_failed"
            box.faults = None
            await bench.worker(await bench.create("other", compute={"node": "box"}))

    asyncio.run(main())


def test_that_a_run_that_never_starts_lets_others_go_first(bench):
    async def main():
        async with bench.running(retry_seconds=0.02):
            box = await bench.add_node("box")
            box.faults = UserError("placement.offline", node="box").body()
            first = await bench.create("first", compute={"node": "box"})
            while len(bench.fetch("SELECT * FROM attempt WHERE reason = 'start_failed'")) < 2:
                await asyncio.sleep(0.01)
            second = await bench.create("second", compute={"node": "box"})
            while not bench.fetch("SELECT 1 FROM attempt JOIN run ON run.id = run_id WHERE uid = ?", second):
                await asyncio.sleep(0.01)
            assert await bench.state(first) == "queued"
            box.faults = None
            await bench.controller.set_node_state("box", "online", Request("node_state"))  # somebody mended it
            for _ in range(2):
                while (worker := next((w for w in box.workers.values() if w.exit is None), None)) is None:
                    await asyncio.sleep(0.01)
                worker.play(STARTED)
                worker.end(0)
            await bench.until(first, "completed")
            await bench.until(second, "completed")

    asyncio.run(main())


def test_that_memory_used_up_is_said(bench):
    async def main():
        async with bench.running():
            await bench.add_node("box")
            uid = await bench.create(compute={"node": "box"}, limits={"retries": 0, "out_of_memory": "never"})
            worker = await bench.worker(uid)
            worker.play(STARTED)
            worker.end(137, out_of_memory=True)
            row = await bench.until(uid, "failed")
            assert (row["reason"], json.loads(row["error"])["code"]) == ("out_of_memory", "worker.out_of_memory")

    asyncio.run(main())


def test_that_a_drained_node_ends_its_runs_and_takes_no_more(bench):
    async def main():
        async with bench.running():
            await bench.add_node("box", max_runs=4)
            first = await bench.create(compute={"node": "box"})
            worker = await bench.worker(first)
            view = await bench.controller.set_node_state("box", "draining", Request("node_state"))
            assert (view.state, [run.uid for run in view.runs]) == ("draining", [first])
            second = await bench.create(compute={"node": "box"})
            assert (await bench.controller.placement(second)).code == "placement.draining"
            worker.play(STARTED)
            worker.end(0)
            await bench.until(first, "completed", "failed")
            assert await bench.state(second) == "queued"
            await bench.controller.set_node_state("box", "online", Request("node_state"))
            await bench.worker(second)

    asyncio.run(main())


def test_that_a_node_with_runs_is_not_removed_and_one_without_is(bench):
    async def main():
        async with bench.running():
            await bench.add_node("box")
            listener = bench.controller.hub.subscribe()
            uid = await bench.create(compute={"node": "box"})
            worker = await bench.worker(uid)
            with pytest.raises(Conflict) as refused:
                await bench.controller.remove_node("box", Request("node_remove"))
            assert refused.value.code == "nodes.has_runs"
            worker.play(STARTED)
            worker.end(3)
            await bench.controller.stop(uid, False, Request("stop")) if await bench.state(uid) == "queued" else None
            await bench.until(uid, "failed", "stopped", "completed")
            await bench.controller.remove_node("box", Request("node_remove"))
            assert any(isinstance(one, NodeRemoved) for one in listener.take())
            with pytest.raises(NotFound):
                await bench.controller.node_view("box")
            assert [node.profile.name for node in (await bench.controller.nodes()).nodes] == ["local"]
            await bench.add_node("box")  # it may come back

    asyncio.run(main())


def test_that_local_stays_and_only_some_of_it_changes(bench):
    async def main():
        async with bench.running():
            control = bench.controller
            with pytest.raises(Conflict):
                await control.remove_node("local", Request("node_remove"))
            local = (await control.node_view("local")).profile.model_dump(mode="json")
            view = await control.edit_node("local", {**local, "price": 0.5, "max_runs": 3}, Request("node_edit"))
            assert (view.profile.price, view.slots) == (0.5, 3)
            with pytest.raises((Conflict, Refused)):
                await control.edit_node("local", {**local, "image": "other"}, Request("node_edit"))
            uids = [await bench.create(str(n)) for n in range(3)]
            for uid in uids:
                await bench.worker(uid)
            assert (await bench.row(uids[0]))["price"] == 0.5

    asyncio.run(main())


def test_that_an_edit_keeps_runs_and_takes_them_up_on_the_new_way(bench):
    async def main():
        async with bench.running():
            executor = await bench.add_node("box")
            uid = await bench.create(compute={"node": "box"})
            worker = await bench.worker(uid)
            worker.play(STARTED)
            await bench.until(uid, "running")
            profile = (await bench.controller.node_view("box")).profile.model_dump(mode="json")
            await bench.controller.edit_node("box", {**profile, "address": "/run/other.sock"}, Request("node_edit"))
            await eventually(lambda: executor.closed)
            await bench.until_reach("box", "reachable")
            worker.play({"kind": "phase", "phase": "saving"}, ENDED)
            worker.end(0)
            await bench.until(uid, "completed")
            assert len(bench.fetch("SELECT * FROM attempt")) == 1

    asyncio.run(main())


def test_that_another_engine_at_the_address_is_not_taken_for_the_same_node(bench):
    async def main():
        async with bench.running():
            await bench.add_node("box")
            uid = await bench.create(compute={"node": "box"})
            (await bench.worker(uid)).play(STARTED)
            await bench.until(uid, "running")
            bench.places.facts["box"] = bench.places.facts["box"].model_copy(update={"engine_id": "another"})
            await bench.until_reach("box", "unreachable")
            assert (await bench.controller.node_view("box")).error.code == "nodes.other_engine"
            await marked(bench, uid, "unreachable")
            assert await bench.state(uid) == "running"

    asyncio.run(main())


def test_that_nodes_survive_the_controller(bench):
    async def main():
        async with bench.running():
            await bench.add_node("box", gpus=2, labels={"team": "a"})
            await bench.controller.set_node_state("box", "draining", Request("node_state"))
        async with bench.running():
            await bench.until_reach("box", "reachable")
            view = await bench.controller.node_view("box")
            assert (view.state, view.slots, view.profile.labels) == ("draining", 2, {"team": "a"})

    asyncio.run(main())


@pytest.mark.parametrize(
    ("compute", "code", "field"),
    [
        ({"node": "boxx"}, "config.node_near", "compute.node"),
        ({"node": "mars"}, "config.node_unknown", "compute.node"),
        ({"node": "box", "executor": "process"}, "config.node_docker", "compute.executor"),
        ({"node": "local", "executor": "docker"}, "config.node_process", "compute.executor"),
        ({"node": "local", "image": "x"}, "config.image_without_docker", "compute.image"),
        ({"node": "box", "labels": {"a": "b"}}, "config.node_labels", "compute.labels"),
    ],
)
def test_that_an_order_that_contradicts_the_nodes_is_refused_by_name(bench, compute, code, field):
    async def main():
        async with bench.running():
            await bench.add_node("box")
            with pytest.raises(Refused) as refused:
                await bench.create(compute=compute)
            assert [(one.code, one.field) for one in refused.value.problems] == [(code, field)]

    asyncio.run(main())


def test_that_docker_is_refused_where_no_node_has_it(bench):
    async def main():
        async with bench.running():
            with pytest.raises(Refused) as refused:
                await bench.create(compute={"node": "auto", "executor": "docker"})
            assert [one.code for one in refused.value.problems] == ["config.no_such_executor"]

    asyncio.run(main())


def test_that_a_person_has_no_more_runs_at_work_than_the_limit(bench):
    async def main():
        async with bench.running(slots={"gpu": 4}, owner_limit=1):
            first, second = await bench.create("first"), await bench.create("second")
            spec = make_spec(bench.folder, "another's", owner="somebody")
            other = (await bench.controller.create(spec, True, Request("create"))).uid
            await bench.worker(first)
            await bench.worker(other)
            answer = await bench.controller.placement(second)
            assert (answer.code, answer.params["limit"]) == ("placement.owner_limit", 1)
            await bench.controller.change_settings(Settings(owner_limit=None), Request("settings"))
            await bench.worker(second)

    asyncio.run(main())


def test_that_an_import_is_taken_whole_or_not_at_all(bench):
    async def main():
        async with bench.running():
            control = bench.controller
            good = {"name": "one", "kind": "docker_local"}
            bad = [{"name": "a b", "kind": "docker_local"}, {"name": "two", "kind": "docker_ssh", "address": ""}]
            with pytest.raises(Refused) as refused:
                await control.import_nodes({"version": 1, "nodes": [good, *bad]}, Request("node_import"))
            assert {problem.field for problem in refused.value.problems} == {"nodes.1.name", "nodes.2.address"}
            assert control.pool.names == ["local"]
            await control.import_nodes({"version": 1, "nodes": [good]}, Request("node_import"))
            assert [node.name for node in (await control.export_nodes()).nodes] == ["one"]
            again = (await control.export_nodes()).model_dump(mode="json")
            again["nodes"][0]["price"] = 1.0
            await control.import_nodes(again, Request("node_import"))
            assert (await control.node_view("one")).profile.price == 1.0

    asyncio.run(main())


def test_that_changes_of_nodes_are_told(bench):
    async def main():
        async with bench.running():
            listener = bench.controller.hub.subscribe()
            executor = await bench.add_node("box")
            executor.away = True
            told = []

            def heard():
                told.extend(one.node for one in listener.take() if isinstance(one, NodeChanged))
                return [view.reach for view in told][-1:] == ["unreachable"]

            await eventually(heard, what="that it is unreachable, as the last word")
            assert {view.profile.name for view in told} == {"box"}

    asyncio.run(main())


def test_that_the_first_sweep_waits_for_nodes_that_are_still_asked_and_comes_again_after_silence(bench):
    async def swept(times):
        for _ in range(1000):
            if bench.places.swept.count("box") >= times:
                return
            await asyncio.sleep(0.01)
        raise AssertionError(f"swept {bench.places.swept}")

    async def main():
        async with bench.running():
            await bench.add_node("box")
            await swept(1)
        executor = bench.places.executor("box")
        executor.away = True
        bench.places.swept.clear()
        async with bench.running():
            await bench.until_reach("box", "unreachable")
            assert bench.places.swept == []
            executor.away = False
            await swept(1)  # long before the next time it is looked what may go
            executor.away = True
            await bench.until_reach("box", "unreachable")
            executor.away = False
            await swept(2)

    asyncio.run(main())
