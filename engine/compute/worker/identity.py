"""What a run's model and rows are, as fingerprints: a checkpoint is only gone on from with the same ones."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from engine.compute.data.row_set import RowSet
from engine.compute.lora.digests import digest_of
from engine.contract.checkpoints import Identity
from engine.contract.data import DataConfig
from engine.contract.packing import Packing
from engine.contract.paths import expanded

MODEL_FILES = ("*.safetensors", "*.json", "*.model", "*.txt", "*.jinja")
FORM = "scratch.json"
"""In the folder of a model with fresh weights: the form and the seed it was made by."""


def model_fingerprint(folder: Path) -> str:
    """sha256 over the names and contents of a model folder's files; of fresh weights their form and seed suffice."""
    whole = hashlib.sha256()
    patterns = MODEL_FILES[1:] if (folder / FORM).is_file() else MODEL_FILES
    found = {path for pattern in patterns for path in folder.glob(pattern) if path.is_file()}
    for path in sorted(found):
        whole.update(f"{path.name} {digest_of(path)}\n".encode())
    return whole.hexdigest()


def begun_fingerprint(folder: Path, adapter: str) -> str:
    """Of a model, and of the adapter a run goes on with, where there is one."""
    model = model_fingerprint(folder)
    if not adapter:
        return model
    begun = model_fingerprint(expanded(adapter))
    return hashlib.sha256(f"{model} {begun}\n".encode()).hexdigest()


def data_fingerprint(groups: Iterable[tuple[RowSet, float]], data: DataConfig, packing: Packing = "none") -> str:
    """Over the content of the training rows, each source's weight, and how they are put in order."""
    whole = hashlib.sha256()
    if data.order != "shuffled" or data.shuffle_buffer is not None:  # else as it always was: old checkpoints stay good
        whole.update(f"order {data.order} {data.shuffle_buffer}\n".encode())
    if packing != "none":
        whole.update(f"packing {packing}\n".encode())
    for rows, weight in groups:
        for piece in rows.describe(weight):
            whole.update(piece)
    return whole.hexdigest()


def _of_all(folders: Sequence[Path]) -> str:
    return " ".join(map(model_fingerprint, folders))


class IdentityInMaking:
    """Reads a large model's files beside the training that needs the result only at its first checkpoint."""

    def __init__(self, folder: Path, data: str, teacher: Sequence[Path] = (), adapter: str = "") -> None:
        """`teacher`: the folders it consists of; `adapter`: the one the run goes on with."""
        self._data = data
        self._executor = ThreadPoolExecutor(1, "fingerprint")
        self._model: Future[str] = self._executor.submit(begun_fingerprint, folder, adapter)
        self._teacher: Future[str] = self._executor.submit(_of_all, teacher)
        self._executor.shutdown(wait=False)

    @property
    def ready(self) -> bool:
        """Nobody would wait."""
        return self._model.done() and self._teacher.done()

    def result(self) -> Identity:
        """All fingerprints; waits for those that are being made."""
        return Identity(model=self._model.result(), data=self._data, teacher=self._teacher.result())
