"""The training loop: transformers' Trainer with our own batches, loss and reports."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

import torch
from transformers import PrinterCallback, Trainer, TrainingArguments

from engine.compute.training.allocation import Allocation
from engine.compute.training.batches import IGNORED, Batch, BatchLoader, parts_of, rows_between, rows_of
from engine.compute.training.callbacks import Keeps, Looks, Pace, StopWatch, Watch
from engine.compute.training.checkpoint import (
    CHANCE,
    Chance,
    load_optimiser,
    load_optimiser_only,
    load_progress,
    load_weights,
)
from engine.compute.training.guards import Guards
from engine.compute.training.measuring import mean_loss
from engine.compute.training.members import Members, watched_all
from engine.compute.training.objectives import Figures, Objective, Tokens
from engine.compute.training.optimizers import optimizer_arguments, schedule_arguments
from engine.compute.training.precision import Precision
from engine.compute.training.row_losses import RowLosses, keeping
from engine.compute.training.together import exchange, fill_up, follow, put_apart, shared_out, whole
from engine.contract.faults import fault, spoilt
from engine.contract.members import ZERO_STAGES
from engine.contract.objective import ObjectiveConfig
from engine.contract.stages import STAGES
from engine.contract.training import TrainingConfig

if TYPE_CHECKING:
    from engine.compute.training.zero import Zero


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
    config: TrainingConfig,
    steps: int,
    precision: Precision,
    device: torch.device,
    folder: Path,
    validates: bool,
    noise: float | None = None,
) -> TrainingArguments:
    """The recipe in transformers' words; `noise` is NEFTune's. Saving is ours, never the trainer's."""
    return TrainingArguments(
        output_dir=str(folder),
        max_steps=steps,
        per_device_train_batch_size=config.micro_batch_size,
        gradient_accumulation_steps=config.accumulation,
        learning_rate=config.learning_rate,
        **optimizer_arguments(config),
        **schedule_arguments(config, steps),
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
        neftune_noise_alpha=noise,
        log_level="error",
    )


def warmup_steps(config: TrainingConfig, steps: int) -> int:
    """Steps over which the learning rate rises."""
    return math.ceil(config.warmup_share * steps)


