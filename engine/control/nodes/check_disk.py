"""Room for runs, and how fast files get there and back."""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import tarfile
import time
from collections.abc import Iterator
from typing import Any

from docker.errors import NotFound

from engine.contract.errors import UserError
from engine.control.nodes.findings import Finding, bad, ok, warning
from engine.control.nodes.probe import throwaway
from engine.control.nodes.visit import Visit

GB = 1_000_000_000
LEAST, COMFORTABLE = 2 * GB, 20 * GB
BLOCK = 1 << 20
LARGEST, ENOUGH_S = 64, 0.4
"""So many blocks are sent at most; more and more until it takes that long."""
SLOW = 2_000_000
"""Bytes a second, below which a model of some GB takes too long."""
EMPTY = "forge-probe-empty"


def disk(visit: Visit) -> Finding:
    """Free room where volumes lie, seen from inside a container."""
    found = visit.seen
    facts = {"free": found.disk_free, "total": found.disk_total, "folder": str(visit.info.get("DockerRootDir", ""))}
    if not found.writes:
        return bad(UserError("node.volume_closed", node=visit.node, uid=found.uid), **facts)
    free = f"{found.disk_free / GB:.1f} GB"
    if found.disk_free < LEAST:
        return bad(UserError("node.disk_very_low", node=visit.node, free=free, folder=facts["folder"]), **facts)
    if found.disk_free < COMFORTABLE:
        return warning(UserError("node.disk_low", node=visit.node, free=free, folder=facts["folder"]), **facts)
    return ok(**facts)


def bandwidth(visit: Visit) -> Finding:
    """Some MB there and back again, through a volume."""
    with _any_image(visit) as image, throwaway(visit.link, visit.profile, image, visit.controller, ["-"]) as box:
        blocks = 1
        up, digest = _send(visit, box, blocks)
        while blocks < LARGEST and up < ENOUGH_S:
            blocks *= 8
            up, digest = _send(visit, box, blocks)
        down, back = _fetch(visit, box)
    size = blocks * BLOCK
    facts = {"bytes": size, "up": round(size / up), "down": round(size / down)}
    if back != digest:
        return bad(UserError("node.copy_damaged", node=visit.node), **facts)
    if min(facts["up"], facts["down"]) < SLOW:
        speed = f"{min(facts['up'], facts['down']) / 1e6:.2f} MB/s"
        hours = f"{16e9 / min(facts['up'], facts['down']) / 3600:.0f}"
        return warning(UserError("node.slow", node=visit.node, speed=speed, hours=hours), **facts)
    return ok(**facts)


def _send(visit: Visit, box: str, blocks: int) -> tuple[float, str]:
    """Seconds it took, and the checksum of what was sent."""
    block, digest = os.urandom(BLOCK), hashlib.sha256()

    def archive() -> Iterator[bytes]:
        facts = tarfile.TarInfo("probe.bin")
        facts.size = blocks * BLOCK
        yield facts.tobuf()
        for _ in range(blocks):
            digest.update(block)
            yield block
        yield bytes(2 * tarfile.BLOCKSIZE)

    began = time.perf_counter()
    visit.link.stream(lambda api: api.put_archive(box, "/job", archive()))
    return time.perf_counter() - began, digest.hexdigest()


def _fetch(visit: Visit, box: str) -> tuple[float, str]:
    began = time.perf_counter()
    digest = visit.link.stream(lambda api: _digest(api.get_archive(box, "/job/probe.bin")[0]))
    return time.perf_counter() - began, digest


def _digest(pieces: Iterator[bytes]) -> str:
    digest = hashlib.sha256()
    with tarfile.open(fileobj=_Pieces(pieces), mode="r|") as archive:
        file = archive.extractfile(archive.next() or tarfile.TarInfo())
        while file is not None and (piece := file.read(BLOCK)):
            digest.update(piece)
    return digest.hexdigest()


class _Pieces(io.RawIOBase):
    """Pieces as they come, read as a file."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = iter(pieces)
        self._left = b""

    def read(self, size: int = -1) -> bytes:
        got = bytearray(self._left)
        while size < 0 or len(got) < size:
            piece = next(self._pieces, b"")
            if not piece:
                break
            got += piece
        self._left = bytes(got[size:]) if size >= 0 else b""
        return bytes(got[:size]) if size >= 0 else bytes(got)


@contextlib.contextmanager
def _any_image(visit: Visit) -> Iterator[str]:
    """The worker image; without it an empty one of our own, for such a container is never started."""
    if visit.found_image is not None:
        yield visit.image
        return
    name = f"{EMPTY}:{os.urandom(4).hex()}"

    def remove(api: Any) -> None:
        with contextlib.suppress(NotFound):
            api.remove_image(name, force=True)

    visit.link.ask(lambda api: api.import_image_from_data(_empty_archive(), *name.split(":")), 60.0)
    try:
        yield name
    finally:
        with contextlib.suppress(UserError):
            visit.link.ask(remove, 60.0)


def _empty_archive() -> bytes:
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as archive:
        folder = tarfile.TarInfo("job")
        folder.type, folder.mode = tarfile.DIRTYPE, 0o777
        archive.addfile(folder)
    return raw.getvalue()
