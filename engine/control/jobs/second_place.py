"""Copies between this computer and the place for artefacts, run by run: what goes there, what comes back.

Whoever calls holds the run's lock and turns what is in the way into plain words (`Place.explained`).
"""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from engine.contract.checkpoints import MANIFEST, Manifest
from engine.contract.faults import fault
from engine.contract.paths import Home
from engine.contract.states import RunState
from engine.control.executors.artifact_place import Place, checkpoint_of, result_of
from engine.control.executors.artifact_store import DamagedEntry
from engine.control.executors.docker.whole import Damaged
from engine.control.jobs import kept_elsewhere
from engine.control.jobs.kept_elsewhere import Kept
from engine.control.store import artifacts
from engine.control.store.artifacts import CHECKPOINT, Stored
from engine.control.store.database import Database

log = logging.getLogger(__name__)


class Leaving(Exception):
    """The controller ends in the middle of a copy."""


class Copies:
    """Of one controller. Its methods wait for the place: call them on a thread."""

    def __init__(self, home: Home, database: Database, minutes: Callable[[], float]) -> None:
        self._home, self._database, self._minutes = home, database, minutes
        self._trusted: set[str] = set()
        """Runs of which it was looked what lies there, since the place last failed."""
        self._put_at: dict[str, float] = {}
        self._all_doubted = False
        self.leaving = False

    def distrust(self, everything: bool = False) -> None:
        """The place failed, or is another one: what was known is looked at again; `everything`: of ended runs too."""
        self._trusted.clear()
        self._all_doubted = self._all_doubted or everything

    def settle(self, place: Place, uid: str) -> bool:
        """Bring one run up to date; False if it is to be looked at again soon."""
        kept = kept_elsewhere.load(self._home, uid, place.name)
        if kept.going:
            place.forget(uid)
            kept_elsewhere.drop(self._home, uid)
            return True
        row, stored = self._database.read_now(lambda c: _of_run(c, uid))
        if row is None:
            return True
        live = RunState(row["state"]).live
        wanted = {Path(one.path).name: one for one in stored if one.kind == CHECKPOINT}
        if live or self._all_doubted or not self._is_there(kept, wanted, stored):
            self._look_there(place, uid, kept)
        self._drop_old(place, uid, kept, wanted)
        self._put_results(place, uid, kept, [one for one in stored if one.kind != CHECKPOINT])
        missing = [name for name in reversed(wanted) if name not in kept.checkpoints]
        due = not live or time.monotonic() - self._put_at.get(uid, -1e9) >= self._minutes() * 60
        for name in missing if due else []:
            self._put_checkpoint(place, uid, kept, wanted[name])
        return not live or all(name in kept.checkpoints for name in wanted)

    def _is_there(self, kept: Kept, wanted: dict[str, Stored], stored: list[Stored]) -> bool:
        results = [one for one in stored if one.kind != CHECKPOINT]
        return kept.checkpoints.keys() == wanted.keys() and all(_key(one) in kept.results for one in results)

    def _look_there(self, place: Place, uid: str, kept: Kept) -> None:
        """Believe what was written down only after a look, once and after each failure."""
        if uid in self._trusted:
            return
        results = set(place.store("results", uid).listed()) if kept.results else set()
        kept.results = {name: digest for name, digest in kept.results.items() if digest in results}
        store = place.store("checkpoints", uid)
        there = set(store.listed())
        kept.checkpoints = {name: digest for name, digest in kept.checkpoints.items() if digest in there}
        for digest in there - set(kept.checkpoints.values()):  # put by one that was killed before it wrote that down
            kept.checkpoints.setdefault(str(store.about(digest).get("name") or digest), digest)
        if kept.checkpoints or kept.results:
            kept_elsewhere.keep(self._home, uid, kept)
        self._trusted.add(uid)

    def _drop_old(self, place: Place, uid: str, kept: Kept, wanted: dict[str, Stored]) -> None:
        """Checkpoints that made room."""
        for name in [name for name in kept.checkpoints if name not in wanted]:
            place.store("checkpoints", uid).remove(kept.checkpoints[name])
            del kept.checkpoints[name]
            kept_elsewhere.keep(self._home, uid, kept)

    def _put_checkpoint(self, place: Place, uid: str, kept: Kept, stored: Stored) -> None:
        local = self._home.run(uid) / stored.path
        try:
            digest, files = checkpoint_of(local)
            about = {"name": local.name, "attempt": stored.attempt, "step": stored.step}
            place.store("checkpoints", uid).put(digest, files, local, self._go_on, about)
        except (Damaged, FileNotFoundError) as error:  # not here yet, or it made room meanwhile
            if isinstance(error, FileNotFoundError) and (local / MANIFEST).exists():
                raise
            log.info("%s of run %s is not copied now: %s", local.name, uid, error)
            return
        fault("artifacts.after_put")
        kept.checkpoints[local.name] = digest
        kept_elsewhere.keep(self._home, uid, kept)
        self._put_at[uid] = time.monotonic()

    def _put_results(self, place: Place, uid: str, kept: Kept, results: Sequence[Stored]) -> None:
        store = place.store("results", uid)
        for one in results:
            root, relative = one.place(self._home, uid)
            path = root / relative
            if _key(one) in kept.results or not path.exists():
                continue
            digest, files = result_of(path)
            if one.sha256 and digest != one.sha256:
                log.warning("%s of run %s is not what its worker wrote: it is not copied", relative, uid)
                continue
            about = {"name": path.name, "attempt": one.attempt, "kind": one.kind, "folder": path.is_dir()}
            store.put(digest, files, path if path.is_dir() else path.parent, self._go_on, about)
            if not store.verify(digest):
                store.remove(digest)
                raise DamagedEntry(f"{relative} was not read back as it was written")
            kept.results[_key(one)] = digest
            kept_elsewhere.keep(self._home, uid, kept)

    def have_results(self, place: Place, uid: str, results: Sequence[Stored]) -> None:
        """They lie there, read back and right, whatever was known of them."""
        kept, store = kept_elsewhere.load(self._home, uid, place.name), place.store("results", uid)
        kept.results = {name: digest for name, digest in kept.results.items() if store.verify(digest)}
        self._put_results(place, uid, kept, results)

    def fetch_checkpoint(self, place: Place, uid: str, local: Path) -> bool:
        """Have a checkpoint here; False where it does not lie there."""
        store = place.store("checkpoints", uid)
        digest = next((one for one in store.listed() if store.about(one).get("name") == local.name), None)
        if digest is None:
            return False
        shutil.rmtree(local, ignore_errors=True)  # what is here is not whole
        local.parent.mkdir(parents=True, exist_ok=True)
        store.fetch(digest, local)
        return looks_whole(local)

    def fetch_result(self, place: Place, uid: str, stored: Stored) -> bool:
        """The same of a result."""
        root, relative = stored.place(self._home, uid)
        store, digest = place.store("results", uid), stored.sha256
        if not digest or not store.has(digest):
            return False
        target, aside = root / relative, root / f".{digest[:16]}.back"
        shutil.rmtree(aside, ignore_errors=True)
        target.parent.mkdir(parents=True, exist_ok=True)
        store.fetch(digest, aside)
        if store.about(digest).get("folder"):
            aside.rename(target)
        else:
            next(aside.iterdir()).rename(target)
            aside.rmdir()
        return True

    def _go_on(self, _bytes: int) -> None:
        if self.leaving:
            raise Leaving


def _of_run(connection: Any, uid: str) -> tuple[Any, list[Stored]]:
    row = connection.execute("SELECT id, state FROM run WHERE uid = ? AND deleting = 0", (uid,)).fetchone()
    return row, artifacts.of_run(connection, row["id"]) if row is not None else []


def looks_whole(folder: Path) -> bool:
    """All files in their size. Their sums are for the worker to look at, which takes the next best if one is wrong."""
    try:
        manifest = Manifest.model_validate_json((folder / MANIFEST).read_bytes())
        sizes = all((folder / name).stat().st_size == mark.bytes for name, mark in manifest.files.items())
    except (OSError, ValueError):
        return False
    return manifest.intact and sizes


def _key(stored: Stored) -> str:
    return f"{stored.attempt}/{stored.path}"
