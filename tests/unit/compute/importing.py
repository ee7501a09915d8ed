"""Imports for tests: a worker's attempt, and an importer whose shards are small."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from helpers import Attempt

from engine.compute.data.feeds import Feed, FileFeed
from engine.compute.data.importing import Importer, order_key
from engine.compute.data.store import Version, open_version
from engine.compute.data.store.making import Making
from engine.contract.datasets import ImportJob, Manifest
from engine.contract.paths import Home


def import_job(place: Path | str, kind: str = "path", **more: Any) -> ImportJob:
    source = {"kind": kind, "place": str(place), **more.pop("source", {})}
    return ImportJob.model_validate({"kind": "import", "dataset": "rows", "source": source, **more})


def write_attempt(home: Home, job: ImportJob, run: str = "r1", attempt: int = 1, **order: Any) -> Attempt:
    """An attempt of an import, as the controller writes its order."""
    folder = home.attempt(run, attempt).root
    folder.mkdir(parents=True)
    spec = {"name": "import", "job": job.model_dump(mode="json")}
    content = {"protocol": 1, "run": run, "attempt": attempt, "lease": "l", "spec": spec, **order}
    (folder / "order.json").write_text(json.dumps(content), encoding="utf-8")
    return Attempt(folder)


class Stopped(Exception):
    """In place of a person's wish or a kill."""


class Slow:
    """Imports with small shards; ends in the middle where it is told to."""

    def __init__(self, home: Home, job: ImportJob, shard_rows: int = 7) -> None:
        self.home, self.job, self.shard_rows = home, job, shard_rows
        self.making: Making | None = None

    def run(self, stop_after: int | None = None, save: bool = True, feed: Feed | None = None) -> Manifest | None:
        """The manifest, or None where it was stopped after so many looks; without saving as a kill is."""
        feed = feed or FileFeed(Path(self.job.source.place), encoding=self.job.encoding)
        self.making = Making(
            self.home.importing("r1"), order_key(self.job, feed.identity), shard_rows=self.shard_rows
        )  # fmt: skip
        left = stop_after

        def look() -> None:
            nonlocal left
            if left is not None:
                left -= 1
                if left < 0:
                    raise Stopped

        importer = None
        try:
            importer = Importer(self.job, feed, self.making, look)
            importer.run()
        except Stopped:
            if save and importer is not None:
                importer.save()
                self.making.close()
            return None
        manifest = importer.manifest("test", "")
        self.making.finish(manifest, self.home.datasets)
        return manifest

    def version(self, manifest: Manifest) -> Version:
        return open_version(self.home.dataset(manifest.hash))
