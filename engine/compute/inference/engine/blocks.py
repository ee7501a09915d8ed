"""Keys and values in blocks of a few tokens: who has which, and which are kept for whoever begins alike.

A block is known by a hash over the adapters at work, the tokens before it and its own: a prompt that begins as another
did, with the same adapters in the same version, takes its blocks over instead of computing them again.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

Policy = Literal["lru", "lfu"]
TRASH = 0
"""Block 0 belongs to nobody: what is written for filling goes there."""


@dataclass(slots=True)
class Tally:
    """How often beginnings were found."""

    asked: int = 0
    """Tokens of prompts."""
    found: int = 0
    """Of these, not computed again."""
    evicted: int = 0
    """Blocks."""

    @property
    def rate(self) -> float:
        """Share that was found."""
        return self.found / self.asked if self.asked else 0.0


def chain(adapters: str, tokens: Sequence[int], size: int) -> list[bytes]:
    """A hash for each whole block of these tokens."""
    found, last = list[bytes](), hashlib.sha256(adapters.encode()).digest()
    for end in range(size, len(tokens) + 1, size):
        piece = b"".join(token.to_bytes(4, "little") for token in tokens[end - size : end])
        last = hashlib.sha256(last + piece).digest()
        found.append(last)
    return found


@dataclass(slots=True)
class _Kept:
    block: int
    uses: int = 0


@dataclass
class BlockPool:
    """Blocks by number. Those nobody has may still be kept; they go first when room is short."""

    count: int
    size: int
    """Tokens of a block."""
    policy: Policy = "lru"
    most_kept: int | None = None
    """Blocks that are kept beyond their use; None: as many as there are."""
    tally: Tally = field(default_factory=Tally)
    _free: list[int] = field(init=False)
    _holders: dict[int, int] = field(init=False, default_factory=dict)
    _known: dict[bytes, _Kept] = field(init=False, default_factory=dict)
    _names: dict[int, bytes] = field(init=False, default_factory=dict)
    _idle: OrderedDict[bytes, _Kept] = field(init=False, default_factory=OrderedDict)

    def __post_init__(self) -> None:
        self._free = list(range(self.count - 1, TRASH, -1))

    @property
    def room(self) -> int:
        """Blocks that can be had now."""
        return len(self._free) + len(self._idle)

    @property
    def used(self) -> int:
        """Blocks that somebody has."""
        return len(self._holders)

    @property
    def kept(self) -> int:
        """Blocks that are only kept."""
        return len(self._idle)

    def needed(self, tokens: int) -> int:
        """Blocks for so many tokens."""
        return -(-tokens // self.size)

    def beginning(self, names: Sequence[bytes]) -> int:
        """How many of these blocks, from the first on, are known."""
        for number, name in enumerate(names):
            if name not in self._known:
                return number
        return len(names)

    def costs(self, names: Sequence[bytes], whole: int) -> int:
        """Blocks of `room` a sequence of so many takes that begins with these known ones."""
        return whole - sum(1 for name in names if name not in self._idle)

    def take(self, names: Sequence[bytes], whole: int) -> list[int] | None:
        """A table of so many blocks that begins with these known ones; None where there is no room for it."""
        if self.costs(names, whole) > self.room:
            return None
        table = [self._hold(self._known[name].block, name) for name in names]
        while len(table) < whole:
            table.append(self._hold(self._fresh()))
        return table

    def keep(self, name: bytes, block: int) -> None:
        """What a block holds is complete: others that begin alike may have it."""
        if name not in self._known and block not in self._names:
            self._known[name] = _Kept(block)
            self._names[block] = name

    def give_back(self, table: Sequence[int]) -> None:
        """Nobody of this sequence needs its blocks any more; what is kept goes from its end on first."""
        for block in reversed(table):
            self._holders[block] -= 1
            if self._holders[block]:
                continue
            del self._holders[block]
            name = self._names.get(block)
            if name is None:
                self._free.append(block)
            else:
                self._idle[name] = self._known[name]
        while self.most_kept is not None and len(self._idle) > self.most_kept:
            self._free.append(self._evict())

    def forget(self) -> None:
        """Keep nothing: the model is another one."""
        while self._idle:
            self._free.append(self._evict())
        for name in list(self._known):
            del self._names[self._known.pop(name).block]

    def _hold(self, block: int, name: bytes | None = None) -> int:
        self._holders[block] = self._holders.get(block, 0) + 1
        if name is not None:
            self._known[name].uses += 1
            self._idle.pop(name, None)
        return block

    def _fresh(self) -> int:
        return self._free.pop() if self._free else self._evict()

    def _evict(self) -> int:
        """The one that was not used for longest, or least often; of one sequence its end before its beginning."""
        if self.policy == "lfu":
            name = min(self._idle, key=lambda one: self._idle[one].uses)
        else:
            name = next(iter(self._idle))
        gone = self._idle.pop(name)
        del self._known[name], self._names[gone.block]
        self.tally.evicted += 1
        return gone.block
