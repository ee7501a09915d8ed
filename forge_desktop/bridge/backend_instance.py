"""What the Serving page asks of a controller: instances, their adapters, and who may ask them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from engine.contract.api import RunSummary
from engine.contract.errors import ErrorBody
from engine.contract.run_spec import RunSpec
from engine.contract.serving import Instance, LoadAdapter, MadeKey, NewKey, ServeKey, ServeStatus


@dataclass(frozen=True)
class Seen:
    """One look at an instance."""

    instance: Instance | None = None
    status: ServeStatus | None = None
    """None while it does not answer."""
    error: ErrorBody | None = None
    """Why it could not be asked, though it should answer."""


@dataclass(frozen=True)
class Begun:
    """An instance that was begun, and its first key, told this once."""

    run: RunSummary
    key: MadeKey | None = None


class InstanceBackend(Protocol):
    """The part of a backend behind the Serving page. Calls block and raise UserError."""

    def look_at_instances(self, uids: Sequence[str]) -> dict[str, Seen]:
        """How instances are doing; one that does not answer holds nobody up but itself."""

    def begin_instance(self, spec: RunSpec, key: NewKey | None) -> Begun:
        """Make a run that serves and start it; nothing stays of one that is refused."""

    def serve_adapter(self, uid: str, adapter: LoadAdapter) -> None:
        """Have an adapter answer under a name from now on, without a restart."""

    def unserve_adapter(self, uid: str, name: str) -> None:
        """Let an adapter go."""

    def serve_keys(self, uid: str) -> list[ServeKey]:
        """Who may ask it; keys themselves are not told."""

    def make_serve_key(self, uid: str, asked: NewKey) -> MadeKey:
        """A new key, told this once."""

    def rotate_serve_key(self, uid: str, key_id: str, hours: float) -> MadeKey:
        """Another key in the place of one, which goes on for so many hours."""

    def revoke_serve_key(self, uid: str, key_id: str) -> None:
        """It is refused from now on."""
