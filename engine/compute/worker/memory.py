"""What memory the run will take and took: reckoned, measured on its longest batch, looked up when training is over."""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path
from typing import Any, Literal

import psutil
import torch

from engine.compute.training import probe
from engine.compute.training.optimizers import eight_bit_here
from engine.compute.training.trainer import ForgeTrainer
from engine.compute.worker.reporter import Reporter
from engine.contract.calibration import Calibration
from engine.contract.compute import Placement
from engine.contract.estimate import estimate, factor_of
from engine.contract.load import Load, load_of
from engine.contract.model_shape import ModelShape, read_shape
from engine.contract.run_spec import TrainJob
from engine.contract.stages import stage_of

STATUS, FORGET = Path("/proc/self/status"), Path("/proc/self/clear_refs")

SAFE = 0.5
"""Of the memory there is: what is forecast below it is not measured before the first step, but by one that trains."""


class MemoryBook:
    """Of one attempt's training."""

    def __init__(
        self,
        job: TrainJob,
        folder: Path,
        report: Reporter,
        known: Calibration | None,
        place: Placement = Placement(),
    ) -> None:
        self._place = place
        self._job, self._report = job, report
        self._known = known or Calibration()
        self._shape = read_shape(folder)
        self._began, self._tokens, self._step = 0.0, 0, 0
        self._look: probe.StepLook | None = None
        self.trainer: ForgeTrainer

    def begin(self, model: Any) -> None:
        """Everything stands, no step is done yet: say what is to be expected, and measure it."""
        trainer, device = self.trainer, self._device()
        if trainer.state.global_step < trainer.args.max_steps:
            self._expect(model, device)
        forget_peak(device)
        self._began, self._tokens, self._step = time.monotonic(), trainer.loader.tokens, trainer.state.global_step

    def _expect(self, model: Any, device: Literal["cpu", "cuda"]) -> None:
        shape = self._shape
        if shape is None:
            return
        members = self.trainer.members
        longest = probe.longest_batch(self.trainer.loader, self.trainer.objective, members.count if members else 1)
        width = min(longest.width, self._job.data.max_length)
        load = self._load(device, width, longest)
        zero = self.trainer.zero
        held = probe.tensor_bytes(model) + (zero.held_bytes if zero is not None else 0)
        process = max(0, resident() - held) if device == "cpu" else 0
        found = estimate(shape, load, self._known)
        content: dict[str, Any] = {
            "device": device, "parts": dict(found.parts), "total": found.total, "tensors": found.tensors,
            "rows": load.rows, "width": width, "trained": longest.trained, "process": process,
            "shape": shape.model_dump(mode="json"), "beside": load.beside,
            "optimizers": eight_bit_here(self._job.training.optimizer, self.trainer.args.device),
        }  # fmt: skip
        self._report.memory_forecast(**content)  # before the probe, which may be where memory runs out
        when = self._job.training.memory_probe
        if when == "never" or (members and members.shards):  # all would have to pass through
            return
        if when == "always" or self._job.training.compile or found.total > SAFE * probe.room(device):
            self._report.memory_forecast(**content, **self._measured(model, shape, load, longest, device))
        else:
            self.trainer.look = self._look = probe.StepLook(
                self.trainer, partial(self._seen, content, shape, load, device)
            )

    def _load(self, device: Literal["cpu", "cuda"], width: int, longest: probe.LongestBatch) -> Load:
        """As the estimate knows it, with the formats that were really chosen."""
        load = load_of(self._job, device, width, longest.trained, place=self._place)
        args, weights = self.trainer.args, next(iter(self.trainer.model.parameters())).dtype
        held = {torch.float32: "fp32", torch.bfloat16: "bf16", torch.float16: "fp16"}.get(weights, "fp32")
        arithmetic = "bf16" if args.bf16 else "fp16" if args.fp16 else "fp32"
        parts = self._job.training.micro_batch_parts
        most = -(-longest.rows // parts)  # texts: of a stage with negatives only its rows tell how many
        rows = most if stage_of(self._job.stage).head else min(load.rows, most)
        beside = self.trainer.objective.beside_bytes
        found = {"arithmetic": arithmetic, "weights": held, "rows": rows, "width": width, "beside": beside}
        return load.model_copy(update=found)

    def _measured(
        self,
        model: Any,
        shape: ModelShape,
        load: Load,
        longest: probe.LongestBatch,
        device: Literal["cpu", "cuda"],
    ) -> dict[str, Any]:
        """On a processor the process itself is looked at as well: what its allocator holds is not to be reckoned."""
        forget_peak(device)
        tensors = probe.measure(self.trainer, model, longest) + self.trainer.objective.held_bytes
        found = estimate(shape, load, Calibration(factor=factor_of(shape, load, tensors)))
        there = probe.optimiser_bytes(self.trainer)
        state = max(there, found.parts["optimiser"])
        corrected = peak("cpu") + state - there if device == "cpu" else found.total
        factor = round(factor_of(shape, load, tensors), 4)
        return {"measured": tensors + state, "factor": factor, "corrected": corrected}

    def _seen(
        self,
        content: dict[str, Any],
        shape: ModelShape,
        longest: Load,
        device: Literal["cpu", "cuda"],
        batch: probe.LongestBatch,
        tensors: int,
    ) -> None:
        """What a batch took that was trained: the longest one, or one that tells what the longest will take."""
        width = min(batch.width, self._job.data.max_length)
        load = self._load(device, width, batch)
        factor = round(factor_of(shape, load, tensors + self.trainer.objective.held_bytes), 4)
        found = estimate(shape, longest, self._known.model_copy(update={"factor": factor}))
        there = probe.optimiser_bytes(self.trainer)
        state = max(there, found.parts["optimiser"])
        measured = found.tensors - found.parts["optimiser"] + state
        whole = load.rows * width >= longest.rows * longest.width
        corrected = peak("cpu") + state - there if device == "cpu" and whole else found.total
        self._report.memory_forecast(**content, measured=measured, factor=factor, corrected=corrected)

    def end(self) -> None:
        """Training is over."""
        if not self._began:
            return
        device, before = self._device(), self._look.most if self._look else 0
        self._report.memory(
            device=device, peak=max(before, peak(device)), steps=self.trainer.state.global_step - self._step,
            seconds=time.monotonic() - self._began, tokens=self.trainer.loader.tokens - self._tokens,
        )  # fmt: skip

    def _device(self) -> Literal["cpu", "cuda"]:
        return "cuda" if self.trainer.args.device.type == "cuda" else "cpu"


def resident() -> int:
    """Bytes of this process now."""
    return int(psutil.Process().memory_info().rss)


def forget_peak(device: str) -> None:
    """Look for the peak anew from here."""
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
        return
    try:
        FORGET.write_text("5")
    except OSError:  # another system: the peak is that of the whole process then
        return


def peak(device: str) -> int:
    """The most there was since: of tensors on a GPU, of this process on a processor."""
    if device == "cuda":
        return int(torch.cuda.max_memory_allocated())
    try:
        lines = STATUS.read_text().splitlines()
        return next(int(line.split()[1]) << 10 for line in lines if line.startswith("VmHWM:"))
    except (OSError, StopIteration):
        return resident()
