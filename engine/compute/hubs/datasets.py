"""What hubs say of a dataset: its commit and all its files, with size, checksum and the parts its card names."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any
from urllib.parse import quote, urlencode

from engine.compute.hubs import address, huggingface, modelscope
from engine.compute.hubs.door import Door
from engine.compute.hubs.listing import COMMIT, Listing, RemoteFile, commit_of, safe
from engine.contract.errors import UserError

PAGE, MOST_PAGES = 200, 500


def of_huggingface(door: Door, revision: str | None) -> Listing:
    """One request names all files; `facts` has the parts (`configs`) its card tells of."""
    asked = revision or huggingface.USUAL_REVISION
    found = door.json(f"/api/datasets/{door.path}/revision/{quote(asked, safe='')}", {"blobs": "true"})
    try:
        commit = commit_of(found["sha"])
        files = [_file(door, commit, entry) for entry in found.get("siblings") or []]
        card = found.get("cardData")
        configs = card.get("configs") if isinstance(card, dict) else None
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise _strange(door, error) from None
    return Listing(commit, _safe(files), {"configs": configs if isinstance(configs, list) else []})


def _file(door: Door, commit: str, entry: dict[str, Any]) -> RemoteFile:
    path, large = str(entry["rfilename"]), entry.get("lfs")
    large = large if isinstance(large, dict) else {}
    size = large.get("size", entry.get("size"))
    url = f"{door.endpoint}/datasets/{door.path}/resolve/{commit}/{quote(path)}"
    git = "" if large else str(entry.get("blobId") or "")
    return RemoteFile(path, int(size) if size is not None else None, url, str(large.get("sha256") or ""), git)


def of_modelscope(door: Door, revision: str | None) -> Listing:
    """Files come in pages; the commit is told of each file, or made of all names and checksums."""
    asked, entries = revision or modelscope.USUAL_REVISION, list[dict[str, Any]]()
    for page in range(1, MOST_PAGES + 1):
        params = {"Revision": asked, "Recursive": "True", "PageNumber": str(page), "PageSize": str(PAGE)}
        answer = door.json(f"/api/v1/datasets/{door.path}/repo/tree", params)
        try:
            if answer.get("Code", 200) != 200 or answer.get("Data") is None:
                raise _refusal(door, asked, str(answer.get("Message") or ""))
            found = answer["Data"]
            files = found if isinstance(found, list) else found.get("Files") or []
            entries += [entry for entry in files if entry.get("Type") != "tree"]
        except (KeyError, TypeError, AttributeError) as error:
            raise _strange(door, error) from None
        if len(files) < PAGE:
            break
    try:
        listed = [_modelscope_file(door, asked, entry) for entry in entries]
        marks = sorted(f"{entry['Path']} {entry.get('Sha256') or entry.get('Revision')}" for entry in entries)
    except (KeyError, TypeError, ValueError) as error:
        raise _strange(door, error) from None
    commit = asked if COMMIT.fullmatch(asked) else hashlib.sha256("\n".join(marks).encode()).hexdigest()[:40]
    return Listing(commit, _safe(listed), {"configs": []})


def _modelscope_file(door: Door, revision: str, entry: dict[str, Any]) -> RemoteFile:
    path, size = str(entry["Path"]), entry.get("Size")
    query = urlencode({"Source": "SDK", "Revision": revision, "FilePath": path, "View": "False"})
    url = f"{door.endpoint}/api/v1/datasets/{door.path}/repo?{query}"
    return RemoteFile(path, int(size) if size is not None else None, url, str(entry.get("Sha256") or ""))


def _safe(files: list[RemoteFile]) -> list[RemoteFile]:
    return [file for file in files if safe(file.path)]


def _strange(door: Door, error: Exception) -> UserError:
    detail = f"{type(error).__name__} in the list of files."
    return UserError("hub.strange_answer", endpoint=door.endpoint, detail=detail)


def _refusal(door: Door, revision: str, text: str) -> UserError:
    if "revision" in text.lower():
        return UserError("hub.revision_unknown", path=door.path, revision=revision, endpoint=door.endpoint)
    return UserError("hub.strange_answer", endpoint=door.endpoint, detail=text[:200])


LISTINGS: dict[str, Callable[[Door, str | None], Listing]] = {
    "huggingface": of_huggingface,
    "modelscope": of_modelscope,
    "url": address.listing,
}
