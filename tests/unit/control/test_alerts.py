"""Alerts of a whole controller: kept, told once, over restarts too; their rules; what is looked at."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from engine.contract.api import Settings
from engine.contract.errors import NotFound, Refused
from engine.contract.node_alerts import DEFAULT_RULES, Alert, words
from engine.contract.nodes import NodeRun
from engine.contract.stream import AlertChanged
from engine.control.jobs.alert_core import Sight
from engine.control.jobs.alert_sights import Facts, Sights, Working
from engine.control.jobs.alerts import AlertDesk
from engine.control.jobs.requests import Request
from engine.control.nodes.sampler import Reading
from tests.helpers.controller import Bench, bench
from tests.helpers.waiting import eventually

__all__ = ["bench"]
MINUTE = 60.0


class Clock:
    """Goes on when it is told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Dial:
    """A sampler that says what it is set to."""

    def __init__(self, **values: float) -> None:
        self.values = values

    def read(self, gpus: bool) -> Reading | None:
        return Reading(dict(self.values))

    def close(self) -> None:
        pass


def dial(temperature: float = 60.0, gpus: int = 2, disk: float = 0.5) -> dict[str, float]:
    values = {"disk.used": disk * 100, "disk.free": 100 - disk * 100, "disk.total": 100.0}
    for index in range(gpus):
        values |= {f"gpu{index}.temperature": temperature, f"gpu{index}.utilisation": 90.0}
    return values


def heard(subscriber: Any) -> list[tuple[str, bool]]:
    """Kind of each alert that was told, and whether it was over."""
    return [(m.alert.kind, m.alert.ended is not None) for m in subscriber.take() if isinstance(m, AlertChanged)]


def desk_of(bench: Bench, clock: Clock) -> AlertDesk:
    """One with a clock of the test; the controller's own one sleeps."""
    controller = bench.controller
    return AlertDesk(controller.pool, bench.database, controller.secrets, lambda: controller.settings, clock)


async def read(bench: Bench, name: str, **values: float) -> None:
    """Hand a reading over as the controller's own samplers do."""
    from engine.contract.clock import now

    bench.controller.read_node(name, now(), values, {})


async def _hot(bench: Bench) -> None:
    clock, bench.reading_every = Clock(), 3600.0
    async with bench.running():
        await bench.add_node("box", gpus=2)
        subscriber = bench.controller.hub.subscribe()
        desk = desk_of(bench, clock)
        await read(bench, "box", **dial(90))
        assert await desk.look() == []
        for _ in range(4):
            clock.now += 30
            names = await desk.look()
        assert names == ["box"]
        assert heard(subscriber) == [("gpu_temperature", False)] * 2
        view = await bench.controller.node_view("box")
        assert view.alerts == 2
        found = (await desk.listed()).alerts
        assert {alert.device for alert in found} == {"0", "1"}
        assert "90 °C" in words(found[0]).what
        subscriber.take()
        await desk.acknowledge(found[0].id, "ada")
        again = await desk.acknowledge(found[0].id, "bob")  # the first of them stays
        assert again.acknowledged_by == "ada"
        assert again.acknowledged_at is not None
        assert heard(subscriber) == [("gpu_temperature", False)]  # told once
        await read(bench, "box", **dial(95))
        for _ in range(4):  # worse values keep who has seen it
            clock.now += 30
            await desk.look()
        seen = [alert for alert in (await desk.listed()).alerts if alert.acknowledged]
        assert [(alert.acknowledged_by, alert.worst) for alert in seen] == [("ada", 95.0)]
        rows = bench.fetch("SELECT actor, target FROM audit WHERE action = 'acknowledge_alert'")
        assert [tuple(row) for row in rows] == [("ada", str(found[0].id))]
        with pytest.raises(NotFound, match="no alert 999"):
            await desk.acknowledge(999)
        heard(subscriber)

    async with bench.running():  # another controller: nothing is told again, nothing is known yet
        subscriber = bench.controller.hub.subscribe()
        await bench.until_reach("box", "reachable")
        desk = desk_of(bench, clock)
        assert await desk.look() == []
        await read(bench, "box", **dial(90))
        for _ in range(8):
            clock.now += 30
            await desk.look()
        assert ("gpu_temperature", False) not in heard(subscriber)
        assert len(bench.fetch("SELECT 1 FROM alert WHERE ended IS NULL")) == 2
        await read(bench, "box", **dial(79))
        await desk.look()
        assert heard(subscriber) == [("gpu_temperature", True)] * 2
        assert (await bench.controller.node_view("box")).alerts == 0
        kept = (await desk.listed()).alerts
        assert [alert.ended is not None for alert in kept] == [True, True]
        assert sum(alert.acknowledged for alert in kept) == 1
        notes = bench.fetch("SELECT body FROM event WHERE kind = 'alert'")
        assert len(notes) == 4


