"""Training one cell of the matrix and looking at what came of it."""

from __future__ import annotations

import atexit
import functools
import hashlib
import json
import math
import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from engine.compute.inference.base import load_tokenizer
from engine.compute.inference.fresh import fresh_model
from engine.compute.training.beginnings import begin_again
from engine.compute.training.checkpoint import load_weights
from engine.compute.worker.commands import StopFlag
from engine.compute.worker.materials import gather
from engine.compute.worker.session import run_attempt
from engine.contract.events import journal_line
from engine.contract.paths import resources_folder
from engine.contract.run_spec import RunSpec, TrainJob
from engine.contract.stages import STAGES
from engine.contract.tuners import SPLITTING, TUNERS
from tests.matrix.cells import Cell, rows_of

STEPS, HALF = 20, 10
MODEL = resources_folder() / "demo" / "model"


@dataclass
class Found:
    """What one cell showed; a `check` is empty where it holds, else it says what was seen."""

    cell: Cell
    checks: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    first: float = math.nan
    last: float = math.nan

    @property
    def holds(self) -> bool:
        """All of it."""
        return not any(self.checks.values())


class Silent:
    """A report nobody reads: what is loaded here was told of by the run itself."""

    def note(self, *_said: object, **_params: object) -> None:
        """Nothing."""


