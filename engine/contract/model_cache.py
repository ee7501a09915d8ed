"""The cache of models that came from hubs: where each lies, which are there, and removing one.

<home>/models/<hub>/<org>--<name>/refs.json          what a branch or tag meant when it was last asked for
                                  <commit>/          the model's files; there only when whole and checked
                                  <commit>.json      what they are (`CachedModel`)
                                  .<commit>.part/    files on their way; they are gone on with
                                  .<commit>.lock     held by the one process that fetches
"""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from engine.contract.durable import sync_folder, write_json
from engine.contract.errors import Conflict, NotFound
from engine.contract.paths import Home


class CachedModel(BaseModel):
    """A model that lies in the cache, whole or on its way."""

    model_config = ConfigDict(extra="ignore")

    hub: str
    path: str
    """Its id on the hub, or its address."""
    commit: str
    revisions: list[str] = []
    """Branches and tags that meant this commit when they were last asked for."""
    bytes: int = 0
    """On the disk."""
    whole: bool = True
    """False: a download that was not finished."""
    fetched: float = 0.0
    folder: str = ""


class CachedModels(BaseModel):
    """Everything in the cache."""

    models: list[CachedModel] = []
    bytes: int = 0
    free: int = 0
    """Bytes left on the disk."""


@dataclass(frozen=True)
class Shelf:
    """The place of one model, all its commits."""

    root: Path
    hub: str
    path: str

    @classmethod
    def of(cls, home: Home, hub: str, path: str, name: str = "") -> Shelf:
        """Where a model of a hub lies; `name` where its path cannot be the name of a folder."""
        return cls(home.models / hub / (name or path).replace("/", "--"), hub, path)

    def folder(self, commit: str) -> Path:
        """The model's files."""
        return self.root / commit

    def part(self, commit: str) -> Path:
        """Files on their way."""
        return self.root / f".{commit}.part"

    def lock(self, commit: str) -> Path:
        """Held while they are fetched."""
        return self.root / f".{commit}.lock"

    def card(self, commit: str) -> Path:
        """What is there."""
        return self.root / f"{commit}.json"

    def refs(self) -> dict[str, str]:
        """Revision to commit, as last heard."""
        found = _json(self.root / "refs.json")
        return {str(name): str(commit) for name, commit in found.items()}

    def remember(self, revision: str, commit: str) -> None:
        """Keep what a revision means."""
        refs = self.refs()
        if refs.get(revision) != commit:
            write_json(self.root / "refs.json", refs | {revision: commit})

    def note(self, card: CachedModel) -> None:
        """Write down what is being fetched."""
        write_json(self.card(card.commit), card.model_dump(mode="json", exclude={"revisions", "folder", "whole"}))

    def keep(self, card: CachedModel) -> Path:
        """Put the fetched files in their place, for good."""
        part, folder = self.part(card.commit), self.folder(card.commit)
        for path in sorted(part.rglob("*")):
            if path.is_dir():
                sync_folder(path)
        sync_folder(part)
        self.note(card)
        os.replace(part, folder)
        sync_folder(self.root)
        return folder


def _json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def size_of(folder: Path) -> int:
    """Bytes its files take on the disk."""
    return sum(path.stat().st_blocks * 512 for path in folder.rglob("*") if path.is_file())


def listed(home: Home) -> CachedModels:
    """What is in the cache. Reads the disk: call it on a thread."""
    models = []
    for shelf in sorted(path for path in home.models.glob("*/*") if path.is_dir()):
        refs = _json(shelf / "refs.json")
        for path in sorted(shelf.iterdir()):
            commit, whole = _commit(path)
            if not commit or not path.is_dir():
                continue
            card = _card(shelf, path, commit, whole)
            names = sorted(name for name, meant in refs.items() if meant == commit and name != commit)
            models.append(card.model_copy(update={"revisions": names}))
    home.root.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(home.root).free
    return CachedModels(models=models, bytes=sum(model.bytes for model in models), free=free)


def _commit(path: Path) -> tuple[str, bool]:
    """The commit a folder of a shelf belongs to, and whether it is there whole."""
    if path.name.startswith("."):
        return (path.name[1:-5], False) if path.name.endswith(".part") else ("", False)
    return path.name, True


def _card(shelf: Path, folder: Path, commit: str, whole: bool) -> CachedModel:
    usual = {"hub": shelf.parent.name, "path": shelf.name.replace("--", "/", 1), "commit": commit}
    found = _json(shelf / f"{commit}.json")
    here = {"bytes": size_of(folder), "whole": whole, "folder": str(folder)}
    try:
        return CachedModel.model_validate({**usual, **found, **here})
    except ValidationError:
        return CachedModel.model_validate({**usual, **here})


def remove(home: Home, hub: str, path: str, commit: str | None = None) -> CachedModels:
    """Remove a model (one commit of it, or all); what was removed. Refused while one is being fetched."""
    found = [
        model for model in listed(home).models
        if model.hub == hub and model.path == path and (commit is None or model.commit.startswith(commit))
    ]  # fmt: skip
    if not found:
        raise NotFound("hub.not_cached", path=path, hub=hub)
    for model in found:
        _remove(Path(model.folder), model)
    return CachedModels(models=found, bytes=sum(model.bytes for model in found))


def _remove(folder: Path, model: CachedModel) -> None:
    import fcntl  # the desktop imports this module on systems that have none

    shelf = folder.parent
    lock = shelf / f".{model.commit}.lock"
    with lock.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Conflict("hub.being_fetched", path=model.path) from None
        aside = shelf / f".{model.commit}.gone"
        shutil.rmtree(aside, ignore_errors=True)
        os.replace(folder, aside)
        (shelf / f"{model.commit}.json").unlink(missing_ok=True)
        sync_folder(shelf)
        shutil.rmtree(aside)
        lock.unlink(missing_ok=True)
