"""Which files of a path hold rows: the file itself, those of a folder and its folders, those in an archive."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from engine.compute.data.archive import Stored, members
from engine.compute.data.tar import tar_members
from engine.contract.errors import UserError

TEXTS = (".md", ".text", ".txt")
TABLES = (".arrow", ".feather", ".parquet")
KINDS = (".csv", ".json", ".jsonl", ".ndjson", ".tsv", *TABLES, *TEXTS)
PACKINGS = {".gz": "gzip", ".zst": "zstd", ".bz2": "bz2", ".xz": "xz"}
TAR = ".tar"
SHORT = {".tgz": "gzip", ".tbz2": "bz2", ".txz": "xz"}
"""Endings of a packed tar archive in one word."""
ARCHIVES = (".zip", TAR)
KNOWN = (*KINDS, *PACKINGS, *SHORT, *ARCHIVES)
BESIDE = ("readme", "license", "licence", "notice", "changelog", "dataset_info", "dataset_dict", "state.json")
"""Beginnings of names of files that stand beside a dataset and are not of it."""
MOST_FILES = 100_000
Stamp = tuple[int, int, int]


@dataclass(frozen=True)
class DataFile:
    """A file of rows."""

    path: Path
    """On the disk."""
    name: str
    """As it is shown: within the folder or archive it lies in."""
    kind: str
    """The ending that says how it is read."""
    packing: str = ""
    member: str = ""
    """In an archive."""
    bytes: int = 0
    """On the disk."""
    stored: Stored | None = None
    """In a tar archive."""


@dataclass
class Files:
    """What a path holds."""

    files: list[DataFile] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    """Names of files that are not read."""

    @property
    def bytes(self) -> int:
        """Of all files, as they lie on the disk."""
        return sum(file.bytes for file in self.files)


def stamp(path: Path) -> os.stat_result:
    """What the system says of a file; a link to nothing is named as one."""
    try:
        return path.stat()
    except FileNotFoundError:
        if path.is_symlink():
            raise UserError("data.dangling_link", path=str(path), target=str(path.readlink())) from None
        raise


def find_files(path: Path, name: str = "", hurry: float | None = None) -> Files:
    """The files to read, in the order of their names; those of a tar archive in that of the archive.

    `name` is what the file is called where that is not its own. With `hurry`, packed tar archives are looked through
    for about so many seconds, and what was found by then is named: enough for a look.
    """
    mode = stamp(path).st_mode
    if stat.S_ISDIR(mode):
        return _in_folder(path, hurry)
    if not stat.S_ISREG(mode):  # opening a pipe would wait for ever
        raise UserError("data.not_a_file", path=str(path))
    shown = name or path.name
    if not kind_of(shown):
        raise UserError("data.unknown_file", path=name or str(path), known=", ".join(sorted(KNOWN)))
    return Files(*_opened(path, shown, hurry))


def kind_of(name: str) -> tuple[str, str] | None:
    """Ending and packing of a file of rows (or of an archive); None of any other."""
    suffixes = [suffix.lower() for suffix in PurePosixPath(name).suffixes[-2:]]
    last = suffixes[-1] if suffixes else ""
    if last in KINDS or last in ARCHIVES:
        return last, ""
    if last in SHORT:
        return TAR, SHORT[last]
    if last in PACKINGS and len(suffixes) == 2 and suffixes[0] in (*KINDS, TAR):
        return suffixes[0], PACKINGS[last]
    return None


def _opened(path: Path, shown: str, hurry: float | None) -> tuple[list[DataFile], list[str]]:
    """A file as it is, or an archive's members."""
    found = kind_of(shown)
    if found is None:
        return [], [shown]
    kind, packing = found
    size = path.stat().st_size
    if kind not in ARCHIVES:
        return [DataFile(path, shown, kind, packing, bytes=size)], []
    inside, left_out = list[DataFile](), list[str]()
    held = tar_members(path, packing, hurry) if kind == TAR else members(path)
    for member in held:
        inner = kind_of(member.name)
        if _is_hidden(member.name) or inner is None or inner[0] in ARCHIVES:
            left_out += [] if _is_hidden(member.name) else [member.name]
        else:
            inside.append(DataFile(path, member.name, *inner, member.name, member.packed, member.stored))
    inside, beside = _without_beside(inside)
    if not inside:
        raise UserError("data.archive_empty", path=str(path), known=", ".join(sorted(KINDS)))
    if kind != TAR:
        inside = sorted(inside, key=lambda file: file.name)
    return inside, sorted(left_out + beside)


def _in_folder(folder: Path, hurry: float | None) -> Files:
    found = Files()
    for number, path in enumerate(_walk(folder)):
        if number >= MOST_FILES:
            raise UserError("data.too_many_files", path=str(folder), limit=MOST_FILES)
        name = path.relative_to(folder).as_posix()
        if path.is_symlink() and not path.exists():
            found.left_out.append(name)
            continue
        if not path.is_file():  # in a folder, pipes and devices are no datasets
            continue
        files, left_out = _opened(path, name, hurry)
        found.files += files
        found.left_out += left_out
    found.files, beside = _without_beside(found.files)
    found.left_out = sorted(found.left_out + beside)
    if not found.files:
        raise UserError("data.empty_folder", path=str(folder), known=", ".join(sorted(KNOWN)))
    return found


def _walk(folder: Path) -> Iterator[Path]:
    """All files below, by name; hidden ones are left out, and links to folders are not followed."""

    def fail(error: OSError) -> None:
        raise error

    for root, folders, names in os.walk(folder, onerror=fail):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield from (Path(root) / name for name in sorted(names) if not name.startswith("."))


def _is_hidden(name: str) -> bool:
    return any(part.startswith((".", "__MACOSX")) for part in PurePosixPath(name).parts)


def _without_beside(files: list[DataFile]) -> tuple[list[DataFile], list[str]]:
    """Texts beside tables are not rows, and neither is what describes a dataset."""
    kept = [file for file in files if not PurePosixPath(file.name).name.lower().startswith(BESIDE)] or files
    if any(file.kind not in TEXTS for file in kept):
        kept = [file for file in kept if file.kind not in TEXTS]
    chosen = {file.name for file in kept}
    return kept, [file.name for file in files if file.name not in chosen]
