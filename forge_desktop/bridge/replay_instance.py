"""The part of a replay about instances that serve: in memory, ready when a test says so."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from engine.contract.api import RunSummary
from engine.contract.errors import NotFound, UserError
from engine.contract.ids import new_id
from engine.contract.run_spec import RunSpec
from engine.contract.serving import (
    AdapterState,
    Instance,
    LoadAdapter,
    MadeKey,
    NewKey,
    ServeJob,
    ServeKey,
    ServeStatus,
    make_key,
)
from engine.contract.states import Phase, RunState
from forge_desktop.bridge.backend_instance import Begun, Seen
from forge_desktop.bridge.replayed import Played


class ReplayInstance:
    """A test changes the public fields; `make_ready` lets one answer."""

    _runs: dict[str, Played]

    def __init__(self) -> None:
        super().__init__()
        self.seen: dict[str, Seen] = {}
        """What is seen of instances, by run."""
        self.keys: dict[str, list[ServeKey]] = {}
        """By run."""
        self.serve_error: UserError | None = None
        """What `begin_instance` fails with."""
        self.looks = 0
        """How often instances were looked at."""

    def _answer(self) -> None:
        """Given by the backend."""
        raise NotImplementedError

    def add(self, spec: RunSpec, created: float = 0.0, state: RunState = RunState.QUEUED) -> str:
        """Given by the backend."""
        raise NotImplementedError

    def move(self, uid: str, **values: Any) -> None:
        """Given by the backend."""
        raise NotImplementedError

    def make_ready(self, uid: str, **status: Any) -> None:
        """Let an instance answer."""
        job = self._runs[uid].spec.job
        assert isinstance(job, ServeJob)
        states = [AdapterState(name=one.name, path=one.path, loaded=True, rank=8, bytes=4_200_000, routed=True)
                  for one in job.adapters]  # fmt: skip
        now = ServeStatus(model=job.base_name, context=job.context, adapters=states).model_copy(update=status)
        models = [job.base_name, "auto", *(one.name for one in now.adapters)]
        place = Instance(run=uid, state="running", ready=True, address="http://127.0.0.1:8431", models=models,
                         since=time.time())  # fmt: skip
        self.seen[uid] = Seen(place, now)
        self.move(uid, state=RunState.RUNNING, phase=Phase.SERVING, node="local")

    def look_at_instances(self, uids: Sequence[str]) -> dict[str, Seen]:
        """As the controller does."""
        self._answer()
        self.looks += 1
        return {uid: self.seen.get(uid, Seen(Instance(run=uid))) for uid in uids}

    def begin_instance(self, spec: RunSpec, key: NewKey | None) -> Begun:
        """As the controller does."""
        self._answer()
        if self.serve_error is not None:
            raise self.serve_error
        uid = self.add(spec, time.time())
        made = self.make_serve_key(uid, key) if key is not None else None
        return Begun(self._summary(uid), made)

    def serve_adapter(self, uid: str, adapter: LoadAdapter) -> None:
        """As the instance does."""
        status = self._status(uid)
        if any(one.name == adapter.name for one in status.adapters):
            raise UserError("lora.taken", name=adapter.name)
        status.adapters.append(AdapterState(name=adapter.name, path=adapter.path, loaded=True, rank=8))

    def unserve_adapter(self, uid: str, name: str) -> None:
        """As the instance does."""
        status = self._status(uid)
        status.adapters[:] = [one for one in status.adapters if one.name != name]

    def serve_keys(self, uid: str) -> list[ServeKey]:
        """As the controller does."""
        self._answer()
        return list(self.keys.get(uid, []))

    def make_serve_key(self, uid: str, asked: NewKey) -> MadeKey:
        """As the controller does."""
        self._answer()
        made = make_key(asked, new_id(), time.time())
        self.keys.setdefault(uid, []).append(made.about)
        return made

    def rotate_serve_key(self, uid: str, key_id: str, hours: float) -> MadeKey:
        """As the controller does."""
        old = next((one for one in self.keys.get(uid, []) if one.id == key_id), None)
        if old is None:
            raise NotFound("serve.key_unknown", run=uid, id=key_id)
        made = self.make_serve_key(uid, NewKey(name=old.name, tenant=old.tenant, tier=old.tier, scopes=old.scopes))
        place, end = self.keys[uid].index(old), time.time() + 3600 * hours
        self.keys[uid][place] = old.model_copy(update={"expires": end, "replaced_by": made.about.id})
        return made

    def revoke_serve_key(self, uid: str, key_id: str) -> None:
        """As the controller does."""
        self._answer()
        self.keys[uid] = [one for one in self.keys.get(uid, []) if one.id != key_id]

    def _status(self, uid: str) -> ServeStatus:
        self._answer()
        found = self.seen.get(uid, Seen()).status
        if found is None:
            raise UserError("serve.not_ready", run=uid, state="queued")
        return found

    def _summary(self, uid: str) -> RunSummary:
        return self._runs[uid].summary
