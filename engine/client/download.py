"""Fetching results, checkpoints, logs and configs: what came so far is kept and continued, checked by sha256, renamed.

Beside the target lie `NAME.part` and `NAME.part.json` (what it is a part of) until all of it is here. What changed
meanwhile is fetched from its first byte. Names stay inside their folder.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import secrets
import shutil
import time
import zipfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import Literal

import httpx

from engine.client.client import ControllerClient
from engine.contract.api import RunDetail
from engine.contract.durable import sync_folder
from engine.contract.errors import Conflict, NotFound, Unreachable, UserError

PIECE = 1 << 18
TRIES = 6
"""Vain tries in a row before giving up; what came so far stays."""
FIRST_PAUSE_S = 0.2
Kind = Literal["artifact", "checkpoint", "log", "config"]
Exists = Literal["refuse", "replace", "keep_both"]
Tell = Callable[[int, int | None], object]
"""Hears the bytes that are here and the bytes there are; may raise `Cancelled`."""


class Cancelled(Exception):
    """Nobody wants it any more. What came so far stays, to be continued."""


@dataclass(frozen=True)
class Item:
    """What is fetched of a run: a result or checkpoint by its id, the log of an attempt (0: the latest), the config."""

    kind: Kind
    id: int = 0


@dataclass(frozen=True)
class _Part:
    """What a partial file is a part of."""

    path: str
    etag: str
    total: int
    sha256: str
    media: str


def download(
    client: ControllerClient,
    detail: RunDetail,
    item: Item,
    folder: Path,
    *,
    name: str = "",
    exists: Exists = "refuse",
    tell: Tell = lambda _done, _total: None,
) -> Path:
    """Save something of a run into a folder, verified; the path of what was written."""
    target = folder / (name or target_name(detail, item))
    try:
        if os.path.lexists(target) and exists != "replace":
            if exists == "refuse":
                raise Conflict("download.exists", target=str(target))
            target = _free_name(target)
        folder.mkdir(parents=True, exist_ok=True)
        _bring(client, detail, item, target, tell)
    except OSError as error:
        raise UserError("file.unwritable", file=str(target), detail=error.strerror or str(error)) from error
    return target


def _bring(client: ControllerClient, detail: RunDetail, item: Item, target: Path, tell: Tell) -> None:
    part = target.with_name(target.name + ".part")
    if item.kind == "config":
        part.write_text(client.config(detail.run.uid), encoding="utf-8")
        _sync(part)
        put(part, target)
        return
    path, sha256 = _source(detail, item)
    fetched = _fetch(client, path, part, tell)
    place = part
    try:
        if fetched.media.startswith("application/zip"):
            place = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
            unpack(part, place)
        _check(place, fetched.sha256 or sha256, target.name)
        put(place, target)
    except zipfile.BadZipFile as error:
        part.unlink()
        raise UserError(
            "download.damaged", name=target.name, expected=fetched.sha256 or sha256, found=str(error)
        ) from error
    except UserError:
        part.unlink(missing_ok=True)  # continuing it could only end the same way
        raise
    finally:
        if place != part and place.exists():
            shutil.rmtree(place)
    part.unlink(missing_ok=True)
    _note(part).unlink(missing_ok=True)


def _source(detail: RunDetail, item: Item) -> tuple[str, str]:
    """The path of the request, and the sha256 that is known already."""
    uid = detail.run.uid
    if item.kind == "log":
        return f"/runs/{uid}/log/file" + (f"?attempt={item.id}" if item.id else ""), ""
    known = {result.id: result.sha256 for result in detail.artifacts}
    known |= {checkpoint.id: checkpoint.sha256 for checkpoint in detail.checkpoints}
    if item.id not in known:
        raise NotFound("artifact.unknown", run=uid, artifact=item.id)
    return f"/runs/{uid}/artifacts/{item.id}", known[item.id]


def _fetch(client: ControllerClient, path: str, part: Path, tell: Tell) -> _Part:
    """Bring a partial file to its full length, however often the line breaks."""
    tries = 0
    while True:
        before = _length(part)
        try:
            return _fetch_once(client, path, part, tell)
        except Unreachable:
            came_on = _length(part) > before
            tries = 1 if came_on else tries + 1
            if tries >= TRIES:
                raise
            _wait(FIRST_PAUSE_S * 2 ** (tries - 1), part, tell)


def _fetch_once(client: ControllerClient, path: str, part: Path, tell: Tell) -> _Part:
    known = _read_note(part)
    have = _length(part)
    if known is None or known.path != path or have > known.total:
        known, have = None, 0
    elif have == known.total:
        return known
    with client.fetch(path, offset=have, etag=known.etag if known else "") as answer:
        if answer.status_code != 206 or not _continues(answer, have):
            have = 0
        made = _described(path, answer, have)
        if not have:
            _write_note(part, made)
        with part.open("ab" if have else "wb") as file:
            tell(have, made.total)
            for piece in answer.iter_bytes(PIECE):
                file.write(piece)
                have += len(piece)
                tell(have, made.total)
            file.flush()
            os.fsync(file.fileno())
        if have != made.total:
            raise Unreachable("controller.unreachable", detail="The line broke.", log=str(client.home.controller_log))
        _write_note(part, made)
        return made


def _continues(answer: httpx.Response, have: int) -> bool:
    return str(answer.headers.get("content-range", "")).startswith(f"bytes {have}-")


def _described(path: str, answer: httpx.Response, have: int) -> _Part:
    head = answer.headers
    total = have + int(head.get("content-length", 0))
    return _Part(path, head.get("etag", ""), total, head.get("x-sha256", ""), head.get("content-type", ""))


def _wait(seconds: float, part: Path, tell: Tell) -> None:
    """Pause, still listening to who may want to stop."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        tell(_length(part), None)
        time.sleep(0.05)


