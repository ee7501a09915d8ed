"""Adapters by the names they are asked for: loaded, replaced and unloaded while requests work with them.

Each file that is put under a name is a version of its own. A request keeps the version it began with; one that nobody
may ask for any more is let go of when the last request that has it is over.
"""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from operator import attrgetter
from pathlib import Path

import numpy as np

from engine.compute.lora.manager import LoRAManager
from engine.compute.lora.router import LoRARouter, Route
from engine.compute.passing import in_passing
from engine.contract.errors import Conflict, NotFound, UserError
from engine.contract.held_adapters import AdapterChange, HeldAdapter
from engine.contract.lora_card import LoRACard
from engine.contract.paths import expanded
from engine.contract.serving import BASE_NAMES, AdapterState, Routed

Describe = Callable[[LoRACard], tuple[float, ...]]


@dataclass(frozen=True, slots=True)
class Version:
    """A file under a name."""

    name: str
    inner: str
    """What the manager calls it; no other version ever had it."""
    path: Path
    card: LoRACard
    bytes: int
    purpose: tuple[float, ...] = ()
    """What it is for, as a vector; none: the router does not know."""
    source: str = ""
    """Where it lies on the controller's computer, if that asked for it."""


@dataclass
class Lease:
    """The versions a request works with, until it is over."""

    book: AdapterBook
    versions: tuple[tuple[Version, float], ...]
    routed: Routed | None = None
    """How the router came to them, where it was asked."""
    _over: bool = False

    @property
    def adapters(self) -> tuple[tuple[str, float], ...]:
        """As the engine takes them."""
        return tuple((version.inner, weight) for version, weight in self.versions)

    @property
    def names(self) -> dict[str, float]:
        """As people know them."""
        return {version.name: weight for version, weight in self.versions}

    def release(self) -> None:
        """The request is over; again is the same as once."""
        if not self._over:
            self._over = True
            self.book.let_go([version for version, _ in self.versions])


