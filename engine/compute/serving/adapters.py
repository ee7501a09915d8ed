"""Adapters by the names they are asked for: loaded, replaced and unloaded while requests work with them.

Each file that is put under a name is a version of its own. A request keeps the version it began with; one that nobody
may ask for any more is let go of when the last request that has it is over.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from engine.compute.lora.manager import LoRAManager
from engine.compute.lora.router import LoRARouter, Route
from engine.compute.passing import in_passing
from engine.contract.errors import Conflict, NotFound, UserError
from engine.contract.lora_card import LoRACard
from engine.contract.serving import BASE_NAMES, AdapterState

Describe = Callable[[LoRACard], LoRACard]


@dataclass(frozen=True, slots=True)
class Version:
    """A file under a name."""

    name: str
    inner: str
    """What the manager calls it; no other version ever had it."""
    path: Path
    card: LoRACard
    bytes: int


@dataclass
class Lease:
    """The versions a request works with, until it is over."""

    book: AdapterBook
    versions: tuple[tuple[Version, float], ...]
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
    describe: Describe | None = None
    """Gives a card the embedding of its description."""
    identify: Callable[[], None] = lambda: None
    """Called before an adapter that names its base meets it."""
    _current: dict[str, Version] = field(default_factory=dict)
    _users: Counter[str] = field(default_factory=Counter)
    _asked: Counter[str] = field(default_factory=Counter)
    _going: set[str] = field(default_factory=set)
    _router: LoRARouter = field(default_factory=LoRARouter)
    _routed: set[str] = field(default_factory=set)
    _number: int = 0
    _lock: threading.RLock = field(default_factory=threading.RLock)
    _adding: threading.Lock = field(default_factory=threading.Lock)

    @property
    def names(self) -> list[str]:
        """That may be asked for."""
        with self._lock:
            return sorted(self._current)

    def add(self, name: str, path: str, replace: bool = False) -> AdapterState:
        """Read, check and fit an adapter, then give it the name; what is wrong leaves all as it was."""
        with self._adding:
            if name in self.taken or name in BASE_NAMES:
                raise Conflict("lora.taken", name=name, param="name")
            if name in self.names and not replace:
                raise Conflict("lora.taken", name=name, param="name")
            version = in_passing(lambda: self._made(name, Path(path).expanduser()))
            with self._lock:
                before = self._current.get(name)
                self._current[name] = version
                if before is not None:
                    self._retire(before)
                self._route_to(version)
            return self.state(name)

    def _made(self, name: str, path: Path) -> Version:
        self._number += 1
        inner = f"{name}#{self._number}"
        self.manager.register(inner, path)
        try:
            card = self.manager.load(inner)
            if card.base_hash:
                self.identify()
            with self.manager.request([inner]):  # it fits the base
                pass
            if not card.embedding and card.description.strip() and self.describe is not None:
                card = self.describe(card)
        except BaseException:
            self.manager.unload(inner)
            raise
        return Version(name, inner, path, card, _bytes(path))

    def remove(self, name: str) -> None:
        """Nobody can ask for it from now on."""
        with self._lock:
            self._retire(self._known(name))
            del self._current[name], self._asked[name]
            if name in self._routed:
                self._router.remove(name)
                self._routed.discard(name)

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

    def route(self, embedding: tuple[float, ...], count: int, threshold: float) -> Route:
        """Adapters whose descriptions are like this."""
        with self._lock:
            return self._router.route(embedding, count, threshold)

    def state(self, name: str) -> AdapterState:
        """What is known of one."""
        with self._lock:
            version = self._known(name)
            card = version.card
            return AdapterState(
                name=name, path=str(version.path), file_hash=card.file_hash, rank=card.rank, bytes=version.bytes,
                loaded=version.inner in self.manager.held.names, requests=self._asked[name],
                description=card.description, card_name=card.name,
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

    def _route_to(self, version: Version) -> None:
        """Routing to it is a convenience: one that nothing is known of is asked for by its name."""
        if version.name in self._routed:
            self._router.remove(version.name)
            self._routed.discard(version.name)
        if version.card.embedding:
            try:
                self._router.add(version.card.model_copy(update={"name": version.name}))
            except UserError:  # its embedding is another base's
                return
            self._routed.add(version.name)

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


def _bytes(path: Path) -> int:
    files = [path] if path.is_file() else [one for one in path.glob("*") if one.is_file()]
    return sum(one.stat().st_size for one in files)