def _length(part: Path) -> int:
    return part.stat().st_size if part.is_file() else 0


def _note(part: Path) -> Path:
    return part.with_name(part.name + ".json")


def _read_note(part: Path) -> _Part | None:
    try:
        return _Part(**json.loads(_note(part).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def _write_note(part: Path, known: _Part) -> None:
    _note(part).write_text(json.dumps(asdict(known)), encoding="utf-8")


def _check(place: Path, expected: str, name: str) -> None:
    found = fingerprint(place)
    if expected and found != expected:
        raise UserError("download.damaged", name=name, expected=expected, found=found)


def put(place: Path, target: Path) -> None:
    """Rename what is complete to its name; what stood there before goes last."""
    old = None
    if target.is_dir() and not target.is_symlink():
        old = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
        target.replace(old)
    place.replace(target)
    sync_folder(target.parent)
    if old is not None:
        shutil.rmtree(old)


def _free_name(target: Path) -> Path:
    """`name (2).ext`, the first that is free."""
    stem, ext = (target.stem, target.suffix) if re.fullmatch(r"\.\w{1,8}", target.suffix) else (target.name, "")
    number = 2
    while os.path.lexists(found := target.with_name(f"{stem} ({number}){ext}")):
        number += 1
    return found


def target_name(detail: RunDetail, item: Item) -> str:
    """A name that is safe as a file's, made of the run's."""
    run = f"{_safe(detail.run.name) or detail.run.uid}-{detail.run.uid}"
    if item.kind in ("log", "config"):
        return run + {"log": ".log", "config": ".yaml"}[item.kind]
    if item.kind == "checkpoint":
        names = {checkpoint.id: checkpoint.name for checkpoint in detail.checkpoints}
        return f"{run}-checkpoint-{_safe(PurePosixPath(names.get(item.id, '')).name) or item.id}"
    result = next((artifact for artifact in detail.artifacts if artifact.id == item.id), None)
    if result is None:
        raise NotFound("artifact.unknown", run=detail.run.uid, artifact=item.id)
    return f"{run}-" + (_safe(PurePosixPath(result.name).name) if result.kind == "answers" else _safe(result.kind))


def _safe(name: str) -> str:
    return re.sub(r"[^\w.-]+", "-", name).strip("-.")


def unpack(archive: Path, folder: Path) -> None:
    """Unpack a zip whose names stay inside the folder; any other is refused whole."""
    with zipfile.ZipFile(archive) as content:
        for name in content.namelist():
            parts = PurePosixPath(name).parts
            if not parts or name.startswith("/") or ".." in parts or "\\" in name or ":" in parts[0]:
                raise UserError("download.unsafe_name", name=name)
        folder.mkdir()
        content.extractall(folder)
    for file in folder.rglob("*"):
        if file.is_file():
            _sync(file)
    sync_folder(folder)


def _sync(file: Path) -> None:
    with file.open("rb+") as opened:
        os.fsync(opened.fileno())


def fingerprint(path: Path) -> str:
    """Sha256 of a file; of a folder, that of its sorted `name sha256` lines, as the worker computes it."""
    if path.is_file():
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    files = [file for file in path.rglob("*") if file.is_file()]
    lines = sorted(f"{file.relative_to(path).as_posix()} {fingerprint(file)}" for file in files)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()
