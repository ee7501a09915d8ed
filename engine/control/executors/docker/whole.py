"""Whether a copy from a node is what the worker wrote: by its journal's sums and its checkpoints' manifests."""

from __future__ import annotations

import hashlib
from pathlib import Path, PurePosixPath
from typing import Any

from pydantic import ValidationError

from engine.contract import datasets
from engine.contract.checkpoints import MANIFEST, Manifest


class Damaged(Exception):
    """A copy is not what it should be; what it is, and why."""

    def __init__(self, name: str, detail: str) -> None:
        super().__init__(f"{name}: {detail}")
        self.name, self.detail = name, detail


def sha256(path: Path) -> str:
    """Of a file, read in pieces."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def tree_digest(sums: dict[str, str]) -> str:
    """Of a folder: over its files' names and sums."""
    return hashlib.sha256("\n".join(sorted(f"{name} {digest}" for name, digest in sums.items())).encode()).hexdigest()


def check_result(root: Path, line: dict[str, Any]) -> None:
    """A result that the journal names, below this folder."""
    relative = PurePosixPath(str(line["path"]))
    if relative.is_absolute() or ".." in relative.parts:
        raise Damaged(str(relative), "it lies outside the attempt")
    path = root.joinpath(*relative.parts)
    if path.is_file():
        found = sha256(path)
    elif path.is_dir():
        files = [file for file in path.rglob("*") if file.is_file()]
        found = tree_digest({file.relative_to(path).as_posix(): sha256(file) for file in files})
    else:
        raise Damaged(str(relative), "it is missing")
    if line.get("sha256") and found != line["sha256"]:
        raise Damaged(str(relative), "its sha256 is not the one in the journal")


def check_checkpoint(folder: Path) -> Manifest:
    """Every file of a checkpoint agrees with its manifest."""
    try:
        manifest = Manifest.model_validate_json((folder / MANIFEST).read_bytes())
    except FileNotFoundError:
        raise Damaged(folder.name, "it has no manifest") from None
    except (OSError, ValidationError, ValueError) as error:
        raise Damaged(folder.name, f"its manifest cannot be read ({type(error).__name__})") from error
    if not manifest.intact:
        raise Damaged(folder.name, "its manifest is not as it was written")
    for name, mark in manifest.files.items():
        path = folder / name
        if PurePosixPath(name).name != name or not path.is_file():
            raise Damaged(folder.name, f"its file {name} is missing")
        if path.stat().st_size != mark.bytes or sha256(path) != mark.sha256:
            raise Damaged(folder.name, f"its file {name} is not as it was written")
    return manifest


def check_version(folder: Path, digest: str) -> None:
    """Every file of a version of a dataset agrees with what the version says of itself, and that with the journal."""
    path = folder / datasets.MANIFEST
    if not path.is_file():
        raise Damaged(folder.name, "it has no manifest")
    if sha256(path) != digest:
        raise Damaged(folder.name, "its manifest is not the one in the journal")
    for shard in datasets.Manifest.model_validate_json(path.read_bytes()).shards:
        file = folder / shard.name
        if PurePosixPath(shard.name).name != shard.name or not file.is_file():
            raise Damaged(folder.name, f"its file {shard.name} is missing")
        if file.stat().st_size != shard.bytes or sha256(file) != shard.sha256:
            raise Damaged(folder.name, f"its file {shard.name} is not as it was written")


def is_whole(folder: Path) -> bool:
    """A checkpoint is here and can be trusted."""
    try:
        check_checkpoint(folder)
    except Damaged:
        return False
    return True
