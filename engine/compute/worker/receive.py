"""Puts the pieces of a cache entry together and reads them back: `python -m engine.compute.worker.receive FOLDER`.

The folder holds `.parts/list.json` (what the entry is) and the pieces `.parts/FILE-PIECE`. Once every file is whole
and its sum right, `.entry.json` is written and `.parts` goes. Killed at any moment it goes on from where it was.
Standard library only, but for files that do not import more.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

from engine.contract.durable import sync_folder, write_json

BLOCK = 1 << 20


def receive(folder: Path) -> list[str]:
    """Put everything in its place; what is wrong with it."""
    parts = folder / ".parts"
    listing = json.loads((parts / "list.json").read_bytes())
    problems = []
    for number, file in enumerate(listing["files"]):
        target = _place(folder, str(file["name"]))
        if not target.exists():
            _join(parts, number, int(file["bytes"]), int(listing["piece"]))
        problem = _check(target if target.exists() else parts / f"{number}.whole", file)
        if problem:
            problems.append(problem)
        elif not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            os.replace(parts / f"{number}.whole", target)
            sync_folder(target.parent)
    if not problems:
        write_json(folder / ".entry.json", {"digest": listing["digest"], "files": listing["files"]})
        shutil.rmtree(parts)
    return problems


def _join(parts: Path, number: int, size: int, piece: int) -> None:
    """Append the pieces one by one; each goes when it is on the disk in its file."""
    with (parts / f"{number}.whole").open("ab") as whole:
        done = whole.tell() // piece * piece if whole.tell() < size else size
        whole.truncate(done)
        while done < size or not size:
            part = parts / f"{number}-{done // piece}"
            with part.open("rb") as source:
                shutil.copyfileobj(source, whole, BLOCK)
            whole.flush()
            os.fsync(whole.fileno())
            part.unlink()
            done = whole.tell()
            if not size:
                return


def _check(path: Path, file: dict[str, Any]) -> str:
    """Read it back; what is wrong with it. A bad file goes, so that it is sent again."""
    with path.open("rb") as opened:
        digest = hashlib.file_digest(opened, "sha256").hexdigest()
    if path.stat().st_size == file["bytes"] and digest == file["sha256"]:
        return ""
    path.unlink()
    return f"{file['name']} is not what was sent"


def _place(folder: Path, name: str) -> Path:
    path = Path(name)
    if path.is_absolute() or ".." in path.parts:
        raise ValueError(f"{name} leads out of the entry")
    return folder / path


def main(arguments: list[str] | None = None) -> int:
    """Exit code 0: the entry is whole."""
    arguments = sys.argv[1:] if arguments is None else arguments
    try:
        problems = receive(Path(arguments[0]))
    except (OSError, ValueError, KeyError) as error:
        problems = [f"{type(error).__name__}: {error}"]
    for problem in problems:
        sys.stdout.write(f"{problem}\n")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
