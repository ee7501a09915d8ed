"""Hugging Face: one request names a model's commit and its files with size and checksum.

Plain requests, not the library: a worker has that imported already and switched off (transformers must never ask
a hub by itself), it checks no file against its sha256, and a download of its cannot be ended at once.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from engine.compute.hubs.door import Door
from engine.compute.hubs.listing import Listing, RemoteFile, commit_of
from engine.contract.errors import UserError

USUAL_REVISION = "main"


def listing(door: Door, revision: str | None) -> Listing:
    """The model at a revision."""
    asked = revision or USUAL_REVISION
    try:
        found = door.json(f"/api/models/{door.path}/revision/{quote(asked, safe='')}", {"blobs": "true"})
    except UserError as error:
        raise _nearer(door, error, asked) from None
    try:
        commit = commit_of(found["sha"])
        files = [_file(door, commit, entry) for entry in found.get("siblings") or []]
        card = found.get("cardData")
        licence = card.get("license") if isinstance(card, dict) else None
        facts = {"gated": bool(found.get("gated")), "licence": str(licence or "")}
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        detail = f"{type(error).__name__} in the list of files."
        raise UserError("hub.strange_answer", endpoint=door.endpoint, detail=detail) from None
    return Listing(commit, files, facts)


def _file(door: Door, commit: str, entry: dict[str, Any]) -> RemoteFile:
    path, large = str(entry["rfilename"]), entry.get("lfs")
    large = large if isinstance(large, dict) else {}
    size = large.get("size", entry.get("size"))
    url = f"{door.endpoint}/{door.path}/resolve/{commit}/{quote(path)}"
    sha256 = str(large.get("sha256") or "")
    git = "" if large else str(entry.get("blobId") or "")
    return RemoteFile(path, int(size) if size is not None else None, url, sha256, git)


def _nearer(door: Door, error: UserError, revision: str) -> UserError:
    """The same with what may have been meant: another branch, or a model that is called alike."""
    if error.code == "hub.revision_unknown":
        return UserError("hub.revision_unknown", path=door.path, revision=revision, endpoint=door.endpoint)
    if error.code not in ("hub.unknown", "hub.unknown_or_private"):
        return error
    try:
        found = door.json("/api/models", {"search": door.path.rpartition("/")[2], "limit": "5"})
        near = [str(entry["id"]) for entry in found if str(entry["id"]) != door.path]
    except (UserError, KeyError, TypeError):
        near = []
    if not near:
        return error
    return UserError("hub.unknown_near", near=", ".join(near[:3]), path=door.path, endpoint=door.endpoint)