@dataclass
class AdapterBook:
    """Which versions there are, who works with them, and which are likest to a request."""

    manager: LoRAManager
    taken: tuple[str, ...] = ()
    """Names that are the base model's."""
    describe: Describe = attrgetter("embedding")
    """What an adapter is for, by its card, as a vector."""
    middle: Callable[[], tuple[float, ...]] = tuple
    """What all texts have in common, as a vector: it tells no text from another. Empty: nothing."""
    identify: Callable[[], None] = lambda: None
    """Called before an adapter that names its base meets it."""
    of_job: frozenset[str] = frozenset()
    """Names of the job's adapters, also of those that were let go before."""
    tell: Callable[[AdapterChange], None] = lambda _change: None
    """Called with each change before it is acknowledged, one after the other."""
    _current: dict[str, Version] = field(default_factory=dict)
    _users: Counter[str] = field(default_factory=Counter)
    _asked: Counter[str] = field(default_factory=Counter)
    _going: set[str] = field(default_factory=set)
    _router: LoRARouter = field(default_factory=LoRARouter)
    _routed: set[str] = field(default_factory=set)
    _unrouted: dict[str, Version] = field(default_factory=dict)
    """The router hears of them when it is asked for the first time: many instances never ask."""
    _begun: dict[str, str] = field(default_factory=dict)
    """Versions of the job's adapters, by name."""
    _number: int = 0
    _lock: threading.RLock = field(default_factory=threading.RLock)
    _adding: threading.Lock = field(default_factory=threading.Lock)
    _untold: deque[AdapterChange] = field(default_factory=deque)
    _telling: threading.Lock = field(default_factory=threading.Lock)

    @property
    def names(self) -> list[str]:
        """That may be asked for."""
        with self._lock:
            return sorted(self._current)

    def begin(self, name: str, path: str) -> None:
        """Add one of the job's."""
        self.add(name, path)
        self._begun[name] = self._current[name].inner

    def changed(self, *names: str) -> None:
        """Tell what has these names now."""
        with self._lock:
            self._untold.extend(self._now(name) for name in names)
        with self._telling:  # not while requests wait: telling writes to the disk
            while self._untold:
                self.tell(self._untold.popleft())

    def _now(self, name: str) -> AdapterChange:
        version = self._current.get(name)
        if version is not None and version.inner == self._begun.get(name):
            return AdapterChange(name=name)
        held = None
        if version is not None:
            held = HeldAdapter(name=name, path=str(version.path), source=version.source)
        return AdapterChange(name=name, loaded=held, of_job=name in self.of_job)

    def add(self, name: str, path: str, replace: bool = False, source: str = "") -> AdapterState:
        """Read, check and fit an adapter, then give it the name; what is wrong leaves all as it was."""
        with self._adding:
            if name in self.taken or name in BASE_NAMES:
                raise Conflict("lora.taken", name=name, param="name")
            if name in self.names and not replace:
                raise Conflict("lora.taken", name=name, param="name")
            found = _there(path)
            version = in_passing(lambda: self._made(name, found, source))
            with self._lock:
                before = self._current.get(name)
                self._current[name] = version
                if before is not None:
                    self._retire(before)
                self._forget(name)
                if version.purpose:
                    self._unrouted[name] = version
                state = self.state(name)
            self.changed(name)
            return state

    def _made(self, name: str, path: Path, source: str) -> Version:
        self._number += 1
        inner = f"{name}#{self._number}"
        self.manager.register(inner, path)
        try:
            card = self.manager.load(inner)
            if card.base_hash:
                self.identify()
            with self.manager.request([inner]):  # it fits the base
                pass
            purpose = self.describe(card)
        except BaseException:
            self.manager.unload(inner)
            raise
        return Version(name, inner, path, card, _bytes(path), purpose, source)

    def remove(self, name: str) -> None:
        """Nobody can ask for it from now on."""
        with self._lock:
            self._retire(self._known(name))
            del self._current[name], self._asked[name]
            self._forget(name)
        self.changed(name)

    def lease(self, weights: Mapping[str, float]) -> Lease:
        """The present versions, kept for a request."""
        with self._lock:
            versions = tuple((self._known(name), float(weight)) for name, weight in weights.items())
            self._users.update(version.inner for version, _ in versions)
            self._asked.update(version.name for version, _ in versions)
            return Lease(self, versions)

    def let_go(self, versions: list[Version]) -> None:
        """A request is over."""
        with self._lock:
            self._users.subtract(version.inner for version in versions)
            self._users += Counter()
            self._sweep()

    @property
    def can_route(self) -> bool:
        """There is an adapter that says what it is for."""
        with self._lock:
            return bool(self._routed or self._unrouted)

    def route(self, embedding: tuple[float, ...], count: int, threshold: float) -> Route:
        """Adapters that are for texts like this."""
        middle = np.asarray(self.middle(), dtype=np.float64)
        with self._lock:
            for version in self._unrouted.values():
                self._route_to(version, middle)
            self._unrouted.clear()
            return self._router.route(_apart(embedding, middle), count, threshold)

    def state(self, name: str) -> AdapterState:
        """What is known of one."""
        with self._lock:
            version = self._known(name)
            card = version.card
            return AdapterState(
                name=name, path=str(version.path), file_hash=card.file_hash, rank=card.rank, bytes=version.bytes,
                loaded=version.inner in self.manager.held.names, requests=self._asked[name],
                description=card.description, card_name=card.name, routed=bool(version.purpose),
            )  # fmt: skip

    def states(self) -> list[AdapterState]:
        """Of all, by name."""
        with self._lock:
            return [self.state(name) for name in sorted(self._current)]

    def _known(self, name: str) -> Version:
        if name not in self._current:
            known = ", ".join(sorted(self._current)[:20]) or "none"
            raise NotFound("lora.unknown", name=name, known=known, param="model")
        return self._current[name]

    def _route_to(self, version: Version, middle: np.ndarray) -> None:
        """Routing to it is a convenience: one whose vector is another base's is asked for by its name."""
        vector = _apart(version.purpose, middle)
        try:
            self._router.add(version.card.model_copy(update={"name": version.name, "embedding": vector}))
        except UserError:
            return
        self._routed.add(version.name)

    def _forget(self, name: str) -> None:
        """The router does not know it any more."""
        self._unrouted.pop(name, None)
        if name in self._routed:
            self._router.remove(name)
            self._routed.discard(name)

    def _retire(self, version: Version) -> None:
        self._going.add(version.inner)
        self._sweep()

    def _sweep(self) -> None:
        """Unload what nobody has; the engine may hold one a moment longer than its request."""
        for inner in [one for one in self._going if not self._users[one]]:
            try:
                self.manager.unload(inner)
            except Conflict:
                continue
            self._going.discard(inner)


def _there(path: str) -> Path:
    """The file or folder, if reading it comes to an end; refuses, in words, what is none."""
    try:
        found = expanded(path)
        if not found.exists():
            raise NotFound("lora.missing", path=path, param="path")
        of_it = [found, *found.iterdir()] if found.is_dir() else [found]
        odd = next((one for one in of_it if one.exists() and not one.is_file() and not one.is_dir()), None)
    except (OSError, ValueError) as error:  # a name too long, not allowed
        raise NotFound("lora.missing", path=path, param="path") from error
    if odd is not None:
        raise UserError("lora.file_broken", path=str(odd), detail="it is neither a file nor a folder", param="path")
    return found


def _bytes(path: Path) -> int:
    files = [path] if path.is_file() else [one for one in path.glob("*") if one.is_file()]
    return sum(one.stat().st_size for one in files)


def _apart(vector: tuple[float, ...], middle: np.ndarray) -> tuple[float, ...]:
    """A vector without what all texts have in common; one of another length stays, and is refused where it is used."""
    return tuple((np.asarray(vector) - middle).tolist()) if len(vector) == len(middle) else vector
