"""What a hub says of a model: its commit, and which of its files are wanted."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from engine.contract.errors import UserError

SUFFIXES = (".safetensors", ".json", ".txt", ".model", ".jinja", ".md")
TIKTOKEN = (".tiktoken",)
PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".h5", ".msgpack")
UNWANTED = ("training_args", "optimizer", "scheduler", "trainer_state", "rng_state", "adapter_model")
SINGLE, INDEX = "model.safetensors", "model.safetensors.index.json"
SHARD = re.compile(r"model-\d+-of-\d+\.safetensors")
COMMIT = re.compile(r"[0-9a-f]{40}")
MAX_SIDE_BYTES = 512 << 20
"""No file besides weights is larger."""


@dataclass(frozen=True)
class RemoteFile:
    """One file of a model, as its hub tells of it."""

    path: str
    size: int | None
    url: str
    sha256: str = ""
    git_sha1: str = ""
    """Of a file that is not in large file storage: the name git gives its content."""


@dataclass(frozen=True)
class Listing:
    """A model at one commit."""

    commit: str
    files: list[RemoteFile]
    facts: dict[str, Any] = field(default_factory=dict)
    """What the hub says besides: gated, licence."""

    @property
    def bytes(self) -> int:
        """Of all wanted files."""
        return sum(file.size or 0 for file in self.files)


def commit_of(told: object) -> str:
    """A commit as a hub told it; ValueError for anything that is none, for it becomes the name of a folder."""
    if not isinstance(told, str) or not COMMIT.fullmatch(told):
        raise ValueError("no commit")
    return told


def wanted(path: str, files: Iterable[RemoteFile]) -> list[RemoteFile]:
    """The files a model is loaded from; one that is there only as pickles, or has no config, is refused."""
    everything = list(files)
    top = [file for file in everything if safe(file.path) and "/" not in file.path]
    found = _one_set_of_weights([file for file in top if _is_wanted(file)])
    if not any(file.path.endswith(".safetensors") for file in found):
        pickles = sorted(file.path for file in top if PurePosixPath(file.path).suffix.lower() in PICKLES)
        if pickles:
            raise UserError("hub.only_pickles", path=path, found=", ".join(pickles[:3]))
        raise UserError("hub.no_weights", path=path)
    if not any(file.path == "config.json" for file in found):
        raise UserError("hub.no_config", path=path)
    return found


def _one_set_of_weights(files: list[RemoteFile]) -> list[RemoteFile]:
    """Without what repeats the weights in another form: of several sets the one transformers would load."""
    weights = {file.path for file in files if file.path.endswith(".safetensors")}
    chosen = weights & {SINGLE} or {path for path in weights if SHARD.fullmatch(path)} or weights
    needless = (weights - chosen) | ({INDEX} if chosen == {SINGLE} else set())
    return [file for file in files if file.path not in needless]


def _is_wanted(file: RemoteFile) -> bool:
    name = file.path.lower()
    if name.startswith(UNWANTED) or (name.startswith(".") or not name.endswith((*SUFFIXES, *TIKTOKEN))):
        return False
    return name.endswith(".safetensors") or (file.size or 0) <= MAX_SIDE_BYTES


def safe(path: str) -> bool:
    """A relative path that stays where it is put."""
    parts = PurePosixPath(path).parts
    return bool(parts) and not path.startswith("/") and ".." not in parts and "\\" not in path and "\0" not in path
