"""What a hub's model says about itself before it is fetched: its small files, and the heads of its weights."""

from __future__ import annotations

import os
import struct
import tempfile
import threading
from pathlib import Path
from typing import Any

from engine.compute.hubs.door import Door
from engine.compute.hubs.download import LISTINGS, Download
from engine.compute.hubs.fetch import in_threads
from engine.compute.hubs.listing import Listing, RemoteFile, wanted
from engine.compute.inference.inspect import inspect_folder
from engine.contract.errors import Refused
from engine.contract.hubs import HubAccess, check_source, title
from engine.contract.model import ModelConfig
from engine.contract.paths import Home
from engine.contract.preflight import TOKENIZER_FILES
from engine.contract.secrets import GivenSecrets

SMALL_BYTES = 1 << 20
"""Files up to this size are fetched whole; of weights only the head is."""
HEAD_BYTES = 256 << 10
MOST_HEAD_BYTES = 32 << 20
AT_ONCE = 8
READ_S = 8.0
ABSENT = "config.model_without_tokenizer"


class _Quiet:
    """Nobody is told: a query has no journal."""

    def note(self, code: str, level: Any = "info", **params: Any) -> None:
        """Nothing."""

    def downloading(self, tally: Any) -> None:
        """Nothing."""

    def check(self) -> None:
        """Nothing."""

    def resolved(self, commit: str) -> None:
        """Nothing."""


def inspect_hub(model: ModelConfig, access: HubAccess, secrets: GivenSecrets, home: Home) -> dict[str, Any]:
    """As `inspect_folder`, with commit, bytes to download, and whether it is in the cache."""
    problems = check_source(model)
    if problems:
        raise Refused("config.refused", count=len(problems), problems=problems)
    shelf = Download(model, access, secrets, home, _Quiet(), READ_S).shelf
    if access.is_offline:
        found = Download(model, access, secrets, home, _Quiet(), READ_S).obtain()
        return _cached(model, found.folder, found.commit, {})
    with Door(model.hub, model.path, access, secrets, READ_S, lasting=AT_ONCE) as door:
        listing = LISTINGS[model.hub](door, model.revision)
        if shelf.folder(listing.commit).is_dir():
            return _cached(model, shelf.folder(listing.commit), listing.commit, listing.facts)
        if model.hub == "url":  # what an archive holds is known when it is here
            return {"commit": listing.commit, "cached": False, "download_bytes": listing.bytes, "problems": []}
        return _described(model, door, listing)


def _cached(model: ModelConfig, folder: Path, commit: str, facts: dict[str, Any]) -> dict[str, Any]:
    return {**inspect_folder(folder, title(model)), **facts, "commit": commit, "cached": True, "download_bytes": 0}


def _described(model: ModelConfig, door: Door, listing: Listing) -> dict[str, Any]:
    """Fetch what is small into a folder that has the shape of the model, and look at that."""
    files = wanted(model.path, listing.files)
    with tempfile.TemporaryDirectory(prefix="forge-inspect-") as name:
        folder = Path(name)
        jobs = [lambda file=file: _outline(door, file, folder) for file in files]
        _in_parallel(jobs)
        found = inspect_folder(folder, title(model))
    if any(file.path in TOKENIZER_FILES for file in files):
        found["problems"] = [entry for entry in found["problems"] if entry["code"] != ABSENT]
    weights = sum(file.size or 0 for file in files if file.path.endswith(".safetensors"))
    facts = {key: value for key, value in listing.facts.items() if value or key == "gated"}
    if found["licence"] and not listing.facts.get("licence"):
        facts.pop("licence", None)
    size = sum(file.size or 0 for file in files)
    return {
        **found, **facts, "bytes": weights, "commit": listing.commit, "cached": False, "download_bytes": size,
    }  # fmt: skip


def _in_parallel(jobs: list[Any]) -> None:
    """So many at once."""
    waiting = list(reversed(jobs))

    def work() -> None:
        while waiting:
            try:
                job = waiting.pop()
            except IndexError:
                return
            job()

    in_threads([work] * AT_ONCE, lambda: None, threading.Event())


def _outline(door: Door, file: RemoteFile, folder: Path) -> None:
    """A small file whole; of weights the head, in a file as long as the real one that takes no room."""
    target = folder / file.path
    if file.path.endswith(".safetensors"):
        data = _range(door, file, HEAD_BYTES)
        length = struct.unpack("<Q", data[:8])[0] if len(data) >= 8 else 0
        if 8 + length > len(data) and length <= MOST_HEAD_BYTES:
            data = _range(door, file, 8 + length)
        target.write_bytes(data)
        if file.size is not None and file.size > len(data):
            os.truncate(target, file.size)
    elif file.size is not None and file.size <= SMALL_BYTES:
        target.write_bytes(_range(door, file, file.size))


def _range(door: Door, file: RemoteFile, size: int) -> bytes:
    """The first bytes of a file, from servers that know no ranges, too."""
    if size == 0:
        return b""
    data = bytearray()
    headers = {"Range": f"bytes=0-{size - 1}", "Accept-Encoding": "identity"}
    with door.stream(file.url, headers=headers) as answer:
        for piece in answer.iter_raw():
            data += piece
            if len(data) >= size:
                break
    return bytes(data[:size])
