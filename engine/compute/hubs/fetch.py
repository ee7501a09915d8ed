"""Fetches files: going on where it was cut, checked against the hub's checksum, ended at once when asked to."""

from __future__ import annotations

import hashlib
import os
import queue
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from engine.compute.hubs.door import Door
from engine.compute.hubs.listing import RemoteFile
from engine.contract.durable import sync_folder
from engine.contract.errors import UserError

AT_ONCE = 4
TRIES = 6
"""Connections in a row that brought nothing, before it is given up."""
FIRST_WAIT_S, LONGEST_WAIT_S = 0.5, 30.0
LOOK_S = 0.05
HASHED_AT_ONCE = 4 << 20
PACE_S = 5.0
NOTHING_BEYOND = 416
PART = ".part"
T = TypeVar("T")


class Cancelled(Exception):
    """Inside a thread: nobody wants it any more."""


@dataclass
class Tally:
    """How far a download is; told by several threads."""

    total: int | None
    done: int = 0
    heard: float = field(default_factory=time.monotonic)
    """When the last byte came."""
    cancelled: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _marks: list[tuple[float, int]] = field(default_factory=list)
    fetched: int = 0

    def add(self, count: int, *, came: bool = True) -> None:
        """So many bytes more (fewer, where a file is begun again)."""
        if self.cancelled.is_set():
            raise Cancelled
        with self._lock:
            self.done += count
            self.fetched += count if came and count > 0 else 0
            self.heard = time.monotonic()

    def pace(self) -> float | None:
        """Bytes a second over the last seconds."""
        now = time.monotonic()
        self._marks = [mark for mark in self._marks if now - mark[0] <= PACE_S] + [(now, self.fetched)]
        first, last = self._marks[0], self._marks[-1]
        return (last[1] - first[1]) / (last[0] - first[0]) if last[0] > first[0] else None


def fetch_all(
    door: Door, files: Iterable[RemoteFile], folder: Path, tally: Tally, look: Callable[[], None], hang_s: float
) -> None:
    """Have all files in the folder, whole and checked. `look` is called often, and may raise to end it."""
    waiting: queue.SimpleQueue[RemoteFile] = queue.SimpleQueue()
    for file in sorted(files, key=lambda one: one.size or 0):  # the small ones, which show most mistakes, first
        waiting.put(file)

    def work() -> None:
        while not tally.cancelled.is_set():
            try:
                file = waiting.get_nowait()
            except queue.Empty:
                return
            fetch(door, file, folder, tally)

    def watch() -> None:
        look()
        if time.monotonic() - tally.heard > hang_s:
            raise UserError("hub.stalled", endpoint=door.host(door.path), minutes=round(hang_s / 60, 1))

    in_threads([work] * AT_ONCE, watch, tally.cancelled)


def in_threads(jobs: list[Callable[[], Any]], look: Callable[[], None], cancelled: threading.Event) -> None:
    """Do the jobs while looking around; what one of them or the look raises ends all."""
    failures: list[BaseException] = []

    def guarded(job: Callable[[], Any]) -> None:
        try:
            job()
        except Cancelled:
            return
        except BaseException as error:  # noqa: BLE001 - raised again where somebody waits for it
            failures.append(error)

    # Threads of an executor would be waited for at the end of the process, whatever they wait for themselves.
    threads = [threading.Thread(target=guarded, args=(job,), daemon=True, name="fetch") for job in jobs]
    try:
        for thread in threads:
            thread.start()
        while not failures and (alive := [thread for thread in threads if thread.is_alive()]):
            look()
            alive[0].join(LOOK_S)
    finally:
        cancelled.set()
    if failures:
        raise failures[0]


def aside(work: Callable[[], T], look: Callable[[], None]) -> T:
    """The answer of something that may take long, looked around meanwhile."""
    found: list[T] = []
    in_threads([lambda: found.append(work())], look, threading.Event())
    return found[0]


