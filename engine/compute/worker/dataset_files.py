"""Which files of a hub's dataset are its rows: those of a subset and a split, and each row once."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import PurePosixPath
from typing import Any

from engine.compute.data.files import ARCHIVES, BESIDE, KINDS, kind_of
from engine.compute.hubs.listing import Listing, RemoteFile
from engine.contract.datasets import ImportSource
from engine.contract.errors import UserError

SPLITS = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "val", "dev"),
    "test": ("test", "testing", "eval", "evaluation"),
}
SHOWN = 12


def choose(listing: Listing, source: ImportSource) -> list[RemoteFile]:
    """The files to fetch; raises UserError where a part that was asked for is not there."""
    known = [file for file in listing.files if _holds_rows(file.path)]
    if not known:
        raise UserError("data.hub_no_rows", path=source.place, known=", ".join(sorted(KINDS)))
    configs = [entry for entry in listing.facts.get("configs", []) if isinstance(entry, dict)]
    if configs:
        return _of_config(known, configs, source)
    found = known
    if source.subset:
        found = [file for file in found if source.subset in PurePosixPath(file.path).parts[:-1]]
        found = found or [file for file in known if _named(file.path, (source.subset,))]
    if source.split:
        found = [file for file in found if _named(file.path, SPLITS.get(source.split, (source.split,)))]
    if not found:
        raise _no_part(source, [file.path for file in known])
    return _of_one_kind(found)


def _holds_rows(path: str) -> bool:
    parts = PurePosixPath(path).parts
    if any(part.startswith(".") for part in parts):
        return False
    return kind_of(path) is not None and not parts[-1].lower().startswith(BESIDE)


def _of_config(files: list[RemoteFile], configs: list[dict[str, Any]], source: ImportSource) -> list[RemoteFile]:
    """As the card says. Without a subset it is the default one, which is the first where none is called so."""
    names = [str(entry.get("config_name", "default")) for entry in configs]
    usual = next((entry for entry in configs if entry.get("default") or entry.get("config_name") == "default"), None)
    entry = usual or configs[0]
    if source.subset:
        if source.subset not in names:
            raise _no_part(source, names)
        entry = configs[names.index(source.subset)]
    parts = _patterns(entry.get("data_files"))
    if source.split and parts and source.split not in [split for split, _ in parts]:
        raise _no_part(source, [split for split, _ in parts])
    folder = str(entry.get("data_dir") or "").strip("./")
    chosen = [
        file
        for file in files
        if (not folder or file.path.startswith(folder + "/")) and _matches(file.path, parts, source.split)
    ]
    if not chosen:
        raise _no_part(source, [file.path for file in files])
    return chosen if parts else _of_one_kind(chosen)


def _patterns(given: Any) -> list[tuple[str, str]]:
    """Split and pattern; a pattern without a split is of the rows to learn from."""
    entries = given if isinstance(given, list) else [given] if given else []
    found = []
    for entry in entries:
        split = str(entry.get("split", "train")) if isinstance(entry, dict) else "train"
        paths = entry.get("path") if isinstance(entry, dict) else entry
        found += [(split, str(path)) for path in (paths if isinstance(paths, list) else [paths])]
    return found


def _matches(path: str, parts: Sequence[tuple[str, str]], split: str | None) -> bool:
    if not parts:
        return not split or _named(path, SPLITS.get(split, (split,)))
    wanted = [pattern.removeprefix("./") for name, pattern in parts if split in (None, "", name)]
    return any(fnmatchcase(path, pattern) or fnmatchcase(path, pattern.replace("**/", "")) for pattern in wanted)


def _named(path: str, words: Sequence[str]) -> bool:
    """A word of the path, or of its file's name, is one of these."""
    return bool({word.lower() for word in re.split(r"[/._\-]+", path)} & {word.lower() for word in words})


def _of_one_kind(files: list[RemoteFile]) -> list[RemoteFile]:
    """Rows are often there in several forms; each is wanted once: the kind most files have, else Parquet.

    Archives beside files of rows mostly hold pictures or sounds.
    """
    kinds = Counter(kind[0] for file in files if (kind := kind_of(file.path)))
    best = max(kinds, key=lambda kind: (kind not in ARCHIVES, kinds[kind], kind == ".parquet"))
    return [file for file in files if (kind := kind_of(file.path)) and kind[0] == best]


def _no_part(source: ImportSource, known: Sequence[str]) -> UserError:
    part = " / ".join(filter(None, (source.subset, source.split)))
    shown = ", ".join(known[:SHOWN]) + (" …" if len(known) > SHOWN else "")
    return UserError("data.hub_no_part", path=source.place, part=part, known=shown)
