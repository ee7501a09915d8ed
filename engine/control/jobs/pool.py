"""The nodes of one controller: how each is reached, whether it answers, and what it has to offer.

Whoever asks a node's executor or link goes through `Node.call`: every node has threads of its own, so that one that
does not answer holds up nobody else. One task a node asks whether it answers (`reach.py`); all others believe it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

from engine.contract.api import Settings
from engine.contract.clock import now
from engine.contract.errors import ErrorBody, NotFound, Unreachable, UserError
from engine.contract.images import EngineSource
from engine.contract.nodes import (
    LOCAL,
    CheckName,
    DoctorCheck,
    DoctorReport,
    NodeFacts,
    NodeProfile,
    NodeRun,
    NodeState,
    NodeView,
    Reach,
    Transfer,
)  # fmt: skip
from engine.contract.states import Lane
from engine.control.executors.base import Executor
from engine.control.executors.docker.link import Link
from engine.control.executors.seen import Hands
from engine.control.executors.stage import Stage
from engine.control.jobs import queue
from engine.control.jobs.scheduler import Offer
from engine.control.nodes.sampler import Sampler
from engine.control.store.nodes import NodeRow

T = TypeVar("T")
THREADS = 48
LONGEST_HOLD_S = 3600.0
FRESH_S = 60.0
"""A reading that is older says nothing about a GPU now."""


def _nothing() -> None:
    """A node that needs no asking."""


Examine = Callable[[Callable[[DoctorCheck], None], Sequence[CheckName]], DoctorReport]
"""Told step by step; only these checks, or all where none is named."""
Sweep = Callable[[Mapping[str, float | None], Callable[[str], bool], Callable[[str, int], bool]], list[str]]
"""Told how many days each run's remains stay (None: for good), whether they may go, and whether an attempt is over; the
runs whose went."""
BringImage = Callable[[str, Callable[[Transfer], None], EngineSource | None], None]
"""Told how far it is; from which engine (None: this computer's)."""


@dataclass(frozen=True)
class Place:
    """What a profile becomes: who starts workers there, and the line to it."""

    executor: Executor
    link: Link | None = None
    ask: Callable[[], NodeFacts | None] = _nothing
    """Raises `Unreachable`, or another `UserError`, when nobody answers as it should; may tell of the machine."""
    examine: Examine | None = None
    """Has it examined by a doctor."""
    bring_image: BringImage | None = None
    """Copies an image of an engine there."""
    sweep: Sweep | None = None
    """Removes what remains of runs that had its time, and of the cache what nobody needs."""
    remove: Callable[[str], bool] | None = None
    """Removes what remains of one run; False while a worker of it lives."""
    fence: Callable[[str, str], int] | None = None
    """Ends workers of a run that have another lease than this; how many."""
    sampler: Sampler | None = None
    """Takes readings of it."""
    stage: Stage | None = None
    """Takes a run that is to be moved there; None where workers find everything on this computer."""
    instances: Hands | None = None
    """What of ours is there."""

    def close(self) -> None:
        """Let go of it. Workers go on."""
        if self.sampler is not None:
            self.sampler.close()
        self.executor.close()
        if self.link is not None:
            self.link.close()


MakePlace = Callable[[NodeProfile], Place]
"""Makes a place of a profile; asks nobody yet. Raises UserError where that is impossible, a key is missing say."""


class Node:
    """One node while the controller lives. Its attributes are changed on the event loop only."""

    def __init__(self, row: NodeRow, place: Place | None, gpus: tuple[str, ...] = ()) -> None:
        self.id = row.id
        self.profile = row.profile
        self.state: NodeState = row.state
        self.facts = row.facts
        self.last_seen = row.last_seen
        self.place = place
        self.reach: Reach = "reachable" if row.name == LOCAL else "checking"
        self.error: ErrorBody | None = None
        self.values: dict[str, float] = {}
        self.names: dict[str, str] = {}
        self.read_at: float | None = None
        self.generation = 0
        """Counts the places it has had: attempts are taken up anew at each."""
        self.kick = asyncio.Event()
        """Set to have it asked at once."""
        self._gpus = gpus
        self._faults = 0
        self._held_until = 0.0
        self._fault = ""
        self._threads = None if row.name == LOCAL else ThreadPoolExecutor(THREADS, f"node-{row.name}")

    @property
    def name(self) -> str:
        """What it is called."""
        return self.profile.name

    @property
    def docker(self) -> bool:
        """Its workers run in containers."""
        return self.profile.kind != "process"

    @property
    def executor(self) -> Executor:
        """Who starts workers there now; raises Unreachable while its profile cannot be used."""
        if self.place is None:
            raise self.broken()
        return self.place.executor

    @property
    def link(self) -> Link:
        """The line to its engine; raises for a node that has none."""
        if self.place is None:
            raise self.broken()
        if self.place.link is None:
            raise UserError("nodes.no_containers", node=self.name)
        return self.place.link

    def broken(self) -> Unreachable:
        """Why its profile cannot be used."""
        if self.error is not None:
            return Unreachable.from_body(self.error)
        return Unreachable("nodes.broken", node=self.name, detail="")

    @property
    def gpus(self) -> tuple[str, ...]:
        """GPUs it can give, by index: where a container with one was really started."""
        if self.name == LOCAL:
            return self._gpus
        return tuple(gpu.index for gpu in self.facts.gpus) if self.facts.gives_gpus else ()

    async def call(self, work: Callable[..., T], *arguments: Any) -> T:
        """Do what waits for this node, on one of its threads."""
        if self._threads is None:
            return await asyncio.to_thread(work, *arguments)
        return await asyncio.get_running_loop().run_in_executor(self._threads, work, *arguments)

    def slots(self, settings: Settings) -> dict[str, int]:
        """Lane to number of slots."""
        chosen = dict(settings.slots or {}) if self.name == LOCAL else {}
        if self.profile.max_runs is not None:
            chosen[Lane.GPU] = self.profile.max_runs
        found = queue.slots(chosen, self.gpus)
        return found if self.profile.max_runs != 0 else dict.fromkeys(found, 0)

    def offer(self, settings: Settings) -> Offer:
        """The node as the scheduler sees it."""
        slots = self.slots(settings)
        fresh = self.read_at is not None and now() - self.read_at < FRESH_S
        values = self.values if fresh else {}
        return Offer(
            id=self.id,
            name=self.name,
            kind=self.profile.kind,
            executor=self.place.executor.name if self.place else "",
            state=self.state,
            reach=self.reach if self.place else "unreachable",
            slots=slots,
            gpus=self.gpus,
            crowded=self.name == LOCAL and slots[Lane.GPU] > len(self.gpus),
            labels=self.profile.labels,
            price=self.profile.price,
            currency=self.profile.currency,
            free_memory=self._free_memory(values),
            temperature={gpu: values[key] for gpu in self.gpus if (key := f"gpu{gpu}.temperature") in values},
            held=max(0.0, self._held_until - time.monotonic()),
            fault=self._fault,
        )

    def _free_memory(self, values: Mapping[str, float]) -> dict[str, int]:
        free = {gpu.index: gpu.memory for gpu in self.facts.gpus if gpu.memory and gpu.index in self.gpus}
        for gpu in self.gpus:
            total, used = values.get(f"gpu{gpu}.memory_total"), values.get(f"gpu{gpu}.memory_used")
            if total is not None and used is not None:
                free[gpu] = int(total - used)
        return free

    def failed(self, error: ErrorBody, first: float) -> None:
        """A start there failed by its own fault: it is left alone for a while, each time for longer."""
        self._faults += 1
        seconds = min(LONGEST_HOLD_S, first * 2 ** min(self._faults - 1, 30))
        self._held_until, self._fault = time.monotonic() + seconds, error.what

    def well(self) -> None:
        """A worker works there, or a person looked after it."""
        self._faults, self._held_until, self._fault = 0, 0.0, ""

    def view(self, settings: Settings, runs: list[NodeRun], alerts: int = 0) -> NodeView:
        """The node as a page shows it."""
        return NodeView(
            profile=self.profile, state=self.state, reach=self.reach, error=self.error, last_seen=self.last_seen,
            facts=self.facts, slots=self.slots(settings)[Lane.GPU], runs=runs, values=self.values, names=self.names,
            read_at=self.read_at, alerts=alerts,
        )  # fmt: skip

    def close(self) -> None:
        """Let go of it; workers go on. Waits: call it on a thread."""
        if self.place is not None:
            self.place.close()
        if self._threads is not None:
            self._threads.shutdown(wait=False, cancel_futures=True)


class Pool:
    """All nodes, by name. Belongs to the event loop."""

    def __init__(
        self,
        local: Executor,
        make_place: MakePlace,
        examine_local: Examine | None = None,
        listed_here: Hands | None = None,
    ) -> None:
        self._local = Place(local, examine=examine_local, instances=listed_here)
        self._make = make_place
        self._nodes: dict[str, Node] = {}

    def __iter__(self) -> Iterator[Node]:
        return iter(list(self._nodes.values()))

    def __contains__(self, name: str) -> bool:
        return name in self._nodes

    @property
    def local(self) -> Node:
        """This computer."""
        return self._nodes[LOCAL]

    @property
    def names(self) -> list[str]:
        """Of all nodes, this computer's first."""
        return list(self._nodes)

    def node(self, name: str) -> Node:
        """A node; NotFound, with a near name, if there is none."""
        found = self._nodes.get(name)
        if found is None:
            raise unknown(name, self._nodes)
        return found

    def add(self, row: NodeRow, gpus: tuple[str, ...] = ()) -> Node:
        """A node of the history comes into use."""
        place, error = self._placed(row.profile)
        node = Node(row, place, gpus)
        if error is not None:
            node.reach, node.error = "unreachable", error
        self._nodes[row.name] = node
        return node

    def change(self, node: Node, profile: NodeProfile) -> Place | None:
        """Give a node another profile; the place it had, to be closed, where the way to it is another one."""
        before, node.profile = node.profile, profile
        if node.name == LOCAL or not _another_way(before, profile):
            return None
        old, (node.place, error) = node.place, self._placed(profile)
        node.generation += 1
        node.reach, node.error = ("checking", None) if error is None else ("unreachable", error)
        node.kick.set()
        return old

    def remove(self, name: str) -> Node:
        """A node goes out of use."""
        return self._nodes.pop(name)

    def make(self, profile: NodeProfile) -> Place:
        """A place of one's own for a profile that is not used yet, to be closed afterwards."""
        return self._make(profile)

    def offers(self, settings: Settings) -> list[Offer]:
        """What the nodes have to offer now."""
        return [node.offer(settings) for node in self._nodes.values()]

    def slots(self, settings: Settings) -> dict[str, int]:
        """Lane to slots of all nodes that may be given runs."""
        total = dict.fromkeys(map(str, Lane), 0)
        for node in self._nodes.values():
            if node.state == "online" and node.reach == "reachable":
                for lane, count in node.slots(settings).items():
                    total[lane] += count
        return total

    def next_release(self) -> float | None:
        """Seconds until a node that is left alone may be given runs again."""
        held = [node._held_until - time.monotonic() for node in self._nodes.values()]
        return min((seconds for seconds in held if seconds > 0), default=None)

    def _placed(self, profile: NodeProfile) -> tuple[Place | None, ErrorBody | None]:
        if profile.name == LOCAL:
            return self._local, None
        try:
            return self._make(profile), None
        except UserError as error:
            return None, error.body()
        except OSError as error:
            return None, UserError("nodes.broken", node=profile.name, detail=str(error)).body()


def unknown(name: str, known: Mapping[str, Any]) -> NotFound:
    """That there is no such node; with the one that may have been meant."""
    import difflib

    near = difflib.get_close_matches(name, known, n=1)
    return NotFound("nodes.unknown_near", node=name, near=near[0]) if near else NotFound("nodes.unknown", node=name)


WAY = (
    "kind", "address", "key", "certificate", "ca", "host_key", "docker_socket", "image", "limits", "mounts",
    "mirror_minutes",
)  # fmt: skip
"""What of a profile its executor and its link were made with."""


def _another_way(before: NodeProfile, after: NodeProfile) -> bool:
    return any(getattr(before, name) != getattr(after, name) for name in WAY)