def fetch(door: Door, file: RemoteFile, folder: Path, tally: Tally) -> None:
    """One file; with a wrong checksum it is deleted and fetched once more."""
    whole, part = folder / file.path, folder / (file.path + PART)
    if whole.is_file():
        return
    for last in (False, True):
        digests = _pump(door, file, part, tally)
        if _right(file, digests):
            os.replace(part, whole)
            sync_folder(folder)
            return
        size = part.stat().st_size
        part.unlink()
        tally.add(-size)
        if last:
            raise UserError("hub.checksum", file=file.path, path=door.path, endpoint=door.host(file.url))


@dataclass
class Digests:
    """Fingerprints of what came so far."""

    sha256: Any = field(default_factory=hashlib.sha256)
    git: Any = None
    size: int = 0

    @classmethod
    def of(cls, file: RemoteFile) -> Digests:
        """With the beginning git gives a blob."""
        if not file.git_sha1 or file.size is None:
            return cls()
        begun = hashlib.sha1(f"blob {file.size}\0".encode(), usedforsecurity=False)
        return cls(git=begun)

    def add(self, data: bytes) -> None:
        """More of it."""
        self.sha256.update(data)
        if self.git is not None:
            self.git.update(data)
        self.size += len(data)


def _right(file: RemoteFile, digests: Digests) -> bool:
    if file.size is not None and digests.size != file.size:
        return False
    if file.sha256:
        return bool(digests.sha256.hexdigest() == file.sha256.lower())
    return digests.git is None or bool(digests.git.hexdigest() == file.git_sha1.lower())


def _pump(door: Door, file: RemoteFile, part: Path, tally: Tally) -> Digests:
    """Fetch until nothing is missing; connections that break are made again where they broke."""
    fruitless = 0
    while True:
        before = part.stat().st_size if part.exists() else 0
        if file.size is not None and before >= file.size and part.exists():
            return _hashed(part, file, tally)
        try:
            return _stream(door, file, part, tally)
        except UserError as error:
            if error.params.get("status") == NOTHING_BEYOND and before:
                part.unlink()  # it is another file by now
                tally.add(-before)
                continue
            if error.code != "hub.unreachable":
                raise
            after = part.stat().st_size if part.exists() else 0
            fruitless = 0 if after > before else fruitless + 1
            if fruitless >= TRIES:
                raise
            if tally.cancelled.wait(min(LONGEST_WAIT_S, FIRST_WAIT_S * 2 ** max(0, fruitless - 1))):
                raise Cancelled from None


def _stream(door: Door, file: RemoteFile, part: Path, tally: Tally) -> Digests:
    digests = _hashed(part, file, tally) if part.exists() else Digests.of(file)
    headers = {"Accept-Encoding": "identity"}
    if digests.size:
        headers["Range"] = f"bytes={digests.size}-"
    with part.open("ab") as sink, door.stream(file.url, headers=headers) as answer:
        if digests.size and not _goes_on(answer, digests.size):
            sink.truncate(0)
            tally.add(-digests.size)
            digests = Digests.of(file)
        for piece in answer.iter_raw():
            tally.add(len(piece))  # first: what is not wanted any more must not be written beside another's bytes
            sink.write(piece)
            digests.add(piece)
            if file.size is not None and digests.size > file.size:
                break  # more than there is: the check says so
        sink.flush()
        os.fsync(sink.fileno())
    return digests


def _goes_on(answer: Any, offset: int) -> bool:
    """Whether the answer begins where the file ends."""
    return answer.status_code == 206 and str(answer.headers.get("Content-Range", "")).startswith(f"bytes {offset}-")


def _hashed(part: Path, file: RemoteFile, tally: Tally) -> Digests:
    """Fingerprints of what is here already."""
    digests = Digests.of(file)
    with part.open("rb") as source:
        while piece := source.read(HASHED_AT_ONCE):
            digests.add(piece)
            tally.add(0)
    return digests


def here(files: Iterable[RemoteFile], folder: Path) -> int:
    """Bytes that need not be fetched any more."""
    found = 0
    for file in files:
        for path in (folder / file.path, folder / (file.path + PART)):
            if path.is_file():
                found += path.stat().st_size
    return found
