"""What is looked at for alerts now: nodes and their GPUs, runs at work, the queue, the budget."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from engine.contract.api import Settings
from engine.contract.node_alerts import Alert
from engine.contract.nodes import LOCAL, NodeRun
from engine.contract.states import Mark, Phase, RunState
from engine.control.jobs.alert_core import Sight
from engine.control.jobs.pool import FRESH_S, Node
from engine.control.nodes.sampler import gpu_indices
from engine.control.store import costs, nodes

QUEUE, BUDGET = "queue", "budget"
APPEARS_S = 60.0
"""A GPU that is expected since a moment ago need not stand in the readings yet."""
BUDGET_EVERY_S = 60.0


@dataclass(frozen=True)
class Working:
    """A run at work, as far as its progress goes."""

    uid: str
    name: str
    node: str
    training: bool
    unreachable: bool
    place: tuple[int, int | None]
    """Attempt and step: another one is progress."""


@dataclass(frozen=True)
class Facts:
    """What the history says, read at one moment."""

    live: dict[str, list[NodeRun]] = field(default_factory=dict)
    working: list[Working] = field(default_factory=list)
    waiting: list[tuple[str, str, float]] = field(default_factory=list)
    """Id, name, since when by the time of day."""
    spent: float | None = None


def facts(connection: sqlite3.Connection, settings: Settings, at: float, with_budget: bool) -> Facts:
    """Read all of it."""
    rows = connection.execute(
        "SELECT uid, name, node, state, phase, mark, attempt, last_step FROM run WHERE state IN (?,?,?)",
        (RunState.PREPARING, RunState.RUNNING, RunState.FINISHING),
    ).fetchall()
    working = [
        Working(
            row["uid"], row["name"], row["node"], row["state"] == RunState.RUNNING and row["phase"] == Phase.TRAINING,
            row["mark"] == Mark.UNREACHABLE, (row["attempt"], row["last_step"]),
        )
        for row in rows
    ]  # fmt: skip
    waiting = connection.execute(
        "SELECT uid, name, coalesce(queued, created) AS since FROM run WHERE state = ? AND deleting = 0 "
        "AND coalesce(retry_at, 0) <= ? ORDER BY since LIMIT 1000",
        (RunState.QUEUED, at),
    ).fetchall()
    spent = None
    if with_budget and settings.budget:
        spent = costs.spent(connection, at - settings.budget_days * costs.DAY_S, at, settings.currency)
    return Facts(nodes.live_runs(connection), working, [tuple(row) for row in waiting], spent)


class Sights:
    """Remembers what the clock says of runs, so that a change of the time of day raises no alert."""

    def __init__(self, on: Iterable[tuple[str, Alert]], clock: float) -> None:
        self._on = [alert for _subject, alert in on]
        self._progress: dict[str, tuple[tuple[int, int | None] | None, float]] = {
            alert.run: (None, clock - alert.value * 60) for alert in self._on if alert.kind == "run_stalled"
        }
        self._waits: dict[str, float] = {}
        self._seen: dict[str, set[str]] = {}
        self._expected: dict[tuple[str, str], float] = {}
        self._spent: float | None = None
        self._budget_read: float | None = None

    def wants_budget(self, clock: float) -> bool:
        """It is time to count what was spent."""
        return self._budget_read is None or clock - self._budget_read >= BUDGET_EVERY_S

    def of(self, pool: Iterable[Node], found: Facts, settings: Settings, clock: float, at: float) -> list[Sight]:
        """Everything there is now."""
        if self.wants_budget(clock):
            self._spent, self._budget_read = found.spent, clock
        sights: list[Sight] = []
        for node in pool:
            sights += self._node(node, found.live.get(node.name, []), clock, at)
        sights += self._runs(found.working, clock)
        sights.append(self._queue(found.waiting, clock, at))
        sights += self._budget(settings)
        return sights

    def _node(self, node: Node, runs: list[NodeRun], clock: float, at: float) -> Iterator[Sight]:
        name = node.name
        if node.reach == "unused":
            return
        if name != LOCAL:
            answers = {"reachable": 0.0, "unreachable": 1.0}.get(node.reach)
            yield Sight("unreachable", name, answers, name)
        fresh = node.reach == "reachable" and node.read_at is not None and 0 <= at - node.read_at < FRESH_S
        values = node.values if fresh else {}
        yield Sight("disk_full", name, _share(values.get("disk.used"), _usable(values)), name)
        if values:
            self._seen.setdefault(name, set()).update(gpu_indices(values))
        for index in self._gpus(node):
            yield from self._gpu(node, index, values, runs, clock)

    def _gpus(self, node: Node) -> list[str]:
        """Those that ought to be there; before the first reading also those that have an alert."""
        expected = set(node.gpus) if node.gpus else set(self._seen.get(node.name, ()))
        if node.name == LOCAL:
            expected |= self._seen.get(node.name, set())
        if node.name not in self._seen:
            expected |= {alert.device for alert in self._on if alert.node == node.name and alert.device}
        return sorted(expected)

    def _gpu(
        self, node: Node, index: str, values: dict[str, float], runs: list[NodeRun], clock: float
    ) -> Iterator[Sight]:
        name, key, subject = node.name, f"gpu{index}", f"{node.name}/gpu{index}"
        since = self._expected.setdefault((name, index), clock)
        there = any(one.startswith(f"{key}.") for one in values)
        lost = None if not values else float(not there)
        if lost and index not in self._seen.get(name, ()) and clock - since < APPEARS_S:
            lost = None
        yield Sight("gpu_lost", subject, lost, name, index)
        yield Sight("gpu_temperature", subject, values.get(f"{key}.temperature"), name, index)
        holders = [run for run in runs if index in run.devices]
        if not holders:
            return
        run = holders[0]
        used = _share(values.get(f"{key}.memory_used"), values.get(f"{key}.memory_total"))
        yield Sight("gpu_memory_full", subject, used, name, index, run.uid, run.name)
        if run.state == RunState.RUNNING:
            yield Sight("gpu_idle", subject, values.get(f"{key}.utilisation"), name, index, run.uid, run.name)

    def _runs(self, working: list[Working], clock: float) -> Iterator[Sight]:
        for run in working:
            known = self._progress.get(run.uid)
            if known is None or run.unreachable or not run.training or known[0] not in (None, run.place):
                known = (run.place, clock)
            self._progress[run.uid] = (run.place, known[1])
            if run.training:
                minutes = None if run.unreachable else float((clock - known[1]) // 60)
                yield Sight("run_stalled", run.uid, minutes, run.node, "", run.uid, run.name)
        there = {run.uid for run in working}
        for uid in [uid for uid in self._progress if uid not in there]:
            del self._progress[uid]

    def _queue(self, waiting: list[tuple[str, str, float]], clock: float, at: float) -> Sight:
        """The run that waits longest."""
        self._waits = {uid: self._waits.get(uid, clock - max(0.0, at - since)) for uid, _name, since in waiting}
        if not waiting:
            return Sight("queue_long", QUEUE, 0.0)
        uid, name, _since = min(waiting, key=lambda one: self._waits[one[0]])
        return Sight("queue_long", QUEUE, float((clock - self._waits[uid]) // 60), run=uid, run_name=name,
                     params={"run_name": name})  # fmt: skip

    def _budget(self, settings: Settings) -> Iterator[Sight]:
        if not settings.budget:
            return
        spent = self._spent
        params = {
            "spent": f"{spent or 0:.2f}", "budget": f"{settings.budget:.2f}", "currency": settings.currency,
            "days": settings.budget_days,
        }  # fmt: skip
        yield Sight("budget", BUDGET, None if spent is None else 100 * spent / settings.budget, params=params)


def _share(used: float | None, total: float | None) -> float | None:
    return 100 * used / total if used is not None and total else None


def _usable(values: dict[str, float]) -> float | None:
    """What of a disk can be used: a part is often kept for the system."""
    used, free = values.get("disk.used"), values.get("disk.free")
    return used + free if used is not None and free is not None else values.get("disk.total")
