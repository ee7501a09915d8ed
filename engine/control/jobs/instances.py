"""Every container and process of ours on every node: what it is, whether the history knows it, what is done to it."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass

from engine.contract.clock import now
from engine.contract.errors import Conflict, ErrorBody, NotFound, UserError
from engine.contract.nodes import DeedResult, Instance, InstanceDeed, Instances
from engine.control.executors.docker.names import computer, controller_id
from engine.control.executors.listing import living_controllers
from engine.control.executors.seen import Hands, Seen
from engine.control.jobs import adopting
from engine.control.jobs.move_desk import MoveDesk
from engine.control.jobs.pool import Node
from engine.control.jobs.requests import Request
from engine.control.store import attempts, audit, events
from engine.control.store.database import Transaction

log = logging.getLogger(__name__)
LIST_S = 20.0
"""How long one node may take to say what is there."""
DAY_S = 86_400.0
OPEN_FOR_S = 60.0
"""How long an adoption waits for an earlier attempt to be taken in."""


@dataclass(frozen=True)
class Known:
    """What the history says of an attempt."""

    run_name: str
    owner: str
    lease: str
    open: bool
    state: str
    node: str
    devices: list[str]
    started: float


Attempts = dict[tuple[str, int], Known]


class InstanceDesk(MoveDesk):
    """Takes requests about instances. The loop behind it is `controller.Controller`."""

    async def instances(self) -> Instances:
        """All of them, and the nodes that could not be asked."""
        nodes = list(self.pool)
        answers = await asyncio.gather(*(self._seen_on(node) for node in nodes))
        runs = {seen.run for found in answers if not isinstance(found, ErrorBody) for seen in found if seen.run}
        known = await self.database.read(lambda c: _known(c, runs))
        shown, unreachable = list[Instance](), dict[str, ErrorBody]()
        for node, found in zip(nodes, answers, strict=True):
            if isinstance(found, ErrorBody):
                unreachable[node.name] = found
                shown += _unseen(node, known, "unreachable", set())
                continue
            shown += [self._shown(node, seen, known) for seen in found]
            shown += _unseen(node, known, "gone", {(seen.run, seen.attempt) for seen in found})
        return Instances(instances=shown, unreachable=unreachable)

    async def instance_deed(self, deed: InstanceDeed, actor: str = "local") -> DeedResult:
        """Do it to each; what is refused harms no other."""
        asked = list(dict.fromkeys(deed.ids))
        by_node: dict[str, list[str]] = {}
        for one in asked:
            by_node.setdefault(one.partition("/")[0], []).append(one)
        results = await asyncio.gather(*(self._deed_on(name, ids, deed) for name, ids in by_node.items()))
        errors = {key: error for found in results for key, error in found.items()}
        done = len(asked) - len(errors)
        text = events.dump({"verb": deed.verb, "ids": asked, "refused": sorted(errors)})

        def write(transaction: Transaction) -> None:
            audit.append(transaction, at=now(), actor=actor, action="instances", target=None, detail=text)

        await self.database.write(write)
        return DeedResult(done=done, errors=errors)

    async def _deed_on(self, name: str, ids: Sequence[str], deed: InstanceDeed) -> dict[str, ErrorBody]:
        """On one node, one after the other; the first attempt of a run first."""
        try:
            node = self.pool.node(name)
            found = await self._seen_on(node)
        except NotFound as error:
            return dict.fromkeys(ids, error.body())
        if isinstance(found, ErrorBody):
            return dict.fromkeys(ids, found)
        # as it was called in a list from before its process or container was seen
        there = {f"{node.name}/{seen.run}.{seen.attempt}": seen for seen in found if seen.run}
        there |= {f"{node.name}/{seen.handle}": seen for seen in found}
        errors: dict[str, ErrorBody] = {}
        for one in sorted(ids, key=lambda key: (there[key].run, there[key].attempt) if key in there else ("", 0)):
            try:
                seen = there.get(one)
                if seen is None:
                    raise NotFound("instances.unknown", id=one)
                await self._do(node, seen, deed)
            except UserError as error:
                errors[one] = error.body()
        return errors

    async def _do(self, node: Node, seen: Seen, deed: InstanceDeed) -> None:
        known = (await self.database.read(lambda c: _known(c, {seen.run}))).get((seen.run, seen.attempt))
        known = known if known is not None and known.lease == (seen.lease or known.lease) else None
        name = f"{node.name}/{seen.handle}"
        if seen.kind == "spare":
            raise Conflict("instances.spare", id=name)
        if deed.verb == "adopt":
            await self._adopt_instance(node, seen, known, name, deed.force)
            return
        if known is None and self._is_foreign(seen):
            raise Conflict("instances.foreign", id=name, controller=seen.controller)
        if deed.verb == "remove":
            await self._remove(node, seen, known, name)
        else:
            await self._end_instance(node, seen, known, name, save=deed.verb == "stop")

    async def _end_instance(self, node: Node, seen: Seen, known: Known | None, name: str, save: bool) -> None:
        if not seen.live:
            raise Conflict("instances.not_at_work", id=name)
        if known is None or not known.open:
            await node.call(_hands(node).end, seen, save)
            return
        await self.stop(seen.run, save, Request("stop", target=seen.run, body=str(save)))
        if not save:
            folder = self.home.attempt(seen.run, seen.attempt)
            handle = await self.database.read(lambda c: _handle(c, seen.run, seen.attempt))
            await node.call(lambda: node.executor.kill(folder, handle))

    async def _remove(self, node: Node, seen: Seen, known: Known | None, name: str) -> None:
        """Only what has ended, is ours, and whose files are here or belong to nobody."""
        if seen.live or (known is not None and known.open):
            raise Conflict("instances.not_ended", id=name)
        if known is not None and not self.home.attempt(seen.run, seen.attempt).exit.exists():
            raise Conflict("instances.not_copied", id=name, run=known.run_name)
        await node.call(_hands(node).remove, seen)
        left = await self._seen_on(node)
        if isinstance(left, ErrorBody) or not seen.run or any(other.run == seen.run for other in left):
            return
        place = node.place
        async with self._files_of(seen.run):
            if place is not None and place.remove is not None and await node.call(place.remove, seen.run):
                await self._note_gone(node.name, [seen.run])

    async def _adopt_instance(self, node: Node, seen: Seen, known: Known | None, name: str, force: bool) -> None:
        """Make a run of it again, whose journal is taken in as if it had always been there."""
        if known is not None:
            raise Conflict("instances.known", id=name, run=known.run_name)
        if not seen.run or not seen.attempt or seen.kind == "probe":
            raise Conflict("instances.no_run", id=name)
        if self._is_foreign(seen) and seen.controller in await asyncio.to_thread(living_controllers):
            raise Conflict("instances.other_controller", id=name, controller=seen.controller)
        if self._is_foreign(seen) and seen.computer != computer() and not force:
            where = seen.computer.partition("/")[0] or "?"
            raise Conflict("instances.other_computer", id=name, computer=where, controller=seen.controller)
        data = await node.call(_hands(node).order, seen) or b""
        order = adopting.order_of(data, seen, name)
        await self._no_longer_open(seen)
        await asyncio.to_thread(adopting.make_folder, self.home.attempt(seen.run, seen.attempt), data)
        attempt_id = await self.database.write(
            lambda t: adopting.adopt(t, seen, order, node.id, node.name, node.executor.name, now()), durable=True
        )
        row = await self.database.read(lambda c: attempts.open_attempt(c, attempt_id))
        if row is not None:
            self._watch(row, adopted=False)

    async def _no_longer_open(self, seen: Seen) -> None:
        """An earlier attempt that was adopted just now is taken in first."""
        deadline = asyncio.get_running_loop().time() + OPEN_FOR_S
        while asyncio.get_running_loop().time() < deadline:
            known = await self.database.read(lambda c: _known(c, {seen.run}))
            if not any(one.open for (run, _n), one in known.items() if run == seen.run):
                return
            await asyncio.sleep(0.1)
        raise Conflict("instances.run_at_work", run=seen.run)

    async def _seen_on(self, node: Node) -> Sequence[Seen] | ErrorBody:
        """What is there, or why nobody can say."""
        if node.place is None or node.reach == "unreachable":
            return node.broken().body()
        if node.reach == "unused":
            return UserError("instances.offline", node=node.name).body()
        if node.place.instances is None:
            return []
        try:
            async with asyncio.timeout(LIST_S):
                found: Sequence[Seen] = await node.call(node.place.instances.listed)
                return found
        except TimeoutError:
            return UserError("instances.slow", node=node.name, seconds=round(LIST_S)).body()
        except UserError as error:
            node.kick.set()
            return error.body()

    def _shown(self, node: Node, seen: Seen, attempts_known: Attempts) -> Instance:
        found = attempts_known.get((seen.run, seen.attempt))
        known = found if found is not None and found.lease == (seen.lease or found.lease) else None
        ours = known is not None or seen.kind in ("spare", "probe", "query")
        keep = seen.ended + seen.keep_days * DAY_S if seen.ended and seen.keep_days is not None else None
        return Instance(
            id=f"{node.name}/{seen.handle}", node=node.name, kind=seen.kind, state=seen.state, run=seen.run,
            run_name=known.run_name if known else "", attempt=seen.attempt,
            owner=seen.owner or (known.owner if known else ""), image=seen.image,
            devices=list(seen.devices) or (known.devices if known and known.open else []), created=seen.created,
            started=seen.started, ended=seen.ended, expires=keep, exit_code=seen.exit_code, known=ours,
            cpu_percent=seen.cpu_percent, memory=seen.memory, endpoint=seen.endpoint,
        )  # fmt: skip

    def _is_foreign(self, seen: Seen) -> bool:
        return seen.controller not in ("", controller_id(self.home))

    def _watch(self, row: sqlite3.Row, adopted: bool = True) -> None:
        raise NotImplementedError


def _hands(node: Node) -> Hands:
    if node.place is None:
        raise node.broken()
    if node.place.instances is None:
        raise UserError("nodes.no_containers", node=node.name)
    return node.place.instances


def _known(connection: sqlite3.Connection, runs: set[str]) -> Attempts:
    """Attempts of these runs, and all that have not ended."""
    rows = connection.execute(
        "SELECT uid, run.name, owner, n, lease, attempt.ended, run.state, node.name AS node, devices, attempt.started "
        "FROM attempt JOIN run ON run.id = run_id "
        "JOIN member ON member.attempt_id = attempt.id AND rank = 0 LEFT JOIN node ON node.id = node_id "
        "WHERE deleting = 0 AND (attempt.ended IS NULL OR uid IN (SELECT value FROM json_each(?)))",
        (events.dump(sorted(runs)),),
    )
    return {
        (row["uid"], row["n"]): Known(
            row["name"], row["owner"], row["lease"], row["ended"] is None, row["state"], row["node"] or "",
            events.load(row["devices"] or "[]"), row["started"],
        )
        for row in rows
    }  # fmt: skip


def _handle(connection: sqlite3.Connection, uid: str, n: int) -> str:
    row = connection.execute(
        "SELECT handle FROM member JOIN attempt ON attempt.id = attempt_id JOIN run ON run.id = run_id "
        "WHERE uid = ? AND n = ? AND rank = 0",
        (uid, n),
    ).fetchone()
    return str(row[0]) if row is not None else ""


def _unseen(node: Node, known: Attempts, state: str, seen: set[tuple[str, int]]) -> list[Instance]:
    """Attempts that should be on a node, and of which nothing was seen there."""
    found = []
    for (uid, n), one in known.items():
        if not one.open or one.node != node.name or (uid, n) in seen:
            continue
        shown = "created" if state == "gone" and one.state == "preparing" else state
        found.append(
            Instance.model_validate(
                {"id": f"{node.name}/{uid}.{n}", "node": node.name, "state": shown, "run": uid, "attempt": n,
                 "run_name": one.run_name, "owner": one.owner, "devices": one.devices, "started": one.started}
            )
        )  # fmt: skip
    return found
