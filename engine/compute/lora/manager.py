"""Many adapters on one base model: which are in memory, which are at work, and who works with which.

A request takes a lease: its adapters stay in memory, and its thread sees them and no others, until it is given back.
What is at work for everybody else is one pointer. All methods may be called from any thread.
"""

from __future__ import annotations

import math
from collections import Counter, OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import RLock

import torch

from engine.compute.lora.adapter import Adapter
from engine.compute.lora.format import LoRAFormat
from engine.compute.lora.injection import Host
from engine.compute.lora.peft_folder import read_folder
from engine.compute.lora.plans import BASE, Part, Selection
from engine.contract.errors import Conflict, NotFound, UserError
from engine.contract.lora_card import LoRACard

KEPT_SELECTIONS = 64
"""Sets of adapters whose plans are kept."""
Weights = Mapping[str, float]
_Set = tuple[tuple[tuple[str, float], ...], tuple[int, ...] | None]


@dataclass(slots=True)
class Resident:
    """An adapter in memory, with what a base model makes of it."""

    adapter: Adapter
    bytes: int
    number: int
    """Which reading of a file or folder it is."""
    gains: dict[str, torch.Tensor] | None = None
    """None until its layers are there."""


@dataclass(frozen=True, slots=True)
class Held:
    """What is in memory."""

    names: tuple[str, ...]
    bytes: int


