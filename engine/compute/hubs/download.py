"""Has a hub's model in the cache: found, fetched if need be by one process at a time, checked, kept."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from engine.compute.hubs import address, huggingface, modelscope
from engine.compute.hubs.door import Door
from engine.compute.hubs.fetch import Tally, aside, fetch_all, here
from engine.compute.hubs.listing import COMMIT, Listing, RemoteFile, wanted
from engine.compute.hubs.unpack import unpack
from engine.contract.clock import now
from engine.contract.durable import sync_folder
from engine.contract.errors import UserError
from engine.contract.hubs import HubAccess, title
from engine.contract.model import ModelConfig
from engine.contract.model_cache import CachedModel, Shelf
from engine.contract.paths import Home
from engine.contract.secrets import GivenSecrets

LISTINGS: dict[str, Callable[[Door, str | None], Listing]] = {
    "huggingface": huggingface.listing,
    "modelscope": modelscope.listing,
    "url": address.listing,
}
USUAL = {"huggingface": huggingface.USUAL_REVISION, "modelscope": modelscope.USUAL_REVISION, "url": ""}
RESERVE_BYTES = 64 << 20
"""Left free on the disk."""
LIST_WAITS_S = (1.0, 3.0)
LOCK_LOOK_S = 0.1
UNPACKED = ".unpacked"


class Teller(Protocol):
    """Who is told what happens."""

    def note(self, code: str, level: Any = "info", **params: Any) -> None:
        """Something a person should know."""

    def downloading(self, tally: Tally | None) -> None:
        """Called often while something is fetched or waited for."""

    def check(self) -> None:
        """A place where it can end; raises to end it."""

    def resolved(self, commit: str) -> None:
        """Which commit is meant."""


@dataclass(frozen=True)
class Found:
    """A model in the cache."""

    folder: Path
    commit: str


class Download:
    """One model for one run."""

    def __init__(
        self, model: ModelConfig, access: HubAccess, secrets: GivenSecrets, home: Home, teller: Teller, hang_s: float
    ) -> None:
        self.model, self.access, self.secrets, self.teller, self.hang_s = model, access, secrets, teller, hang_s
        self.shelf = shelf_of(home, model)
        self.revision = model.revision or USUAL[model.hub]

    def obtain(self, pinned: str | None = None) -> Found:
        """The model's folder; `pinned` is the commit this run has worked with before."""
        known = pinned or self._known()
        if known and self.shelf.folder(known).is_dir():
            return self._found(known)
        if self.access.is_offline:
            raise UserError("hub.offline", path=self.model.path)
        with Door(self.model.hub, self.model.path, self.access, self.secrets, min(60.0, self.hang_s)) as door:
            try:
                listing = self._listing(door, pinned)
            except UserError as error:
                return self._instead(error)
            self.teller.resolved(listing.commit)
            if not pinned:
                self.shelf.remember(self.revision, listing.commit)
            if self.shelf.folder(listing.commit).is_dir():
                return self._found(listing.commit)
            self._fetch(door, listing)
        return Found(self.shelf.folder(listing.commit), listing.commit)

    def _known(self) -> str | None:
        """The commit, where nobody need be asked for it."""
        if self.model.hub != "url" and COMMIT.fullmatch(self.revision):
            return self.revision
        settled = self.access.is_offline or (self.model.hub == "url" and self.model.revision)
        return self.shelf.refs().get(self.revision) if settled else None

    def _found(self, commit: str) -> Found:
        self.teller.resolved(commit)
        self.teller.note("hub.from_cache", path=title(self.model), commit=commit[:12])
        return Found(self.shelf.folder(commit), commit)

    def _instead(self, error: UserError) -> Found:
        """A hub that does not answer is no reason to fail while the model is here."""
        commit = self.shelf.refs().get(self.revision)
        if error.code != "hub.unreachable" or commit is None or not self.shelf.folder(commit).is_dir():
            raise error
        self.teller.note("hub.used_cache", "warning", path=self.model.path, commit=commit[:12], detail=error.why)
        return self._found(commit)

    def _listing(self, door: Door, pinned: str | None) -> Listing:
        """What the hub says; asked again a few times if it does not answer."""
        ask, waits = LISTINGS[self.model.hub], [*LIST_WAITS_S]
        revision = pinned if pinned and self.model.hub == "huggingface" else self.model.revision
        while True:
            try:
                found = aside(lambda: ask(door, revision), self._look)
            except UserError as error:
                if error.code != "hub.unreachable" or not waits:
                    raise
                _pause(waits.pop(0), self._look)
            else:
                break
        if pinned and found.commit != pinned:
            raise UserError("hub.moved", path=title(self.model), commit=pinned[:12])
        return found

    def _look(self) -> None:
        self.teller.downloading(None)
        self.teller.check()

    def _fetch(self, door: Door, listing: Listing) -> None:
        archive = self.model.hub == "url"
        files = listing.files if archive else wanted(self.model.path, listing.files)
        with self._alone(listing.commit) as whole:
            if whole:
                return
            part = self.shelf.part(listing.commit)
            part.mkdir(parents=True, exist_ok=True)
            self._refuse_without_room(files, part)
            size = sum(file.size or 0 for file in files)
            usual: dict[str, Any] = {"hub": self.model.hub, "path": self.model.path, "commit": listing.commit}
            self.shelf.note(CachedModel(**usual, bytes=size))
            params = {"path": title(self.model), "commit": listing.commit[:12], "files": len(files)}
            self.teller.note("hub.fetching", **params, megabytes=f"{size / 1e6:,.1f}")
            tally = Tally(size if all(file.size is not None for file in files) else None, here(files, part))
            began = time.monotonic()
            self._transfer(door, files, part, tally)
            if archive:
                self._unpack(files[0], part, tally)
            seconds = time.monotonic() - began
            folder = self.shelf.keep(CachedModel(**usual, bytes=size, fetched=now()))
            self.teller.note(
                "hub.fetched", path=title(self.model), megabytes=f"{tally.fetched / 1e6:,.1f}",
                seconds=f"{seconds:,.1f}", folder=str(folder),
            )  # fmt: skip

    def _transfer(self, door: Door, files: list[RemoteFile], part: Path, tally: Tally) -> None:
        def look() -> None:
            self.teller.downloading(tally)
            self.teller.check()

        fetch_all(door, files, part, tally, look, self.hang_s)
        self.teller.downloading(tally)

    def _unpack(self, file: RemoteFile, part: Path, tally: Tally) -> None:
        """Leave the model's files in place of the archive."""
        target = part / UNPACKED
        shutil.rmtree(target, ignore_errors=True)
        fresh = Tally(None)

        def work() -> None:
            unpack(part / file.path, target, file.path, lambda _count: fresh.add(0))

        def look() -> None:
            self.teller.downloading(tally)
            self.teller.check()

        try:
            aside(work, look)
        except UserError:
            shutil.rmtree(target, ignore_errors=True)
            (part / file.path).unlink(missing_ok=True)  # another time it may be another archive
            raise
        finally:
            fresh.cancelled.set()
        (part / file.path).unlink()
        for path in target.iterdir():
            with path.open("rb") as written:
                os.fsync(written.fileno())
            os.replace(path, part / path.name)
        target.rmdir()
        sync_folder(part)

    def _refuse_without_room(self, files: list[RemoteFile], part: Path) -> None:
        need = sum(file.size or 0 for file in files) - here(files, part)
        free = max(0, shutil.disk_usage(part).free - RESERVE_BYTES)
        if need > free:
            folder = str(self.shelf.root)
            raise UserError("hub.no_room", need=need, free=free, folder=folder, path=title(self.model))

    @contextmanager
    def _alone(self, commit: str) -> Generator[bool, None, None]:
        """Held by one process at a time; True where another has fetched it meanwhile."""
        self.shelf.root.mkdir(parents=True, exist_ok=True)
        told = False
        with self.shelf.lock(commit).open("a") as file:
            while True:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if not told:
                        self.teller.note("hub.waiting", path=title(self.model))
                        told = True
                    _pause(LOCK_LOOK_S, self._look)
            yield self.shelf.folder(commit).is_dir()


def _pause(seconds: float, look: Callable[[], None]) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        look()
        time.sleep(min(0.05, seconds))


def shelf_of(home: Home, model: ModelConfig) -> Shelf:
    """Where the cache has it."""
    name = ""
    if model.hub == "url":
        name = f"{hashlib.sha256(model.path.encode()).hexdigest()[:12]}-{title(model)}"
    return Shelf.of(home, model.hub, model.path, name)
