"""The real controller's answers about datasets."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from engine.client.client import ControllerClient
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
from forge_desktop.bridge.backend_datasets import Progress
from forge_desktop.bridge.dataset_files import write_lines


class ControllerDatasets:
    """Passes on what pages ask about datasets."""

    _client: ControllerClient

    def datasets(self, search: str, sort: str, descending: bool, offset: int, limit: int) -> DatasetPage:
        """Datasets of the library."""
        return self._client.datasets(search, sort, descending, offset, limit)

    def dataset(self, uid: str, version: int | None = None) -> DatasetDetail:
        """Everything about one; `version` says whose manifest, the newest without."""
        return self._client.dataset(uid, version)

    def edit_dataset(self, uid: str, change: EditDataset) -> DatasetView:
        """Another name, notes, tags."""
        return self._client.edit_dataset(uid, change)

    def delete_dataset(self, uid: str, version: int | None = None) -> None:
        """Delete it, or one version of it; refused while a run needs it."""
        self._client.delete_dataset(uid, version)

    def dataset_rows(
        self, uid: str, version: int, offset: int, limit: int, search: str = "", problem: str = ""
    ) -> RowPage:
        """Rows as they were kept."""
        return self._client.dataset_rows(uid, version, offset, limit, search, problem)

    def dataset_problems(
        self, uid: str, version: int, kind: str, severity: str, offset: int, limit: int
    ) -> ProblemPage:
        """What is wrong with rows."""
        return self._client.dataset_problems(uid, version, kind, severity, offset, limit)

    def dataset_diff(self, uid: str, before: int, after: int, kind: str, offset: int, limit: int) -> VersionDiff:
        """What differs between two versions."""
        return self._client.dataset_diff(uid, before, after, kind, offset, limit)

    def export_dataset(self, uid: str, version: int, rows: int, file: Path, tell: Tell) -> int:
        """Write all rows as JSONL."""
        return write_lines(file, lambda take: self._client.export_dataset(uid, version, take), rows, tell)

    def export_problems(self, uid: str, version: int, kind: str, problems: int, file: Path, tell: Tell) -> int:
        """Write the problems as CSV."""

        def send(take: Callable[[bytes], object]) -> None:
            self._client.export_problems(uid, version, take, kind)

        return write_lines(file, send, problems, tell, exact=False)

    def upload(self, path: Path, progress: Progress) -> UploadView:
        """Send a file of this computer in pieces; goes on where it broke off."""
        return self._client.upload(path, progress)
