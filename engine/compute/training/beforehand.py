"""What the reference makes of every row, asked once before the first step: no second model, and a pass less a batch.

It is asked as a stage asks it in its steps, batch by batch, and kept by row. The figures differ from those of another
batch in their last bits only.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.numpy import load, save

from engine.compute.data.pool import RowPool
from engine.compute.training.batches import REFERENCE, Batch, BatchLoader
from engine.compute.training.preferences import Direct
from engine.compute.training.reference import Reference
from engine.contract.durable import write_durably

KEY, ROWS, MEASURED = "key", "rows", "measured"


class Compared(Sequence[Batch]):
    """Validation batches with what the reference makes of them."""

    def __init__(self, inner: Sequence[Batch], found: Sequence[torch.Tensor]) -> None:
        self._inner, self._found = inner, found

    def __len__(self) -> int:
        return len(self._inner)

    def __getitem__(self, at: Any) -> Any:
        if isinstance(at, slice):
            return [self[place] for place in range(*at.indices(len(self)))]
        return {**self._inner[at], REFERENCE: self._found[at]}


class Beforehand:
    """Asks, keeps, and reads what was kept of the same rows and the same model."""

    def __init__(
        self, objective: Direct, model: Any, switches_off: bool, device: torch.device, tell: Callable[[float], None]
    ) -> None:
        """`switches_off`: the reference is the model without its adapter, else the model as it is now."""
        self._objective, self._model, self._device, self._tell = objective, model, device, tell
        self._switched = Reference(model, keeps_copy=False) if switches_off else None
        self._selective = objective.selects(model)

    def obtain(self, file: Path, key: str, loader: BatchLoader, validation: Sequence[Batch]) -> Sequence[Batch]:
        """Give the rows what the reference makes of them; the validation batches with the same."""
        whole = hashlib.sha256(key.encode())
        for batch in validation:
            whole.update(batch["input_ids"].numpy().tobytes() + batch["labels"].numpy().tobytes())
        key = whole.hexdigest()
        kept = self._read(file, key, len(loader.pool), len(validation))
        if kept is None:
            rows = self._of_rows(loader)
            measured = [self._asked(batch) for batch in validation]
            kept = rows, measured
            lengths = np.array([len(one) for one in measured], dtype=np.int64)
            flat = np.concatenate([*measured, np.zeros(0, np.float32)]).astype(np.float32)
            marks = np.frombuffer(key.encode(), dtype=np.uint8)
            write_durably(file, save({KEY: marks, ROWS: rows, MEASURED: flat, "lengths": lengths}))
        rows, measured = kept
        loader.pool.references = rows
        return Compared(validation, [torch.from_numpy(one) for one in measured])

    def _read(self, file: Path, key: str, rows: int, batches: int) -> tuple[np.ndarray, list[np.ndarray]] | None:
        """What an earlier attempt kept, where it belongs to these rows and this model."""
        try:
            found = load(file.read_bytes())
        except (OSError, SafetensorError, ValueError):
            return None
        fits = {KEY, ROWS, MEASURED, "lengths"} <= found.keys() and found[KEY].tobytes() == key.encode()
        if not fits or found[ROWS].shape != (rows, 2) or len(found["lengths"]) != batches:
            return None
        ends = np.cumsum(found["lengths"])
        return found[ROWS], [part.copy() for part in np.split(found[MEASURED], ends[:-1])] if batches else []

    def _of_rows(self, loader: BatchLoader) -> np.ndarray:
        """Of each row of the pool the better and the worse answer; rows of like length are asked together."""
        pool = loader.pool
        found = np.zeros((len(pool), 2), dtype=np.float32)
        for chosen in _alike(pool, loader.size):
            rows = pool.rows(chosen)
            taught = [(place, row) for place, row in zip(chosen, rows, strict=True) if row.trained_tokens]
            if taught:
                values = self._asked(loader.together([row for _place, row in taught]))
                better, worse = np.split(values, 2)
                places = [place for place, _row in taught]
                found[places, 0], found[places, 1] = better, worse
            self._tell(min(1.0, (self._done + len(chosen)) / max(1, len(pool))))
            self._done += len(chosen)
        return found

    _done = 0

    def _asked(self, batch: Batch) -> np.ndarray:
        """Of each row of tokens what its answer's tokens come to."""
        there = {name: value.to(self._device) for name, value in batch.items() if isinstance(value, torch.Tensor)}

        def ask(model: Any) -> torch.Tensor:
            return self._objective.answer_likelihoods(model, there, self._selective)

        was_training = self._model.training
        self._model.eval()
        try:
            with torch.no_grad():
                found = self._switched(self._model, ask) if self._switched is not None else ask(self._model)
        finally:
            self._model.train(was_training)
        made: np.ndarray = found.float().cpu().numpy()
        return made


def _alike(pool: RowPool, size: int) -> Iterator[list[int]]:
    order = np.argsort(-pool.lengths, kind="stable").tolist()
    yield from (order[at : at + size] for at in range(0, len(order), size))
