"""Has checkpoints and results lie a second time at the place the settings name, and brings them back from there.

The home is where work is done; the place is what outlives this computer. A checkpoint goes there once it is whole
here (of a run on a node: once it was mirrored), a result as soon as it is here. What is missing here and wanted is
brought back. Whatever is in the way loses nothing: it is said once, and tried again.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from engine.contract.api import Settings
from engine.contract.artifact_place import ARTIFACT_SECRET, ArtifactsState
from engine.contract.checkpoints import ResumePoint
from engine.contract.errors import UserError
from engine.contract.paths import Home
from engine.contract.stream import RunChanged, RunEvent
from engine.control.executors.artifact_place import Place
from engine.control.jobs import kept_elsewhere
from engine.control.jobs.notes import note
from engine.control.jobs.second_place import Copies, Leaving, looks_whole
from engine.control.jobs.secrets import SecretStore
from engine.control.store.artifacts import CHECKPOINT, Stored
from engine.control.store.database import Database

log = logging.getLogger(__name__)
LOOK_S = 2.0
"""A checkpoint that is named in the journal may not be here yet."""
FIRST_REST_S, LONGEST_REST_S = 5.0, 300.0
KINDS = ("artifact", "checkpoint", "checkpoint_removed")


class Safekeeping:
    """Of one controller. `hear` and `run` belong to its loop; the others wait: call them on a thread."""

    def __init__(self, home: Home, database: Database, secrets: SecretStore, settings: Callable[[], Settings]) -> None:
        self._home, self._database, self._secrets, self._settings = home, database, secrets, settings
        self._dirty: dict[str, None] = {}
        """Runs to be looked at, in this order."""
        self._guard = threading.Lock()
        self._locks: dict[str, threading.RLock] = {}
        self._busy: str | None = None
        self._copies = Copies(home, database, lambda: settings().artifact_minutes)
        self._fresh: set[str] = set()
        """Runs of which something was heard: only they are worth a line in their timeline when the place fails."""
        self._noted: set[str] = set()
        self._place: Place | None = None
        self._named: tuple[str, ...] = ()
        self._failures, self._rest_until = 0, 0.0
        self._error: UserError | None = None
        self._wake = asyncio.Event()
        self._loop = asyncio.get_running_loop()

    def hear(self, news: Iterable[Any]) -> None:
        """Something happened to runs; said on any thread."""
        found = {one.run.uid for one in news if isinstance(one, RunChanged) and one.cursor is not None}
        found |= {one.run for one in news if isinstance(one, RunEvent) and one.kind in KINDS}
        if found and self._settings().artifact_place:
            with self._guard:
                self._dirty |= dict.fromkeys(found)
                self._fresh |= found
            self.wake()

    def wake(self) -> None:
        """Look now; said on any thread."""
        with contextlib.suppress(RuntimeError):  # the loop has ended
            self._loop.call_soon_threadsafe(self._wake.set)

    async def run(self) -> None:
        """As long as the controller lives."""
        while True:
            self._wake.clear()
            try:
                pause = await asyncio.to_thread(self.look)
            except Exception:
                log.exception("looking what has to go to the place for artefacts failed; trying again")
                pause = LOOK_S
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._wake.wait()

    def close(self) -> None:
        """The controller ends: a copy that is under way breaks off, and is gone on with by the next."""
        self._copies.leaving = True

    def look(self) -> float | None:
        """One round over the runs that may have something new; seconds until the next, None: when something happens."""
        if not self._settings().artifact_place:
            self._named = ()
            return None
        rest = self._rest_until - time.monotonic()
        if rest > 0 and not self._is_new():
            return rest
        try:
            place = self._opened()
            for uid in list(self._dirty):
                with self._guard:
                    self._busy = uid
                    self._dirty.pop(uid, None)  # what is heard of it from now on counts again
                done = False
                try:
                    with self._lock(uid), place.explained():
                        done = self._copies.settle(place, uid)
                finally:
                    with self._guard:
                        self._busy = None
                        if not done:
                            self._dirty[uid] = None
        except Leaving:
            return None
        except UserError as error:
            return self._failed(error)
        self._failures, self._error, self._rest_until = 0, None, 0.0
        self._noted.clear()
        return LOOK_S if self._dirty else None

    def state(self, try_out: bool = False) -> ArtifactsState:
        """How it stands; `try_out`: after the place was tried."""
        name, error = self._settings().artifact_place, self._error
        if not name:
            return ArtifactsState()
        if try_out:
            try:
                place = self._opened()
                with place.explained():
                    place.try_out()
                error, self._rest_until = None, 0.0
                self.wake()
            except UserError as found:
                error = found
        with self._guard:
            waiting = len(self._dirty.keys() | {self._busy} - {None})
        how = "failing" if error else "copying" if waiting else "whole"
        body = error.body() if error else None
        return ArtifactsState.model_validate({"place": name, "state": how, "waiting": waiting, "error": body})

    def have_results(self, uid: str, results: Sequence[Stored]) -> None:
        """They lie there, read back and right; UserError if not. Nothing is asked for where there is no place."""
        if not self._settings().artifact_place:
            return
        place = self._opened()
        with self._lock(uid), place.explained():
            self._copies.have_results(place, uid, results)

    def bring_checkpoint(self, uid: str, points: Sequence[ResumePoint]) -> None:
        """The best of these is here, whole, if it is anywhere. UserError if it is there and nobody can get at it."""
        if not points or not self._settings().artifact_place:
            return
        for point in points:
            local = self._home.run(uid) / point.path
            if looks_whole(local) or self._bring(uid, local):
                return

    def bring_back(self, uid: str, stored: Stored) -> bool:
        """A result or checkpoint that is not here any more; whether it is again."""
        if not self._settings().artifact_place:
            return False
        if stored.kind == CHECKPOINT:
            return self._bring(uid, self._home.run(uid) / stored.path)
        place = self._opened()
        with self._lock(uid), place.explained():
            found = self._copies.fetch_result(place, uid, stored)
        if found:
            name = Path(stored.place(self._home, uid)[1]).name
            note(self._database, uid, "artifacts.brought_back", name=name, place=place.name)
        return found

    def let_go(self, uid: str) -> None:
        """The run is deleted: what lies there goes, now or when the place answers."""
        if uid in kept_elsewhere.known(self._home):
            with self._lock(uid):
                kept_elsewhere.let_go(self._home, uid)
            with self._guard:
                self._dirty[uid] = None
            self.wake()

    def _bring(self, uid: str, local: Path) -> bool:
        """A checkpoint from there; False where it does not lie there."""
        place = self._opened()
        known = local.name in kept_elsewhere.load(self._home, uid, place.name).checkpoints
        try:
            with self._lock(uid), place.explained():
                found = self._copies.fetch_checkpoint(place, uid, local)
        except UserError as error:
            log.warning("checkpoint %s of run %s: %s", local.name, uid, error.text)
            if known and error.code != "artifacts.damaged":
                raise
            return False
        if found:
            note(self._database, uid, "artifacts.brought_back", name=local.name, place=place.name)
        return found

    def _is_new(self) -> bool:
        chosen = self._settings()
        return self._named[:3] != (chosen.artifact_place, chosen.artifact_endpoint, chosen.artifact_region)

    def _opened(self) -> Place:
        """The place as the settings name it now; another one is given everything."""
        if self._place is not None and not self._failures and not self._is_new():
            return self._place
        chosen, keys = self._settings(), self._secrets.get(ARTIFACT_SECRET)
        named = (chosen.artifact_place, chosen.artifact_endpoint, chosen.artifact_region, keys)
        with self._guard:
            if self._place is None or self._named != named:
                self._place = Place(*named)
                self._copies.distrust()
                self._named = named
                found = self._database.read_now(lambda c: [row[0] for row in c.execute(_EVERY)])
                self._dirty |= dict.fromkeys([*found, *kept_elsewhere.known(self._home)])
            return self._place

    def _lock(self, uid: str) -> threading.RLock:
        with self._guard:
            return self._locks.setdefault(uid, threading.RLock())

    def _failed(self, error: UserError) -> float:
        """Say it once, to the log and in the runs that wait. What was known of the place is not believed any more."""
        if self._error is None or self._error.code != error.code:
            log.warning("%s", error.text)
        self._error = error
        lost = error.code == "artifacts.no_bucket"  # who makes it anew makes an empty one
        self._copies.distrust(lost)
        if lost:
            self._place = None
        with self._guard:
            waiting = [uid for uid in self._dirty if uid in self._fresh - self._noted]
        for uid in waiting:
            self._noted.add(uid)
            detail = f"{error.what} {error.why}".strip()
            note(self._database, uid, "artifacts.waiting", warning=True, place=self._settings().artifact_place,
                 detail=detail)  # fmt: skip
        self._failures += 1
        rest = min(LONGEST_REST_S, FIRST_REST_S * 2.0 ** min(self._failures - 1, 10))
        self._rest_until = time.monotonic() + rest
        return rest


_EVERY = (
    "SELECT uid FROM run WHERE deleting = 0 AND EXISTS (SELECT 1 FROM artifact WHERE run_id = run.id AND gone IS NULL) "
    "ORDER BY id DESC"
)
