"""When checkpoints are made, which of them stay, and which of them can be trusted."""

from __future__ import annotations

import hashlib
import math
import re
import shutil
import time
from collections.abc import Callable
from pathlib import Path

from pydantic import ValidationError

from engine.compute.worker.artifacts import Fingerprint, fingerprint_of_marks, publish_folder
from engine.compute.worker.failures import is_disk_full
from engine.compute.worker.reporter import Reporter
from engine.contract.checkpoints import (
    CHECKPOINT_VERSION,
    MANIFEST,
    CheckpointConfig,
    FileMark,
    Manifest,
    SaveCause,
)
from engine.contract.durable import sync_folder
from engine.contract.paths import KEPT

NAME = re.compile(r"^a(\d+)-s(\d+)$")
ASIDE = "."
"""First letter of a folder that is not a checkpoint yet, or no longer."""


class Damaged(Exception):
    """A checkpoint cannot be used, and why."""

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail


def verified(folder: Path) -> Manifest:
    """The manifest of a checkpoint whose every file agrees with it; raises Damaged."""
    try:
        manifest = Manifest.model_validate_json((folder / MANIFEST).read_bytes())
    except FileNotFoundError:
        raise Damaged("It is not there, or has no manifest.") from None
    except (OSError, ValidationError, ValueError) as error:
        raise Damaged(f"Its manifest cannot be read: {str(error).splitlines()[0]}") from error
    if not manifest.intact:
        raise Damaged("Its manifest is not as it was written.")
    if manifest.version != CHECKPOINT_VERSION:
        raise Damaged(f"It has version {manifest.version}; this worker knows {CHECKPOINT_VERSION}.")
    for name, mark in manifest.files.items():
        path = folder / name
        if Path(name).name != name or not path.is_file() or path.is_symlink():
            raise Damaged(f"Its file {name} is missing.")
        if path.stat().st_size != mark.bytes or _sha256(path) != mark.sha256:
            raise Damaged(f"Its file {name} is not as it was written.")
    return manifest


