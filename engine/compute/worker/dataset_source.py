"""Where an import's rows lie: a place of this computer, an upload, another version, a hub, an address."""

from __future__ import annotations

import json
import shutil
import time
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

from engine.compute.data.files import KNOWN, kind_of
from engine.compute.hubs.datasets import LISTINGS
from engine.compute.hubs.door import Door
from engine.compute.hubs.fetch import Tally, aside, fetch_all, here
from engine.compute.hubs.listing import Listing, RemoteFile
from engine.compute.worker.dataset_files import choose
from engine.compute.worker.worker import Worker
from engine.contract.datasets import ImportSource
from engine.contract.durable import write_json
from engine.contract.errors import UserError
from engine.contract.hubs import HUBS, ID, may_be_told
from engine.contract.paths import Home, expanded
from engine.contract.run_spec import AttemptOrder
from engine.contract.states import Phase

FETCHED, COMMIT_FILE = "fetched", "commit.json"
"""Within the folder of a version in the making: what came over the network, and what it is."""
TELL_EVERY_S = 1.0
RESERVE_BYTES = 64 << 20
LIST_WAITS_S = (1.0, 3.0)
OF_DATASETS = {
    "hub.unknown": "data.hub_unknown",
    "hub.unknown_near": "data.hub_unknown",
    "hub.unknown_or_private": "data.hub_unknown",
    "hub.revision_unknown": "data.hub_revision",
    "hub.gated": "data.hub_gated",
    "hub.gated_no_token": "data.hub_gated",
    "hub.offline": "data.hub_offline",
    "hub.nothing_there": "data.nothing_there",
}
"""Hubs' refusals speak of models."""


@dataclass(frozen=True)
class Obtained:
    """Rows on this computer."""

    path: Path
    name: str = ""
    """What the file is called, where that is not its own name."""
    commit: str = ""
    """Of a hub."""


class DatasetSource:
    """The rows of one import."""

    def __init__(self, order: AttemptOrder, source: ImportSource, work: Path, worker: Worker) -> None:
        self.order, self.source, self.worker = order, source, worker
        self.folder = work / FETCHED
        self.home = Home.find()
        self._told = 0.0

    def obtain(self) -> Obtained:
        """A path to read; fetches what is elsewhere."""
        place = self.source.place
        if self.source.kind == "path":
            return Obtained(expanded(place), self.source.name)
        if self.source.kind == "upload":
            return self._upload(self.home.uploads / place)
        if self.source.kind == "version":
            return Obtained(self.home.dataset(place))
        self._check_place()
        try:
            return self._remote()
        except UserError as error:
            code = OF_DATASETS.get(error.code)
            if code is None:
                raise
            page = error.params.get("page", "")
            params = {"endpoint": self.source.kind, "revision": self.source.revision or "", **error.params}
            raise UserError(code, **{**params, "path": place, "page": page}) from error

    def _upload(self, path: Path) -> Obtained:
        """A file, or the only file of a folder."""
        if path.is_dir():
            inside = [found for found in path.iterdir() if found.is_file() and not found.name.startswith(".")]
            path = inside[0] if len(inside) == 1 else path / "?"
        if not path.is_file():
            raise UserError("data.upload_missing", path=str(path))
        return Obtained(path, self.source.name or path.name)

    def _check_place(self) -> None:
        """Before anybody is asked: an id, or an address that may be one of rows."""
        place = self.source.place
        if self.source.kind in HUBS:
            if not ID.fullmatch(place):
                raise UserError("data.hub_unknown", path=place, endpoint=self.source.kind)
            return
        parts = urlsplit(place)
        fits = parts.scheme in ("http", "https") and parts.hostname and may_be_told(place) and parts.username is None
        if not fits or kind_of(self._address_name()) is None:
            raise UserError("data.bad_address", path=place, known=", ".join(sorted(KNOWN)))

    def _address_name(self) -> str:
        return self.source.name or PurePosixPath(urlsplit(self.source.place).path).name

    def _remote(self) -> Obtained:
        """Fetched into the folder of the import, going on with what an earlier attempt has."""
        self.worker.report.phase(Phase.DOWNLOADING)
        hang_s = self.order.spec.limits.hang_minutes * 60
        with Door(self.source.kind, self.source.place, self.order.hubs, self.worker.secrets, min(60.0, hang_s)) as door:
            listing = self._listing(door)
            address = self.source.kind == "url"
            files = listing.files if address else choose(listing, self.source)
            rows = self.folder / "rows"
            self._settle(listing.commit)
            for file in files:
                (rows / file.path).parent.mkdir(parents=True, exist_ok=True)
            self._fetch(door, files, rows, hang_s, listing.commit)
        if address:
            return Obtained(rows / files[0].path, self._address_name(), listing.commit)
        return Obtained(rows, commit=listing.commit)

    def _listing(self, door: Door) -> Listing:
        waits, listing = [*LIST_WAITS_S], LISTINGS[self.source.kind]
        while True:
            try:
                return aside(lambda: listing(door, self._revision()), self.worker.check)
            except UserError as error:
                if error.code == "hub.revision_unknown" and self._begun():
                    shutil.rmtree(self.folder, ignore_errors=True)  # the commit is gone: begin with what is there now
                    continue
                if error.code != "hub.unreachable" or not waits:
                    raise
                until = time.monotonic() + waits.pop(0)
                while time.monotonic() < until:
                    self.worker.check()
                    time.sleep(0.05)

    def _revision(self) -> str | None:
        """The commit an earlier attempt began with: all rows must be of one."""
        return (self._begun() if self.source.kind == "huggingface" else None) or self.source.revision

    def _begun(self) -> str | None:
        try:
            commit = json.loads((self.folder / COMMIT_FILE).read_bytes())["commit"]
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return commit if isinstance(commit, str) else None

    def _settle(self, commit: str) -> None:
        """What an earlier attempt fetched of another commit is of no use."""
        if self._begun() != commit:
            shutil.rmtree(self.folder, ignore_errors=True)
            self.folder.mkdir(parents=True)
            write_json(self.folder / COMMIT_FILE, {"commit": commit})

    def _fetch(self, door: Door, files: list[RemoteFile], rows: Path, hang_s: float, commit: str) -> None:
        size, got = sum(file.size or 0 for file in files), here(files, rows)
        free = max(0, shutil.disk_usage(rows).free - RESERVE_BYTES)
        if size - got > free:
            raise UserError(
                "data.no_room", path=self.source.place, need=size - got, free=free, folder=str(self.home.root)
            )
        self.worker.report.note(
            "data.hub_fetching", path=self.source.place, commit=commit[:12], files=len(files),
            megabytes=f"{size / 1e6:,.1f}",
        )  # fmt: skip
        tally = Tally(size if all(file.size is not None for file in files) else None, got)

        def look() -> None:
            self._tell(tally)
            self.worker.check()

        fetch_all(door, files, rows, tally, look, hang_s)
        self._tell(tally, last=True)

    def _tell(self, tally: Tally, last: bool = False) -> None:
        now = time.monotonic()
        if now - self._told < TELL_EVERY_S and not last:
            return
        self._told = now
        share = min(1.0, tally.done / tally.total) if tally.total else None
        self.worker.report.phase(
            Phase.DOWNLOADING, share, bytes_done=tally.done, bytes_total=tally.total, bytes_per_second=tally.pace()
        )

    @staticmethod
    def forget(work: Path) -> None:
        """The rows are kept; what they were fetched as is not needed any more."""
        shutil.rmtree(work / FETCHED, ignore_errors=True)
