"""What a dataset is called, by where its rows come from."""

from __future__ import annotations

from pathlib import PurePosixPath

from engine.contract.preflight import DATA_SUFFIXES

LONGEST = 120
ADDRESSES = ("https://", "http://")


def name_from(place: str) -> str:
    """Of a dataset made of this file, folder, hub id or address: its last part without endings; empty for no place."""
    if place.lower().startswith(ADDRESSES):
        place = place.partition("?")[0].partition("#")[0]
    name = place.replace("\\", "/").rstrip("/").rpartition("/")[2].strip()
    while (ending := PurePosixPath(name).suffix).lower() in DATA_SUFFIXES:
        name = name[: -len(ending)]
    return name.strip()[:LONGEST]
