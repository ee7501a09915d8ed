"""What a run reads from the controller's computer: each becomes an entry of the node's cache, named by content."""

from __future__ import annotations

import json
import logging
import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from engine.contract.data import DataSource
from engine.contract.durable import write_json
from engine.contract.errors import UserError
from engine.contract.model import ModelConfig
from engine.contract.nodes import NodeProfile, Transfer
from engine.contract.paths import Home
from engine.contract.run_spec import AttemptOrder, TrainJob
from engine.control.executors.docker import names
from engine.control.executors.docker.cache import Cache, Entry, File
from engine.control.executors.docker.container import Plan
from engine.control.executors.docker.link import Link
from engine.control.executors.docker.whole import sha256, tree_digest

log = logging.getLogger(__name__)
SHORT = 16
MOST_KNOWN = 20_000
Told = Callable[[Transfer], None]


class Sums:
    """sha256 of files, remembered for as long as size and time of a file stay as they were."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._known: dict[str, list[Any]] = {}
        try:
            self._known = dict(json.loads(path.read_bytes()))
        except (OSError, ValueError, TypeError):
            self._known = {}

    def of(self, path: Path) -> str:
        """A file's sum; reads it if it is new or changed."""
        key, facts = str(path), _facts(path)
        with self._lock:
            known = self._known.get(key)
        if known is not None and known[:3] == facts:
            return str(known[3])
        found = sha256(path)
        with self._lock:
            if len(self._known) >= MOST_KNOWN:
                self._known.clear()
            self._known[key] = [*facts, found]
        return found

    def keep(self) -> None:
        """Write down what was learned."""
        with self._lock:
            write_json(self._path, self._known)


def _facts(path: Path) -> list[Any]:
    found = path.stat()
    return [found.st_size, found.st_mtime_ns, found.st_ino]


@dataclass
class Inputs:
    """The inputs of one attempt, as its node gets them."""

    home: Home
    profile: NodeProfile
    cache: Cache
    sums: Sums
    private: bool = False
    """One of them goes when the run has ended."""
    entries: dict[str, Entry] = field(default_factory=dict)
    """By where each is mounted."""

    def find(self, order: AttemptOrder, node: str, check: Callable[[], None]) -> tuple[AttemptOrder, dict[str, str]]:
        """The order with the paths of over there, and what must be mounted for it: volume to place."""
        self.entries, self.private = {}, False
        job = order.spec.job
        if not isinstance(job, TrainJob):
            return order, {}
        model = self._moved(job.model, node, check)
        train = [self._moved(source, node, check) for source in job.data.train]
        validation = [self._moved(source, node, check) for source in job.data.validation]
        held_out = [self._moved(source, node, check) for source in job.evaluation.data]
        self.sums.keep()
        data = job.data.model_copy(update={"train": train, "validation": validation})
        evaluation = job.evaluation.model_copy(update={"data": held_out})
        changed = job.model_copy(update={"model": model, "data": data, "evaluation": evaluation})
        rewritten = order.model_copy(update={"spec": order.spec.model_copy(update={"job": changed})})
        return rewritten, {entry.volume: target for target, entry in self.entries.items()}

    def fill(self, link: Link, profile: NodeProfile, plan: Plan, check: Callable[[], None]) -> None:
        """Have every entry there, whole."""
        for target, entry in self.entries.items():
            self.cache.have(link, profile, plan, entry, target, check)

    def _moved(self, source: Any, node: str, check: Callable[[], None]) -> Any:
        """A setting that names a path of this computer, naming one of the container's."""
        check()
        if not isinstance(source, ModelConfig | DataSource) or source.hub != "local" or self._is_of_node(source.path):
            return source
        path = Path(source.path).expanduser()
        if not path.exists():
            raise UserError("docker.input_missing", path=str(path), node=node)
        private = bool(getattr(source, "private", False))
        self.private = self.private or private
        entry = self._entry(path, node, private, check)
        known = next((place for place, other in self.entries.items() if other.volume == entry.volume), None)
        target = known or str(names.INPUTS / entry.digest[:SHORT] / (path.name if path.is_dir() else "file"))
        self.entries[target] = entry
        there = target if path.is_dir() else f"{target}/{path.name}"
        return source.model_copy(update={"path": there})

    def _is_of_node(self, path: str) -> bool:
        """It lies in a folder of the node that containers see."""
        targets = [PurePosixPath(entry.partition(":")[2].removesuffix(":ro")) for entry in self.profile.mounts]
        return any(PurePosixPath(path).is_relative_to(target) for target in targets)

    def _entry(self, path: Path, node: str, private: bool, check: Callable[[], None]) -> Entry:
        files = []
        for name, file in _files(path, node):
            check()
            files.append(File(name, file, file.stat().st_size, self.sums.of(file)))
        digest = tree_digest({file.name: file.sha256 for file in files})
        return Entry(digest, tuple(files), str(path), private)


def _files(path: Path, node: str) -> Iterator[tuple[str, Path]]:
    """A file, or everything in a folder but what is hidden; links to files are followed."""
    if path.is_file():
        yield path.name, path.resolve()
        return
    for root, folders, found in os.walk(path):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted([*found, *(folder for folder in folders if Path(root, folder).is_symlink())]):
            file = Path(root, name)
            if name.startswith("."):
                continue
            if not file.is_file():
                raise UserError("docker.input_odd", path=str(path), name=str(file.relative_to(path)), node=node)
            yield file.relative_to(path).as_posix(), file.resolve()
