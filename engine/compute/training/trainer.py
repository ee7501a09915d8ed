"""The training loop: transformers' Trainer with our own batches, loss and reports."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import PrinterCallback, Trainer, TrainingArguments

from engine.compute.training.batches import Batch, BatchLoader
from engine.compute.training.callbacks import Pace, StopWatch, Watch
from engine.compute.training.checkpoint import CHANCE, Chance, load_optimiser, load_progress, load_weights
from engine.compute.training.loss import keeps_selected_logits, next_token_targets, summed_loss
from engine.compute.training.precision import Precision
from engine.contract.errors import UserError
from engine.contract.training import TrainingConfig


@dataclass(frozen=True)
class Outcome:
    """How far training came."""

    steps: int
    finished: bool
    """All planned steps were done."""


def planned_steps(config: TrainingConfig, batches: int) -> int:
    """Optimiser steps of the whole run."""
    if config.max_steps is not None:
        return config.max_steps
    return math.ceil(config.epochs * steps_per_epoch(config, batches))


def steps_per_epoch(config: TrainingConfig, batches: int) -> int:
    """Optimiser steps of one pass over the rows; the last may gather fewer micro batches."""
    return max(1, math.ceil(batches / config.accumulation))


def arguments(
    config: TrainingConfig, steps: int, precision: Precision, device: torch.device, folder: Path, validates: bool
) -> TrainingArguments:
    """The recipe in transformers' words. Saving is ours, never the trainer's."""
    return TrainingArguments(
        output_dir=str(folder),
        max_steps=steps,
        per_device_train_batch_size=config.micro_batch_size,
        gradient_accumulation_steps=config.accumulation,
        learning_rate=config.learning_rate,
        lr_scheduler_type=config.schedule if config.schedule != "constant" else "constant_with_warmup",
        warmup_steps=warmup_steps(config, steps),
        weight_decay=config.weight_decay,
        max_grad_norm=config.max_grad_norm,
        bf16=precision.arithmetic == "bf16",
        fp16=precision.arithmetic == "fp16",
        activation_checkpointing=config.gradient_checkpointing,
        activation_checkpointing_kwargs={"use_reentrant": False},
        seed=config.seed,
        logging_strategy="steps",
        logging_steps=config.log_every,
        logging_nan_inf_filter=False,
        eval_strategy="steps" if validates else "no",
        eval_steps=(config.validate_every or steps) if validates else None,
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
        use_cpu=device.type == "cpu",
        use_cache=True,
        dataloader_pin_memory=False,
        remove_unused_columns=False,
        log_level="error",
    )


def warmup_steps(config: TrainingConfig, steps: int) -> int:
    """Steps over which the learning rate rises."""
    return math.ceil(config.warmup_share * steps)


class ForgeTrainer(Trainer):  # type: ignore[misc]
    """Trainer that takes its batches from a BatchLoader and measures loss at trained positions only."""

    loss_is_scaled_for_ga = True

    def __init__(self, *, loader: BatchLoader, validation: Sequence[Batch], watch: Watch, **rest: Any) -> None:
        self.loader, self.validation, self.watch = loader, validation, watch
        self.pace = Pace(loader)
        super().__init__(
            train_dataset=loader.dataset,
            eval_dataset=list(validation) or None,
            callbacks=[StopWatch(self.pace, watch)],
            **rest,
        )
        self.remove_callback(PrinterCallback)
        self.selective = keeps_selected_logits(self.model)
        self._validated_at = -1
        self._boundary_at = -1

    def get_train_dataloader(self) -> Any:
        """Our own batches; nothing shuffles or moves them."""
        return self.loader

    def progress(self) -> dict[str, Any]:
        """What the loop keeps in variables, for a checkpoint."""
        return {
            "tokens": self.loader.tokens,
            "loss_since_log": self._tr_loss.item(),
            "last_logged": self._globalstep_last_logged,
            "validated_at": self._validated_at,
        }

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        load_weights(model or self.model, Path(resume_from_checkpoint))

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        if checkpoint is not None:
            load_optimiser(self, Path(checkpoint))

    def _load_scaler(self, checkpoint: str | None) -> None:
        """Loaded with the optimiser."""

    def _load_rng_state(self, checkpoint: str | None) -> None:
        if checkpoint is not None:
            Chance.load(Path(checkpoint) / CHANCE).restore()

    def _init_training_state(
        self, max_steps: int, updates: int, epochs: int, resume_from_checkpoint: str | None, trial: Any
    ) -> tuple[int, int]:
        """The trainer's own, but intervals follow the present recipe: an extended run validates at its new end."""
        place: tuple[int, int] = super()._init_training_state(max_steps, updates, epochs, resume_from_checkpoint, trial)
        self.state.compute_steps(self.args, max_steps)
        return place

    def _run_epoch(self, **place: Any) -> None:
        """Before the first epoch of a resumed run: the loop's variables as they were."""
        checkpoint = place["resume_from_checkpoint"]
        if checkpoint is not None and place["epoch"] == place["epochs_trained"]:
            found = load_progress(Path(checkpoint))
            self.loader.tokens = found["tokens"]
            self.pace.begin_at(found["tokens"])
            self._tr_loss += found["loss_since_log"]
            self._globalstep_last_logged = found["last_logged"]
            self._validated_at = found["validated_at"]
        super()._run_epoch(**place)

    def _maybe_log_save_evaluate(self, *rest: Any, **named: Any) -> None:
        """Report and measure as ever; then the step's boundary, once."""
        super()._maybe_log_save_evaluate(*rest, **named)
        if self._boundary_at != self.state.global_step:
            self._boundary_at = self.state.global_step
            self.watch.boundary(self.state.global_step)
            self.pace.restart()

    def get_batch_samples(
        self, epoch_iterator: Any, num_batches: int, device: torch.device
    ) -> tuple[list[Batch], torch.Tensor]:
        """The micro batches of one step, and how many trained tokens they hold together."""
        with self.pace.waiting():
            batches = [batch for _, batch in zip(range(num_batches), epoch_iterator, strict=False)]
        trained = sum(int(next_token_targets(batch["labels"])[1].numel()) for batch in batches)
        self.pace.rows += sum(len(batch["labels"]) for batch in batches)
        return batches, torch.tensor(max(trained, 1), device=device)

    def compute_loss(
        self,
        model: Any,
        inputs: Batch,
        return_outputs: bool = False,
        num_items_in_batch: torch.Tensor | int | None = None,
    ) -> Any:
        """The share of this micro batch in the mean over all trained tokens of the step."""
        del return_outputs
        return summed_loss(model, inputs, self.selective) / num_items_in_batch

    def floating_point_ops(self, inputs: dict[str, Any]) -> int:
        """Not counted: walking all parameters each step costs more than it tells."""
        del inputs
        return 0

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """A point of the curve; the trainer's closing summary is not one."""
        del start_time
        if "loss" not in logs:
            return
        values: dict[str, float] = {
            name: float(logs[name]) for name in ("loss", "learning_rate", "grad_norm") if name in logs
        }
        self.watch.step(self.state.global_step, self.state.epoch or 0.0, {**values, **self.pace.lap()})
        self._check_finite(values)

    def _check_finite(self, values: dict[str, float]) -> None:
        """A loss or gradient out of range has spoilt the weights; under fp16 a lone gradient is skipped instead."""
        if not math.isfinite(values["loss"]):
            raise UserError("training.loss_not_finite", step=self.state.global_step, loss=str(values["loss"]))
        norm = values.get("grad_norm", 0.0)
        if not math.isfinite(norm) and not self.args.fp16:
            raise UserError("training.gradient_not_finite", step=self.state.global_step, norm=str(norm))

    def evaluate(self, *rest: Any, **named: Any) -> dict[str, float]:
        """Mean loss over the trained tokens of the validation rows."""
        del rest, named
        if self._validated_at == self.state.global_step:
            return {}
        self._validated_at = self.state.global_step
        loss = mean_loss(self.model, self.validation, self.args.device, self.selective)
        self.watch.validation(self.state.global_step, {"validation_loss": loss})
        self.pace.restart()
        return {"eval_loss": loss}

    def validate_at_end(self) -> None:
        """Measure once more unless the last step was measured."""
        if self.validation:
            self.evaluate()


@torch.no_grad()  # type: ignore[untyped-decorator]
def mean_loss(model: Any, batches: Iterable[Batch], device: torch.device, selective: bool) -> float:
    """Mean loss over the trained tokens of some batches; touches neither chance nor the model's mode."""
    was_training = model.training
    model.eval()
    total, count = 0.0, 0
    try:
        for batch in batches:
            moved = {name: tensor.to(device) for name, tensor in batch.items()}
            total += float(summed_loss(model, moved, selective))
            count += int(next_token_targets(batch["labels"])[1].numel())
    finally:
        model.train(was_training)
    return total / max(count, 1)


def train(trainer: ForgeTrainer, checkpoint: Path | None = None) -> Outcome:
    """Run the loop from the start or a checkpoint to its end, or to where it was asked to stop."""
    trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    done = trainer.state.global_step
    return Outcome(done, done >= trainer.args.max_steps)
