"""Takes a model's files out of an archive: no links, no way out of the folder, no more than fits."""

from __future__ import annotations

import shutil
import stat
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO

from engine.compute.hubs.listing import RemoteFile, safe, wanted
from engine.contract.errors import UserError

MOST_FILES = 10_000
MOST_GROWTH = 50
"""An archive that unpacks to more than so many times its size is no archive of weights."""
FREE_GROWTH = 64 << 20
PIECE = 4 << 20


@dataclass(frozen=True)
class Member:
    """A file in an archive."""

    path: str
    size: int
    open: Callable[[], IO[bytes] | None]


def unpack(archive: Path, target: Path, name: str, tick: Callable[[int], None]) -> list[RemoteFile]:
    """Put the wanted files of the model in the archive into the target folder."""
    try:
        with closing(_opened(archive)) as packed:
            members = list(_members(packed, name))
            chosen = _chosen(members, name)
            _refuse_too_large(archive, target, chosen, name)
            for member, file in chosen:
                _write(member, target / file.path, name, tick)
    except (tarfile.TarError, zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError) as error:
        detail = f"{type(error).__name__}: {error}"[:200]
        raise UserError("hub.archive_damaged", file=name, detail=detail) from error
    return [file for _, file in chosen]


def _opened(archive: Path) -> zipfile.ZipFile | tarfile.TarFile:
    return zipfile.ZipFile(archive) if zipfile.is_zipfile(archive) else tarfile.open(archive)


def _members(packed: zipfile.ZipFile | tarfile.TarFile, name: str) -> Iterator[Member]:
    """Every file; what is none, or would lie elsewhere, is a reason to refuse the whole."""
    entries = _zip_entries(packed) if isinstance(packed, zipfile.ZipFile) else _tar_entries(packed)
    for number, (member, plain, folder) in enumerate(entries):
        if number >= MOST_FILES:
            raise UserError("hub.archive_too_large", file=name, detail=f"It holds more than {MOST_FILES} files.")
        if not safe(member.path) or not (plain or folder):
            raise UserError("hub.archive_unsafe", file=name, member=member.path[:200])
        if not folder:
            yield member


def _zip_entries(packed: zipfile.ZipFile) -> Iterator[tuple[Member, bool, bool]]:
    """Each entry, whether it is a plain file, whether a folder."""
    for entry in packed.infolist():
        plain = _zip_kind(entry) in (0, stat.S_IFREG)
        yield Member(entry.filename, entry.file_size, partial(packed.open, entry)), plain, entry.is_dir()


def _tar_entries(packed: tarfile.TarFile) -> Iterator[tuple[Member, bool, bool]]:
    for entry in packed:
        yield Member(entry.name, entry.size, partial(packed.extractfile, entry)), entry.isreg(), entry.isdir()


def _zip_kind(entry: zipfile.ZipInfo) -> int:
    """What sort of file the Unix half of the attributes says it is."""
    return (entry.external_attr >> 16) & 0o170000


def _chosen(members: list[Member], name: str) -> list[tuple[Member, RemoteFile]]:
    """The files of the model: those beside the config.json that lies least deep."""
    configs = [PurePosixPath(member.path) for member in members if PurePosixPath(member.path).name == "config.json"]
    if not configs:
        raise UserError("hub.no_config", path=name)
    folder = min(configs, key=lambda path: (len(path.parts), str(path))).parent
    inside = {
        PurePosixPath(member.path).name: member for member in members if PurePosixPath(member.path).parent == folder
    }
    files = wanted(name, [RemoteFile(path, member.size, "") for path, member in inside.items()])
    return [(inside[file.path], file) for file in files]


def _refuse_too_large(archive: Path, target: Path, chosen: list[tuple[Member, RemoteFile]], name: str) -> None:
    need, packed = sum(member.size for member, _ in chosen), archive.stat().st_size
    if need > FREE_GROWTH + MOST_GROWTH * packed:
        raise UserError("hub.archive_too_large", file=name, detail=f"{packed} bytes would become {need}.")
    target.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(target).free
    if need > free:
        raise UserError("hub.no_room", need=need, free=free, folder=str(target.parent), path=name)


def _write(member: Member, path: Path, name: str, tick: Callable[[int], None]) -> None:
    source, written = member.open(), 0
    if source is None:
        raise UserError("hub.archive_damaged", file=name, detail=f"{member.path} cannot be read.")
    with source, path.open("wb") as sink:
        while piece := source.read(PIECE):
            written += len(piece)
            if written > member.size:
                raise UserError("hub.archive_damaged", file=name, detail=f"{member.path} is larger than it says.")
            sink.write(piece)
            tick(len(piece))
