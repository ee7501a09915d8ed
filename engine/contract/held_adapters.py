"""What people made of an instance's adapters while it served: told by its worker, given to the next one."""

from __future__ import annotations

import json
from collections.abc import Iterator

from pydantic import BaseModel, ConfigDict

MOST_HELD = 100
"""So many that were loaded are remembered."""


class HeldAdapter(BaseModel):
    """An adapter that was loaded while it served."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    path: str
    """Where the worker reads it."""
    source: str = ""
    """Where it lies on the controller's computer; empty: nobody there knows."""


class AdapterChanges(BaseModel):
    """Other than the job has it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    loaded: list[HeldAdapter] = []
    dropped: list[str] = []
    """Of the job's; one that another took the place of is here and above."""

    def parts(self, most_bytes: int) -> Iterator[AdapterChanges]:
        """The same in pieces of so many bytes as JSON, one at least; what alone has more is left out."""
        loaded, dropped, size = list[HeldAdapter](), list[str](), 0
        every: list[HeldAdapter | str] = [*self.loaded, *self.dropped]
        for one in every:
            said = one.model_dump_json() if isinstance(one, HeldAdapter) else json.dumps(one)
            more = len(said.encode()) + 1
            if more > most_bytes:
                continue
            if size + more > most_bytes:
                yield AdapterChanges(loaded=loaded, dropped=dropped)
                loaded, dropped, size = [], [], 0
            size += more
            if isinstance(one, HeldAdapter):
                loaded.append(one)
            else:
                dropped.append(one)
        yield AdapterChanges(loaded=loaded, dropped=dropped)

    def and_then(self, more: AdapterChanges) -> AdapterChanges:
        """With the next piece."""
        return AdapterChanges(loaded=[*self.loaded, *more.loaded], dropped=[*self.dropped, *more.dropped])