class LoRAManager:
    """Registers, loads, activates, weighs and unloads adapters; the least recently used go when room is short."""

    def __init__(self, limit_bytes: int = 4 << 30, limit_count: int = 1000, verify: bool = True) -> None:
        self.limit_bytes, self.limit_count, self.verify = limit_bytes, limit_count, verify
        self.host: Host | None = None
        self._lock = RLock()
        self._paths = dict[str, Path]()
        self._verified = dict[str, tuple[int, int]]()
        self._residents = OrderedDict[str, Resident]()
        self._selections = OrderedDict[_Set, Selection]()
        self._leases = Counter[str]()
        self._default: _Set = ((), None)
        self._readings = 0

    # Which there are.

    def register(self, name: str, path: Path) -> None:
        """Know an adapter by a name; it is read when it is wanted."""
        with self._lock:
            if name in self._paths:
                raise Conflict("lora.taken", name=name)
            if not path.exists():
                raise NotFound("lora.missing", path=str(path))
            self._paths[name] = path

    @property
    def names(self) -> list[str]:
        """Of all that are registered."""
        with self._lock:
            return sorted(self._paths)

    @property
    def held(self) -> Held:
        """What is in memory, the least recently used first."""
        with self._lock:
            return Held(tuple(self._residents), self._bytes())

    def load(self, name: str) -> LoRACard:
        """Have it in memory; its card."""
        return self.adapter(name).card

    def adapter(self, name: str) -> Adapter:
        """What it is made of, in memory. Nobody waits while its file is read."""
        with self._lock:
            path, resident = self._known(name), self._residents.get(name)
            if resident is not None:
                self._residents.move_to_end(name)
                return resident.adapter
        found = self._read(name, path)
        with self._lock:
            if name not in self._paths:  # it was unloaded meanwhile
                self._verified.pop(name, None)
            return self._resident(name, found).adapter

    def version(self, name: str) -> str:
        """What it is now, in memory: the hash of its file, or which reading it is of a folder, which has none."""
        self.load(name)
        with self._lock:
            resident = self._resident(name)
            return resident.adapter.card.file_hash or f"reading {resident.number}"

    def unload(self, name: str) -> None:
        """Forget it; refused while requests work with it. The adapters at work go on without it."""
        with self._lock:
            self._known(name)
            if self._leases[name]:
                raise Conflict("lora.in_use", name=name, requests=self._leases[name])
            if any(name == one for one, _ in self._default[0]):
                self.deactivate()
            self._drop(name)
            del self._paths[name]
            self._verified.pop(name, None)

    # The base model.

    def inject(self, model: torch.nn.Module, base_hash: str = "") -> None:
        """Work with this model; again is the same as once."""
        with self._lock:
            if self.host is not None and self.host.model is not model:
                raise Conflict("lora.other_model")
            if self.host is None:
                self.host = Host(model, base_hash)
            self.host.base_hash = base_hash or self.host.base_hash

    def remove(self) -> None:
        """Give the model back as it was; refused while requests work with it."""
        with self._lock:
            if busy := +self._leases:
                name, requests = busy.most_common(1)[0]
                raise Conflict("lora.in_use", name=name, requests=requests)
            if self.host is not None:
                self.host.remove()
            self.host, self._default = None, ((), None)
            self._selections.clear()
            for resident in self._residents.values():
                resident.gains = None

    # Which are at work.

    def activate(self, adapters: str | Sequence[str] | Weights) -> None:
        """From the next pass on these work together, each with its weight (1 if none is given)."""
        with self._lock:
            wanted = (_weighed(adapters), None)
            selection = self._selection(wanted)
            self._default = wanted
            self._host().switch.default = selection

    def weigh(self, name: str, weight: float) -> None:
        """Change the weight of one that is at work, or add it."""
        with self._lock:
            self.activate(dict(self._default[0]) | {name: weight})

    def deactivate(self) -> None:
        """The base alone, bit for bit."""
        with self._lock:
            self._default = ((), None)
            if self.host is not None:
                self.host.switch.default = BASE

    @property
    def active(self) -> dict[str, float]:
        """What works for everybody who has no lease."""
        with self._lock:
            return dict(self._default[0])

    @contextmanager
    def request(
        self, adapters: str | Sequence[str] | Weights = (), rows: Sequence[str | None] | None = None
    ) -> Iterator[Selection]:
        """This thread works with these adapters and no others; `rows` names one for each row of the batch instead."""
        if rows is not None:
            names = list(dict.fromkeys(name for name in rows if name is not None))
            numbers = {name: number for number, name in enumerate(names)}
            wanted: _Set = (_weighed(names), tuple(-1 if name is None else numbers[name] for name in rows))
        else:
            wanted = (_weighed(adapters), None)
        with self._lock:
            selection, state = self._selection(wanted), self._host().switch.state
            self._leases.update(selection.names)
        before, state.pinned = state.pinned, selection
        try:
            yield selection
        finally:
            state.forget()
            state.pinned = before
            with self._lock:
                self._free(selection.names)
                self._make_room(0, "")

    def hold(self, names: Sequence[str]) -> None:
        """Have these in memory until they are let go of, over many requests; each time counts."""
        with self._lock:
            for name in names:
                self._known(name)
            self._leases.update(names)
        try:
            for name in names:
                self.load(name)
        except BaseException:
            with self._lock:
                self._free(names)
            raise

    def let_go(self, names: Sequence[str]) -> None:
        """What was held is free to be unloaded."""
        with self._lock:
            self._free(names)
            self._make_room(0, "")

    # What all of these need; the lock is held.

    def _host(self) -> Host:
        if self.host is None:
            raise UserError("lora.no_model")
        return self.host

    def _known(self, name: str) -> Path:
        if name not in self._paths:
            raise NotFound("lora.unknown", name=name, known=", ".join(sorted(self._paths)[:20]) or "none")
        return self._paths[name]

    def _resident(self, name: str, adapter: Adapter | None = None) -> Resident:
        """In memory, and the most recently used; `adapter`: what was read of it."""
        path = self._known(name)
        resident = self._residents.get(name)
        if resident is None:
            adapter = adapter or self._read(name, path)
            size = adapter.held_bytes or adapter.bytes
            self._make_room(size, name)
            self._readings += 1
            resident = self._residents[name] = Resident(adapter, size, self._readings)
        self._residents.move_to_end(name)
        return resident

    def _read(self, name: str, path: Path) -> Adapter:
        """From its file, all of which is read the first time and when it is another one."""
        if path.is_dir():
            return read_folder(path)
        try:
            facts = path.stat()
        except FileNotFoundError:
            raise NotFound("lora.missing", path=str(path)) from None
        mark = (facts.st_size, facts.st_mtime_ns)
        adapter = LoRAFormat.load(path, verify=self.verify and self._verified.get(name) != mark)
        self._verified[name] = mark
        return adapter

    def _selection(self, wanted: _Set) -> Selection:
        """The plans of a set, made if need be."""
        weights, rows = wanted
        found = self._selections.get(wanted)
        if found is not None:
            self._selections.move_to_end(wanted)
            for name, _ in weights:
                self._residents.move_to_end(name)
            return found
        host = self._host()
        if not weights and rows is None:
            return BASE
        names = [name for name, _ in weights]
        self._leases.update(names)  # one does not push out another of the same set
        try:
            parts = [self._part(name, weight, host) for name, weight in weights]
            selection = host.select(parts, rows)
        finally:
            self._free(names)
        self._selections[wanted] = selection
        while len(self._selections) > KEPT_SELECTIONS:
            self._selections.popitem(last=False)
        return selection

    def _free(self, names: Sequence[str]) -> None:
        """Leases that are over; nothing is kept of names nobody holds, for they come and go for months."""
        for name in names:
            self._leases[name] -= 1
            if not self._leases[name]:
                del self._leases[name]

    def _part(self, name: str, weight: float, host: Host) -> Part:
        """An adapter in memory whose layers are there."""
        resident = self._resident(name)
        if resident.gains is None:
            host.inject(resident.adapter)
            resident.gains = host.gains(resident.adapter)
        return Part(name, resident.adapter, weight, resident.gains)

    def _bytes(self) -> int:
        return sum(one.bytes for one in self._residents.values()) + sum(one.bytes for one in self._selections.values())

    def _make_room(self, size: int, name: str) -> None:
        """Let the least recently used go until there is room for so many bytes, and one more if it has a name."""
        more = 1 if name else 0
        kept = {one for one, _ in self._default[0]} | set(+self._leases)
        going = [one for one in self._residents if one not in kept]
        while going and (self._bytes() + size > self.limit_bytes or len(self._residents) + more > self.limit_count):
            self._drop(going.pop(0))
        if name and (self._bytes() + size > self.limit_bytes or len(self._residents) + more > self.limit_count):
            free = max(0, self.limit_bytes - self._bytes())
            raise Conflict("lora.no_room", name=name, bytes=size, free=free, limit=self.limit_bytes)

    def _drop(self, name: str) -> None:
        self._residents.pop(name, None)
        for key in [key for key in self._selections if any(name == one for one, _ in key[0])]:
            del self._selections[key]


def _weighed(adapters: str | Sequence[str] | Weights) -> tuple[tuple[str, float], ...]:
    """Names and weights; each weight a finite number."""
    if isinstance(adapters, str):
        adapters = [adapters]
    weights = dict(adapters) if isinstance(adapters, Mapping) else dict.fromkeys(adapters, 1.0)
    for name, weight in weights.items():
        if not isinstance(weight, int | float) or not math.isfinite(weight):
            raise UserError("lora.weight", name=name, weight=weight)
    return tuple((name, float(weight)) for name, weight in weights.items())
