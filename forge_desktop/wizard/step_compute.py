"""Step 4: where the run works. The scheduler's choice is there already, with why."""

from __future__ import annotations

from PySide6.QtCore import Signal, Slot
from PySide6.QtWidgets import QWidget

from engine.contract.api import Health
from engine.contract.errors import ErrorBody
from engine.contract.stream import Resources
from forge_desktop.bridge.session import Session
from forge_desktop.models.draft_model import DraftModel
from forge_desktop.theme.controls import Card, Chip, button, column, label, row
from forge_desktop.theme.language import count, explain, sentences, tr
from forge_desktop.theme.measures import size
from forge_desktop.wizard.facts_card import fact
from forge_desktop.wizard.fields import FoldedForm, Form, paths_of
from forge_desktop.wizard.node_choice import NodeChoice


class ComputeStep(QWidget):
    """Where, with which device, when, and within which bounds."""

    navigate = Signal(str)

    def __init__(self, draft: DraftModel, session: Session) -> None:
        super().__init__()
        self._draft, self._session = draft, session
        self._now: Resources | None = None
        place = Card(tr("Where it runs"))
        place.head.addStretch(1)
        self._chip = Chip(tr("Proposed"), "accent", "check")
        place.head.addWidget(self._chip)
        self._lines = QWidget()
        self._lines.setLayout(column(label(tr("Asking the job controller…"), "hint"), spacing=8))
        place.body.addWidget(self._lines)
        self.nodes = NodeChoice(draft, session)
        self.nodes.answered.connect(self._several)
        place.body.addWidget(self.nodes)
        self._worker = self._worker_line()
        place.body.addWidget(self._worker)
        options = Card(tr("Order and devices"))
        self._options = Form(draft, ["compute.gpus", "compute.priority"])
        options.body.addWidget(self._options)
        several = ["compute.processes", "compute.strategy", "compute.wait_minutes"]
        self.folds = [
            FoldedForm(draft, tr("Several GPUs or processes"), several, "wizard.fold.members"),
            FoldedForm(draft, tr("Retries and limits"), paths_of("compute.limits", basic=False), "wizard.fold.limits"),
        ]
        self._place = place
        self.setLayout(column(place, options, *self.folds, None, spacing=14))
        session.resources.connect(self._show)
        session.online.connect(self.ask)
        draft.changed.connect(self._changed)
        self.ask()

    def focus_first(self) -> None:
        """Where the keyboard begins."""
        self._options.fields["compute.gpus"].focus()

    @Slot()
    def ask(self) -> None:
        """Ask for the machine's state and its worker."""
        self._session.ask(lambda backend: backend.resources(), self._show, self._failed, owner=self)
        self._session.ask(lambda backend: backend.health(), self._heard, lambda _error: None, owner=self)
        self.nodes.ask()

    @Slot(bool)
    def _several(self, there_are: bool) -> None:
        """Where there are several nodes, each says for itself what this card else says of the only one."""
        self._lines.setVisible(not there_are)
        self._chip.setVisible(not there_are)

    def _worker_line(self) -> QWidget:
        made = QWidget()
        text = tr("There is no worker environment yet, so nothing can run. Create one, or run 'forge worker install'.")
        said = label(f"⚠ {text}", tone="warn", wrap=True)
        go = button(tr("Set up a worker"), "primary", name="wizard.worker")
        go.clicked.connect(lambda: self.navigate.emit("settings/workers"))
        layout = row(said, go, spacing=12)
        layout.setStretch(0, 1)
        made.setLayout(layout)
        made.hide()
        return made

    def _heard(self, health: Health) -> None:
        self._worker.setVisible(health.worker_python is None)

    def _failed(self, error: ErrorBody) -> None:
        text = sentences(*explain(error)[:2], tr("The draft can go on; it starts once the controller answers."))
        self._fill([(tr("This computer"), tr("not known"), text)])

    @Slot(str)
    def _changed(self, path: str) -> None:
        if self._now is not None and path in ("", "compute.gpus", "compute.priority", "training.precision"):
            self._show(self._now)

    @Slot(object)
    def _show(self, now: Resources) -> None:
        self._now = now
        self._fill(placement(self._draft, now))

    def _fill(self, lines: list[tuple[str, str, str]]) -> None:
        made = QWidget()
        made.setLayout(column(*(fact(*line) for line in lines), spacing=8))
        self._place.body.replaceWidget(self._lines, made)
        made.setVisible(not self.nodes.is_needed)  # once it has a parent: else it would be a window of its own
        self._lines.deleteLater()
        self._lines = made


def placement(draft: DraftModel, now: Resources) -> list[tuple[str, str, str]]:
    """Node, device and turn, each with the reason."""
    gpu, wanted = now.names.get("gpu0"), draft.get("compute.gpus")
    processor = now.names.get("cpu") or tr("processor")
    if gpu and wanted != 0:
        memory = size(now.values.get("gpu0.memory_total"))
        device = (gpu, tr("A GPU is there, with {memory}: many times faster than the processor.", memory=memory))
    elif gpu:
        device = (processor, tr("You asked for no GPU. The {gpu} stays free.", gpu=gpu))
    else:
        device = (processor, tr("No GPU was found: the processor trains, slower, in fp32."))
    free = now.slots.get("gpu", 0) - now.used.get("gpu", 0)
    if free > 0 and now.waiting == 0:
        turn = (tr("at once"), tr("A slot is free, so it starts at once."))
    else:
        ahead = now.waiting + now.used.get("gpu", 0)
        why = count(ahead, "1 run is ahead of it.", "{n} runs are ahead of it.")
        turn = (tr("waits"), sentences(why, tr("It waits its turn by priority and age.")))
    memory = size(now.values.get("ram.total"))
    slots = f"{now.used.get('gpu', 0)} / {now.slots.get('gpu', 0)}"
    return [
        (tr("Node"), tr("This computer"), tr("It is the only node known, with {memory} of memory.", memory=memory)),
        (tr("Device"), *device),
        (tr("Turn"), *turn),
        (tr("Slots in use"), slots, tr("So many runs may train at once; Settings change it.")),
    ]
