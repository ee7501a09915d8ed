"""Writes the losses of rows into files beside the journal: appended while training, told when a file is finished."""

from __future__ import annotations

import hashlib
import logging
import math
import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import BinaryIO

import numpy as np

from engine.compute.data.pool import RowPool
from engine.compute.training import packs
from engine.compute.training.batches import IGNORED, PLACES, Batch
from engine.compute.training.row_losses import RowLosses
from engine.compute.worker.failures import is_disk_full
from engine.contract.durable import sync_folder
from engine.contract.forensics import ForensicsConfig
from engine.contract.row_losses import FOLDER, LOSS, LOSSES, PART_BYTES, ROW, ROWS, SUFFIX, block, packed_hash

log = logging.getLogger("worker")
HELD_STEPS, HELD_SECONDS = 64, 1.0
"""After so many steps, or so long, what has gathered is written."""
HELD_SHARE = 32
"""Or so large a part of the room that is left."""
Saved = Callable[..., None]


class RowRecord:
    """The files of one attempt. What cannot be written stops the record, never the training."""

    def __init__(
        self,
        config: ForensicsConfig,
        pool: RowPool,
        outputs: Path,
        saved: Saved,
        steps: int = 0,
        part_bytes: int = PART_BYTES,
    ) -> None:
        self.losses = RowLosses()
        self._config, self._pool, self._saved, self._part_bytes = config, pool, saved, part_bytes
        self._folder, self._steps = outputs / FOLDER, steps
        self._known = np.zeros(0, dtype=bool)
        self._every = config.every_steps
        self._room = config.most_megabytes * 1_000_000
        self._file: BinaryIO | None = None
        self._digest = hashlib.sha256()
        self._part = self._size = self._records = 0
        self._span: tuple[int, int] | None = None
        self._on = config.row_losses
        self._written_at = time.monotonic()
        self.losses.wanted = self._on and self._every == 1

    def begin(self, step: int) -> None:
        """The step after this one is the first."""
        self._choose(step)

    def stepped(self, step: int) -> None:
        """A step is over."""
        self.losses.stepped(step)
        self._choose(step)
        held = self.losses.steps
        much = held >= HELD_STEPS or self.losses.held * LOSS.itemsize > self._room / HELD_SHARE
        if much or (held and time.monotonic() - self._written_at >= HELD_SECONDS):
            self.write()

    def write(self, sync: bool = False) -> None:
        """Append what has gathered; with `sync` it is on the disk afterwards."""
        self._written_at = time.monotonic()
        if not self._on:
            return
        batches = self.losses.batches
        try:
            records = self.losses.collect()
            if len(records):
                self._append(self._new_rows(batches), records)
            if sync and self._file is not None:
                os.fsync(self._file.fileno())
        except OSError as error:
            self._give_up(error)

    def close(self) -> None:
        """Training is over: the last file is finished, too."""
        self.write()
        try:
            self._finish()
        except OSError as error:
            self._give_up(error)

    def _choose(self, step: int) -> None:
        self.losses.wanted = self._on and (step + 1) % self._every == 0

    def _append(self, rows: np.ndarray, records: np.ndarray) -> None:
        data = (block(ROWS, rows) if len(rows) else b"") + block(LOSSES, records)
        if len(data) > self._room:
            self._on = False
            self._finish()
            return
        if self._file is None:
            self._begin_part()
        assert self._file is not None
        self._file.write(data)
        self._file.flush()
        self._digest.update(data)
        self._size += len(data)
        self._records += len(records)
        first = self._span[0] if self._span is not None else int(records["step"].min())
        self._span = (first, int(records["step"].max()))
        self._room -= len(data)
        self._thin_out(len(data) / len(np.unique(records["step"])), int(records["step"].max()))
        if self._size >= self._part_bytes:
            self._finish()

    def _thin_out(self, size: float, step: int) -> None:
        """Leave steps out, so that what is left of the room reaches to the end; `size`: bytes of a step."""
        left = max(0, self._steps - step) * size
        if left > self._every * self._room and self._room > 0:
            self._every = math.ceil(left / self._room)

    def _begin_part(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        self._part += 1
        self._file = (self._folder / f"{self._part:06d}{SUFFIX}").open("wb")
        self._digest, self._size, self._records, self._span = hashlib.sha256(), 0, 0, None

    def _finish(self) -> None:
        """The file is whole and durable before the journal names it."""
        if self._file is None:
            return
        file, self._file = self._file, None
        os.fsync(file.fileno())
        file.close()
        sync_folder(self._folder)
        first, last = self._span or (0, 0)
        path = f"{self._folder.parent.name}/{FOLDER}/{self._part:06d}{SUFFIX}"
        self._saved(
            path=path, first_step=first, last_step=last, records=self._records, bytes=self._size,
            sha256=self._digest.hexdigest(),
        )  # fmt: skip

    def _give_up(self, error: OSError) -> None:
        """Losses of rows are not worth a run."""
        if not is_disk_full(error):
            log.warning("The losses of rows are not kept any more: %s", error)
        self._on = self.losses.wanted = False
        if self._file is not None:
            self._file.close()
            self._file = None

    def _new_rows(self, batches: Iterable[Batch]) -> np.ndarray:
        """Which rows those are of which nothing was told yet."""
        made = []
        for batch in batches:
            places = batch[PLACES].numpy()
            if int(places.max()) >= len(self._known):
                self._known = np.concatenate([self._known, np.zeros(int(places.max()) + 1, dtype=bool)])
            for at in np.flatnonzero(~self._known[places]):
                if not self._known[places[at]]:
                    self._known[places[at]] = True
                    made.append(self._described(int(places[at]), *_row(batch, int(at))))
        return np.array(made, dtype=ROW) if made else np.empty(0, ROW)

    def _described(self, place: int, ids: np.ndarray, labels: np.ndarray) -> tuple[object, ...]:
        origin = self._pool.origin(place)
        learned = np.flatnonzero(labels != IGNORED)
        first = int(learned[0]) if len(learned) else 0
        answer = labels[first:]
        end = np.flatnonzero(answer == IGNORED)
        answer = answer[: end[0]] if len(end) else answer
        prompt = _digest(ids[:first]) if first > 1 else 0
        stored = packed_hash(origin.fingerprint)
        return (place, origin.source, origin.line, len(learned), prompt, _digest(answer), stored)


def _row(batch: Batch, at: int) -> tuple[np.ndarray, np.ndarray]:
    """Tokens and labels of a row of a batch."""
    if packs.FIRSTS in batch:
        return packs.row_of(batch, at)
    return batch["input_ids"][at].numpy(), batch["labels"][at].numpy()


def _digest(ids: np.ndarray) -> int:
    """A number for some tokens, never 0."""
    made = hashlib.blake2b(np.ascontiguousarray(ids, dtype="<i4").tobytes(), digest_size=8).digest()
    return int.from_bytes(made, "little") or 1
