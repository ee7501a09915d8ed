"""Counts the bytes of all tensors that are alive while it listens, and how many there were at most.

What torch makes passes the dispatcher, forward, backward and in the optimiser alike; every storage that comes out of
it is counted once, until it is freed. Scratch space inside a single operation is not seen.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode


class TensorLedger(TorchDispatchMode):  # type: ignore[misc]
    """`with TensorLedger(model.parameters()) as ledger: …; ledger.peak`."""

    def __init__(self, known: Iterable[torch.Tensor] = ()) -> None:
        super().__init__()
        self._held: dict[int, tuple[weakref.ref[Any], int]] = {}
        self.now = 0
        """Bytes that are alive."""
        self.peak = 0
        """The most there were."""
        for tensor in known:
            self.count(tensor)
        self.peak = self.now

    def count(self, found: Any) -> None:
        """Take in every tensor of a result whose storage is not known yet."""
        if isinstance(found, torch.Tensor):
            self._add(found.untyped_storage())
        elif isinstance(found, Mapping):
            for one in found.values():
                self.count(one)
        elif isinstance(found, Sequence) and not isinstance(found, str):
            for one in found:
                self.count(one)

    def _add(self, storage: torch.UntypedStorage) -> None:
        key, size = id(storage), storage.nbytes()
        known = self._held.get(key)
        if known is not None and known[0]() is storage:
            if size != known[1]:  # it was resized
                self.now += size - known[1]
                self._held[key] = (known[0], size)
        elif size and storage.device.type != "meta":
            self._held[key] = (weakref.ref(storage, lambda _gone: self._freed(key)), size)
            self.now += size
        self.peak = max(self.peak, self.now)

    def _freed(self, key: int) -> None:
        entry = self._held.pop(key, None)
        if entry is not None:
            self.now -= entry[1]

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Let the operation happen, and count what comes out."""
        del types
        found = func(*args, **(kwargs or {}))
        self.count(found)
        return found
