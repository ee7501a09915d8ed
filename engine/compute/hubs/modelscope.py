"""ModelScope by its HTTP interface: its library brings requests and cryptography along for these three requests."""

from __future__ import annotations

import hashlib
from typing import Any
from urllib.parse import urlencode

from engine.compute.hubs.door import Door
from engine.compute.hubs.listing import COMMIT, Listing, RemoteFile
from engine.contract.errors import UserError

USUAL_REVISION = "master"


def listing(door: Door, revision: str | None) -> Listing:
    """The model at a revision. A branch that cannot be resolved is named by what its files are."""
    asked = revision or USUAL_REVISION
    answer = door.json(f"/api/v1/models/{door.path}/repo/files", {"Revision": asked, "Recursive": "False"})
    try:
        if answer.get("Code", 200) != 200 or answer.get("Data") is None:
            raise _refusal(door, asked, answer)
        entries = [entry for entry in answer["Data"]["Files"] if entry.get("Type") != "tree"]
        commit = _commit(answer["Data"], asked, entries)
        files = [_file(door, asked, entry) for entry in entries]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        detail = f"{type(error).__name__} in the list of files."
        raise UserError("hub.strange_answer", endpoint=door.endpoint, detail=detail) from None
    return Listing(commit, files)


def _file(door: Door, revision: str, entry: dict[str, Any]) -> RemoteFile:
    path, size = str(entry["Path"]), entry.get("Size")
    query = urlencode({"Revision": revision, "FilePath": path})
    url = f"{door.endpoint}/api/v1/models/{door.path}/repo?{query}"
    return RemoteFile(path, int(size) if size is not None else None, url, str(entry.get("Sha256") or ""))


def _commit(data: dict[str, Any], asked: str, entries: list[dict[str, Any]]) -> str:
    """The commit of the revision where the hub tells it, else a fingerprint of all file names and checksums."""
    latest = data.get("LatestCommitter")
    named = latest.get("Id") or latest.get("CommitId") if isinstance(latest, dict) else None
    for told in (named, asked):
        if isinstance(told, str) and COMMIT.fullmatch(told):
            return told
    marks = sorted(f"{entry['Path']} {entry.get('Sha256') or entry.get('Revision')}" for entry in entries)
    return hashlib.sha256("\n".join(marks).encode()).hexdigest()[:40]


def _refusal(door: Door, revision: str, answer: dict[str, Any]) -> UserError:
    """It answers 200 with a code of its own for some errors."""
    text = str(answer.get("Message") or "")
    if "revision" in text.lower():
        return UserError("hub.revision_unknown", path=door.path, revision=revision, endpoint=door.endpoint)
    return UserError("hub.strange_answer", endpoint=door.endpoint, detail=text[:200])
