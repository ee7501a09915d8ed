"""Fetching a run's results: checked by sha256, written aside, then renamed; names stay inside their folder."""

from __future__ import annotations

import hashlib
import re
import secrets
import shutil
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from engine.client.client import ControllerClient
from engine.contract.api import ArtifactInfo, RunDetail
from engine.contract.errors import Conflict, UserError

PIECE = 4 << 20


def download_result(client: ControllerClient, detail: RunDetail, artifact: ArtifactInfo, folder: Path) -> Path:
    """Save a result of a run into a folder, under a name of its own; what is there already is never replaced."""
    target = folder / target_name(detail, artifact.kind, artifact)
    if target.exists():
        raise Conflict("download.exists", target=str(target))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with aside(target) as place:
            fetch_result(client, detail.run.uid, artifact, place)
    except OSError as error:
        raise UserError("file.unwritable", file=str(target), detail=error.strerror or str(error)) from error
    return target


def download_log(client: ControllerClient, uid: str, target: Path) -> Path:
    """Save the log of a run's latest attempt; a file that is there is replaced once the whole log is here."""
    with aside(target) as place:
        write_log(client, uid, place)
    return target


def write_log(client: ControllerClient, uid: str, place: Path) -> None:
    """Fetch a log piece by piece into a file."""
    offset = 0
    with place.open("wb") as file:
        while (piece := client.log(uid, offset=offset, limit=PIECE)).data:
            file.write(piece.data)
            offset += len(piece.data)


def target_name(detail: RunDetail, what: str, artifact: ArtifactInfo | None) -> str:
    """A name that is safe as a file's, made of the run's."""
    run = re.sub(r"[^\w.-]+", "-", detail.run.name).strip("-.") or detail.run.uid
    if artifact is None:
        return f"{run}-{detail.run.uid}." + {"log": "log", "config": "yaml"}[what]
    if what == "answers":
        return f"{run}-{detail.run.uid}-{PurePosixPath(artifact.name).name}"
    return f"{run}-{detail.run.uid}-{what}"


@contextmanager
def aside(target: Path) -> Iterator[Path]:
    """A place beside the target that becomes the target when all went well, and goes when not."""
    place = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
    try:
        yield place
        if target.is_dir() and not target.is_symlink():
            shutil.rmtree(target)
        place.replace(target)
    finally:
        if place.is_dir():
            shutil.rmtree(place)
        place.unlink(missing_ok=True)


def fetch_result(client: ControllerClient, uid: str, artifact: ArtifactInfo, place: Path) -> str:
    """Fetch a result into a place that does not exist yet; returns the sha256 of what is there, which must agree."""
    raw = place.with_name(place.name + ".part")
    try:
        with raw.open("wb") as file:
            kind = client.download(uid, artifact.id, file.write)
        if kind.startswith("application/zip"):
            unpack(raw, place)
        else:
            raw.replace(place)
    finally:
        raw.unlink(missing_ok=True)
    found = fingerprint(place)
    if artifact.sha256 and found != artifact.sha256:
        raise UserError("download.damaged", name=artifact.name, expected=artifact.sha256, found=found)
    return found


def unpack(archive: Path, folder: Path) -> None:
    """Unpack a zip whose names stay inside the folder; any other is refused whole."""
    with zipfile.ZipFile(archive) as content:
        for name in content.namelist():
            parts = PurePosixPath(name).parts
            if not parts or name.startswith("/") or ".." in parts or "\\" in name or ":" in parts[0]:
                raise UserError("download.unsafe_name", name=name)
        folder.mkdir()
        content.extractall(folder)


def fingerprint(path: Path) -> str:
    """Sha256 of a file; of a folder, that of its sorted `name sha256` lines, as the worker computes it."""
    if path.is_file():
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    files = [file for file in path.rglob("*") if file.is_file()]
    lines = sorted(f"{file.relative_to(path).as_posix()} {fingerprint(file)}" for file in files)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()
