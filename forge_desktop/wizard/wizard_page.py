"""The New-run wizard: five steps over one draft, kept between starts until it is started or saved."""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path
from typing import Any

from PySide6.QtCore import QSize, Qt, Slot
from PySide6.QtGui import QDragEnterEvent, QDropEvent, QFocusEvent
from PySide6.QtWidgets import QPushButton, QWidget

from engine.contract.api import EditRun, RunSummary
from engine.contract.datasets import DatasetPage
from engine.contract.errors import ErrorBody
from engine.contract.ids import new_id
from forge_desktop.bridge.backend import Backend
from forge_desktop.bridge.preferences import Preferences
from forge_desktop.bridge.session import Session
from forge_desktop.models.draft_model import DraftModel
from forge_desktop.models.draft_store import ADDRESS, DraftStore, Kept
from forge_desktop.models.forecast_model import ForecastModel
from forge_desktop.models.presets import Presets, bundled_presets
from forge_desktop.models.recents import Recents
from forge_desktop.panels.local_keys import bind
from forge_desktop.panels.page import ErrorCard, Page, TwoColumns
from forge_desktop.panels.run_actions import RunActions
from forge_desktop.theme import icons
from forge_desktop.theme.controls import button, column, label, line, restyle, row, set_enabled
from forge_desktop.theme.language import count, tr
from forge_desktop.theme.later import come_after
from forge_desktop.theme.look import tokens
from forge_desktop.theme.slices import Slices
from forge_desktop.wizard.config_files import SUFFIXES, ConfigFiles
from forge_desktop.wizard.data_source import dropped_paths
from forge_desktop.wizard.facts_card import NO_WORKER
from forge_desktop.wizard.marks_note import MarksNote
from forge_desktop.wizard.rail import Rail
from forge_desktop.wizard.step_icon import SIZE, step_icon
from forge_desktop.wizard.steps import STEPS, Steps, step_of
from forge_desktop.wizard.wizard_head import WizardHead

