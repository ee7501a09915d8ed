"""Worker images of an engine: which there are, whether they fit this controller, and whether two are the same.

Every function takes a `docker.APIClient`, or what a `Link` hands out.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from docker.errors import ImageNotFound

from engine.contract import PROTOCOL_VERSION
from engine.contract.errors import NotFound, UserError
from engine.control.executors.docker import labels


@dataclass(frozen=True)
class Progress:
    """How far a build (steps) or a copy (bytes) is."""

    step: str
    done: int = 0
    total: int = 0


Tell = Callable[[Progress], None]


@dataclass(frozen=True)
class WorkerImage:
    """An image, and what its labels say."""

    id: str
    names: tuple[str, ...]
    """`repository:tag`, all of them."""
    version: str
    commit: str
    protocol: int | None
    """None: it is no worker image."""
    bytes: int
    created: str
    """As the engine writes it."""
    layers: tuple[str, ...]

    @property
    def fits(self) -> bool:
        """Whether its workers speak as this controller does."""
        return self.protocol == PROTOCOL_VERSION


def worker_images(api: Any) -> list[WorkerImage]:
    """All worker images of an engine, the newest first."""
    found = [_read(api.inspect_image(one["Id"])) for one in api.images(filters={"label": labels.PROTOCOL})]
    workers = [image for image in found if image.protocol is not None]
    return sorted(workers, key=lambda image: image.created, reverse=True)


def find_image(api: Any, name: str) -> WorkerImage | None:
    """The image of this name or id, worker image or not."""
    try:
        return _read(api.inspect_image(name))
    except ImageNotFound:
        return None


def require_image(api: Any, name: str, node: str = "") -> WorkerImage:
    """The image a worker is to run in; says plainly if it is missing, something else, or of another protocol."""
    image = find_image(api, name)
    if image is None:
        raise NotFound("image.missing", name=name, node=node)
    if image.protocol is None:
        raise UserError("image.not_worker", name=name, node=node)
    if not image.fits:
        raise UserError("image.other_protocol", name=name, node=node, theirs=image.protocol, ours=PROTOCOL_VERSION)
    return image


def same_image(one: WorkerImage | None, other: WorkerImage | None) -> bool:
    """Whether both are the same content. Engines with another kind of store give it another id: then layers decide."""
    if one is None or other is None:
        return False
    return one.id == other.id or (
        one.layers == other.layers != () and one.created == other.created and one.commit == other.commit
    )


def _read(found: dict[str, Any]) -> WorkerImage:
    said = (found.get("Config") or {}).get("Labels") or {}
    number = str(said.get(labels.PROTOCOL, ""))
    return WorkerImage(
        id=str(found["Id"]),
        names=tuple(found.get("RepoTags") or ()),
        version=str(said.get(labels.VERSION, "")),
        commit=str(said.get(labels.COMMIT, "")),
        protocol=int(number) if number.isdecimal() else None,
        bytes=int(found.get("Size") or 0),
        created=str(found.get("Created") or ""),
        layers=tuple((found.get("RootFS") or {}).get("Layers") or ()),
    )