class ForgeTrainer(Trainer):  # type: ignore[misc]
    """Trainer that takes its batches from a BatchLoader and measures loss at trained positions only."""

    loss_is_scaled_for_ga = True
    optimizer: torch.optim.Optimizer

    def __init__(
        self,
        *,
        loader: BatchLoader,
        validation: Sequence[Batch],
        watch: Watch,
        parts: int = 1,
        plus_ratio: float | None = None,
        muon: Callable[[Any], torch.optim.Optimizer] | None = None,
        guards: Guards | None = None,
        rows: RowLosses | None = None,
        objective: Objective | None = None,
        ranks: Allocation | None = None,
        members: Members | None = None,
        more_optimizer: Mapping[str, Any] = MappingProxyType({}),
        **rest: Any,
    ) -> None:
        self.objective, self.figures = objective or Tokens(STAGES["sft"], ObjectiveConfig()), Figures()
        self.loader, self.validation, self.watch = loader, validation, watch
        self.parts, self.plus_ratio, self.muon, self.rows = parts, plus_ratio, muon, rows
        self.ranks, self.members, self.more_optimizer = ranks, members, dict(more_optimizer)
        self.pace, self.guards = Pace(loader), guards or Guards()
        self._step_loss: torch.Tensor | float = 0.0
        self._loss_before: torch.Tensor | None = None
        self._trained, self._joined_at = 0, -1
        self._last_pass = False
        self.zero: Zero | None = None
        """Where DeepSpeed shares the work, once there is an optimiser."""
        self.ended = False
        """Training is to end at this step, though nobody asked at its boundary."""
        self.keeps: Keeps | None = None
        self.look: Looks | None = None
        super().__init__(
            train_dataset=loader.dataset,
            eval_dataset=validation if len(validation) else None,
            callbacks=[StopWatch(self.pace, watch, self.guards, ranks)],
            **rest,
        )
        self.remove_callback(PrinterCallback)
        self.selective = self.objective.selects(self.model)
        put_apart(self)
        self.objective.autocast = self.accelerator.autocast
        self._validated_at = -1
        self._boundary_at = -1

    def get_train_dataloader(self) -> Any:
        """Our own batches; nothing shuffles or moves them."""
        return self.loader

    def create_optimizer(self, model: Any = None) -> torch.optim.Optimizer:
        """The one of the recipe, which also has what the objective trains beside the model."""
        made = self._recipes_optimizer(model)
        more = self.objective.parameters()
        if more:
            made.add_param_group({"params": more, "lr": self.args.learning_rate, "weight_decay": 0.0})
        if self.members is not None and self.members.strategy in ZERO_STAGES:
            from engine.compute.training.zero import Zero

            made = self.optimizer = self.zero = Zero(self.model, made, self.members, self.args.max_grad_norm)
            self.accelerator.backward = lambda loss, **_: made.backward(loss, self._last_pass)
        return made

    def _recipes_optimizer(self, model: Any = None) -> torch.optim.Optimizer:
        """With LoRA+ the second matrices of the adapter learn faster (arXiv 2402.12354)."""
        if self.muon is not None:
            self.optimizer = self.muon(self.model if model is None else model)
            return self.optimizer
        if self.plus_ratio is None:
            return super().create_optimizer(model)
        from peft.optimizers import create_loraplus_optimizer

        taught = self.model if model is None else model
        kind, settings = self.get_optimizer_cls_and_kwargs(self.args, taught)
        rate, decay = settings.pop("lr"), self.args.weight_decay
        more = {"lr": rate, "loraplus_lr_ratio": self.plus_ratio, "loraplus_weight_decay": decay}
        self.optimizer = create_loraplus_optimizer(taught, kind, **more, **settings)
        return self.optimizer

    def get_optimizer_cls_and_kwargs(self, args: TrainingArguments, model: Any = None) -> tuple[Any, Any]:
        """transformers' choice, with arguments a person gave beside the settings."""
        kind, settings = Trainer.get_optimizer_cls_and_kwargs(args, model)
        return kind, {**settings, **self.more_optimizer}

    def progress(self) -> dict[str, Any]:
        """What the loop keeps in variables, for a checkpoint."""
        return {
            "tokens": self.loader.tokens,
            "loss_since_log": self._tr_loss.item(),
            "last_logged": self._globalstep_last_logged,
            "validated_at": self._validated_at,
            "guards": self.guards.state(),
            "course": self.keeps.state() if self.keeps else {},
            "figures": self.figures.state(),
            "members": self.members.count if self.members else 1,
            "optimizer": self.args.optim.value,
        }

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        if self.members is None or not self.members.shards:  # else they were loaded before they were parted
            load_weights(model or self.model, Path(resume_from_checkpoint))

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        if checkpoint is not None:
            load_optimiser(self, Path(checkpoint))
            self.objective.load(Path(checkpoint))
            if self.ranks is not None:
                self.ranks.load(Path(checkpoint))

    def _load_scaler(self, checkpoint: str | None) -> None:
        """Loaded with the optimiser."""

    def _load_rng_state(self, checkpoint: str | None) -> None:
        if checkpoint is None:
            return
        if self.members is None or self.members.leads:
            Chance.load(Path(checkpoint) / CHANCE).restore()
            return
        made_by = int(load_progress(Path(checkpoint)).get("members", 1))
        self.members.go_on_drawing(Path(checkpoint), made_by, self.args.seed, self.state.global_step)

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
            self.guards.load(found.get("guards", {}))
            if self.keeps is not None:
                self.keeps.load(found.get("course", {}))
            if self.members is None or self.members.leads:
                self.figures.load(found.get("figures", {}))
        if place["epoch"] == place["epochs_trained"]:
            self.watch.ready(place["model"])
            self._meet(place["model"], checkpoint is None)
            self.pace.restart()
        super()._run_epoch(**place)

    def _meet(self, model: Any, afresh: bool) -> None:
        """Every member is ready: all begin with the same weights, and each draws for itself."""
        if self.members is None:
            return
        self.members.join(self.args.device)
        if not self.members.shards:
            self.members.same(self._learning(model))
        if afresh:
            self.members.draw_apart(self.args.seed, 0)

    def _learning(self, model: Any) -> list[torch.nn.Parameter]:
        return [weight for weight in (*model.parameters(), *self.objective.parameters()) if weight.requires_grad]

    def _maybe_log_save_evaluate(self, *rest: Any, **named: Any) -> None:
        """Report and measure as ever; then the step's boundary, once."""
        super()._maybe_log_save_evaluate(*rest, **named)
        if self.ended and not self.control.should_training_stop:
            self.control.should_training_stop = self.control.should_log = True
            self.control.should_evaluate = False
            super()._maybe_log_save_evaluate(*rest, **named)
        if self._boundary_at != self.state.global_step:
            self._boundary_at = self.state.global_step
            if self.guards.going_back is not None and (self.members is None or self.members.leads):
                self.guards.went_back(self.watch.go_back())
            self.watch.boundary(self.state.global_step)
            if self.members is not None:
                follow(self, self.members)
            self.pace.restart()

    def get_batch_samples(
        self, epoch_iterator: Any, num_batches: int, device: torch.device
    ) -> tuple[list[Batch], torch.Tensor]:
        """The micro batches of one step, and over how many tokens or rows its loss is the mean."""
        with self.pace.waiting(), self.guards.waiting():
            fault("training.fetch")
            batches = [batch for _, batch in zip(range(num_batches), epoch_iterator, strict=False)]
        filled = self.objective.fill(self.model, batches, self.state.global_step)
        batches, self.loader.tokens = filled.batches, self.loader.tokens + filled.tokens
        self.figures.add(filled.told)
        if spoilt("training.batch"):
            batches = [{**batch, "labels": torch.full_like(batch["labels"], IGNORED)} for batch in batches]
        trained = sum(self.objective.count(batch) for batch in batches)
        self.pace.rows += sum(map(rows_of, batches)) // self.objective.answers
        self._trained, self._step_loss, self._loss_before = trained, 0.0, self._tr_loss.clone()
        if self.members is not None:
            batches = shared_out(self, self.members, batches)
        return batches, torch.tensor(max(trained, 1), device=device)

    def compute_loss(
        self,
        model: Any,
        inputs: Batch,
        return_outputs: bool = False,
        num_items_in_batch: torch.Tensor | int | None = None,
    ) -> Any:
        """The share of this micro batch in the mean over all trained tokens, or rows, of the step."""
        del return_outputs
        self.objective.tell = self.rows.taking if self.rows else None
        loss, told = self.objective.loss(model, inputs, self.selective)
        self.objective.tell = None
        if self.members is not None and self.members.idle:
            return loss * 0.0
        self.figures.add(told)
        if self.ranks is not None and model.training:  # once a step, in as many parts as the step has
            loss = loss + self.ranks.penalty() * self.objective.count(inputs)
        return loss / num_items_in_batch

    def training_step(self, model: Any, inputs: Batch, num_items_in_batch: torch.Tensor | int | None = None) -> Any:
        """A micro batch, in as many parts as asked for: a sum of losses is the same sum in parts."""
        fault("training.before_batch")
        losses, parts = [], self.cut(inputs)
        passes = parts if self.members is None else fill_up(self.members, parts)
        for place, part in enumerate(passes):
            if self.members is not None:
                self.members.idle = place >= len(parts)
                self._last_pass = not self.members.passes and place == len(passes) - 1
            look = self.look.at(model, inputs, place, len(parts)) if self.look else nullcontext()
            with keeping(self.rows if place < len(parts) else None, part) as content, look:
                losses.append(super().training_step(model, content, num_items_in_batch))
        if not losses:  # none of the rows is this member's
            losses.append(torch.zeros((), device=self.args.device))
        loss = spoil("training.loss", losses[0] if len(losses) == 1 else torch.stack(losses).sum())
        self._step_loss = self._step_loss + loss
        return loss

    def _clip_grad_norm(self, model: Any) -> Any:
        """The trainer's own, of a gradient that a test may spoil."""
        self._add_up(model)
        self._spoil_gradient(model)
        if self.zero is not None:  # which clips it in its step
            return self.zero.norm()
        norm = super()._clip_grad_norm(model)
        return norm.full_tensor() if hasattr(norm, "full_tensor") else norm

    def _add_up(self, model: Any) -> None:
        """Gradient and loss of the step become those of all members, once."""
        if self.members is None or self._joined_at == self.state.global_step:
            return
        self._joined_at = self.state.global_step
        exchange(self, self.members)
        weights = self.objective.parameters() if self.members.shards else self._learning(model)
        self._step_loss = self.members.add_up(weights, self._step_loss, self.args.device)
        if self._loss_before is not None:
            self._tr_loss.copy_(self._loss_before + self._step_loss)

    def _get_grad_norm(self, model: Any, grad_norm: Any = None) -> Any:
        """The gradient is whole and the weights are not updated yet: the guards look at the step."""
        if grad_norm is None:
            self._add_up(model)
            self._spoil_gradient(model)
            grad_norm = self.zero.norm() if self.zero is not None else None
        norm = super()._get_grad_norm(model, grad_norm=grad_norm)
        norm = norm.full_tensor() if hasattr(norm, "full_tensor") else norm
        loss = torch.as_tensor(self._step_loss, device=self.args.device, dtype=torch.float32)
        figures = torch.stack([loss, torch.as_tensor(norm, device=loss.device, dtype=torch.float32)]).tolist()
        step = self.state.global_step + 1
        if self.guards.before_update(step, figures[0], figures[1], self._trained, self.args.fp16):
            self._leave_weights(model, figures[0])
        return norm

    def _spoil_gradient(self, model: Any) -> None:
        what = spoilt("training.gradient")
        if what and self.zero is not None:
            self.zero.multiply(SPOILT[what])
        elif what:
            for weight in model.parameters():
                if weight.grad is not None:
                    weight.grad.mul_(SPOILT[what])

    def _leave_weights(self, model: Any, loss: float) -> None:
        """Optimisers pass over weights without a gradient: neither decay nor momentum moves them."""
        if self.zero is not None:
            self.zero.leave_out()
        if self.accelerator.scaler is not None and self.args.max_grad_norm == 0:
            self.accelerator.unscale_gradients()  # else the scaler would look for gradients in vain
        for weight in (*model.parameters(), *self.objective.parameters()):
            weight.grad = None
        before, steps = self._loss_before, self.state.global_step - self._globalstep_last_logged
        if not math.isfinite(loss) and before is not None and steps > 0:
            self._tr_loss.copy_(before * (steps + 1) / steps)  # the mean of the others stands for it

    def cut(self, batch: Batch) -> list[Batch]:
        """A batch in parts of as many rows each as fit into the model at once."""
        size = self.rows_at_once
        return [rows_between(batch, at, at + size) for at in range(0, parts_of(batch), size)]

    @property
    def rows_at_once(self) -> int:
        """That pass through the model together, of one member."""
        rows = self.loader.size if self.members is None else self.members.most(self.loader.size)
        return max(1, math.ceil(rows * self.objective.answers / self.parts))

    def go_back(self, folder: Path, rate: float) -> None:
        """Weights and optimiser as in a checkpoint; steps, schedule, data and chance go on from here."""
        if self.members is not None:
            self.members.ask("back", folder=str(folder), rate=rate)
        rates = [(group["lr"], group.get("initial_lr")) for group in self.optimizer.param_groups]
        load_weights(self.accelerator.unwrap_model(self.model), folder)
        load_optimiser_only(self, folder)
        self.objective.go_back(folder)
        for group, (last, first) in zip(self.optimizer.param_groups, rates, strict=True):
            group["lr"] = last * rate
            if first is not None:
                group["initial_lr"] = first * rate
        schedule: Any = getattr(self.lr_scheduler, "scheduler", self.lr_scheduler)
        for name in ("base_lrs", "_last_lr", "min_lrs"):  # of those that reckon from where they began
            if hasattr(schedule, name):
                setattr(schedule, name, [value * rate for value in getattr(schedule, name)])

    def floating_point_ops(self, inputs: dict[str, Any]) -> int:
        """Not counted: walking all parameters each step costs more than it tells."""
        del inputs
        return 0

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """A point of the curve; the trainer's closing summary is not one."""
        del start_time
        if "loss" not in logs or (self.members is not None and not self.members.leads):
            return
        values: dict[str, float] = {
            name: float(logs[name]) for name in ("loss", "learning_rate", "grad_norm") if name in logs
        }
        told = {**values, **self.figures.lap(), **self.pace.lap()}
        self.watch.step(self.state.global_step, self.state.epoch or 0.0, told)
        if self.guards.fatal is not None:
            raise self.guards.fatal

    def evaluate(self, *rest: Any, **named: Any) -> dict[str, float]:
        """Mean loss over the validation rows, and what the stage tells of them."""
        del rest, named
        if self._validated_at == self.state.global_step:
            return {}
        self._validated_at = self.state.global_step
        model, rows = self.model, self.validation
        with whole(self):
            found = self.objective.measure(model, rows)
            loss, told = found or mean_loss(model, rows, self.args.device, self.selective, self.objective)
        told = {f"validation_{name}": value for name, value in told.items()}
        self.watch.validation(self.state.global_step, {"validation_loss": loss, **told})
        self.pace.restart()
        return {"eval_loss": loss}

    def validate_at_end(self) -> None:
        """Measure once more unless the last step was measured."""
        if self.validation:
            self.evaluate()


SPOILT = {"nan": float("nan"), "inf": float("inf"), "huge": 1e6, "zero": 0.0}
"""What a test's fault multiplies a figure by."""


def spoil(point: Literal["training.loss"], loss: torch.Tensor) -> torch.Tensor:
    """The loss of a micro batch, unless a test wants it spoilt."""
    what = spoilt(point)
    return loss * SPOILT[what] if what else loss


def train(trainer: ForgeTrainer, checkpoint: Path | None = None) -> Outcome:
    """Run the loop from the start or a checkpoint to its end, or to where it was asked to stop."""
    with watched_all():
        trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    return outcome_of(trainer)


def outcome_of(trainer: ForgeTrainer) -> Outcome:
    """How far it has come, also where the loop was broken off."""
    done = trainer.state.global_step
    return Outcome(done, done >= trainer.args.max_steps)
