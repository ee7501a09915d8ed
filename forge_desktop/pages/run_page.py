"""The Run page: progress, curves, devices, log and result of one run, live."""

from __future__ import annotations

from PySide6.QtCore import QTimer, Slot
from PySide6.QtWidgets import QButtonGroup, QPushButton, QStackedWidget, QVBoxLayout, QWidget

from engine.contract.errors import ErrorBody
from engine.contract.states import LIVE, RunState
from forge_desktop.bridge.session import Session
from forge_desktop.models.run_model import RunModel
from forge_desktop.panels.charts_card import ChartsCard
from forge_desktop.panels.config_panel import ConfigPanel
from forge_desktop.panels.device_panel import DevicePanel
from forge_desktop.panels.events_panel import EventsPanel
from forge_desktop.panels.log_panel import LogPanel
from forge_desktop.panels.page import ErrorCard, Hint, Page, TwoColumns
from forge_desktop.panels.progress_card import ProgressCard
from forge_desktop.panels.result_panel import FilesCard, SamplesPanel, ScoreCard
from forge_desktop.panels.run_actions import RunActions
from forge_desktop.panels.status import TONES
from forge_desktop.theme.controls import Chip, Elided, button, column, line, row, scrolled, set_enabled
from forge_desktop.theme.language import tr, word

TABS = (("overview", "Overview"), ("samples", "Samples"), ("config", "Config"), ("events", "Events"))


class RunPage(Page):
    """One run."""

    def __init__(self, session: Session, actions: RunActions, uid: str) -> None:
        super().__init__()
        self.model = RunModel(session, uid, self)
        self._actions = actions
        self._build_head()
        self._progress = ProgressCard(self.model)
        self._error = ErrorCard("run.error")
        self._stack = QStackedWidget()
        self._content = self._build_content()
        self._waiting = Hint("loader-circle", tr("Loading the run"), tr("The job controller is being asked."))
        self._stack.addWidget(self._waiting)
        self._stack.addWidget(self._content)
        self.outer.addWidget(self._error)
        self.outer.addWidget(self._stack, 1)
        self.model.loaded.connect(lambda: self._stack.setCurrentWidget(self._content))
        self.model.changed.connect(self._refresh)
        self.model.failed.connect(self._failed)
        self.model.gone.connect(lambda: self.navigate.emit("runs"))
        self._tick = QTimer(self, interval=1000)
        self._tick.timeout.connect(self._progress.refresh)
        self._tick.start()
        self.model.refetch()

    def _build_head(self) -> None:
        back = button(tr("Runs"), "link", "chevron-left", lambda: self.navigate.emit("runs"), name="run.back")
        self._name = Elided("", "title")
        self._chip = Chip()
        self._stop = button(tr("Stop"), "danger", "square", self._ask_stop, name="run.stop")
        self._start = button(tr("Start"), "primary", "play", self._do_start, name="run.start")
        self._copy = button(tr("Copy as draft"), "default", "copy", self._do_copy, name="run.copy")
        self._delete = button(tr("Delete"), "default", "trash-2", self._ask_delete, name="run.delete")
        layout = row(spacing=10)
        layout.addWidget(self._name, 1)
        layout.addWidget(self._chip)
        for made in (self._start, self._copy, self._delete, self._stop):
            layout.addWidget(made)
        head = column(spacing=2)
        head.addLayout(row(back, None))
        head.addLayout(layout)
        self.outer.addLayout(head)

    def _build_content(self) -> QWidget:
        content = QWidget()
        layout = QVBoxLayout(content)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(12)
        layout.addWidget(self._progress)
        self._tabs = QStackedWidget()
        self._tab_buttons: dict[str, QPushButton] = {}
        group = QButtonGroup(self)
        bar = row(spacing=20)
        for place, (key, text) in enumerate(TABS):
            made = button(tr(text), "tab", name=f"run.tab.{key}")
            made.setCheckable(True)
            made.clicked.connect(lambda _checked=False, place=place: self._tabs.setCurrentIndex(place))
            group.addButton(made)
            self._tab_buttons[key] = made
            bar.addWidget(made)
        bar.addStretch(1)
        layout.addLayout(bar)
        layout.addWidget(line())
        self._tab_buttons["overview"].setChecked(True)
        self._tabs.addWidget(self._build_overview())
        self._tabs.addWidget(scrolled(SamplesPanel(self.model)))
        self._tabs.addWidget(ConfigPanel(self.model))
        self._tabs.addWidget(EventsPanel(self.model))
        layout.addWidget(self._tabs, 1)
        return content

    def _build_overview(self) -> QWidget:
        main, rail = QWidget(), QWidget()
        charts = ChartsCard(self.model)
        self.chart = charts.chart
        self.log = LogPanel(self.model, self._save_log)
        main_layout = column(charts, self.log, spacing=14)
        main_layout.setStretch(0, 3)
        main_layout.setStretch(1, 2)
        main.setLayout(main_layout)
        files = FilesCard(self.model, lambda artifact: self._actions.download(self.model.uid, artifact, self))
        rail.setLayout(column(DevicePanel(self.model), ScoreCard(self.model), files, None, spacing=14))
        return TwoColumns(main, rail)

    def show_tab(self, key: str) -> None:
        """Open one of the tabs."""
        self._tab_buttons[key].click()

    @Slot()
    def _refresh(self) -> None:
        detail = self.model.detail
        if detail is None:
            return
        run = detail.run
        self._name.set_text(run.name)
        tone, icon = TONES[run.state]
        self._chip.set(word("state", run.state), tone, icon)
        can_stop = run.state in LIVE or run.state in (RunState.QUEUED, RunState.PAUSED)
        self._stop.setVisible(can_stop)
        self._start.setVisible(run.state is RunState.DRAFT)
        set_enabled(self._delete, run.state not in LIVE, tr("A run at work cannot be deleted: stop it first."))
        self._error.show_error(run.error)

    @Slot(object)
    def _failed(self, error: ErrorBody) -> None:
        if self.model.detail is None:
            self._error.show_error(error)
            self._waiting.say(tr("This run cannot be shown"), "")

    def _ask_stop(self) -> None:
        if self.model.detail is not None:
            self._actions.stop(self.model.detail.run, self)

    def _do_start(self) -> None:
        if self.model.detail is not None:
            self._actions.start(self.model.detail.run)

    def _do_copy(self) -> None:
        if self.model.detail is not None:
            self._actions.copy(self.model.detail.run, self.navigate.emit)

    def _save_log(self) -> None:
        if self.model.detail is not None:
            self._actions.save_log(self.model.detail.run, self)

    def _ask_delete(self) -> None:
        if self.model.detail is not None:
            self._actions.delete(self.model.detail.run, self)
