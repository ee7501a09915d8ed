"""The real controller's answers about instances that serve models."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

from engine.client.client import ControllerClient
from engine.contract.errors import UserError
from engine.contract.run_spec import RunSpec
from engine.contract.serving import LoadAdapter, MadeKey, NewKey, ServeKey
from forge_desktop.bridge.backend_instance import Begun, Seen

NOT_READY = "serve.not_ready"


class ControllerInstance:
    """Passes on what the Serving page asks."""

    _client: ControllerClient

    def look_at_instances(self, uids: Sequence[str]) -> dict[str, Seen]:
        """How instances are doing."""
        return {uid: self._look(uid) for uid in uids}

    def _look(self, uid: str) -> Seen:
        try:
            found = self._client.instance(uid)
            if not found.ready:
                return Seen(found)
        except UserError as error:
            if error.code == "controller.unreachable":
                raise
            return Seen(error=error.body())
        try:
            return Seen(found, self._client.serving_status(uid))
        except UserError as error:
            if error.code == "controller.unreachable":
                raise
            return Seen(found, error=None if error.code == NOT_READY else error.body())

    def begin_instance(self, spec: RunSpec, key: NewKey | None) -> Begun:
        """As a draft at first, so that its key is there before it is; a draft that is refused goes again."""
        run = self._client.create(spec, False)
        try:
            made = self._client.make_serve_key(run.uid, key) if key is not None else None
            return Begun(self._client.start(run.uid), made)
        except UserError:
            with contextlib.suppress(UserError):
                self._client.delete(run.uid)
            raise

    def serve_adapter(self, uid: str, adapter: LoadAdapter) -> None:
        """Have an adapter answer under a name from now on."""
        self._client.load_adapter(uid, adapter)

    def unserve_adapter(self, uid: str, name: str) -> None:
        """Let an adapter go."""
        self._client.unload_adapter(uid, name)

    def serve_keys(self, uid: str) -> list[ServeKey]:
        """Who may ask it."""
        return self._client.serve_keys(uid)

    def make_serve_key(self, uid: str, asked: NewKey) -> MadeKey:
        """A new key, told this once."""
        return self._client.make_serve_key(uid, asked)

    def rotate_serve_key(self, uid: str, key_id: str, hours: float) -> MadeKey:
        """Another key in the place of one."""
        return self._client.rotate_serve_key(uid, key_id, hours)

    def revoke_serve_key(self, uid: str, key_id: str) -> None:
        """It is refused from now on."""
        self._client.revoke_serve_key(uid, key_id)
