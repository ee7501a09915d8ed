"""What a run takes of a GPU at the least: weights, adapter, gradients, the optimiser's state, and what CUDA takes.

It is a lower bound on purpose: a GPU with less can certainly not hold it, and no run is kept waiting in error. So
activations are left out (fewer rows at once and checkpointing can make them small), and of a model whose shape is not
known only the weights count, at two bytes a number. Learnt from files, then remembered.
"""

from __future__ import annotations

import contextlib
import json
from functools import lru_cache
from pathlib import Path

from engine.contract.bundled import locate
from engine.contract.compute import Placement
from engine.contract.estimate import CONTEXT_BYTES, estimate
from engine.contract.load import load_of
from engine.contract.model import ModelConfig
from engine.contract.model_cache import Shelf
from engine.contract.model_shape import ModelShape, read_shape
from engine.contract.paths import Home
from engine.contract.run_spec import RunSpec, TrainJob
from engine.contract.sampling import SampleJob
from engine.contract.scratch_shape import shape_of_job
from engine.contract.serving import ServeJob
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
        self._shapes: dict[Model, ModelShape | None] = {}

    def of(self, recipe: str) -> int | None:
        """Bytes of a run, where they are known; `recipe` as the queue has it: parts of the job as JSON."""
        job = _read(recipe)
        if job is None:
            return None
        model = (job.model.hub, job.model.path, job.model.revision)
        shape = _made(recipe) if job.from_scratch else self._shapes.get(model)
        return _least(shape, recipe) if shape is not None else self._known.get(model)

    def shape(self, model: ModelConfig) -> ModelShape | None:
        """Its measures, where its files lie here. Looks at files: call it on a thread."""
        key = (model.hub, model.path, model.revision)
        if self._shapes.get(key) is None:
            with contextlib.suppress(OSError, ValueError, KeyError):
                folder = locate(model) or self._fetched(model)
                self._shapes[key] = read_shape(folder) if folder is not None else None
        return self._shapes.get(key)

    def learn(self, spec: RunSpec) -> None:
        """Look at the model of a run that is to start."""
        if not isinstance(spec.job, TrainJob | SampleJob | ServeJob):
            return
        model = spec.job.model
        self.shape(model)
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


def recipe_of(spec: RunSpec) -> str:
    """What of an order decides its need."""
    job = spec.job
    if isinstance(job, SampleJob | ServeJob):
        # the model alone: an adapter is close to its needs
        return json.dumps([job.model.model_dump(mode="json"), None, None, None, spec.compute.model_dump(mode="json")])
    if not isinstance(job, TrainJob):
        return ""
    parts = (job.model, job.tuner, job.training, job.scratch, spec.compute)
    return json.dumps([part.model_dump(mode="json") for part in parts])


@lru_cache(2000)
def _read(recipe: str) -> TrainJob | None:
    try:
        model, tuner, training, scratch, _place = json.loads(recipe)
        found = {"model": model, "tuner": tuner, "training": training}
        parts = {name: part for name, part in found.items() if part is not None}
        parts["scratch"] = scratch or {}  # an order from before there was such a group has none
        return TrainJob.model_validate({**parts, "data": {"train": [{"path": "-"}]}})
    except (ValueError, TypeError):  # a job of another kind
        return None


@lru_cache(2000)
def _made(recipe: str) -> ModelShape | None:
    """Of a model from scratch, where no file has to be read for its vocabulary."""
    job = _read(recipe)
    return shape_of_job(job) if job is not None and job.scratch.tokenizer == "trained" else None


@lru_cache(2000)
def _least(shape: ModelShape, recipe: str) -> int | None:
    job = _read(recipe)
    if job is None:
        return None
    place = Placement.model_validate(json.loads(recipe)[-1] or {})
    parts = estimate(shape, load_of(job, "cuda", width=1, place=place)).parts
    return sum(parts[part] for part in ("weights", "adapter", "gradients", "optimiser")) + CONTEXT_BYTES


def _number_form(file: Path) -> str:
    """The form of the numbers of a file's first tensor."""
    with file.open("rb") as content:
        length = int.from_bytes(content.read(8), "little")
        if not 0 < length <= HEADER_BYTES:
            return ""
        header = json.loads(content.read(length))
    return next((str(entry["dtype"]) for name, entry in header.items() if name != "__metadata__"), "")
