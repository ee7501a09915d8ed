"""What of ours is on a node now, whether the history knows it or not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from engine.contract.nodes import InstanceKind, InstanceState


@dataclass(frozen=True)
class Seen:
    """A container, or a worker's process."""

    handle: str
    run: str = ""
    attempt: int = 0
    kind: InstanceKind = "train"
    state: InstanceState = "running"
    lease: str = ""
    controller: str = ""
    """Who made it: an id of that controller's home; empty: this one."""
    owner: str = ""
    image: str = ""
    devices: tuple[str, ...] = ()
    created: float | None = None
    started: float | None = None
    ended: float | None = None
    exit_code: int | None = None
    keep_days: float | None = None
    cpu_percent: float | None = None
    memory: int | None = None
    endpoint: str = ""
    computer: str = ""
    """Where that controller lives; empty: not known."""

    @property
    def live(self) -> bool:
        """Something runs, or is held still."""
        return self.state in ("running", "paused")


class Hands(Protocol):
    """Lists what is there, and lays hands on what no attempt's executor knows. Waits: call it on a thread."""

    def listed(self) -> Sequence[Seen]:
        """All of it."""

    def end(self, seen: Seen, save: bool) -> None:
        """Ask it to save and end, or end it at once."""

    def remove(self, seen: Seen) -> None:
        """Take away what has ended; only what is ours."""

    def order(self, seen: Seen) -> bytes | None:
        """What its worker was told to do; None where nobody can say."""
