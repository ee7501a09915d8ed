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
from engine.contract.datasets import MANIFEST
from engine.contract.durable import write_json
from engine.contract.model import ModelConfig
from engine.contract.model_cache import listed
from engine.contract.nodes import NodeProfile, Transfer
from engine.contract.paths import Home, expanded
from engine.contract.rollouts import RewardConfig
from engine.contract.run_spec import AttemptOrder, TrainJob
from engine.contract.sampling import SampleJob
from engine.contract.scratch import ScratchConfig
from engine.contract.serving import LISTEN_IN_CONTAINER, SERVE_PORT, ServeJob
from engine.contract.stages import stage_of
from engine.contract.teacher import TeacherConfig
from engine.control.executors.docker import names
from engine.control.executors.docker.cache import Cache, Entry, File
from engine.control.executors.docker.container import Plan
from engine.control.executors.docker.follow import NodeFault
from engine.control.executors.docker.link import Link
from engine.control.executors.docker.trouble import DISK_FULL
from engine.control.executors.docker.whole import sha256, tree_digest

log = logging.getLogger(__name__)
SHORT = 16
CACHED_HUBS = ("huggingface", "modelscope", "url")
MOST_KNOWN = 20_000
Told = Callable[[Transfer], None]
MODEL, TEACHER = "model.json", "teacher.json"
"""In a run's folder: which commit of a hub's model it works with."""


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
    links: dict[str, str] = field(default_factory=dict)
    """Where the worker looks for a hub's model, to where it is mounted; both below /job and /inputs."""
    _without_room: Entry | None = None
    choices: dict[str, bytes] = field(default_factory=dict)
    """Which commit that is, as model.json has it, and of a teacher teacher.json."""

    def find(self, order: AttemptOrder, check: Callable[[], None]) -> tuple[AttemptOrder, dict[str, str]]:
        """The order with the paths of over there, and what must be mounted for it: volume to place."""
        self.entries, self.links, self.choices, self.private = {}, {}, {}, False
        job = order.spec.job
        if isinstance(job, SampleJob):
            return self._of_sampling(order, job, check)
        if isinstance(job, ServeJob):
            return self._of_serving(order, job, check)
        if not isinstance(job, TrainJob):
            return order, {}
        model = self._moved(job.model, check)
        if model.hub in CACHED_HUBS:
            self._find_cached(model, self.home.run(order.run), check)
        train = [self._moved(source, check) for source in job.data.train]
        validation = [self._moved(source, check) for source in job.data.validation]
        held_out = [self._moved(source, check) for source in job.evaluation.data]
        teacher = self._of_teacher(order, job, check)
        rewards = [self._moved(reward, check) if reward.path else reward for reward in job.rollouts.rewards]
        self.sums.keep()
        data = job.data.model_copy(update={"train": train, "validation": validation})
        evaluation = job.evaluation.model_copy(update={"data": held_out})
        changed = job.model_copy(update={"model": model, "data": data, "evaluation": evaluation})
        rollouts = job.rollouts.model_copy(update={"rewards": rewards})
        changed = changed.model_copy(update={"rollouts": rollouts, "teacher": teacher})
        changed = changed.model_copy(update={"scratch": self._of_scratch(job, check)})
        if job.tuner.adapter:
            adapter = self._moved(ModelConfig(path=job.tuner.adapter), check).path
            changed = changed.model_copy(update={"tuner": job.tuner.model_copy(update={"adapter": adapter})})
        rewritten = order.model_copy(update={"spec": order.spec.model_copy(update={"job": changed})})
        return rewritten, {entry.volume: target for target, entry in self.entries.items()}

    def _of_sampling(
        self, order: AttemptOrder, job: SampleJob, check: Callable[[], None]
    ) -> tuple[AttemptOrder, dict[str, str]]:
        """A run that samples reads a model, perhaps an adapter, questions, and what rewards need."""
        moved: dict[str, Any] = {"model": self._moved(job.model, check), "source": self._moved(job.source, check)}
        if job.model.hub in CACHED_HUBS:
            self._find_cached(job.model, self.home.run(order.run), check)
        if job.adapter:
            moved["adapter"] = self._moved(ModelConfig(path=job.adapter), check).path
        moved["rewards"] = [self._moved(reward, check) if reward.path else reward for reward in job.rewards]
        self.sums.keep()
        spec = order.spec.model_copy(update={"job": job.model_copy(update=moved)})
        return order.model_copy(update={"spec": spec}), {entry.volume: place for place, entry in self.entries.items()}

    def _of_serving(
        self, order: AttemptOrder, job: ServeJob, check: Callable[[], None]
    ) -> tuple[AttemptOrder, dict[str, str]]:
        """An instance reads a model and its adapters, and listens where the engine publishes it."""
        moved: dict[str, Any] = {
            "model": self._moved(job.model, check),
            "host": LISTEN_IN_CONTAINER,
            "port": SERVE_PORT,
        }
        if job.model.hub in CACHED_HUBS:
            self._find_cached(job.model, self.home.run(order.run), check)
        moved["adapters"] = [
            adapter.model_copy(update={"path": self._moved(ModelConfig(path=adapter.path), check).path})
            for adapter in job.adapters
        ]
        held = [
            one.model_copy(update={"path": self._moved(ModelConfig(path=one.source), check).path})
            for one in order.adapters.loaded
            if one.source  # what nobody here knows lay in a container that is gone
        ]
        order = order.model_copy(update={"adapters": order.adapters.model_copy(update={"loaded": held})})
        if job.route_model:
            moved["route_model"] = self._moved(ModelConfig(path=job.route_model), check).path
        self.sums.keep()
        spec = order.spec.model_copy(update={"job": job.model_copy(update=moved)})
        return order.model_copy(update={"spec": spec}), {entry.volume: place for place, entry in self.entries.items()}

    def fill(self, link: Link, profile: NodeProfile, plan: Plan, check: Callable[[], None]) -> None:
        """Have every entry there, whole."""
        for target, entry in self.entries.items():
            try:
                self.cache.have(link, profile, plan, entry, target, check)
            except NodeFault as fault:
                self._without_room = entry if fault.error.code == DISK_FULL else None
                raise

    def drop_half(self, link: Link) -> None:
        """What found no room there takes none either, once no container has it: elsewhere a copy goes on later."""
        entry, self._without_room = self._without_room, None
        if entry is not None:
            self.cache.drop(link, entry)

    def _moved(self, source: Any, check: Callable[[], None]) -> Any:
        """A setting that names a path of this computer, naming one of the container's."""
        check()
        if isinstance(source, DataSource) and source.hub == "library" and source.version:
            return self._of_library(source, check)
        of_here = isinstance(source, RewardConfig) or (
            isinstance(source, ModelConfig | DataSource) and source.hub == "local"
        )
        if not of_here or self._is_of_node(source.path):
            return source
        path = expanded(source.path)
        if not path.exists():
            return source  # the worker says what is wrong with it, as everywhere
        private = bool(getattr(source, "private", False))
        self.private = self.private or private
        entry = self._entry(path, private, check)
        known = next((place for place, other in self.entries.items() if other.volume == entry.volume), None)
        target = known or str(names.INPUTS / entry.digest[:SHORT] / (path.name if path.is_dir() else "file"))
        self.entries[target] = entry
        there = target if path.is_dir() else f"{target}/{path.name}"
        return source.model_copy(update={"path": there})

    def _of_teacher(self, order: AttemptOrder, job: TrainJob, check: Callable[[], None]) -> TeacherConfig:
        """The teacher and its adapter; one of a hub that does not lie here is fetched over there."""
        source, adapter = job.teacher.source, job.teacher.adapter
        if source is None or not stage_of(job.stage).teacher:
            return job.teacher
        if source.hub in CACHED_HUBS:
            self._find_cached(source, self.home.run(order.run), check, TEACHER)
        moved = {"path": self._moved(source, check).path}
        if adapter:
            moved["adapter"] = self._moved(ModelConfig(path=adapter), check).path
        return job.teacher.model_copy(update=moved)

    def _of_scratch(self, job: TrainJob, check: Callable[[], None]) -> ScratchConfig:
        """The tokenizer of a model that is made over there, where a folder has it."""
        form = job.scratch
        if not job.from_scratch or form.tokenizer != "folder":
            return form
        return form.model_copy(
            update={"tokenizer_path": self._moved(ModelConfig(path=form.tokenizer_path), check).path}
        )

    def _of_library(self, source: DataSource, check: Callable[[], None]) -> DataSource:
        """A version goes there as a folder; what lies in it says how its rows are read, wherever it is."""
        folder = self.home.dataset(source.version or "")
        if not (folder / MANIFEST).is_file():
            return source  # the worker says so
        self.private = self.private or source.private
        entry = self._entry(folder, source.private, check)
        target = str(names.INPUTS / entry.digest[:SHORT] / folder.name)
        self.entries[target] = entry
        return source.model_copy(update={"hub": "local", "path": target, "version": None})

    def _find_cached(self, model: ModelConfig, run: Path, check: Callable[[], None], choice: str = MODEL) -> None:
        """A hub's model that lies in this home's store: it goes to the node, and the worker finds it in its own."""
        pinned = _pinned(run / choice, model)
        wanted = pinned or model.revision or ""
        for found in listed(self.home).models:
            if (found.hub, found.path, found.whole) != (model.hub, model.path, True):
                continue
            if wanted in (found.commit, *found.revisions) or (not wanted and found.revisions):
                folder = Path(found.folder)
                entry = self._entry(folder, False, check)
                target = str(names.INPUTS / entry.digest[:SHORT] / folder.name)
                self.entries[target] = entry
                self.links[str(names.JOB / "models" / folder.relative_to(self.home.models).as_posix())] = target
                asked = {"hub": model.hub, "path": model.path, "revision": model.revision}
                self.choices[choice] = json.dumps({**asked, "commit": found.commit}).encode()
                return

    def _is_of_node(self, path: str) -> bool:
        """It lies in a folder of the node that containers see."""
        targets = [PurePosixPath(entry.partition(":")[2].removesuffix(":ro")) for entry in self.profile.mounts]
        return any(PurePosixPath(path).is_relative_to(target) for target in targets)

    def _entry(self, path: Path, private: bool, check: Callable[[], None]) -> Entry:
        files = []
        for name, file in _files(path):
            check()
            files.append(File(name, file, file.stat().st_size, self.sums.of(file)))
        digest = tree_digest({file.name: file.sha256 for file in files})
        return Entry(digest, tuple(files), str(path), private)


def _pinned(path: Path, model: ModelConfig) -> str:
    """The commit that earlier attempts of the run worked with."""
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return ""
    asked = {"hub": model.hub, "path": model.path, "revision": model.revision}
    commit = found.pop("commit", "") if isinstance(found, dict) else ""
    return str(commit) if found == asked else ""


def _files(path: Path) -> Iterator[tuple[str, Path]]:
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
            if file.is_file():
                yield file.relative_to(path).as_posix(), file.resolve()
            else:
                log.warning("%s is no plain file: it stays here", file)