ONWARD = ("Continue to dataset", "Continue to training", "Continue to compute", "Continue to review", "Start run")


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
        self._session, self._actions = session, actions
        self.store, self.presets, self._recents = (
            DraftStore(preferences, self),
            Presets(preferences, self),
            Recents(preferences),
        )
        kept = self._open(uid)
        self.draft = DraftModel(session, kept.document if kept else None, self)
        self.draft.marks = marks or {}
        self.draft.is_new = kept is None and not self._uid
        if kept is not None:
            self.draft.preset = self.presets.find(kept.preset) or bundled_presets()["balanced"]
        self._step, self._busy, self._kept = 0, False, False
        self._files = ConfigFiles(self, self._failed)
        self.setAcceptDrops(True)
        self._build()
        self._bind_keys()
        self.draft.changed.connect(self._keep)
        self.draft.checked.connect(self._refresh)
        self.draft.inspected.connect(self._refresh)
        self.store.saved.connect(self._say_saved)
        self.store.not_saved.connect(self._say_not_saved)
        session.online.connect(self._refresh)
        session.offline.connect(self._refresh)
        self._slices = Slices(self)
        self._slices.begin([self._show_first, self._build_rail], now=False)
        if self._uid:
            session.ask(lambda backend: self.draft.load(backend, uid), self.draft.replace, self._failed, owner=self)
        elif kept is not None:
            self.draft.inspect()
            self.draft.preview()

    def take_dataset(self, name: str) -> None:
        """Learn from the newest version of a dataset of the library."""
        self._session.ask(
            lambda backend: backend.datasets(name, "name", False, 0, 500),
            lambda page: self._take_found(name, page),
            self._failed,
            owner=self,
        )

    def _take_found(self, name: str, page: DatasetPage) -> None:
        found = next((one for one in page.datasets if one.name == name), None)
        if found is not None and found.newest is not None:
            self.draft.add_library(name, found.newest.hash)

    def _open(self, uid: str) -> Kept | None:
        """Which draft this is: one the controller keeps, one of this computer, or the newest unfinished one."""
        self._uid = "" if uid.startswith(ADDRESS) else uid
        self._draft_id = ""
        if self._uid:
            return None
        kept = self.store.find(uid.removeprefix(ADDRESS)) if uid else next(iter(self.store.all()), None)
        self._draft_id = kept.id if kept else uid.removeprefix(ADDRESS) or new_id()
        return kept

    def _build(self) -> None:
        title = tr("Edit draft") if self._uid else tr("New run")
        self._head = WizardHead(self._session, self.draft, self.store, lambda: self._draft_id, title)
        self._head.navigate.connect(self.navigate)
        self._head.import_wanted.connect(lambda: self._files.ask_import(self.import_file))
        self._head.export_wanted.connect(self._export)
        self.outer.addWidget(self._head)
        self._build_steps()
        self._error = ErrorCard("wizard.error")
        self.outer.addWidget(self._error)
        self.outer.addWidget(MarksNote(self.draft))
        self.outer.addWidget(self._columns(), 1)
        self.outer.addWidget(line())
        self._build_foot()

    def _build_steps(self) -> None:
        self._heads: list[QPushButton] = []
        bar = row(spacing=4)
        for place, (key, text, _paths) in enumerate(STEPS):
            made = button(tr(text), "step", name=f"wizard.step.{key}", tip=f"Alt+{place + 1}")
            made.setAccessibleName(tr(text))
            made.setText(f" {tr(text)}")
            made.setIconSize(QSize(SIZE, SIZE))
            made.clicked.connect(lambda _checked=False, place=place: self._show(place))
            self._heads.append(made)
            bar.addWidget(made)
            if place < len(STEPS) - 1:
                arrow = label()
                arrow.setPixmap(icons.pixmap("chevron-right", tokens().border_strong, 14))
                bar.addWidget(arrow)
        bar.addStretch(1)
        self._saved = label("", "hint")
        self._saved.setObjectName("wizard.saved")
        bar.addWidget(self._saved)
        self.outer.addLayout(bar)

    def _columns(self) -> QWidget:
        self.forecast = ForecastModel(self.draft, self._session, self)
        self.steps = Steps(self.draft, self._session, self.presets, self._recents, self.forecast)
        self.steps.navigate.connect(self.navigate)
        self.steps.told.connect(self._actions.told)
        self.steps.refused.connect(self._say_error)
        self._rail = QWidget()
        self._rail.setLayout(column())
        columns = TwoColumns(self.steps, self._rail)
        self._area = columns.area
        return columns

    @property
    def is_built(self) -> bool:
        """The rail and all of the steps are there: they are made in turns of their own."""
        return self._slices.is_done and self.steps.is_whole

    @property
    def is_paintable(self) -> bool:
        """A step is there: without one the page would flash."""
        return self._slices.is_done or any(self.steps.is_made(place) for place in range(len(STEPS)))

    def _show_first(self) -> None:
        if not self.is_paintable:  # else somebody turned to a step already
            self._show(self._first_marked())

    def _build_rail(self) -> None:
        rail = Rail(self.draft, self._session, self.forecast)
        rail.wanted.connect(self.go_to)
        layout = self._rail.layout()
        assert layout is not None
        layout.addWidget(rail)
        come_after(self._rail, rail)

    def _build_foot(self) -> None:
        self._back = button(tr("Back"), "default", on_click=lambda: self._show(self._step - 1), name="wizard.back")
        self._problems = button("", "link", on_click=self._to_first_problem, name="wizard.problems")
        self._worker = button(tr("Set up a worker"), "default", name="wizard.error.worker")
        self._worker.clicked.connect(lambda: self.navigate.emit("settings/workers"))
        self._worker.hide()
        self._template = button(
            tr("Save as template"), "default", "layers", self.steps.save_template, "wizard.template"
        )
        self._save = button(tr("Save as draft"), "default", "save", lambda: self._send(start=False), name="wizard.save")
        self._next = button(tr("Start run"), "primary", on_click=self._go_on, name="wizard.next")
        self.outer.addLayout(
            row(self._back, None, self._problems, self._worker, self._template, self._save, self._next, spacing=12)
        )

    def _bind_keys(self) -> None:
        bind(self, "local.wizard.previous", lambda: self._show(self._step - 1))
        bind(self, "local.wizard.next", lambda: self._show(self._step + 1))
        bind(self, "local.wizard.start", self._start_by_key)
        bind(self, "local.wizard.save", lambda: self._save.click())
        for place in range(len(STEPS)):
            bind(self, f"local.wizard.step.{place + 1}", partial(self._show, place))

    def focusInEvent(self, event: QFocusEvent) -> None:
        """Qt's own hook: a page that opens gives the keyboard to its first field."""
        super().focusInEvent(event)
        if event.reason() == Qt.FocusReason.OtherFocusReason and self.steps.is_made(self._step):
            self.steps.step(self._step).focus_first()

    def _first_marked(self) -> int:
        """The step with a setting that a diagnosis changed, so that it is seen; else the first."""
        return min((step_of(path) for path in self.draft.marks), default=0)

    def error_text(self) -> str:
        """The error shown, if any."""
        return self._error.what.text() if self._error.isVisibleTo(self) else ""

    def _show(self, place: int) -> None:
        self._step = max(0, min(place, len(STEPS) - 1))
        self.steps.show_step(self._step)
        self._area.verticalScrollBar().setValue(0)
        self._refresh()
        self.steps.step(self._step).focus_first()

    @Slot(str)
    def go_to(self, path: str) -> None:
        """Turn to a setting: its step, its fold, its field."""
        if path.startswith("settings/"):
            self.navigate.emit(path)
            return
        self._show(step_of(path))
        field = self.steps.field(self._step, path)
        if field is not None:
            field.focus()
            self._area.ensureWidgetVisible(field)

    def _to_first_problem(self) -> None:
        if self.draft.problems:
            self.go_to(self.draft.problems[0].field)

    def _go_on(self) -> None:
        if self._step < len(STEPS) - 1:
            self._show(self._step + 1)
        else:
            self._send(start=True)

    def _start_by_key(self) -> None:
        """Start from the review; from elsewhere look once more first."""
        if self._step < len(STEPS) - 1:
            self._show(len(STEPS) - 1)
        elif self._next.isEnabled():
            self._send(start=True)
        else:
            self._to_first_problem()

    @Slot()
    def _refresh(self, *_news: object) -> None:
        problems, online = len(self.draft.problems), self._session.is_online
        last = self._step == len(STEPS) - 1
        self._back.setVisible(self._step > 0)
        text = ONWARD[self._step]
        self._next.setText(tr(text))
        self._next.setAccessibleName(self._next.text())
        why = count(problems, "1 problem keeps it from starting", "{n} problems keep it from starting")
        if not problems and not online:
            why = tr("Offline: the draft can go on; it starts once the controller answers.")
        set_enabled(self._next, not self._busy and not (last and (problems or not online)), why)
        complete = tr("Complete the settings first.")
        set_enabled(
            self._save, not self._busy and self.draft.config is not None and online, complete if online else why
        )
        said = (why if problems else tr("Offline: the draft is kept.")) if (problems and last) or not online else ""
        self._problems.setToolTip(why if said else "")
        self._problems.setText(said)
        self._problems.setAccessibleName(said or tr("Problems"))
        self._problems.setVisible(bool(said))
        self._template.setVisible(STEPS[self._step][0] == "training" and not said)  # "My templates" has it, too
        for number, made in enumerate(self._heads):
            self._mark(made, number)

    def _mark(self, made: QPushButton, number: int) -> None:
        broken = sum(step_of(problem.field) == number for problem in self.draft.problems)
        state = "now" if number == self._step else "open" if broken else "done"
        said = {"now": tr("this step"), "open": count(broken, "1 problem", "{n} problems"), "done": tr("in order")}
        restyle(made, state=state)
        made.setIcon(step_icon(number + 1, state, self.devicePixelRatioF()))
        made.setAccessibleDescription(said[state])

    def _send(self, start: bool) -> None:
        config = self.draft.config
        if config is None or self._busy:
            return
        self._busy = True
        self._say_error(None)
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
        self._recents.note(self.draft.document)
        if self._draft_id:
            self.store.forget(self._draft_id)
        if start:
            self.navigate.emit(f"run/{run.uid}")
        else:
            self._actions.told.emit(tr("'{name}' is saved as a draft.", name=run.name))
            self.navigate.emit("runs")

    def _failed(self, error: ErrorBody) -> None:
        self._busy = False
        self._say_error(error)
        self._refresh()

    def _say_error(self, error: ErrorBody | None) -> None:
        self._error.show_error(error)
        self._worker.setVisible(error is not None and error.code in NO_WORKER)

    @Slot(str)
    def _keep(self, _path: str) -> None:
        if self._draft_id and not self.draft.is_blank:
            self._kept = True
            self.store.keep(self._draft_id, self.draft.document, self.draft.preset.id)

    @Slot(float)
    def _say_saved(self, when: float) -> None:
        if self._kept:
            clock = time.strftime("%H:%M", time.localtime(when))
            self._saved.setText(tr("Draft saved {time}", time=clock))
            restyle(self._saved, tone="")

    @Slot()
    def _say_not_saved(self) -> None:
        self._saved.setText(tr("⚠ The draft could not be saved: the disk may be full."))
        restyle(self._saved, tone="warn")

    def _export(self) -> None:
        if self.draft.config is not None:
            self._files.ask_export(self.draft.config, self._exported)

    def _exported(self, file: str) -> None:
        self._say_error(None)
        self._actions.told.emit(tr("Saved as {path}", path=file))

    def import_file(self, file: str) -> None:
        """Take the settings of a config file, or show everything that is wrong with it."""
        self._files.read(file, self._imported)

    def _imported(self, document: dict[str, Any]) -> None:
        self._say_error(None)
        if self._draft_id and not self.draft.is_blank:
            self._draft_id = new_id()  # what was there stays among the drafts
        self.draft.replace(document)
        self._keep("")

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        """Qt's own hook: one config file may be dropped."""
        paths = dropped_paths(event)
        if len(paths) == 1 and Path(paths[0]).suffix.lower() in SUFFIXES:
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent) -> None:
        """Qt's own hook."""
        self.import_file(dropped_paths(event)[0])
        event.acceptProposedAction()
