"""What people made of an instance's adapters while it served: told by its worker, given to the next one."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

MOST_HELD = 100
"""So many are remembered; more would make a line of the journal long."""


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
