"""Where the data lies and what it takes, as people see it."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

Part = Literal["history", "runs", "library", "datasets", "environments", "cache", "logs", "other"]
PARTS: tuple[Part, ...] = ("history", "runs", "library", "datasets", "environments", "cache", "logs", "other")
FOLDERS: dict[str, Part] = {
    "runs": "runs",
    "library": "library",
    "datasets": "datasets",
    "uploads": "datasets",
    "environments": "environments",
    "models": "cache",
    "hub": "cache",
    "cache": "cache",
    "code": "cache",
    "logs": "logs",
}
"""Folder of a home to the part it counts to; the history is files."""


class Storage(BaseModel):
    """The home: its folder, the bytes of each part, and what is free."""

    model_config = ConfigDict(extra="ignore")

    home: str
    parts: dict[str, int] = {}
    total: int = 0
    free: int = 0
    counted: float = 0.0
    """When; counting a large home takes a while, so an answer may be a minute old."""


def part_of(name: str) -> Part:
    """What a file or folder at the top of a home counts to."""
    return "history" if name.startswith("history") else FOLDERS.get(name, "other")
