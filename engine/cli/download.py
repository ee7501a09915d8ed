"""`forge download`: fetch a run's result, log or config; checked, written aside, then renamed."""

from __future__ import annotations

import argparse
import hashlib
import re
import secrets
import shutil
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any

from engine.cli.exits import OK
from engine.cli.output import print_json
from engine.cli.session import add_run_argument
from engine.contract.api import ArtifactInfo, RunDetail
from engine.contract.errors import Conflict, NotFound, UserError

RESULTS = ("adapter", "model", "answers")
PIECE = 4 << 20


def register(commands: Any, common: argparse.ArgumentParser) -> None:
    """Add the command."""
    command = commands.add_parser("download", parents=[common], help="fetch a run's result, log or config")
    add_run_argument(command)
    command.add_argument("--what", choices=(*RESULTS, "log", "config"), default="adapter")
    command.add_argument("--to", type=Path, default=Path(), help="a folder; the current one without it")
    command.add_argument("--force", action="store_true", help="replace what is there")
    command.set_defaults(work=work)


def work(options: argparse.Namespace) -> int:
    """Fetch, check, put in place."""
    from engine.cli.session import controller, find_run

    with controller() as client:
        detail = client.run(find_run(client, options.run).uid)
        artifact = _result(detail, options.what) if options.what in RESULTS else None
        target = options.to / _target_name(detail, options.what, artifact)
        if target.exists() and not options.force:
            raise Conflict("download.exists", target=str(target))
        try:
            options.to.mkdir(parents=True, exist_ok=True)
            with _aside(target) as place:
                sha256 = _fetch(client, detail.run.uid, options.what, artifact, place)
        except OSError as error:
            raise UserError("file.unwritable", file=str(target), detail=error.strerror or str(error)) from error
    if options.json:
        print_json({"run": detail.run.uid, "what": options.what, "path": str(target.absolute()), "sha256": sha256})
    else:
        print(target)
    return OK


def _result(detail: RunDetail, kind: str) -> ArtifactInfo:
    """The newest result of the kind."""
    found = [artifact for artifact in detail.artifacts if artifact.kind == kind]
    if not found:
        known = ", ".join(sorted({artifact.kind for artifact in detail.artifacts})) or "none yet"
        raise NotFound("run.no_result", run=detail.run.name, kind=kind, known=known)
    return found[-1]


def _target_name(detail: RunDetail, what: str, artifact: ArtifactInfo | None) -> str:
    """A name that is safe as a file's, made of the run's."""
    run = re.sub(r"[^\w.-]+", "-", detail.run.name).strip("-.") or detail.run.uid
    if artifact is None:
        return f"{run}-{detail.run.uid}." + {"log": "log", "config": "yaml"}[what]
    suffix = PurePosixPath(artifact.name).suffix if what == "answers" else ""
    return f"{run}-{detail.run.uid}-{what}{suffix}"


@contextmanager
def _aside(target: Path) -> Iterator[Path]:
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


def _fetch(client: Any, uid: str, what: str, artifact: ArtifactInfo | None, place: Path) -> str:
    """Fetch into the place; returns the sha256 of what is there."""
    if artifact is not None:
        return _fetch_result(client, uid, artifact, place)
    if what == "config":
        place.write_text(client.config(uid), encoding="utf-8")
        return fingerprint(place)
    offset = 0
    with place.open("wb") as file:
        while (piece := client.log(uid, offset=offset, limit=PIECE)).data:
            file.write(piece.data)
            offset += len(piece.data)
    return fingerprint(place)


def _fetch_result(client: Any, uid: str, artifact: ArtifactInfo, place: Path) -> str:
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
