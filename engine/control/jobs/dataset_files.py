"""Folders of the library that nobody wants: versions without a row, imports that are over, uploads nobody read."""

from __future__ import annotations

import logging
import shutil
import sqlite3
import threading
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from engine.contract.clock import now
from engine.contract.datasets import MANIFEST
from engine.contract.durable import sync_folder
from engine.contract.paths import Home
from engine.contract.states import RunState
from engine.control.store import datasets, uploads
from engine.control.store.database import Database

log = logging.getLogger(__name__)
GOING = ".gone-"
MAKING = ".making-"
FETCHED = ".fetched-"
"""A version on its way from a node."""
ORPHAN_S = 86_400.0
"""A version nobody has is left alone for so long: its import may not have told of it yet."""
STALE_UPLOAD_S = 7 * 86_400.0
READ_UPLOAD_S = 3600.0
"""An upload whose rows are in the library is not needed: they are kept as they came."""
_removing = threading.Lock()
"""Held while folders go: a deletion and the regular look-round would take each other's from under their hands."""


def is_there(home: Home, fingerprint: str) -> bool:
    """Whether the folder of a version holds one."""
    return (home.dataset(fingerprint) / MANIFEST).is_file()


def remove(home: Home, fingerprint: str) -> None:
    """Take a version out of sight at once, then off the disk; who has it open reads on."""
    with _removing:
        _remove(home.dataset(fingerprint))


def sweep(home: Home, database: Database, at: float | None = None) -> list[str]:
    """Remove what has had its time; what went, by name. Waits for the disk: call it on a thread."""
    moment = now() if at is None else at
    with _removing:
        gone = [*_sweep_uploads(home, database, moment), *_sweep_versions(home, database, moment)]
    for folder in gone:
        log.info("the library let go of %s", folder)
    return gone


def remove_making(home: Home, uid: str) -> None:
    """What an import that is gone had made so far."""
    with _removing:
        _remove(home.importing(uid))


def _sweep_versions(home: Home, database: Database, at: float) -> Iterator[str]:
    if not home.datasets.is_dir():
        return
    folders = sorted(home.datasets.iterdir())  # looked at before the rows: what came meanwhile has one
    unfinished, live, kept = database.read_now(
        lambda c: (_unfinished(c), _live_imports(c), datasets.kept_hashes(c))
    )  # fmt: skip
    for folder in folders:
        name = folder.name
        if name.startswith(GOING) or (name.startswith(FETCHED) and at - _changed(folder) > ORPHAN_S):
            shutil.rmtree(folder, ignore_errors=True)
        elif name.startswith(MAKING):
            if name.removeprefix(MAKING) not in unfinished:
                _remove(folder)
                yield name
        elif not live and _is_orphan(folder, kept, at):
            _remove(folder)
            yield name


def _is_orphan(folder: Path, kept: dict[str, bool], at: float) -> bool:
    """A version that no dataset has any more, or never had."""
    unwanted = folder.is_dir() and not folder.name.startswith(".") and not kept.get(folder.name, False)
    return unwanted and at - _changed(folder) > ORPHAN_S


def _unfinished(connection: sqlite3.Connection) -> set[str]:
    """Imports that may go on with what they made so far."""
    rows = connection.execute(
        "SELECT uid FROM run WHERE kind IN ('import', 'sample') AND deleting = 0 AND cleaned IS NULL AND state != ?",
        (RunState.COMPLETED,),
    )
    return {row[0] for row in rows}


def _live_imports(connection: sqlite3.Connection) -> bool:
    """One that works may have made a version, or lean on one, and not have said so yet."""
    found = connection.execute(
        "SELECT 1 FROM run WHERE kind IN ('import', 'sample') "
        "AND state IN ('preparing', 'running', 'finishing') LIMIT 1"
    ).fetchone()
    return found is not None


def _sweep_uploads(home: Home, database: Database, at: float) -> Iterator[str]:
    stale = database.read_now(lambda c: uploads.stale(c, at - STALE_UPLOAD_S, at - READ_UPLOAD_S))
    for uid in stale:
        database.write_now(partial(uploads.remove, uid=uid))
        _remove(home.upload(uid))
        yield f"uploads/{uid}"
    if not home.uploads.is_dir():
        return
    folders = sorted(home.uploads.iterdir())
    known = database.read_now(uploads.listed)
    for folder in folders:
        if folder.name.startswith(GOING):
            shutil.rmtree(folder, ignore_errors=True)
        elif folder.name not in known and at - _changed(folder) > ORPHAN_S:
            _remove(folder)
            yield f"uploads/{folder.name}"


def _changed(folder: Path) -> float:
    try:
        return folder.stat().st_mtime
    except FileNotFoundError:
        return time.time()


def _remove(folder: Path) -> None:
    if folder.is_symlink() or not folder.is_dir():
        return
    aside = folder.with_name(f"{GOING}{folder.name.lstrip('.')}")
    shutil.rmtree(aside, ignore_errors=True)
    folder.rename(aside)
    sync_folder(folder.parent)
    shutil.rmtree(aside)


def remove_upload(home: Home, uid: str) -> None:
    """A file nobody wants any more."""
    with _removing:
        _remove(home.upload(uid))
