"""The teacher of a run: fetched, compared with the model that learns, loaded, and given to what asks it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from engine.compute.data.tokenise import Tokeniser
from engine.compute.inference.base import load_model, load_tokenizer
from engine.compute.worker.adapted import adapted
from engine.compute.worker.materials import Materials
from engine.compute.worker.model_source import ModelSource
from engine.compute.worker.worker import Worker
from engine.contract.errors import UserError
from engine.contract.paths import AttemptFolder, expanded
from engine.contract.run_spec import AttemptOrder, TrainJob
from engine.contract.stages import stage_of
from engine.contract.vocabulary import apart

if TYPE_CHECKING:
    from engine.compute.training.objectives import Objective

FORMS = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


class Teaching:
    """Does nothing where the stage learns from no teacher."""

    def __init__(self, order: AttemptOrder, job: TrainJob, folder: AttemptFolder, worker: Worker) -> None:
        self._order, self._job, self._folder, self._worker = order, job, folder, worker
        self._files: Path | None = None
        self._model: Any = None
        self._width = 0

    @property
    def folders(self) -> list[Path]:
        """What it consists of, once it was obtained: its model, and its adapter."""
        if self._files is None:
            return []
        adapter = self._job.teacher.adapter
        return [self._files, *([expanded(adapter)] if adapter else [])]

    def obtain(self) -> None:
        """Fetch its files if need be."""
        source = self._job.teacher.source
        if not stage_of(self._job.stage).teacher or source is None:
            return
        where = ModelSource(self._order, source, self._folder, self._worker, self._folder.teacher_choice)
        self._files = where.obtain()

    def load(self, materials: Materials) -> None:
        """Compare the vocabularies, and load the frozen model."""
        if self._files is None:
            return
        path, ours = self._job.teacher.path, materials.tokenizer.get_vocab()
        detail = apart(ours, load_tokenizer(self._files).get_vocab())
        if detail:
            raise UserError("teacher.vocabulary", teacher=path, detail=detail)
        wanted = self._job.teacher.dtype
        form = FORMS[materials.precision.arithmetic if wanted == "auto" else wanted]
        made = load_model(self._files, form, self._job.model.attention, materials.device)
        sizes = [model.get_input_embeddings().weight.shape[0] for model in (materials.model, made)]
        self._width, least = min(sizes), max(ours.values(), default=0) + 1
        if self._width < least and sizes[0] != sizes[1]:
            sized = f"their matrices have {sizes[1]} and {sizes[0]} rows for {least} tokens"
            raise UserError("teacher.vocabulary", teacher=path, detail=sized)
        self._model = self._adapted(made) if self._job.teacher.adapter else made
        self._worker.check()

    def equip(self, objective: Objective, materials: Materials, tokeniser: Tokeniser) -> None:
        """Give what learns from a teacher the teacher, and its way of asking either model."""
        from engine.compute.training.distillation import Distilled, Teacher
        from engine.compute.training.rollouts import Sampler

        if not isinstance(objective, Distilled) or self._model is None:
            return
        objective.settings, objective.seed = self._job.teacher, self._job.training.seed
        objective.teacher, objective.longest = Teacher(self._model, self._width), tokeniser.max_length
        objective.sampler = Sampler(
            self._job.rollouts, materials.tokenizer, materials.template.stops, objective.seed, self._worker.listen
        )

    def _adapted(self, model: Any) -> Any:
        return adapted(model, expanded(self._job.teacher.adapter), "teacher.adapter_failed")
