"""Brings what a worker made from its node to the attempt's folder: checkpoints now and then, everything at the end."""

from __future__ import annotations

import contextlib
import logging
import re
import shutil
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

import docker
from docker.errors import NotFound

from engine.contract.datasets import MANIFEST
from engine.contract.durable import sync_folder, write_durably
from engine.contract.logfile import pieces
from engine.contract.paths import AttemptFolder, Home
from engine.control.executors.docker import files, names, whole
from engine.control.executors.docker.copies import JournalCopy, LogCopy, lines_of
from engine.control.executors.docker.link import Link
from engine.control.executors.docker.outcome import witness_of

log = logging.getLogger(__name__)
FINGERPRINT = re.compile(r"[0-9a-f]{64}")
FETCHED = ".fetched-"
"""Begins the name of a version that is not all here yet."""
CHECKPOINT = re.compile(r"checkpoints/(a\d+-s\d+)")
MANY_BYTES = 64 << 20
"""Results that are larger wait for the end."""


class Mirror:
    """The copy of one attempt. Its methods wait for the node; they may raise Unreachable."""

    def __init__(self, link: Link, folder: AttemptFolder, minutes: float) -> None:
        self.link, self.folder = link, folder
        self.journal, self.log = JournalCopy(folder.journal), LogCopy(folder.log)
        self.there = names.there(folder.root, folder.run)
        self._minutes = minutes
        self._copied_at: float | None = None
        self.witness: dict[str, Any] | None = None
        """What the worker's parent wrote about the end, once it was seen."""
        self._checkpoints: dict[str, dict[str, Any]] = {}
        self._results: dict[str, dict[str, Any]] = {}
        for left in folder.checkpoints.glob(f".*{files.PARTIAL}"):  # of a controller that was killed
            shutil.rmtree(left, ignore_errors=True)
        self._datasets: dict[str, str] = {}
        """Versions the run made: fingerprint to the sha256 of what they say of themselves."""
        kinds = ("artifact", "rows", "checkpoint", "checkpoint_removed", "dataset")
        self._look_at(lines_of(folder.journal, kinds))

    def listen(self) -> None:
        """Act on what the journal brought: results to be fetched, checkpoints that came and went."""
        self._look_at(self.journal.taken())

    @property
    def due(self) -> bool:
        """Something is to be copied now, while the worker goes on."""
        if self._small_results():
            return True
        if not self._missing():
            return False
        return self._copied_at is None or time.monotonic() - self._copied_at >= self._minutes * 60

    def copy_on_the_way(self, container: str, leaving: Callable[[], bool]) -> None:
        """Checkpoints, the newest first, and small results; those that go meanwhile are passed over."""
        for name in self._missing():
            if leaving():
                return
            with contextlib.suppress(NotFound, whole.Damaged, files.CutOff):
                self._fetch_checkpoint(container, name)
        self._copied_at = time.monotonic()
        for path, line in self._small_results().items():
            if leaving():
                return
            with contextlib.suppress(NotFound, whole.Damaged, files.CutOff):
                self._fetch_result(container, path, line)

    def copy_all(self, container: str) -> dict[str, Any] | None:
        """Everything the container has left; what its parent wrote about the end."""
        aside, logs = self._aside("outputs"), self._aside("logs")
        for folder in (aside, logs):
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
        self.link.stream(lambda api: self._receive(api, container, aside, logs))
        self._take_logs(logs)
        self.listen()
        for line in self._results.values():
            whole.check_result(aside.parent, {**line, "path": _in_aside(str(line["path"]), aside)})
        files.put_in_place(aside, self.folder.outputs)
        shutil.rmtree(logs, ignore_errors=True)
        for name in self._missing():
            with contextlib.suppress(NotFound):  # it made room while the worker was ended
                self._fetch_checkpoint(container, name)
        for fingerprint, digest in self._datasets.items():
            self._fetch_dataset(container, fingerprint, digest)
        self._fetch_choice(container)
        self.journal.sync()
        return self.witness

    def seal(self) -> None:
        """From now on nothing is written, by whichever thread."""
        self.journal.closed = self.log.closed = True

    def close(self) -> None:
        """Give the files back."""
        self.journal.close()
        self.log.close()

    def _receive(self, api: docker.APIClient, container: str, aside: Path, logs: Path) -> None:
        for below, info, content in files.members(api, container, self.there):
            first, _, rest = below.partition("/")
            if below == self.folder.journal.name:
                self._catch_up(content)
            elif below == self.folder.exit.name:
                self.witness = witness_of(content.read(names.SMALL_BYTES))
            elif first == "outputs" and info.isdir():
                files.place(aside, rest).mkdir(parents=True, exist_ok=True)
            elif first == "outputs":
                files.save(content, files.place(aside, rest), info.size)
            elif not rest and below.startswith(self.folder.log.name) and not info.isdir():
                files.save(content, files.place(logs, below), info.size)

    def _catch_up(self, content: files.Content) -> None:
        """The whole journal again: what is here already must be the same."""
        left = self.journal.begin_repair()
        with self.journal.path.open("rb") as ours:
            while left:
                theirs = content.read(min(files.PIECE, left))
                if not theirs or theirs != ours.read(len(theirs)):
                    log.error("%s is not how its origin begins: nothing is added", self.journal.path)
                    return
                left -= len(theirs)
        while data := content.read(files.PIECE):
            self.journal.repair(data, sure=True)

    def _take_logs(self, logs: Path) -> None:
        """The pieces of the log, in their order."""
        latest = logs / self.folder.log.name
        older = [(end, path) for end, path in pieces(latest) if end > self.log.size]
        last = max((end for end, _ in pieces(latest)), default=0)
        if latest.exists():
            older.append((last + latest.stat().st_size, latest))
        for end, path in older:
            begin = end - path.stat().st_size
            self.log.skip(begin)
            with path.open("rb") as file:
                file.seek(self.log.size - begin)
                while data := file.read(files.PIECE):
                    self.log.take(self.log.size, data)

    def _look_at(self, lines: list[dict[str, Any]]) -> None:
        for line in lines:
            path = str(line.get("path", ""))
            if line["kind"] in ("artifact", "rows"):
                self._results[path] = line
                continue
            if line["kind"] == "dataset" and FINGERPRINT.fullmatch(str(line["hash"])):
                self._datasets[str(line["hash"])] = str(line["manifest_sha256"])
            found = CHECKPOINT.fullmatch(path)
            if found is None:
                continue
            if line["kind"] == "checkpoint":
                self._checkpoints[found[1]] = line
            else:
                self._checkpoints.pop(found[1], None)
                _remove(self.folder.checkpoints / found[1])

    def _missing(self) -> list[str]:
        """Checkpoints that are not here, the newest first."""
        there = reversed(list(self._checkpoints))
        return [name for name in there if not (self.folder.checkpoints / name).is_dir()]

    def _small_results(self) -> dict[str, dict[str, Any]]:
        """Results that people may want to see before the end."""
        return {
            path: line
            for path, line in self._results.items()
            if int(line.get("bytes") or 0) <= MANY_BYTES and not self._here(path)
        }

    def _here(self, path: str) -> bool:
        return files.place(self.folder.root, path).exists()

    def _fetch_checkpoint(self, container: str, name: str) -> None:
        target = self.folder.checkpoints / name
        aside = target.with_name(f".{name}{files.PARTIAL}")
        path = names.there(target, self.folder.run)
        try:
            self.link.stream(lambda api: files.receive(api, container, path, aside))
            whole.check_checkpoint(aside)
            files.put_in_place(aside, target)
        finally:
            shutil.rmtree(aside, ignore_errors=True)

    def _fetch_dataset(self, container: str, fingerprint: str, digest: str) -> None:
        """A version the run made over there becomes one of this home's library; it is there whole, or not at all."""
        home = Home(self.folder.run.parent.parent)
        target = home.dataset(fingerprint)
        if (target / MANIFEST).is_file():
            return
        aside = home.datasets / f"{FETCHED}{fingerprint}"
        home.datasets.mkdir(exist_ok=True)
        path = names.JOB / "datasets" / fingerprint
        try:
            self.link.stream(lambda api: files.receive(api, container, path, aside))
            whole.check_version(aside, digest)
            files.put_in_place(aside, target)
        finally:
            shutil.rmtree(aside, ignore_errors=True)

    def _fetch_result(self, container: str, path: str, line: dict[str, Any]) -> None:
        target, aside = files.place(self.folder.root, path), self._aside("result")
        where = self.there / PurePosixPath(path)

        def work(api: docker.APIClient) -> None:
            shutil.rmtree(aside, ignore_errors=True)
            for below, info, content in files.members(api, container, where):
                if info.isdir():
                    files.place(aside, below).mkdir(parents=True, exist_ok=True)
                else:
                    files.save(content, files.place(aside, below) if below else aside, info.size)

        try:
            self.link.stream(work)
            whole.check_result(aside.parent, {**line, "path": aside.name})
            target.parent.mkdir(parents=True, exist_ok=True)
            aside.rename(target)
            sync_folder(target.parent)
        finally:
            if aside.is_file():
                aside.unlink()
            shutil.rmtree(aside, ignore_errors=True)

    def _fetch_choice(self, container: str) -> None:
        """Which commit of a hub's model the run works with, and which of its teacher."""
        for place in (self.folder.model_choice, self.folder.teacher_choice):
            path = names.there(place, self.folder.run)
            data = self.link.ask(partial(files.read, container=container, path=path))
            if data is not None:
                write_durably(place, data)

    def _aside(self, name: str) -> Path:
        return self.folder.root / f".{name}{files.PARTIAL}"


def _in_aside(path: str, aside: Path) -> str:
    """Where a result lies before it is put in place."""
    first, _, rest = path.partition("/")
    return f"{aside.name}/{rest}" if first == "outputs" else path


def _remove(folder: Path) -> None:
    """Out of sight at once, then off the disk."""
    if folder.is_dir():
        aside = folder.with_name(f".{folder.name}.gone")
        shutil.rmtree(aside, ignore_errors=True)
        folder.rename(aside)
        shutil.rmtree(aside, ignore_errors=True)
