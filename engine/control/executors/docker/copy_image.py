"""Copies an image from one engine to another without a registry: save, pack, load, all as one stream.

Nothing is copied when the target has the same image, and no layer that one of its worker images stands on. Both
clients must wait long for a silent engine (a `Link`'s `stream` hands out such ones): saving begins with minutes of
silence where an image is large.
"""

from __future__ import annotations

import io
import logging
import tarfile
import time
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import pyarrow as pa
from docker.errors import APIError, DockerException

from engine.contract.errors import NotFound, UserError
from engine.control.executors.docker.archive import PIECE, layer_files, shared_layers, without
from engine.control.executors.docker.images import (
    Progress,
    Tell,
    WorkerImage,
    find_image,
    same_image,
    worker_images,
)
from engine.control.executors.docker.trouble import no_room

log = logging.getLogger(__name__)

Packing = Literal["none", "gzip", "zstd"]


@dataclass(frozen=True)
class Copied:
    """What a copy took."""

    id: str
    """Of the image at the target."""
    copied: bool
    """False: it was there already."""
    packing: Packing = "none"
    bytes: int = 0
    """Of the image's archive."""
    sent: int = 0
    """After packing."""
    seconds: float = 0.0


def copy_image(
    source: Any, target: Any, name: str, tell: Tell = lambda _: None, pack: bool = True, node: str = ""
) -> Copied:
    """Have the target hold the image under this name; `pack` for links slower than a core can pack.

    An exception of `tell` ends the copy; the target is then as before.
    """
    image = find_image(source, name)
    if image is None:
        raise NotFound("image.missing_here", name=name)
    there = find_image(target, name)
    if there is not None and same_image(image, there):
        return Copied(there.id, copied=False)
    if _only_the_name_is_missing(target, image.id, name):
        return Copied(image.id, copied=False)
    began = time.monotonic()
    packing = best_packing(target) if pack else "none"
    stream = _Stream(source, name, packing, image.bytes, tell, _left_out(source, target, image, tell))
    try:
        _load(target, stream, name, node)
    except UserError as error:
        if error.code != "image.load_failed" or not stream.left_out:
            raise
        log.info("%s without shared layers was not taken, so all of it is sent: %s", name, error)
        stream = _Stream(source, name, packing, image.bytes, tell)
        _load(target, stream, name, node)
    made = find_image(target, name)
    if made is None or not same_image(image, made):
        raise UserError("image.copy_differs", name=name, node=node)
    return Copied(made.id, True, stream.packing, stream.read, stream.sent, time.monotonic() - began)


def _left_out(source: Any, target: Any, image: WorkerImage, tell: Tell) -> list[str]:
    """Files of layers the target has already, as those of an older version of the image."""
    count = shared_layers(image.layers, (other.layers for other in worker_images(target)))
    if count == 0:
        return []
    tell(Progress("comparing"))
    files = layer_files(source.get_image(image.names[0] if image.names else image.id, chunk_size=PIECE))
    return files[:count] if len(files) == len(image.layers) else []


def best_packing(target: Any) -> Packing:
    """zstd where the engine reads it (since 23), else gzip; found out by loading an archive of no images."""
    empty = io.BytesIO()
    with tarfile.open(fileobj=empty, mode="w") as tar:
        entry = tarfile.TarInfo("manifest.json")
        entry.size = 2
        tar.addfile(entry, io.BytesIO(b"[]"))
    try:
        lines = list(target.load_image(pa.Codec("zstd").compress(empty.getvalue(), asbytes=True), quiet=False))
    except APIError as error:
        log.debug("zstd is not read: %s", error)
        return "gzip"
    return "gzip" if any("error" in line for line in lines) else "zstd"


class _Stream:
    """The archive as the source gives it, packed, and counted on its way."""

    def __init__(
        self, source: Any, name: str, packing: Packing, total: int, tell: Tell, left_out: Sequence[str] = ()
    ) -> None:
        self.packing = packing
        self.left_out = left_out
        self.read = self.sent = 0
        self._source, self._name, self._total, self._tell = source, name, total, tell

    def __iter__(self) -> Iterator[bytes]:
        self._tell(Progress("saving", 0, self._total))
        pieces = without(self._pieces(), self.left_out) if self.left_out else self._pieces()
        for piece in _packed(pieces, self.packing):
            self.sent += len(piece)
            yield piece
        self._tell(Progress("loading", self.read, max(self.read, self._total)))

    def _pieces(self) -> Iterator[bytes]:
        for piece in self._source.get_image(self._name, chunk_size=PIECE):
            self.read += len(piece)
            self._tell(Progress("copying", self.read, max(self.read, self._total)))
            yield piece


def _packed(pieces: Iterator[bytes], packing: Packing) -> Iterator[bytes]:
    if packing == "none":
        yield from pieces
    elif packing == "zstd":  # each piece is a whole frame; frames one after another are one stream
        codec = pa.Codec("zstd", compression_level=1)
        yield from (codec.compress(piece, asbytes=True) for piece in pieces)
    else:
        packer = zlib.compressobj(1, wbits=31)
        for piece in pieces:
            packed = packer.compress(piece)
            if packed:
                yield packed
        yield packer.flush()


def _load(target: Any, stream: _Stream, name: str, node: str) -> None:
    for line in target.load_image(iter(stream), quiet=False):
        if "error" in line:
            said = str(line["error"])
            if no_room(said):
                raise UserError("image.no_room", name=name, node=node, bytes=stream.read)
            raise UserError("image.load_failed", name=name, node=node, detail=said)


def _only_the_name_is_missing(target: Any, image: str, name: str) -> bool:
    """It is there under another name, or under none: then it is only given this one."""
    if find_image(target, image) is None:
        return False
    repository, _, tag = name.rpartition(":") if ":" in name.rpartition("/")[2] else (name, "", "latest")
    try:
        return bool(target.tag(image, repository, tag))
    except DockerException:
        return False
