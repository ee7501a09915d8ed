"""A model as one archive at an address: what is there, before it is fetched."""

from __future__ import annotations

import hashlib
from pathlib import PurePosixPath
from urllib.parse import urlsplit

from engine.compute.hubs.door import Door
from engine.compute.hubs.listing import Listing, RemoteFile

MARKS = ("ETag", "Last-Modified", "Content-Length")


def listing(door: Door, revision: str | None) -> Listing:
    """The archive; its "commit" is made of what the server says of the content, or of the sha256 that was asked for."""
    with door.stream(door.path) as answer:  # closed after its head: many servers know no HEAD
        marks = [f"{name}={answer.headers.get(name, '')}" for name in MARKS]
        length = answer.headers.get("Content-Length", "")
    said = revision.lower() if revision else "\n".join([door.path, *marks])
    commit = hashlib.sha256(said.encode()).hexdigest()[:40]
    name = PurePosixPath(urlsplit(door.path).path).name
    size = int(length) if length.isdecimal() else None
    return Listing(commit, [RemoteFile(name, size, door.path, (revision or "").lower())])