def test_an_alert_is_told_once_and_survives_a_restart(bench: Bench) -> None:
    asyncio.run(_hot(bench))


async def _silent(bench: Bench) -> None:
    clock, bench.reading_every = Clock(), 3600.0
    async with bench.running():
        executor = await bench.add_node("box", gpus=2)
        subscriber = bench.controller.hub.subscribe()
        desk = desk_of(bench, clock)
        await read(bench, "box", **dial(60, gpus=2, disk=0.95))
        await desk.look()
        clock.now += MINUTE
        await desk.look()
        assert heard(subscriber) == [("disk_full", False)]
        await read(bench, "box", **dial(60, gpus=1, disk=0.95))
        await desk.look()
        assert heard(subscriber) == [("gpu_lost", False)]
        executor.away = True
        await bench.until_reach("box", "unreachable")
        for _ in range(5):
            clock.now += 30
            await desk.look()
        assert heard(subscriber) == [("unreachable", False)]  # disk and GPU: nothing is known, nothing is over
        await bench.controller.set_node_state("box", "offline", Request("node_state"))
        await bench.until_reach("box", "unused")
        clock.now += 5
        await desk.look()
        assert sorted(heard(subscriber)) == [("disk_full", True), ("gpu_lost", True), ("unreachable", True)]


def test_a_node_that_falls_silent_ends_no_other_alert(bench: Bench) -> None:
    asyncio.run(_silent(bench))


async def _whole(bench: Bench) -> None:
    bench.reading_every = 0.01
    sampler = bench.places.samplers["box"] = Dial(**dial(60, gpus=1, disk=0.5))
    async with bench.running():
        subscriber = bench.controller.hub.subscribe()
        await bench.add_node("box", gpus=1)
        plain = [rule.model_dump() for rule in DEFAULT_RULES]
        for rule in plain:
            rule["minutes"] = 0.0
        await bench.controller.alerts.set_rules({"rules": plain}, Request("alert_rules"))
        said: list[tuple[str, bool]] = []
        for values, wanted in ((dial(60, 1, 0.99), False), (dial(60, 1, 0.1), True)):
            sampler.values = values
            await eventually(lambda wanted=wanted: said.extend(heard(subscriber)) or ("disk_full", wanted) in said)
        assert said == [("disk_full", False), ("disk_full", True)]


def test_readings_become_alerts_by_themselves(bench: Bench) -> None:
    asyncio.run(_whole(bench))


async def _rules(bench: Bench) -> None:
    async with bench.running():
        desk = bench.controller.alerts
        found = await desk.rules()
        assert found.rules == list(DEFAULT_RULES)
        assert found.targets == 0
        plain = [rule.model_dump() for rule in DEFAULT_RULES if rule.kind != "queue_long"]
        plain[0]["threshold"] = "hot"
        plain[1]["node"] = "nowhere"
        with pytest.raises(Refused) as refused:
            await desk.set_rules({"rules": plain}, Request("alert_rules"))
        assert [problem.field for problem in refused.value.problems] == ["rules.0.threshold", "rules.1.node"]
        assert (await desk.rules()).rules == list(DEFAULT_RULES)
        plain[0].update(threshold=70.0, recover=60.0)
        plain[1]["node"] = "local"
        await desk.set_rules({"rules": plain}, Request("alert_rules"))
    async with bench.running():
        rules = {(rule.kind, rule.node): rule for rule in (await bench.controller.alerts.rules()).rules}
        assert rules["gpu_temperature", ""].threshold == 70.0
        assert rules["gpu_idle", "local"].node == "local"
        assert not rules["queue_long", ""].enabled  # it was left out: it must not come back by itself


def test_rules_are_kept_all_at_once_or_not_at_all(bench: Bench) -> None:
    asyncio.run(_rules(bench))


