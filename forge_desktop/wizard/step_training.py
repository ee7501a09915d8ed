"""Steps 3 and 4: the recipe, and where it runs. Both forms are made from the run config's declarations."""

from __future__ import annotations

from PySide6.QtCore import Slot
from PySide6.QtWidgets import QWidget

from engine.contract.events import Resources
from forge_desktop.bridge.session import Session
from forge_desktop.models.draft_model import DraftModel
from forge_desktop.theme.controls import Card, Chip, column, label, row
from forge_desktop.theme.language import sentences, tr
from forge_desktop.theme.measures import size
from forge_desktop.wizard.fields import FoldedForm, Form, paths_of

BASICS = [
    "tuner.kind",
    "tuner.rank",
    "training.learning_rate",
    "training.epochs",
    "training.micro_batch_size",
    "training.accumulation",
]
BATCH = ["training.log_every", "training.validate_every", "training.seed", "training.threads"]


class TrainingStep(QWidget):
    """How training proceeds."""

    def __init__(self, draft: DraftModel) -> None:
        super().__init__()
        basics = Card(tr("Basics"))
        basics.body.addWidget(Form(draft, ["stage"], columns=1))
        basics.body.addWidget(Form(draft, BASICS))
        advanced = [path for path in paths_of("training", basic=False) if path not in BATCH]
        method = [path for path in paths_of("tuner", basic=False) if path != "tuner.targets"]
        results = [path for path in paths_of("evaluation", basic=False) if path != "evaluation.data"]
        model = ["model.dtype", "model.attention"]
        folds = [
            FoldedForm(draft, tr("Optimiser and precision"), advanced, "wizard.fold.training"),
            FoldedForm(draft, tr("Adapter and weights"), method + model, "wizard.fold.tuner"),
            FoldedForm(draft, tr("Logging and reproducibility"), BATCH, "wizard.fold.logging"),
            FoldedForm(draft, tr("Checkpoints"), paths_of("checkpoints", basic=False), "wizard.fold.checkpoints"),
            FoldedForm(draft, tr("Evaluation"), results, "wizard.fold.evaluation"),
        ]
        self.setLayout(column(basics, *folds, None, spacing=14))


class ComputeStep(QWidget):
    """Where the run works."""

    def __init__(self, draft: DraftModel, session: Session) -> None:
        super().__init__()
        place = Card(tr("Where it runs"))
        self._name = label(tr("This computer"), "strong")
        self._chip = Chip(tr("Proposed"), "accent", "check")
        self._why = label(tr("Asking the job controller…"), "hint", wrap=True)
        place.body.addLayout(row(self._name, self._chip, None))
        place.body.addWidget(self._why)
        options = Card(tr("Order and devices"))
        options.body.addWidget(Form(draft, ["compute.priority", "compute.gpus"]))
        limits = FoldedForm(
            draft, tr("Retries and limits"), paths_of("compute.limits", basic=False), "wizard.fold.limits"
        )  # fmt: skip
        self.setLayout(column(place, options, limits, None, spacing=14))
        session.resources.connect(self._show)
        session.ask(lambda backend: backend.resources(), self._show, lambda _error: None, owner=self)

    @Slot(object)
    def _show(self, now: Resources) -> None:
        gpu = now.names.get("gpu0")
        device = gpu or now.names.get("cpu") or tr("processor")
        memory = now.values.get("gpu0.memory_total" if gpu else "ram.total")
        free = now.slots.get("gpu", 0) - now.used.get("gpu", 0)
        if free > 0 and now.waiting == 0:
            queue = tr("A slot is free, so it starts at once.")
        else:
            ahead = now.waiting + now.used.get("gpu", 0)
            queue = tr("{n} runs are ahead of it; it waits its turn by priority and age.", n=ahead)
        only = tr("It is the only node known, with {device} and {memory}.", device=device, memory=size(memory))
        self._why.setText(sentences(only, queue))
