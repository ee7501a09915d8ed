"""What an attempt keeps to be looked into: losses of rows at each step, and the manifest once it can be made."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from engine.compute.training.order import epoch_order
from engine.compute.training.precision import device_name
from engine.compute.training.row_losses import RowLosses
from engine.compute.worker import manifest
from engine.compute.worker.boundary import Boundary
from engine.compute.worker.identity import IdentityInMaking
from engine.compute.worker.lessons import Lessons
from engine.compute.worker.materials import Materials
from engine.compute.worker.row_record import RowRecord
from engine.contract.durable import write_json
from engine.contract.reproduction import MANIFEST_FILE

if TYPE_CHECKING:
    from engine.compute.worker.train_job import TrainSession


class Forensics:
    """Called after every step, before what else happens between two: a checkpoint never is ahead of the record."""

    def __init__(
        self,
        session: TrainSession,
        materials: Materials,
        lessons: Lessons,
        identity: IdentityInMaking,
        boundary: Boundary,
        of_tokens: bool,
    ) -> None:
        """`of_tokens`: the loss is a sum over tokens, of which each row has its own."""
        self._session, self._materials, self._lessons = session, materials, lessons
        self._identity, self._boundary = identity, boundary
        outputs, report = session.folder.outputs, session.report
        config, pool = session.job.forensics, lessons.loader.pool
        self._record: RowRecord | None = None
        if config.row_losses and of_tokens:
            self._record = RowRecord(config, pool, outputs, report.rows_saved, lessons.steps)
            boundary.before_save = self._write
        self._told = False

    @property
    def losses(self) -> RowLosses | None:
        """What the trainer fills; None where nothing is kept."""
        return self._record.losses if self._record is not None else None

    def begin(self, step: int) -> None:
        """Training begins, or goes on after this step."""
        if self._record is not None:
            self._record.begin(step)

    def __call__(self, step: int) -> None:
        """A step is over."""
        if self._record is not None:
            self._record.stepped(step)
        self._boundary(step)
        if not self._told and self._identity.ready:
            self._tell()

    def end(self) -> None:
        """Training is over."""
        if self._record is not None:
            self._record.close()
        if not self._told:
            self._tell()

    def _write(self) -> None:
        if self._record is not None:
            self._record.write(sync=True)

    def _tell(self) -> None:
        """The manifest, as a file and as a line."""
        self._told = True
        job, identity, loader = self._session.job, self._identity.result(), self._lessons.loader
        cuda = self._materials.device.type == "cuda"
        found = manifest.of_program(job).model_copy(
            update={
                "threads": torch.get_num_threads(),
                "config": manifest.of_job(job),
                "model": identity.model,
                "data": manifest.of_rows(loader.pool.sources, [loaded.name for loaded in self._materials.train]),
                "rows": identity.data,
                "order": manifest.of_order(epoch_order(loader.groups, loader.pool.lengths, loader.plan, 0)),
                "device": device_name(self._materials.device),
                "driver": manifest.driver() if cuda else "",
                "cuda": str(torch.version.cuda or "") if cuda else "",
                "precision": self._materials.precision.arithmetic,
                "seed": job.training.seed,
            }
        )
        write_json(self._session.folder.outputs / MANIFEST_FILE, found.model_dump(mode="json"))
        self._session.report.manifest(manifest.fits_line(found))
