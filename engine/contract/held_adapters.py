"""What people made of an instance's adapters while it served: told by its worker, given to the next one."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

MOST_HELD = 1000
"""So many that were loaded are remembered."""


class HeldAdapter(BaseModel):
    """An adapter that was loaded while it served."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    path: str
    """Where the worker reads it."""
    source: str = ""
    """Where it lies on the controller's computer; empty: nobody there knows."""


class AdapterChange(BaseModel):
    """One that was loaded, replaced or let go."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    loaded: HeldAdapter | None = None
    """What has the name now; none: nothing has."""
    of_job: bool = False
    """The job has one of this name: it has to stay away."""


class AdapterChanges(BaseModel):
    """Other than the job has it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    loaded: list[HeldAdapter] = []
    """The newest last."""
    dropped: list[str] = []
    """Of the job's; one that another took the place of is here and above."""

    def after(self, change: AdapterChange) -> AdapterChanges:
        """With one more; of more than `MOST_HELD` the oldest are forgotten."""
        loaded = [one for one in self.loaded if one.name != change.name]
        dropped = [name for name in self.dropped if name != change.name]
        if change.loaded is not None:
            loaded.append(change.loaded)
        if change.of_job:
            dropped.append(change.name)
        return AdapterChanges(loaded=loaded[-MOST_HELD:], dropped=dropped)
