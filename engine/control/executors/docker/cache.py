"""The cache of a node: volumes named by what is in them, filled piece by piece, checked over there, mounted read-only.

A volume is whole once it holds `.entry.json`, which the node writes after it has read everything back and found the
sums right. A copy that broke off goes on with the pieces that are missing.
"""

from __future__ import annotations

import contextlib
import json
import logging
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from docker.errors import NotFound

from engine.contract.errors import UserError
from engine.contract.nodes import NodeProfile, Transfer
from engine.control.executors.docker import container, files, names
from engine.control.executors.docker.container import Plan
from engine.control.executors.docker.files import Item
from engine.control.executors.docker.follow import NodeFault
from engine.control.executors.docker.link import LONG_S, Link
from engine.control.executors.docker.remote import Refusal, Remote, granted, told

log = logging.getLogger(__name__)
PIECE_BYTES = 128 << 20
"""Of a file, sent at once: what is lost when the line is cut."""
BATCH_FILES = 200
MARK = ".entry.json"
PARTS = ".parts"
RECEIVER = "engine.compute.worker.receive"
NAME_TAKEN = 409
LOOK_S = 0.1
BUSY_S = 600.0
TRIES = 3


@dataclass(frozen=True)
class File:
    """One file of an entry."""

    name: str
    path: Path
    bytes: int
    sha256: str


@dataclass(frozen=True)
class Entry:
    """Something that lies in the cache, or is to."""

    digest: str
    files: tuple[File, ...]
    what: str
    """As a person named it."""
    private: bool = False
    """Nobody else's run may come upon it, and it goes at the run's end."""

    @property
    def volume(self) -> str:
        """Its volume's name."""
        return f"forge-cache-{'private-' if self.private else ''}{self.digest[:32]}"

    @property
    def labels(self) -> dict[str, str]:
        """Its volume's labels."""
        private = str(int(self.private))
        return {names.MANAGED: "1", names.KIND: "cache", names.DIGEST: self.digest, names.PRIVATE: private}

    @property
    def bytes(self) -> int:
        """All of it."""
        return sum(file.bytes for file in self.files)


@dataclass
class Cache:
    """The caches of all nodes, as one controller fills them."""

    controller: str
    told: Callable[[Transfer], None] = lambda _transfer: None
    session: str = ""
    """Of the executor that fills them."""
    piece: int = PIECE_BYTES
    _locks: dict[str, threading.Lock] = field(default_factory=dict)
    _guard: threading.Lock = field(default_factory=threading.Lock)

    def have(
        self, link: Link, profile: NodeProfile, plan: Plan, entry: Entry, target: str, check: Callable[[], None]
    ) -> None:
        """The entry is there, whole; sent if need be. `plan` is that of a container that has it mounted."""
        with self._lock(link.node, entry):
            if self._is_whole(link, plan.name, PurePosixPath(target), entry):
                return
            tell = _Progress(self.told, link.node, entry)
            try:
                self._fill(link, profile, plan, entry, tell, check)
            except BaseException:
                tell.failed()
                raise
            if not self._is_whole(link, plan.name, PurePosixPath(target), entry):
                detail = "It is not there after it was sent."
                raise NodeFault(UserError("docker.fill_failed", node=link.node, what=entry.what, detail=detail))
            tell.done()

    def drop(self, link: Link, entry: Entry) -> None:
        """It goes, unless a container has it."""
        with self._lock(link.node, entry), contextlib.suppress(NotFound, UserError):
            answer = link.ask(told(lambda api: api.remove_volume(entry.volume)))
            if isinstance(answer, Refusal):
                log.info("%s: %s stays: %s", link.node, entry.volume, answer)

    def _lock(self, node: str, entry: Entry) -> threading.Lock:
        with self._guard:
            return self._locks.setdefault(f"{node} {entry.volume}", threading.Lock())

    def _is_whole(self, link: Link, name: str, target: PurePosixPath, entry: Entry) -> bool:
        data = link.ask(lambda api: files.read(api, name, target / MARK))
        try:
            return data is not None and json.loads(data)["digest"] == entry.digest
        except (ValueError, KeyError, TypeError):
            return False

    def _fill(
        self, link: Link, profile: NodeProfile, plan: Plan, entry: Entry, tell: _Progress, check: Callable[[], None]
    ) -> None:
        filler = Remote(link, f"forge-fill-{entry.digest[:32]}{'-private' if entry.private else ''}")
        for left in reversed(range(TRIES)):
            self._make_filler(link, profile, plan, entry, filler, check)
            try:
                self._send(link, filler.name, entry, tell, check)
                problem = self._assemble(link, filler, check)
            finally:
                with contextlib.suppress(Refusal, UserError):
                    filler.remove(force=True)
            if problem is None:
                return
            log.warning("%s: cache entry %s is sent again: %s", link.node, entry.what, problem)
            if not left:
                raise NodeFault(UserError("docker.fill_failed", node=link.node, what=entry.what, detail=problem))

    def _make_filler(
        self, link: Link, profile: NodeProfile, plan: Plan, entry: Entry, filler: Remote, check: Callable[[], None]
    ) -> None:
        """A container that sees the entry where it may write."""
        labels = {
            names.MANAGED: "1", names.KIND: "probe", names.CONTROLLER: self.controller, names.DIGEST: entry.digest,
            names.SESSION: self.session,
        }  # fmt: skip
        made = Plan(
            filler.name, plan.image, ["python", "-m", RECEIVER, str(names.JOB)], labels, entry.volume,
        )  # fmt: skip
        deadline = time.monotonic() + BUSY_S
        while True:
            answer = link.ask(told(lambda api: container.create(api, made, profile)), LONG_S)
            if not isinstance(answer, Refusal):
                return
            if answer.status != NAME_TAKEN:
                raise NodeFault(UserError("docker.fill_failed", node=link.node, what=entry.what, detail=str(answer)))
            there = filler.state()
            if there is not None and there.labels.get(names.CONTROLLER) == self.controller:
                filler.remove(force=True)  # ours, of a time before: we hold the entry's lock
            elif time.monotonic() > deadline:
                raise NodeFault(UserError("docker.cache_busy", node=link.node, what=entry.what))
            check()
            time.sleep(LOOK_S)

    def _send(self, link: Link, name: str, entry: Entry, tell: _Progress, check: Callable[[], None]) -> None:
        """Every piece that is not there yet, small files together."""
        here = _Present(link, name)
        listing = {
            "digest": entry.digest, "piece": self.piece,
            "files": [{"name": file.name, "bytes": file.bytes, "sha256": file.sha256} for file in entry.files],
        }  # fmt: skip
        batch, size = [Item(PARTS), Item(f"{PARTS}/list.json", json.dumps(listing).encode())], 0
        for number, start, length, file in _pieces(entry, self.piece):
            check()
            part = f"{number}-{start // self.piece}"
            if here.has(part, length, number, start):
                tell.add(length)
                continue
            if size + length > self.piece or len(batch) > BATCH_FILES:
                self._put(link, name, entry, batch)
                tell.add(size)
                batch, size = [], 0
            batch.append(Item(f"{PARTS}/{part}", file.path, 0o600, start, length))
            size += length
        self._put(link, name, entry, batch)
        tell.add(size)

    def _put(self, link: Link, name: str, entry: Entry, items: list[Item]) -> None:
        if not items:
            return
        try:
            granted(link.stream(told(lambda api: files.send(api, name, items))))
        except (Refusal, files.CutOff, FileNotFoundError) as error:
            raise NodeFault(
                UserError("docker.fill_failed", node=link.node, what=entry.what, detail=str(error))
            ) from error

    def _assemble(self, link: Link, filler: Remote, check: Callable[[], None]) -> str | None:
        """Let the node put the pieces together and read them back; what was wrong."""
        answer = link.ask(told(lambda api: api.start(filler.name)), LONG_S)
        if isinstance(answer, Refusal):
            return str(answer)
        while True:
            check()
            state = filler.state()
            if state is None:
                return "Its container was removed."
            if not state.live:
                break
            time.sleep(LOOK_S)
        if state.code == 0:
            return None
        said = link.ask(lambda api: api.logs(filler.name, tail=20)).decode(errors="replace").strip()
        return said or state.error or f"It ended with code {state.code}."


