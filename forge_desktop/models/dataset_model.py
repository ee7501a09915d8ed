"""One dataset as its page shows it: versions, what the chosen one says of itself, who learned from it, repairs."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from PySide6.QtCore import QObject, Signal, Slot

from engine.contract.api import RunSummary
from engine.contract.datasets import (
    DatasetDetail,
    DatasetView,
    ImportJob,
    ImportSource,
    Manifest,
    Repair,
    VersionView,
)
from engine.contract.errors import ErrorBody
from engine.contract.run_spec import RunSpec
from forge_desktop.bridge.session import Session
from forge_desktop.theme.language import tr


class DatasetModel(QObject):
    """Asks when it is opened, when another version is chosen, and when the dataset changed."""

    loaded = Signal()
    failed = Signal(object)
    """ErrorBody."""
    gone = Signal()
    """It was deleted."""

    def __init__(self, session: Session, uid: str, parent: QObject | None = None, version: int | None = None) -> None:
        super().__init__(parent)
        self._session = session
        self.uid = uid
        self.detail: DatasetDetail | None = None
        self._wanted = version
        self._asked = 0
        session.dataset_changed.connect(self._changed)
        session.dataset_removed.connect(self._removed)
        session.online.connect(self.fetch)
        self.fetch()

    @property
    def manifest(self) -> Manifest | None:
        """Of the chosen version."""
        return self.detail.manifest if self.detail else None

    @property
    def version(self) -> VersionView | None:
        """The one that is chosen: the newest unless somebody chose."""
        if self.detail is None or not self.detail.versions:
            return None
        return next((one for one in self.detail.versions if one.n == self._wanted), self.detail.versions[0])

    @Slot()
    def fetch(self) -> None:
        """Ask again."""
        self._asked += 1
        number, wanted = self._asked, self._wanted
        self._session.ask(
            lambda backend: backend.dataset(self.uid, wanted),
            lambda found: self._got(number, found),
            lambda error: self.failed.emit(error) if number == self._asked else None,
            owner=self,
        )

    def choose(self, version: int) -> None:
        """Show another version."""
        self._wanted = version
        self.fetch()

    def _got(self, number: int, found: DatasetDetail) -> None:
        if number == self._asked:
            self.detail = found
            self.loaded.emit()

    @Slot(object)
    def _changed(self, view: DatasetView) -> None:
        if view.uid == self.uid:
            self.fetch()

    @Slot(str)
    def _removed(self, uid: str) -> None:
        if uid == self.uid:
            self.gone.emit()

    def repair(
        self, repairs: Sequence[Repair], done: Callable[[RunSummary], object], failed: Callable[[ErrorBody], object]
    ) -> None:
        """Make another version, without what is wrong with this one; an import of its own does it."""
        version, manifest = self.version, self.manifest
        if version is None or manifest is None or self.detail is None:
            return
        name = self.detail.dataset.name
        source = ImportSource(kind="version", place=version.hash)
        job = ImportJob(dataset=name, source=source, format=manifest.format, mapping=manifest.mapping,
                        repairs=list(repairs))  # fmt: skip
        spec = RunSpec(name=tr("Repair {name}", name=name)[:120], job=job)
        self._session.ask(lambda backend: backend.create(spec, True), done, failed, owner=self)

    def delete_version(self, version: int, failed: Callable[[ErrorBody], object]) -> None:
        """Delete one version."""
        self._session.ask(
            lambda backend: backend.delete_dataset(self.uid, version), lambda _: self.fetch(), failed, owner=self
        )