async def _budget(bench: Bench) -> None:
    clock, bench.reading_every = Clock(), 3600.0
    async with bench.running(budget=100.0, currency="EUR", prices={"gpu": 1.0}):
        subscriber = bench.controller.hub.subscribe()
        uid = await bench.create()
        await bench.worker(uid)
        bench.database.write_now(
            lambda t: t.execute("UPDATE attempt SET started = started - 90 * 3600, price = 1.0, currency = 'EUR'")
        )
        desk = desk_of(bench, clock)
        await desk.look()
        assert heard(subscriber) == [("budget", False)]
        (alert,) = (await desk.listed()).alerts
        assert words(alert).why.startswith("90.00 EUR of 100.00 EUR for 30 days.")


def test_the_budget_is_watched(bench: Bench) -> None:
    asyncio.run(_budget(bench))


def sights(found: Facts, clock: float, remembered: Sights, at: float = 0.0) -> dict[str, Sight]:
    return {sight.kind: sight for sight in remembered.of([], found, Settings(), clock, at)}


def test_a_run_without_steps_is_stalled_and_an_unreachable_one_is_not() -> None:
    remembered = Sights([], 0.0)

    def minutes(clock: float, step: int, training: bool = True, away: bool = False) -> float | None:
        run = Working("u", "run", "box", training, away, (1, step))
        found = sights(Facts(working=[run]), clock, remembered).get("run_stalled")
        return found.value if found else -1.0

    assert minutes(0, 5) == 0
    assert minutes(11 * MINUTE, 5) == 11
    assert minutes(11 * MINUTE + 5, 6) == 0
    assert minutes(30 * MINUTE, 6, training=False) == -1
    assert minutes(31 * MINUTE, 6) == 1
    assert minutes(50 * MINUTE, 6, away=True) is None
    assert minutes(51 * MINUTE, 6) == 1


def test_a_stalled_run_stays_stalled_over_a_restart() -> None:
    alert = Alert(id=1, kind="run_stalled", run="u", began=0.0, value=12.0)
    remembered = Sights([("u", alert)], 5000.0)
    run = Working("u", "run", "box", True, False, (1, 5))
    assert sights(Facts(working=[run]), 5000.0, remembered)["run_stalled"].value == 12
    assert sights(Facts(working=[run]), 5060.0, remembered)["run_stalled"].value == 13


def test_the_longest_wait_counts_by_a_clock_that_does_not_jump() -> None:
    remembered = Sights([], 0.0)
    waiting = [("b", "later", 900.0), ("a", "first", 400.0)]
    found = sights(Facts(waiting=waiting), 0.0, remembered, at=1000.0)["queue_long"]
    assert (found.value, found.run_name) == (10, "first")
    found = sights(Facts(waiting=waiting), 120.0, remembered, at=9e9)["queue_long"]
    assert (found.value, found.run_name) == (12, "first")
    assert sights(Facts(), 130.0, remembered)["queue_long"].value == 0


async def _gpu_of_run(bench: Bench) -> None:
    async with bench.running():
        await bench.add_node("box", gpus=2)
        values = dial(60) | {"gpu0.utilisation": 1.0, "gpu0.memory_used": 99.0, "gpu0.memory_total": 100.0}
        await read(bench, "box", **values)
        node = bench.controller.pool.node("box")
        run = NodeRun(uid="u", name="run", state="running", devices=["0"])

        def kinds(live: dict[str, list[NodeRun]]) -> set[tuple[str, str]]:
            found = Sights([], 0.0).of([node], Facts(live=live), Settings(), 0.0, node.read_at or 0.0)
            return {(sight.kind, sight.device) for sight in found if sight.kind in ("gpu_idle", "gpu_memory_full")}

        assert kinds({}) == set()
        assert kinds({"box": [run]}) == {("gpu_idle", "0"), ("gpu_memory_full", "0")}
        run.state = "preparing"
        assert kinds({"box": [run]}) == {("gpu_memory_full", "0")}


def test_an_idle_gpu_is_only_wrong_while_a_run_holds_it(bench: Bench) -> None:
    asyncio.run(_gpu_of_run(bench))


async def _new_gpus(bench: Bench) -> None:
    async with bench.running():
        await bench.add_node("box", gpus=2)
        node = bench.controller.pool.node("box")
        await read(bench, "box", **dial(60, gpus=0))
        remembered = Sights([], 0.0)

        def lost(clock: float) -> list[float | None]:
            found = remembered.of([node], Facts(), Settings(), clock, node.read_at or 0.0)
            return [sight.value for sight in found if sight.kind == "gpu_lost"]

        assert lost(0.0) == [None, None]  # the sampler may not have them yet
        assert lost(61.0) == [1.0, 1.0]


def test_gpus_that_were_just_found_are_not_lost(bench: Bench) -> None:
    asyncio.run(_new_gpus(bench))