def _pieces(entry: Entry, piece: int) -> Iterator[tuple[int, int, int, File]]:
    """Number of the file, where the piece begins, its length."""
    for number, file in enumerate(entry.files):
        for start in range(0, max(1, file.bytes), piece):
            yield number, start, min(piece, file.bytes - start), file


class _Present:
    """What an earlier copy left: nothing is asked of a volume that is new."""

    def __init__(self, link: Link, name: str) -> None:
        self._link, self._name = link, name
        self._begun = self._size(names.JOB / PARTS) is not None
        self._put_together: dict[int, int] = {}

    def has(self, part: str, length: int, number: int, start: int) -> bool:
        """Whether this piece is there, by itself or in its file."""
        if not self._begun:
            return False
        if number not in self._put_together:
            self._put_together[number] = self._size(names.JOB / PARTS / f"{number}.whole") or 0
        if start + length <= self._put_together[number] and length:
            return True
        return self._size(names.JOB / PARTS / part) == length

    def _size(self, path: PurePosixPath) -> int | None:
        return self._link.ask(lambda api: files.size(api, self._name, path))


class _Progress:
    """Tells how a copy gets on."""

    def __init__(self, told: Callable[[Transfer], None], node: str, entry: Entry) -> None:
        self._told = told
        self._transfer = Transfer(node=node, what=entry.what, total=entry.bytes)
        self._tell()

    def add(self, size: int) -> None:
        """So much more is there."""
        done = min(self._transfer.total, self._transfer.done + size)
        self._transfer = self._transfer.model_copy(update={"done": done})
        self._tell()

    def done(self) -> None:
        """All of it is there, checked."""
        self._transfer = self._transfer.model_copy(update={"state": "done", "done": self._transfer.total})
        self._tell()

    def failed(self) -> None:
        """It broke off."""
        self._transfer = self._transfer.model_copy(update={"state": "failed"})
        self._tell()

    def _tell(self) -> None:
        try:
            self._told(self._transfer)
        except Exception as error:  # noqa: BLE001 - who listens must not break a copy
            log.warning("nobody took the progress of a copy: %s", error)
