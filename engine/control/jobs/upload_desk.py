"""Uploads: files that come in pieces, each on the disk before it is counted, so that a break costs one piece."""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
import shutil
import sqlite3
import unicodedata
from collections.abc import AsyncIterator
from pathlib import Path
from weakref import WeakValueDictionary

from engine.contract.clock import now
from engine.contract.datasets import NewUpload, UploadView
from engine.contract.durable import sync_folder
from engine.contract.errors import Conflict, NotFound, Refused, UserError
from engine.contract.ids import new_id
from engine.contract.paths import Home
from engine.control.jobs import dataset_files
from engine.control.store import uploads
from engine.control.store.database import Database

PART = ".part"
KEPT_FREE = 1 << 30
"""Bytes of the disk that no upload may take."""
LONGEST_NAME = 200
SHA256 = re.compile(r"[0-9a-f]{64}")


class NoRoom(UserError):
    """The disk would be full."""

    status = 507


class UploadDesk:
    """Takes the pieces."""

    def __init__(self, home: Home, database: Database) -> None:
        self._home = home
        self._database = database
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def begin(self, body: NewUpload) -> UploadView:
        """A new one; or, told by its sha256, the one of the same file that was begun before."""
        name, sha256 = clean_name(body.name), body.sha256.lower()
        if sha256 and not SHA256.fullmatch(sha256):
            raise Refused("upload.bad_name", name=body.sha256[:80], detail="It is no sha256.")
        known = await self._database.read(lambda c: uploads.alike(c, name, body.bytes, sha256))
        if known is not None:
            return uploads.view(known)
        await self._refuse_without_room(body.bytes)
        made = UploadView(uid=new_id(), name=name, bytes=body.bytes, received=0)
        await asyncio.to_thread(_make, self._home.upload(made.uid))
        await self._database.write(lambda t: uploads.add(t, made, sha256, now()), durable=True)
        return made if body.bytes else await self._finish(made.uid)

    async def view(self, uid: str) -> UploadView:
        """How far it is."""
        return uploads.view(await self._row(uid))

    async def take(self, uid: str, offset: int, pieces: AsyncIterator[bytes]) -> UploadView:
        """Add what comes. What came before the line broke counts."""
        async with self._locks.setdefault(uid, asyncio.Lock()):
            row = await self._row(uid)
            if row["complete"]:
                raise Conflict("upload.finished", received=row["received"])
            if offset != row["received"]:
                raise Conflict("upload.wrong_place", received=row["received"], offset=offset)
            at, size = offset, row["bytes"]
            if at == size:  # it was all here when an earlier controller died
                return await self._finish(uid)
            path = self._home.upload(uid) / PART
            descriptor = await asyncio.to_thread(_open_at, path, offset)
            try:
                async for piece in pieces:
                    if at + len(piece) > size:
                        raise Refused("upload.too_long", bytes=size)
                    at += await asyncio.to_thread(_write, descriptor, piece)
            finally:
                await asyncio.shield(self._count(uid, descriptor, offset, at))
            return await self._finish(uid) if at == size else await self.view(uid)

    async def delete(self, uid: str) -> None:
        """Forget it; refused while an import reads it."""
        async with self._locks.setdefault(uid, asyncio.Lock()):
            await self._row(uid)
            reader = await self._database.read(lambda c: uploads.reading(c, uid))
            if reader is not None:
                raise Conflict("upload.needed", run=reader)
            await self._database.write(lambda t: uploads.remove(t, uid), durable=True)
            await asyncio.to_thread(dataset_files.remove_upload, self._home, uid)

    async def _count(self, uid: str, descriptor: int, offset: int, at: int) -> None:
        """What was written is on the disk before the history says so."""
        try:
            await asyncio.to_thread(os.fsync, descriptor)
        finally:
            os.close(descriptor)
        if at > offset:
            await self._database.write(lambda t: uploads.received(t, uid, at, False, now()), durable=True)

    async def _finish(self, uid: str) -> UploadView:
        """All of it is here: if it is what was announced it gets its name."""
        row, folder = await self._row(uid), self._home.upload(uid)
        part = folder / PART
        if row["sha256"] and await asyncio.to_thread(part.exists):
            found = await asyncio.to_thread(_sha256, part)
            if found != row["sha256"]:
                await asyncio.to_thread(os.truncate, part, 0)
                await self._database.write(lambda t: uploads.received(t, uid, 0, False, now()), durable=True)
                raise Refused("upload.other_content", found=found, expected=row["sha256"])
        await asyncio.to_thread(_put, folder, row["name"])
        size = row["bytes"]
        await self._database.write(lambda t: uploads.received(t, uid, size, True, now()), durable=True)
        return await self.view(uid)

    async def _row(self, uid: str) -> sqlite3.Row:
        row = await self._database.read(lambda c: uploads.find(c, uid))
        if row is None:
            raise NotFound("upload.unknown", upload=uid[:64])
        return row

    async def _refuse_without_room(self, size: int) -> None:
        outstanding = await self._database.read(uploads.outstanding)
        free = (await asyncio.to_thread(shutil.disk_usage, self._home.root)).free
        if size + outstanding + KEPT_FREE > free:
            raise NoRoom("upload.no_room", bytes=size, free=free, kept=outstanding + KEPT_FREE)


def clean_name(name: str) -> str:
    """The last part of a path, without what no file may be called; never a way out of its folder."""
    text = unicodedata.normalize("NFC", name).replace("\\", "/").rstrip("/").rpartition("/")[2].strip()
    if not text or text.strip(".") == "" or any(not letter.isprintable() for letter in text):
        raise Refused("upload.bad_name", name=name[:120], detail="It is empty, or holds letters that cannot be seen.")
    text = text.lstrip(".") or "file"
    if len(text.encode()) > LONGEST_NAME:
        stem, dot, suffix = text.rpartition(".")
        keep = LONGEST_NAME - len(suffix.encode()) - 1
        text = (stem or suffix).encode()[: max(1, keep)].decode(errors="ignore") + (
            f".{suffix}" if dot and stem else ""
        )
        if len(text.encode()) > LONGEST_NAME:
            raise Refused("upload.bad_name", name=name[:120], detail="It is too long.")
    return text


def _make(folder: Path) -> None:
    folder.mkdir(parents=True)
    (folder / PART).touch()
    sync_folder(folder)
    sync_folder(folder.parent)


def _open_at(path: Path, offset: int) -> int:
    """What lies beyond was written and never counted."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
    os.ftruncate(descriptor, offset)
    os.lseek(descriptor, offset, os.SEEK_SET)
    return descriptor


def _write(descriptor: int, piece: bytes) -> int:
    view = memoryview(piece)
    while view:
        view = view[os.write(descriptor, view) :]
    return len(piece)


def _put(folder: Path, name: str) -> None:
    """A crash between the rename and the row leaves the name; the next try finds it there."""
    if (folder / PART).exists():
        os.replace(folder / PART, folder / name)
        sync_folder(folder)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
