"""What pages ask of a controller about datasets."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from engine.client.download import Tell
from engine.contract.datasets import (
    DatasetDetail,
    DatasetPage,
    DatasetView,
    EditDataset,
    ProblemPage,
    RowPage,
    UploadView,
    VersionDiff,
)

Progress = Callable[[int, int], None]
"""Bytes done, and all of them."""


class DatasetsBackend(Protocol):
    """The part of a backend behind the Datasets pages. Calls block and raise UserError.

    An import is a run (`create` with a job of kind import); previews, the X-ray and statistics are helper queries.
    """

    def datasets(self, search: str, sort: str, descending: bool, offset: int, limit: int) -> DatasetPage:
        """Datasets of the library."""

    def dataset(self, uid: str, version: int | None = None) -> DatasetDetail:
        """Everything about one; `version` says whose manifest, the newest without."""

    def edit_dataset(self, uid: str, change: EditDataset) -> DatasetView:
        """Another name, notes, tags."""

    def delete_dataset(self, uid: str, version: int | None = None) -> None:
        """Delete it, or one version of it; refused while a run needs it."""

    def dataset_rows(
        self, uid: str, version: int, offset: int, limit: int, search: str = "", problem: str = ""
    ) -> RowPage:
        """Rows as they were kept."""

    def dataset_problems(
        self, uid: str, version: int, kind: str, severity: str, offset: int, limit: int
    ) -> ProblemPage:
        """What is wrong with rows."""

    def dataset_diff(self, uid: str, before: int, after: int, kind: str, offset: int, limit: int) -> VersionDiff:
        """What differs between two versions."""

    def export_dataset(self, uid: str, version: int, rows: int, file: Path, tell: Tell) -> int:
        """Write all rows as JSONL, in place of a file of that name; how many. There are `rows` of them."""

    def export_problems(self, uid: str, version: int, kind: str, problems: int, file: Path, tell: Tell) -> int:
        """Write the problems as CSV, of one kind or (empty) all; there are about so many."""

    def upload(self, path: Path, progress: Progress) -> UploadView:
        """Send a file of this computer in pieces; goes on where it broke off."""
