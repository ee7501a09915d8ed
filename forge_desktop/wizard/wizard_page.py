"""The New-run wizard: five steps over one draft, kept between starts until it is started or saved."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from PySide6.QtCore import Slot
from PySide6.QtWidgets import QFileDialog, QPushButton, QWidget

from engine.contract.api import EditRun, RunSummary
from engine.contract.config_file import anchored, read_config
from engine.contract.errors import ErrorBody, UserError
from forge_desktop.bridge.backend import Backend
from forge_desktop.bridge.preferences import Preferences
from forge_desktop.bridge.session import Session
from forge_desktop.models.draft_model import DraftModel, blank_document
from forge_desktop.panels.page import ErrorCard, Page, TwoColumns
from forge_desktop.panels.run_actions import RunActions
from forge_desktop.theme import icons
from forge_desktop.theme.controls import button, column, label, line, restyle, row, set_enabled
from forge_desktop.theme.language import count, tr
from forge_desktop.theme.look import tokens
from forge_desktop.wizard.rail import Rail
from forge_desktop.wizard.step_data import DataStep
from forge_desktop.wizard.step_model import ModelStep
from forge_desktop.wizard.step_review import ReviewStep
from forge_desktop.wizard.step_training import ComputeStep, TrainingStep

STEPS = (
    ("model", "Model", ("model", "tuner.targets")),
    ("data", "Dataset", ("data", "evaluation.data")),
    ("training", "Training", ("training", "tuner", "stage", "evaluation", "checkpoints")),
    ("compute", "Compute", ("compute",)),
    ("review", "Review", ("name", "project", "tags", "")),
)


class WizardPage(Page):
    """Puts a run together."""

    def __init__(
        self,
        session: Session,
        actions: RunActions,
        preferences: Preferences,
        uid: str = "",
        marks: dict[str, Any] | None = None,
    ) -> None:
        super().__init__()
        self._session, self._actions, self._preferences, self._uid = session, actions, preferences, uid
        stored = None if uid else preferences.get("draft")
        self.draft = DraftModel(session, _usable(stored), self)
        self.draft.marks = marks or {}
        self._step = 0
        self._busy = False
        self._build_head()
        self._build_steps()
        self._error = ErrorCard("wizard.error")
        self.outer.addWidget(self._error)
        self.outer.addWidget(self._columns(), 1)
        self.outer.addWidget(line())
        self._build_foot()
        self.draft.changed.connect(self._keep)
        self.draft.checked.connect(self._refresh)
        self.draft.inspected.connect(self._refresh)
        self._show(self._first_marked())
        if uid:
            session.ask(lambda backend: self.draft.load(backend, uid), self.draft.replace, self._failed, owner=self)
        elif stored:
            self.draft.inspect()
            self.draft.preview()

    def _build_head(self) -> None:
        self._under = label("", "hint")
        titles = column(label(tr("Edit draft") if self._uid else tr("New run"), "title"), self._under, spacing=2)
        layout = row(spacing=10)
        layout.addLayout(titles, 1)
        layout.addWidget(button(tr("Import config"), "quiet", "upload", self._import, name="wizard.import"))
        layout.addWidget(button(tr("Start over"), "quiet", "rotate-ccw", self._start_over, name="wizard.again"))
        self.outer.addLayout(layout)

    def _build_steps(self) -> None:
        self._heads: list[QPushButton] = []
        bar = row(spacing=4)
        for place, (key, text, _paths) in enumerate(STEPS):
            made = button(tr(text), "step", name=f"wizard.step.{key}")
            made.clicked.connect(lambda _checked=False, place=place: self._show(place))
            self._heads.append(made)
            bar.addWidget(made)
            if place < len(STEPS) - 1:
                arrow = label()
                arrow.setPixmap(icons.pixmap("chevron-right", tokens().border_strong, 14))
                bar.addWidget(arrow)
        bar.addStretch(1)
        self.outer.addLayout(bar)

    def _columns(self) -> QWidget:
        steps: list[QWidget] = [
            ModelStep(self.draft),
            DataStep(self.draft),
            TrainingStep(self.draft),
            ComputeStep(self.draft, self._session),
            ReviewStep(self.draft),
        ]
        self._steps = steps
        # Not a stacked widget: that is as tall as its tallest page, and a short step would scroll over nothing.
        holder = QWidget()
        holder.setLayout(column(*steps))
        columns = TwoColumns(holder, Rail(self.draft))
        self._area = columns.area
        return columns

    def _build_foot(self) -> None:
        self._back = button(tr("Back"), "default", on_click=lambda: self._show(self._step - 1), name="wizard.back")
        self._problems = label("", tone="bad")
        self._problems.setObjectName("wizard.problems")
        self._save = button(tr("Save as draft"), "default", "save", lambda: self._send(start=False), name="wizard.save")
        self._next = button(tr("Continue"), "primary", on_click=self._go_on, name="wizard.next")
        self.outer.addLayout(row(self._back, None, self._problems, self._save, self._next, spacing=12))

    def _first_marked(self) -> int:
        """The step with a setting that a diagnosis changed, so that it is seen; else the first."""
        places = [place for place in range(len(STEPS)) if any(self._belongs(path, place) for path in self.draft.marks)]
        return min(places, default=0)

    def error_text(self) -> str:
        """The error shown, if any."""
        return self._error.what.text() if self._error.isVisibleTo(self) else ""

    def _show(self, place: int) -> None:
        self._step = max(0, min(place, len(STEPS) - 1))
        for number, step in enumerate(self._steps):
            step.setVisible(number == self._step)
        self._area.verticalScrollBar().setValue(0)
        self._refresh()

    def _go_on(self) -> None:
        if self._step < len(STEPS) - 1:
            self._show(self._step + 1)
        else:
            self._send(start=True)

    @Slot()
    def _refresh(self) -> None:
        problems = len(self.draft.problems)
        last = self._step == len(STEPS) - 1
        self._under.setText(str(self.draft.get("name") or tr("Pick a model, a dataset and a recipe")))
        self._back.setVisible(self._step > 0)
        self._next.setText(tr("Start run") if last else tr("Continue"))
        self._next.setAccessibleName(self._next.text())
        why = count(problems, "1 problem keeps it from starting", "{n} problems keep it from starting")
        set_enabled(self._next, not self._busy and not (last and problems), why)
        set_enabled(self._save, not self._busy and self.draft.config is not None, tr("Complete the settings first."))
        self._problems.setText(why if problems and last else "")
        for number, made in enumerate(self._heads):
            self._mark(made, number)

    def _mark(self, made: QPushButton, number: int) -> None:
        t = tokens()
        broken = any(self._belongs(problem.field, number) for problem in self.draft.problems)
        if number == self._step:
            restyle(made, state="now")
            made.setIcon(icons.icon("circle-dot", t.accent))
        elif broken:
            restyle(made, state="open")
            made.setIcon(icons.icon("circle", t.muted))
        else:
            restyle(made, state="done")
            made.setIcon(icons.icon("circle-check", t.ok_fill))

    def _belongs(self, field: str, number: int) -> bool:
        for place, (_key, _text, paths) in enumerate(STEPS):
            if any(field == path or (path and field.startswith(f"{path}.")) for path in paths):
                return place == number
        return number == len(STEPS) - 1

    def _send(self, start: bool) -> None:
        config = self.draft.config
        if config is None or self._busy:
            return
        self._busy = True
        self._error.show_error(None)
        self._refresh()
        spec, uid = config.to_spec(), self._uid

        def work(backend: Backend) -> RunSummary:
            if not uid:
                return backend.create(spec, start)
            edited = backend.edit(uid, EditRun(spec=spec))
            return backend.start(uid) if start else edited

        self._session.ask(work, lambda run: self._sent(run, start), self._failed, owner=self)

    def _sent(self, run: RunSummary, start: bool) -> None:
        self._busy = False
        if not self._uid:
            self._preferences.set("draft", None)
        if start:
            self.navigate.emit(f"run/{run.uid}")
        else:
            self._actions.told.emit(tr("'{name}' is saved as a draft.", name=run.name))
            self.navigate.emit("runs")

    def _failed(self, error: ErrorBody) -> None:
        self._busy = False
        self._error.show_error(error)
        self._refresh()

    @Slot(str)
    def _keep(self, _path: str) -> None:
        if not self._uid:
            self._preferences.set("draft", self.draft.document)

    def _start_over(self) -> None:
        if not self._uid:
            self._preferences.set("draft", None)
        self.navigate.emit("new")

    def _import(self) -> None:
        dialog = QFileDialog(self, tr("Import config"), filter=f"{tr('Run configs')} (*.yaml *.yml *.json)")
        dialog.setFileMode(QFileDialog.FileMode.ExistingFile)
        dialog.fileSelected.connect(self.import_file)
        dialog.finished.connect(dialog.deleteLater)
        dialog.open()

    def import_file(self, file: str) -> None:
        """Take the settings of a config file, or show everything that is wrong with it."""
        try:
            config = anchored(read_config(Path(file)), Path(file).parent)
        except UserError as error:
            self._error.show_error(error.body())
            return
        self._error.show_error(None)
        self.draft.replace(config.document())


def _usable(stored: Any) -> dict[str, Any] | None:
    """A kept draft, unless it is of another version's form."""
    if not isinstance(stored, dict):
        return None
    blank = blank_document()
    same = stored.keys() == blank.keys() and all(
        not isinstance(blank[key], dict) or (isinstance(stored[key], dict) and stored[key].keys() == blank[key].keys())
        for key in blank
    )
    train = stored["data"].get("train") if same else None
    return stored if same and isinstance(train, list) and train else None
