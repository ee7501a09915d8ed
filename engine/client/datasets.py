"""Asking the controller about datasets of the library, and sending it files."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import quote

from engine.client.calls import SLOW_S, Calls
from engine.contract.api import CreateRun, RunSummary
from engine.contract.datasets import (
    DatasetDetail,
    DatasetPage,
    DatasetView,
    EditDataset,
    ImportJob,
    NewUpload,
    ProblemPage,
    RowPage,
    UploadView,
    VersionDiff,
)
from engine.contract.errors import Conflict, Unreachable, UserError
from engine.contract.ids import new_id
from engine.contract.run_spec import RunSpec
from engine.contract.sampling import SampleJob

PIECE = 8 << 20
TRIES = 6
"""Vain tries in a row before giving up; what came so far stays."""
FIRST_PAUSE_S = 0.2
Progress = Callable[[int, int], object]
"""Hears the bytes that are there and the bytes there are; may raise to break off."""


def _nobody(_done: int, _total: int) -> None:
    """Hears nothing."""


class DatasetCalls(Calls):
    """A part of `ControllerClient`. Datasets are named by their id or their name."""

    def datasets(
        self, search: str = "", sort: str = "changed", descending: bool = True, offset: int = 0, limit: int = 100
    ) -> DatasetPage:
        """One page of datasets."""
        query = {"search": search, "sort": sort, "descending": descending, "offset": offset, "limit": limit}
        return self._get("/datasets", DatasetPage, query)

    def dataset(self, named: str, version: int | None = None) -> DatasetDetail:
        """Everything about one; the manifest of the newest version unless another is named."""
        return self._get(_path(named), DatasetDetail, {} if version is None else {"version": version})

    def edit_dataset(self, named: str, change: EditDataset) -> DatasetView:
        """Another name, notes, tags."""
        return self._read(self._send("PATCH", _path(named), body=change, key=new_id()), DatasetView)

    def delete_dataset(self, named: str, version: int | None = None) -> None:
        """Forget one with all its versions, or one version of it."""
        path = _path(named) if version is None else _path(named, version)
        self._send("DELETE", path, key=new_id(), timeout=SLOW_S)

    def dataset_rows(
        self, named: str, version: int, offset: int = 0, limit: int = 100, search: str = "", problem: str = ""
    ) -> RowPage:
        """Rows as they were kept: all, those that hold a text, those with a problem of a kind."""
        query = {"offset": offset, "limit": limit, "search": search, "problem": problem}
        return self._get(f"{_path(named, version)}/rows", RowPage, query)

    def dataset_problems(
        self, named: str, version: int, kind: str = "", severity: str = "", offset: int = 0, limit: int = 100
    ) -> ProblemPage:
        """What is wrong with rows of a version."""
        query = {"kind": kind, "severity": severity, "offset": offset, "limit": limit}
        return self._get(f"{_path(named, version)}/problems", ProblemPage, query)

    def dataset_diff(
        self, named: str, before: int, after: int, kind: str = "", offset: int = 0, limit: int = 100
    ) -> VersionDiff:
        """What differs between two versions; the first look at two large ones may take a while."""
        query = {"before": before, "after": after, "kind": kind, "offset": offset, "limit": limit}
        return self._read(self._send("GET", f"{_path(named)}/diff", query=query, timeout=SLOW_S), VersionDiff)

    def export_dataset(self, named: str, version: int, write: Callable[[bytes], object]) -> int:
        """Hand every row, as a line of JSON, to `write`; how many there are."""
        return self._export(f"{_path(named, version)}/export", {}, write)

    def export_problems(
        self, named: str, version: int, write: Callable[[bytes], object], kind: str = "", severity: str = ""
    ) -> None:
        """Hand a CSV file of the problems to `write`."""
        self._export(f"{_path(named, version)}/problems/export", {"kind": kind, "severity": severity}, write)

    def import_dataset(self, job: ImportJob, name: str = "", start: bool = True) -> RunSummary:
        """Begin an import: a run that makes a version."""
        spec = RunSpec.model_validate({"name": name or f"Import {job.dataset}"[:120], "job": job})
        return self._change("POST", "/runs", CreateRun(spec=spec, start=start))

    def sample_dataset(self, job: SampleJob, name: str = "", start: bool = True, gpus: int | None = None) -> RunSummary:
        """Have a model answer questions: a run that makes a version."""
        place = {} if gpus is None else {"gpus": gpus}
        spec = RunSpec.model_validate({"name": name or f"Sample {job.dataset}"[:120], "job": job, "compute": place})
        return self._change("POST", "/runs", CreateRun(spec=spec, start=start))

    def begin_upload(self, wish: NewUpload) -> UploadView:
        """Announce a file."""
        return self._read(self._send("POST", "/uploads", body=wish), UploadView)

    def upload_view(self, uid: str) -> UploadView:
        """How much of it is there."""
        return self._get(f"/uploads/{uid}", UploadView)

    def send_piece(self, uid: str, offset: int, piece: bytes) -> UploadView:
        """The next bytes. Not sent again by itself: who sends asks first what is there."""
        answer = self._send("PUT", f"/uploads/{uid}", query={"offset": offset}, data=piece, timeout=SLOW_S)
        return self._read(answer, UploadView)

    def delete_upload(self, uid: str) -> None:
        """Forget it."""
        self._send("DELETE", f"/uploads/{uid}")

    def upload(self, path: Path, progress: Progress = _nobody) -> UploadView:
        """Send a file; one of which a part is there already is gone on with, however often the line breaks."""
        try:
            with path.open("rb") as file:
                sha256 = hashlib.file_digest(file, "sha256").hexdigest()
                size = file.seek(0, 2)
                view = self.begin_upload(NewUpload(name=path.name, bytes=size, sha256=sha256))
                return self._send_rest(file, view, progress)
        except OSError as error:
            raise UserError("upload.failed", file=str(path), detail=error.strerror or str(error)) from error

    def _send_rest(self, file: BinaryIO, view: UploadView, progress: Progress) -> UploadView:
        tries = 0
        progress(view.received, view.bytes)
        while not view.complete:
            before = view.received
            try:
                file.seek(view.received)
                view = self.send_piece(view.uid, view.received, file.read(PIECE))
                tries = 0
            except (Unreachable, Conflict) as error:
                if isinstance(error, Conflict) and error.code != "upload.wrong_place":
                    raise
                view, tries = self._asked_again(view, error, tries + 1)
            if view.received != before:
                progress(view.received, view.bytes)
        return view

    def _asked_again(self, view: UploadView, error: UserError, tries: int) -> tuple[UploadView, int]:
        """What is there after the line broke."""
        while True:
            if tries >= TRIES:
                raise error
            time.sleep(FIRST_PAUSE_S * 2 ** (tries - 1))
            try:
                found = self.upload_view(view.uid)
            except Unreachable:
                tries += 1
                continue
            return found, 0 if found.received > view.received else tries

    def _export(self, path: str, query: dict[str, Any], write: Callable[[bytes], object]) -> int:
        with self.fetch(path, query=query) as answer:
            for piece in answer.iter_bytes():
                write(piece)
            return int(answer.headers.get("X-Rows", 0))


def _path(named: str, version: int | None = None) -> str:
    """A name may hold anything but a slash."""
    base = f"/datasets/{quote(named, safe='')}"
    return base if version is None else f"{base}/versions/{version}"
