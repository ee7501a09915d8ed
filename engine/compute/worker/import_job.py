"""An import: obtain what is asked for, read it into a version of the library, go on where an attempt was ended."""

from __future__ import annotations

import hashlib
import shutil
import time
from pathlib import Path

from engine.compute.data.feeds import Feed, FileFeed, VersionFeed
from engine.compute.data.importing import Importer, order_key
from engine.compute.data.store.making import Making
from engine.compute.worker.commands import StopRequest
from engine.compute.worker.dataset_source import DatasetSource, Obtained
from engine.compute.worker.reporter import Reporter
from engine.compute.worker.worker import Worker
from engine.contract import events
from engine.contract.data_format import Mapping
from engine.contract.datasets import MANIFEST, ImportJob, Manifest
from engine.contract.errors import UserError
from engine.contract.paths import AttemptFolder, Home
from engine.contract.run_spec import AttemptOrder
from engine.contract.states import Phase

LOOK_EVERY_S, TELL_EVERY_S, TELL_SELDOM_S = 0.1, 1.0, 15.0
NAMED = 5
PACE_S = 10.0


class ImportSession:
    """One attempt of an import."""

    def __init__(self, order: AttemptOrder, job: ImportJob, folder: AttemptFolder, worker: Worker) -> None:
        self.order, self.job, self.folder, self.worker = order, job, folder, worker
        self.home = Home.find()
        self._looked = self._told = self._began = 0.0
        self._marks: list[tuple[float, int]] = []
        self._phase = Phase.READING
        self._feed: Feed | None = None
        self._importer: Importer | None = None

    def run(self) -> None:
        """The whole attempt; raises StopRequest when it was asked to end."""
        work = self.home.importing(self.order.run)
        try:
            obtained = DatasetSource(self.order, self.job.source, work, self.worker).obtain()
            self._import(obtained)
        except UserError as error:
            if (
                error.code.startswith("data.") and error.code != "data.no_room"
            ):  # what was kept of it is of no use to anybody
                shutil.rmtree(work, ignore_errors=True)
            raise

    def _open(self, obtained: Obtained) -> Feed:
        if self.job.source.kind == "version":
            versions = VersionFeed(obtained.path)
            self._as_before(versions.version.manifest)
            return versions
        feed = FileFeed(obtained.path, obtained.name, self.job.encoding)
        feed.identity = obtained.commit or feed.identity
        if feed.left_out:
            names = ", ".join(feed.left_out[:NAMED]) + (" …" if len(feed.left_out) > NAMED else "")
            self.worker.report.note("data.left_out", count=len(feed.left_out), names=names)
        return feed

    def _as_before(self, parent: Manifest) -> None:
        """Rows of a version are read as they were, unless the order says otherwise."""
        if self.job.format == "auto":
            mapping = self.job.mapping if self.job.mapping != Mapping() else parent.mapping
            self.job = self.job.model_copy(update={"format": parent.format, "mapping": mapping})

    def _import(self, obtained: Obtained) -> None:
        self._phase, self._began = Phase.READING, time.monotonic()
        self.worker.report.phase(Phase.READING)
        feed = self._feed = self._open(obtained)
        making = Making(self.home.importing(self.order.run), order_key(self.job, feed.identity))
        try:
            if making.goes_on:
                self.worker.report.note("data.goes_on", rows=making.rows)
            elif making.begins_anew:
                self.worker.report.note("data.begins_anew")
            importer = self._importer = Importer(self.job, feed, making, self._look)
            try:
                importer.read_rows()
                self._tell(time.monotonic())
                self._phase = Phase.CHECKING
                self.worker.report.phase(Phase.CHECKING, rows_done=importer.read)
                importer.check_all()
            except StopRequest:
                if self.worker.stop.save:
                    importer.save()
                raise
            self._keep(importer, making, obtained)
        finally:
            making.close()

    def _keep(self, importer: Importer, making: Making, obtained: Obtained) -> None:
        """The last steps: from here on it is not ended any more."""
        manifest = importer.manifest(program_version(), obtained.commit)
        for name, (encoding, reason) in list(importer.feed.encodings.items())[:NAMED]:
            if reason not in ("data.encoding_plain", "data.encoding_utf8"):
                self.worker.report.note(reason, name=name, encoding=encoding)
        if importer.dropped:
            self.worker.report.note("data.dropped", rows=importer.dropped)
        DatasetSource.forget(making.folder)
        folder, there_already = making.finish(manifest, self.home.datasets)
        if there_already:
            self.worker.report.note("data.there_already")
            manifest = Manifest.model_validate_json((folder / MANIFEST).read_bytes())
        self.worker.report.note(
            "data.imported", rows=manifest.rows, name=self.job.dataset, format=manifest.format, refused=manifest.refused
        )
        tell_made(self.worker.report, folder, manifest)

    def _look(self) -> None:
        """Called for every row: now and then a place to stop, and a line of progress."""
        now = time.monotonic()
        if now - self._looked < LOOK_EVERY_S:
            return
        self._looked = now
        self.worker.check()
        every = min(TELL_SELDOM_S, max(TELL_EVERY_S, (now - self._began) / 60))
        if now - self._told >= every:
            self._tell(now)

    def _tell(self, now: float) -> None:
        """How far it is, for whoever waits."""
        self._told = now
        if self._feed is None or self._phase == Phase.CHECKING:
            return
        done, total = self._feed.done, self._feed.bytes
        self._marks = [mark for mark in self._marks if now - mark[0] <= PACE_S] + [(now, done)]
        first = self._marks[0]
        self.worker.report.phase(
            self._phase,
            min(1.0, done / total) if total else None,
            bytes_done=done,
            bytes_total=total or None,
            bytes_per_second=(done - first[1]) / (now - first[0]) if now > first[0] else None,
            rows_done=self._importer.read if self._importer is not None else None,
        )


def tell_made(report: Reporter, folder: Path, manifest: Manifest) -> None:
    """A version is in its place: the line that has it registered."""
    report.journal.write(
        events.DatasetMade,
        hash=manifest.hash,
        rows=manifest.rows,
        refused=manifest.refused,
        bytes=manifest.bytes,
        format=manifest.format,
        problems=manifest.problems,
        manifest_sha256=hashlib.sha256((folder / MANIFEST).read_bytes()).hexdigest(),
    )


def program_version() -> str:
    """Of this program, where it is installed as one."""
    import importlib.metadata

    try:
        return importlib.metadata.version("loraforge-desktop")
    except importlib.metadata.PackageNotFoundError:
        return ""
