"""What a model takes at the least: the bytes of its weights at two a number. Learnt from files, then remembered.

It is a lower bound on purpose: a GPU with less can certainly not hold it, and no run is kept waiting in error.
"""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

from engine.contract.bundled import locate
from engine.contract.model import ModelConfig
from engine.contract.model_cache import Shelf
from engine.contract.paths import Home
from engine.contract.run_spec import RunSpec, TrainJob
from engine.control.jobs.queue import Model

BYTES = {"F64": 8, "F32": 4}
"""Of a number in a file; all others are taken as they are."""
HELD = 2
HEADER_BYTES = 64 << 20


class Needs:
    """What models need. `learn` looks at files: call it on a thread; `of` only remembers."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self._known: dict[Model, int | None] = {}

    def of(self, model: Model) -> int | None:
        """Bytes, where they are known."""
        return self._known.get(model)

    def learn(self, spec: RunSpec) -> None:
        """Look at the model of a run that is to start."""
        if not isinstance(spec.job, TrainJob):
            return
        model = spec.job.model
        with contextlib.suppress(OSError, ValueError, KeyError):  # unknown, then
            self._known[model.hub, model.path, model.revision] = self._least(model)

    def _least(self, model: ModelConfig) -> int | None:
        folder = locate(model) or self._fetched(model)
        files = sorted(folder.glob("*.safetensors")) if folder is not None and folder.is_dir() else []
        if not files:
            return None
        size = sum(file.stat().st_size for file in files)
        return size * HELD // BYTES.get(_number_form(files[0]), HELD)

    def _fetched(self, model: ModelConfig) -> Path | None:
        shelf = Shelf.of(self._home, model.hub, model.path)
        commit = shelf.refs().get(model.revision or "main") or model.revision
        return shelf.folder(commit) if commit else None


def _number_form(file: Path) -> str:
    """The form of the numbers of a file's first tensor."""
    with file.open("rb") as content:
        length = int.from_bytes(content.read(8), "little")
        if not 0 < length <= HEADER_BYTES:
            return ""
        header = json.loads(content.read(length))
    return next((str(entry["dtype"]) for name, entry in header.items() if name != "__metadata__"), "")