class Checkpoints:
    """The checkpoints of a run, as the worker of its live attempt makes and prunes them."""

    def __init__(
        self,
        folder: Path,
        config: CheckpointConfig,
        attempt: int,
        report: Reporter,
        rating: Callable[[Manifest], float | None] = lambda manifest: manifest.validation_loss,
    ) -> None:
        """`rating` is what the best is found by, the lower the better."""
        self.folder = folder
        self._rating = rating
        self._config = config
        self._attempt = attempt
        self._report = report
        self._last_time = time.monotonic()
        self.best: float | None = None
        """The lowest rating of a checkpoint so far."""

    def begin(self) -> None:
        """Training begins here: clocks start, and what a killed worker left half written goes."""
        self._last_time = time.monotonic()
        self.folder.mkdir(parents=True, exist_ok=True)
        sync_folder(self.folder.parent)
        for path in self.folder.iterdir():
            if path.name.startswith(ASIDE):
                shutil.rmtree(path, ignore_errors=True)
        found = [self._rating(manifest) for manifest in map(_manifest, self._all()) if manifest]
        self.best = min((value for value in found if value is not None), default=None)

    def due(self, step: int, rated: float | None) -> SaveCause | None:
        """Why a checkpoint is to be made now, if one is. `rated` is given where it was just measured."""
        config = self._config
        if config.every_steps and step % config.every_steps == 0:
            return "steps"
        if config.every_minutes and time.monotonic() - self._last_time >= config.every_minutes * 60:
            return "minutes"
        if config.keep_best and rated is not None and self._improves(rated):
            return "best"
        return None

    def save(self, manifest: Manifest, write: Callable[[Path], None]) -> str | None:
        """Make one, tell it, and prune; None, with a note, if the disk has no room (an older one then stays)."""
        name = f"a{manifest.attempt}-s{manifest.step}"
        self._last_time = time.monotonic()
        target = self.folder / name
        try:
            whole = publish_folder(target, lambda aside: _write_whole(aside, manifest, write))
        except Exception as error:
            if not is_disk_full(error):
                raise
            self._report.note("checkpoint.not_saved", "warning", step=manifest.step, detail=str(error))
            return None
        rated = self._rating(manifest)
        best = rated is not None and self._improves(rated)
        if best:
            self.best = rated
        self._report.checkpointed(
            path=f"{self.folder.name}/{name}", step=manifest.step, epoch=manifest.epoch, loss=manifest.loss,
            validation_loss=manifest.validation_loss, best=best, cause=manifest.cause,
            bytes=whole.bytes, sha256=whole.sha256,
        )  # fmt: skip
        self._last_time = time.monotonic()  # the time it took to save is not training
        self._prune()
        return name

    def has(self, step: int) -> bool:
        """This attempt's state at this step is saved already."""
        return (self.folder / f"a{self._attempt}-s{step}" / MANIFEST).is_file()

    def last_good(self, before: int) -> tuple[Path, Manifest] | None:
        """The newest whole checkpoint of an earlier step whose loss is a number."""
        for path in sorted(self._all(), key=lambda path: -int(path.name.rpartition("-s")[2])):
            manifest = _whole(path)
            if manifest and manifest.step < before and (manifest.loss is None or math.isfinite(manifest.loss)):
                return path, manifest
        return None

    def best_one(self) -> tuple[Path, Manifest] | None:
        """The whole checkpoint with the best rating; of equals the earliest."""
        rated = [
            (value, manifest.step, path)
            for path in self._all()
            if (manifest := _manifest(path)) and (value := self._rating(manifest)) is not None
        ]
        for _value, _step, path in sorted(rated):
            manifest = _whole(path)
            if manifest:
                return path, manifest
        return None

    def _improves(self, rated: float) -> bool:
        return self.best is None or rated < self.best

    def _all(self) -> list[Path]:
        """Checkpoints of every attempt, oldest first."""
        found = [path for path in self.folder.iterdir() if NAME.match(path.name)]
        return sorted(found, key=lambda path: tuple(map(int, NAME.match(path.name).groups())))  # type: ignore[union-attr]

    def _prune(self) -> None:
        """Keep the newest, the best, those a person asked for, and those a person keeps."""
        everything = self._all()
        manifests = {path: _manifest(path) for path in everything}
        keep = set(everything[-self._config.keep_last :])
        scored = [(value, path) for path, m in manifests.items() if m and (value := self._rating(m)) is not None]
        keep |= {path for _, path in sorted(scored)[: self._config.keep_best]}
        keep |= {path for path, manifest in manifests.items() if manifest and manifest.cause == "person"}
        marks = self.folder.parent / KEPT
        for path in everything:
            if path not in keep and not (marks / path.name).exists():
                remove(path)
                self._report.checkpoint_removed(f"{self.folder.name}/{path.name}")


def remove(path: Path) -> None:
    """Take a checkpoint out of sight at once, then off the disk: a kill in between leaves no half one."""
    aside = path.with_name(f"{ASIDE}{path.name}.gone")
    shutil.rmtree(aside, ignore_errors=True)
    path.rename(aside)
    sync_folder(path.parent)
    shutil.rmtree(aside, ignore_errors=True)


def _write_whole(aside: Path, manifest: Manifest, write: Callable[[Path], None]) -> Fingerprint:
    """The state, then the manifest that vouches for it; nothing is read twice."""
    write(aside)
    files = {path.name: FileMark(bytes=path.stat().st_size, sha256=_sha256(path)) for path in sorted(aside.iterdir())}
    text = manifest.model_copy(update={"files": files}).sealed().model_dump_json(indent=1).encode()
    (aside / MANIFEST).write_bytes(text)
    marks = {name: (mark.bytes, mark.sha256) for name, mark in files.items()}
    return fingerprint_of_marks({**marks, MANIFEST: (len(text), hashlib.sha256(text).hexdigest())})


def _whole(path: Path) -> Manifest | None:
    """The manifest of a checkpoint that can be used."""
    try:
        return verified(path)
    except Damaged:
        return None


def _manifest(path: Path) -> Manifest | None:
    """What a checkpoint says of itself, unverified; None for a damaged one."""
    try:
        return Manifest.model_validate_json((path / MANIFEST).read_bytes())
    except (OSError, ValueError):
        return None


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