@functools.cache
def teacher() -> Path:
    """A folder with a model of the same vocabulary that says other things; it goes with the process."""
    folder = Path(tempfile.mkdtemp(prefix="matrix-teacher-"))
    atexit.register(shutil.rmtree, folder, True)
    shutil.copytree(MODEL, folder, dirs_exist_ok=True)
    weights, chance = load_file(folder / "model.safetensors"), torch.Generator().manual_seed(7)
    other = {name: one + 0.02 * torch.randn(one.shape, generator=chance) for name, one in weights.items()}
    save_file(other, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


def job_of(cell: Cell) -> dict[str, Any]:
    """The config of its run, as an order holds it."""
    data = rows_of(STAGES[cell.stage])
    return {
        "kind": "train", "stage": cell.stage, "model": {"path": "demo", "hub": "bundled"},
        "data": {"train": [{"path": data, "hub": "bundled"}], "max_length": 128},
        "tuner": cell.tuner_settings,
        "training": {
            "max_steps": STEPS, "micro_batch_size": 4, "learning_rate": 1e-3, "precision": "fp32",
            "memory_probe": False,
        },
        "checkpoints": {"every_minutes": None, "every_steps": HALF, "keep_last": 10},
        "evaluation": {"before": False, "data": []},
        **({"teacher": {"path": str(teacher())}} if STAGES[cell.stage].teacher else {}),
        **cell.settings,
    }  # fmt: skip


def train(folder: Path, cell: Cell, resume: Path | None = None) -> list[Any]:
    """One attempt in this process, from the middle of another if one is named; its journal."""
    number = 2 if resume is not None else 1
    attempt = folder / "attempts" / str(number)
    attempt.mkdir(parents=True)
    order: dict[str, Any] = {
        "protocol": 1, "run": "matrix", "attempt": number, "lease": f"l{number}",
        "spec": {"name": cell.name, "job": job_of(cell)},
    }  # fmt: skip
    if resume is not None:
        order |= {
            "resume_required": True,
            "resume": [{"attempt": 1, "step": HALF, "path": f"checkpoints/{resume.name}"}],
        }
    (attempt / "order.json").write_text(json.dumps(order), encoding="utf-8")
    run_attempt(attempt, StopFlag())
    return [journal_line.validate_json(line) for line in (attempt / "journal.jsonl").read_bytes().splitlines()]


def curve(journal: list[Any]) -> dict[int, float]:
    """The loss of each step."""
    return {line.step: line.values["loss"] for line in journal if line.kind == "step"}


def outputs_of(folder: Path, cell: Cell, attempt: int) -> Path:
    """The adapter or the model an attempt left."""
    return folder / "attempts" / str(attempt) / "outputs" / ("model" if TUNERS[cell.tuner].whole_model else "adapter")


def weights_in(folder: Path) -> str:
    """One fingerprint of all weights of a result."""
    whole = hashlib.sha256()
    for file in sorted(folder.rglob("*.safetensors")):
        whole.update(file.read_bytes())
    return whole.hexdigest()


def fresh(cell: Cell, **tuner: Any) -> Any:
    """The model as it is before its first step."""
    job = job_of(cell)
    spec = RunSpec.model_validate({"name": "fresh", "job": {**job, "tuner": {**job["tuner"], **tuner}}})
    assert isinstance(spec.job, TrainJob)
    if spec.job.from_scratch:
        return fresh_model(spec.job.scratch, load_tokenizer(MODEL), spec.job.training.seed)
    torch.manual_seed(spec.job.training.seed)
    return gather(spec, spec.job, MODEL, Silent(), lambda: None).model  # type: ignore[arg-type]


def begun(cell: Cell, checkpoint: Path) -> Any:
    """The same, with the beginning that a checkpoint tells of."""
    job = RunSpec.model_validate({"name": "begun", "job": job_of(cell)}).job
    assert isinstance(job, TrainJob)
    return begin_again(fresh(cell), job.tuner, checkpoint).model


def answers(model: Any) -> torch.Tensor:
    """What it gives for the same tokens."""
    model.eval()
    ids = torch.arange(40, 80).reshape(2, 20)
    with torch.no_grad():
        given = model(input_ids=ids, attention_mask=torch.ones_like(ids))
    return torch.as_tensor(given[0] if not hasattr(given, "logits") else given.logits)


def reloaded(cell: Cell, folder: Path) -> Any:
    """The result as transformers and peft read it."""
    if TUNERS[cell.tuner].whole_model:
        return type(fresh(cell)).from_pretrained(folder)
    from peft import PeftModel

    # One that takes its beginning out of the base model leaves an adapter for the base as it was.
    made = fresh(cell, init="default")
    base = made.get_base_model() if TUNERS[cell.tuner].virtual else made.unload()
    return PeftModel.from_pretrained(base, str(folder))


def trained_shapes(model: Any) -> dict[str, tuple[Any, ...]]:
    """What learns, by name: shape and sum."""
    return {
        name: (tuple(weight.shape), round(float(weight.detach().double().sum()), 6))
        for name, weight in model.named_parameters()
        if weight.requires_grad
    }


def look(cell: Cell, folder: Path) -> Found:
    """Train, go on from the middle, reload, begin otherwise: everything that is asked of a cell."""
    found, began = Found(cell), time.monotonic()
    try:
        _look(cell, folder, found)
    except Exception as error:  # noqa: BLE001 - the others are tried, and the table says what happened
        found.checks["ran"] = f"{type(error).__name__}: {error}"
    found.seconds = time.monotonic() - began
    return found


def _look(cell: Cell, folder: Path, found: Found) -> None:
    journal = train(folder, cell)
    end, losses = next(line for line in reversed(journal) if line.kind == "ended"), curve(journal)
    if end.state != "completed":
        found.checks["trained"] = str(end.error.code if end.error else end.state)
        return
    found.first, found.last = losses[min(losses)], losses[max(losses)]
    finite = len(losses) == STEPS and all(math.isfinite(loss) for loss in losses.values())
    _note(found, "trained", finite, lambda: f"{len(losses)} steps")
    whole = outputs_of(folder, cell, 1)
    last = folder / "checkpoints" / f"a1-s{STEPS}"
    state = begun(cell, last)
    base = answers(state)
    load_weights(state, last)
    trained = answers(state)
    apart = (trained - base).abs().max().item()
    _note(found, "learned", apart > 1e-5, lambda: f"answers differ by {apart:.1e} from the base's")
    again = (answers(reloaded(cell, whole)) - trained).abs().max().item()
    _note(found, "reloads", again <= exactness(cell), lambda: f"answers differ by {again:.1e} after reloading")
    second = curve(train(folder, cell, folder / "checkpoints" / f"a1-s{HALF}"))
    parted = [step for step in second if second[step] != losses.get(step)]
    same = len(second) == STEPS - HALF and not parted and weights_in(outputs_of(folder, cell, 2)) == weights_in(whole)
    _note(found, "resumes", same, lambda: f"apart from step {min(parted)}" if parted else "other weights at the end")
    if cell.other_beginning is not None:
        one, other = trained_shapes(begun(cell, last)), trained_shapes(fresh(cell, **cell.other_beginning))
        _note(found, "setting", one != other, lambda: "another rank or init changes nothing that is trained")


def exactness(cell: Cell) -> float:
    """How far answers may be apart after reloading: not at all, but for three reasons."""
    if cell.tuner == "qlora":
        return 0.1  # without gradients bitsandbytes multiplies in bf16 on this processor
    if cell.tuner == "adalora":
        return 1e-4  # ranks that are masked are left out of the sums
    return 1e-4 if cell.init in SPLITTING else 0.0  # the adapter is reckoned back to the base as it was


def _note(found: Found, check: str, holds: bool, said: Callable[[], str]) -> None:
    found.checks[check] = "" if holds else said()
