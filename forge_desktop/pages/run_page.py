"""The Run page: progress, curves, devices, log and result of one run, live."""

from __future__ import annotations

from functools import partial

from PySide6.QtCore import Qt, QTimer, Slot
from PySide6.QtWidgets import QButtonGroup, QMenu, QPushButton, QStackedWidget, QWidget

from engine.contract.api import ArtifactInfo, CheckpointInfo, Diagnosis, ResumeRun, RunSummary
from engine.contract.errors import ErrorBody
from forge_desktop.bridge.backend import Item
from forge_desktop.bridge.preferences import Preferences
from forge_desktop.bridge.session import Session
from forge_desktop.models.deeds import Deed, deeds_of
from forge_desktop.models.run_model import RunModel
from forge_desktop.panels.attempts_card import AttemptsCard
from forge_desktop.panels.bulk_actions import TagDialog
from forge_desktop.panels.charts_card import ChartsCard
from forge_desktop.panels.checkpoints_panel import CheckpointsCard, LatestCheckpoints
from forge_desktop.panels.config_panel import ConfigPanel
from forge_desktop.panels.curve_chart import CurveChart
from forge_desktop.panels.device_panel import DevicePanel
from forge_desktop.panels.diagnosis_card import DiagnosisCard
from forge_desktop.panels.events_panel import EventsPanel
from forge_desktop.panels.gallery_panel import GalleryPanel
from forge_desktop.panels.local_keys import bind
from forge_desktop.panels.log_panel import LogPanel
from forge_desktop.panels.moves_card import MovesCard
from forge_desktop.panels.notice_card import NoticeCard
from forge_desktop.panels.page import Hint, Page, TwoColumns
from forge_desktop.panels.phases_strip import PhasesCard
from forge_desktop.panels.progress_card import ProgressCard
from forge_desktop.panels.reproduce_dialog import ReproduceDialog
from forge_desktop.panels.reproduction_card import ReproductionCard
from forge_desktop.panels.result_panel import FilesCard, SamplesPanel, ScoreCard
from forge_desktop.panels.rows_panel import RowsPanel
from forge_desktop.panels.run_actions import RunActions
from forge_desktop.panels.run_head import RunHead
from forge_desktop.panels.rungs_card import RungsCard
from forge_desktop.panels.step_rows_dialog import StepRowsDialog
from forge_desktop.theme.controls import button, clear, column, line, row, scrolled, set_enabled
from forge_desktop.theme.language import tr
from forge_desktop.theme.later import Later
from forge_desktop.theme.slices import Slices

TABS = (
    ("overview", "Overview"),
    ("checkpoints", "Checkpoints"),
    ("samples", "Samples"),
    ("rows", "Row losses"),
    ("config", "Config"),
    ("events", "Events"),
    ("log", "Log"),
)
OF_TRAINING = ("checkpoints", "samples", "rows", "config")
"""Tabs that a run of another kind has nothing for."""
IN_HEAD = {
    "serving": "primary",
    "start": "primary",
    "resume": "primary",
    "ask": "default",
    "pause": "default",
    "stop": "danger",
}
"""Deeds with a button of their own, and its form; `extend` too where there is nothing to resume. The rest is a menu."""


class RunPage(Page):
    """One run."""

    goes_in_parts = True

    def __init__(self, session: Session, actions: RunActions, uid: str, preferences: Preferences | None = None) -> None:
        super().__init__()
        self._preferences = preferences
        self.model = RunModel(session, uid, self)
        self._actions = actions
        self._build_head()
        self._notice = NoticeCard(self.model, self._do)
        self._error = DiagnosisCard(self.model, self._change, actions.told.emit)
        self._stack = QStackedWidget()
        self._content = QWidget()
        self._tab_buttons: dict[str, QPushButton] = {}
        self._waiting = Hint("loader-circle", tr("Loading the run"), tr("The job controller is being asked."))
        self._stack.addWidget(self._waiting)
        self._stack.addWidget(self._content)
        self.outer.addWidget(self._notice)
        self.outer.addWidget(self._error)
        self._rungs = RungsCard(self.model, self._go_on_with)
        self.outer.addWidget(self._rungs)
        self.reproduction = ReproductionCard(self.model, self.navigate.emit, self.show_step)
        self.outer.addWidget(self.reproduction)
        self.moves = MovesCard(actions.moves, uid)
        self.outer.addWidget(self.moves)
        self.outer.addWidget(self._stack, 1)
        self._slices = Slices(self)
        self._is_begun = self._has_failed = False
        self._first_tab = ""
        self.model.loaded.connect(self._begin)
        self.model.changed.connect(self._refresh)
        self.model.failed.connect(self._failed)
        self.model.gone.connect(lambda: self.navigate.emit("runs"))
        self._tick = QTimer(self, interval=1000)
        self._tick.timeout.connect(self._notice.refresh)
        self._tick.start()
        self._bind_keys()
        self.model.refetch()

    def _build_head(self) -> None:
        self._head = RunHead()
        self._head.back.connect(lambda: self.navigate.emit("runs"))
        self._head.renamed.connect(self.model.rename)
        self._head.tags_wanted.connect(self._edit_tags)
        self._deeds: list[Deed] | None = None
        self._head_buttons = row(spacing=10)
        self._more = button("", "quiet", "ellipsis", self._open_menu, "run.more", tr("More (Shift+F10)"))
        self._head.buttons.addLayout(self._head_buttons)
        self._head.buttons.addWidget(self._more)
        self.outer.addWidget(self._head)

    def _bind_keys(self) -> None:
        bind(self, "local.run.rename", self._head.name.edit)
        bind(self, "local.run.next", lambda: self._turn(1))
        bind(self, "local.run.previous", lambda: self._turn(-1))
        bind(self, "local.run.more", self._open_menu)

    def _go_on_with(self, wish: ResumeRun) -> None:
        """Memory ran out, and somebody chose what to lower."""
        if self.model.detail is not None:
            self._actions.resume(self.model.detail.run, wish)

    def _turn(self, step: int) -> None:
        """The next tab, or the one before."""
        self._complete()
        shown = [place for place, (key, _text) in enumerate(TABS) if not self._tab_buttons[key].isHidden()]
        place = shown[(shown.index(self._tabs.currentIndex()) + step) % len(shown)]
        made = self._tab_buttons[TABS[place][0]]
        made.click()
        made.setFocus(Qt.FocusReason.TabFocusReason)

    def shown_run(self) -> RunSummary | None:
        """The run, once it is known."""
        return self.model.detail.run if self.model.detail is not None else None

    # The content is made a card a turn once the detail is there, each card with what it shows, and seen when all are.

    @property
    def is_built(self) -> bool:
        """Everything is made and shown, or why there is nothing to show."""
        shown = self._stack.currentWidget() is self._content and self._slices.is_done
        return shown or (self.model.detail is None and self._has_failed)

    @property
    def chart(self) -> CurveChart:
        """The chart of the loss."""
        self._complete()
        return self._charts.chart

    @property
    def log(self) -> LogPanel:
        """The one log."""
        self._complete()
        return self._log

    def _begin(self) -> None:
        """The detail came: make the content."""
        if self._is_begun:
            self._show_content()
            return
        self._is_begun = True
        self._slices.begin(
            [
                self._build_frame, self._build_charts, self._begin_charts, self._build_log, self._build_devices,
                self._build_rail, self._build_tabs, self._show_content,
            ]
        )  # fmt: skip

    def _complete(self) -> None:
        """Somebody needs a part of the content: make what is left now."""
        if not self._is_begun:
            self._begin()
        if not self._slices.is_done:
            self._slices.finish()

    def _show_content(self) -> None:
        if self.model.detail is not None:
            self._stack.setCurrentWidget(self._content)
            self._show_kind(self.model.detail.run.kind)
            first, self._first_tab = self._tab_buttons.get(self._first_tab), ""
            if first is not None:
                first.click()

    def _build_frame(self) -> None:
        self._progress = ProgressCard(self.model)
        self._tick.timeout.connect(self._progress.refresh)
        layout = column(self._progress, spacing=12)
        self._content.setLayout(layout)
        self._tabs = QStackedWidget()
        group = QButtonGroup(self)
        bar = row(spacing=20)
        for place, (key, text) in enumerate(TABS):
            made = button(tr(text), "tab", name=f"run.tab.{key}")
            made.setCheckable(True)
            made.setToolTip(tr("Next tab: Ctrl+Tab"))
            made.clicked.connect(lambda _checked=False, place=place: self._open_tab(place))
            group.addButton(made)
            self._tab_buttons[key] = made
            bar.addWidget(made)
        bar.addStretch(1)
        under = column(spacing=0)
        under.addLayout(bar)
        under.addWidget(line())
        layout.addLayout(under)
        self._tab_buttons["overview"].setChecked(True)
        self._build_overview()
        layout.addWidget(self._tabs, 1)

    def _build_overview(self) -> None:
        main, rail, whole = QWidget(), QWidget(), QWidget()
        self._main, self._rail = column(spacing=14), column(spacing=14)
        main.setLayout(self._main)
        rail.setLayout(self._rail)
        self._phases = PhasesCard(self.model)
        self._tick.timeout.connect(self._phases.refresh)
        whole.setLayout(column(self._phases, TwoColumns(main, rail), spacing=12))
        self._tabs.addWidget(whole)

    def _build_charts(self) -> None:
        charts = self._charts = ChartsCard(self.model, self._preferences, self._actions.transfers)
        charts.told.connect(self._actions.told)
        charts.failed.connect(self._actions.failed)
        charts.step_wanted.connect(self.show_step)
        self._main.addWidget(charts, 3)

    def _begin_charts(self) -> None:
        self._charts.begin()

    def _build_log(self) -> None:
        self._log = LogPanel(self.model, lambda: self._save(Item("log")))
        self._log.full_wanted.connect(lambda full: self.show_tab("log" if full else "overview"))
        self._log.told.connect(self._actions.told)
        self._main.addWidget(self._log, 2)

    def _build_devices(self) -> None:
        self._rail.addWidget(DevicePanel(self.model))

    def _build_rail(self) -> None:
        checkpoints = LatestCheckpoints(self.model, self._do_checkpoint, lambda: self.show_tab("checkpoints"))
        files = FilesCard(self.model, self._download)
        self._of_training = (checkpoints, ScoreCard(self.model), files)
        for card in (*self._of_training, AttemptsCard(self.model)):
            self._rail.addWidget(card)
        self._rail.addStretch(1)

    def _build_tabs(self) -> None:
        """Behind the others, so that Tab comes to them in their order."""
        self._tabs.addWidget(Later(self._build_checkpoints))
        self._tabs.addWidget(Later(self._build_samples))
        self._tabs.addWidget(Later(lambda: scrolled(RowsPanel(self.model, self.navigate.emit, self.show_step))))
        self._tabs.addWidget(Later(lambda: ConfigPanel(self.model, lambda: self._save(Item("config")))))
        self._tabs.addWidget(Later(lambda: EventsPanel(self.model)))
        self._log_tab = QWidget()
        self._log_tab.setLayout(column())
        self._tabs.addWidget(self._log_tab)

    def _build_samples(self) -> QWidget:
        inner = QWidget()
        inner.setLayout(column(GalleryPanel(self.model), SamplesPanel(self.model), None, spacing=12))
        return scrolled(inner)

    def _build_checkpoints(self) -> QWidget:
        inner = QWidget()
        inner.setLayout(column(CheckpointsCard(self.model, self._do_checkpoint), None))
        return scrolled(inner)

    def _open_tab(self, place: int) -> None:
        """Show a tab; there is one log, which moves to where it is looked at."""
        full = TABS[place][0] == "log"
        home = self._log_tab.layout() if full else self._main
        if home is not None and home.indexOf(self.log) < 0:
            home.addWidget(self.log)
            if not full:
                self._main.setStretch(1, 2)
        self.log.set_full(full)
        shown = self._tabs.widget(place)
        if isinstance(shown, Later):
            shown.made()
        self._tabs.setCurrentIndex(place)

    def show_tab(self, key: str) -> None:
        """Open one of the tabs."""
        self._complete()
        self._tab_buttons[key].click()

    def open_at(self, key: str) -> None:
        """Open one of the tabs as soon as the content is there; an unknown one is the overview."""
        self._first_tab = key

    @Slot()
    def _refresh(self) -> None:
        detail = self.model.detail
        if detail is None:
            return
        run = detail.run
        self._head.show_run(run)
        self._show_kind(run.kind)
        self._error.refresh()
        self._rungs.refresh()
        self._show_deeds(deeds_of(run))

    def _show_kind(self, kind: str) -> None:
        """An instance has no curves, checkpoints, scores or rows."""
        if kind == "serve" and self._stack.currentWidget() is self._content:
            for part in (self._charts, *self._of_training):
                part.hide()
            for key in OF_TRAINING:
                self._tab_buttons[key].hide()

    def _show_deeds(self, deeds: list[Deed]) -> None:
        if deeds == self._deeds:
            return  # a button must not go while it is being pressed
        self._deeds = deeds
        clear(self._head_buttons)
        for deed in deeds:
            if self._in_head(deed):
                self._head_buttons.addWidget(self._button(deed))

    def _in_head(self, deed: Deed) -> bool:
        if deed.key == "extend":
            return all(other.key != "resume" for other in self._deeds or [])
        return deed.key in IN_HEAD

    def _button(self, deed: Deed) -> QPushButton:
        form = IN_HEAD.get(deed.key, "default")
        detail = self.model.detail
        if detail is not None and detail.diagnosis is not None and form == "primary":
            form = "default"  # what the diagnosis suggests comes first
        text = tr("Sample now") if deed.key == "ask" else deed.text.rstrip("…")
        made = button(text, form, deed.icon, lambda: self._do(deed.key), name=f"run.{deed.key}")
        set_enabled(made, not deed.why_not, deed.why_not)
        return made

    def fill_menu(self, menu: QMenu) -> None:
        """Everything that has no button of its own."""
        rename = menu.addAction(tr("Rename") + "\tF2", self._head.name.edit)
        rename.setObjectName("run.rename")
        tags = menu.addAction(tr("Tags…"), self._edit_tags)
        tags.setObjectName("run.tags.menu")
        compare = menu.addAction(tr("Compare with…"), lambda: self.navigate.emit(f"compare/{self.model.uid}"))
        compare.setObjectName("run.compare")
        step_rows = menu.addAction(tr("Rows of a step…"), self.show_step)
        step_rows.setObjectName("run.step_rows")
        again = menu.addAction(tr("Run again exactly…"), self._reproduce)
        again.setObjectName("run.reproduce")
        detail = self.model.detail
        again.setEnabled(detail is not None and detail.run.kind == "train" and detail.run.attempt > 0)
        step_rows.setEnabled(again.isEnabled())
        menu.addSeparator()
        for deed in self._deeds or []:
            if self._in_head(deed):
                continue
            if deed.key in ("copy", "delete"):
                menu.addSeparator()
            action = menu.addAction(deed.text, partial(self._do, deed.key))
            action.setObjectName(f"run.{deed.key}")
            action.setEnabled(not deed.why_not)
            action.setToolTip(deed.why_not)

    def _open_menu(self) -> None:
        menu = QMenu(self)
        menu.setToolTipsVisible(True)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.fill_menu(menu)
        menu.popup(self._more.mapToGlobal(self._more.rect().bottomLeft()))

    @Slot(object)
    def _failed(self, error: ErrorBody) -> None:
        self._has_failed = True
        if self.model.detail is None:
            self._error.show_error(error)
            self._waiting.say(tr("This run cannot be shown"), "")

    def _edit_tags(self) -> None:
        if self.model.detail is not None:
            TagDialog([self.model.detail.run], self.model.change_tags, self).open()

    @Slot(int)
    def show_step(self, step: int | None = None) -> None:
        """The rows of a step, of the latest where none is named."""
        StepRowsDialog(self.model, step, self).open()

    def _reproduce(self) -> None:
        if self.model.detail is not None:
            ReproduceDialog(self.model.session, self.model.detail.run, self.navigate.emit, self).open()

    def _do(self, key: str) -> None:
        if self.model.detail is not None:
            self._actions.do(key, self.model.detail.run, self, self.navigate.emit)

    def _do_checkpoint(self, key: str, found: CheckpointInfo) -> None:
        if self.model.detail is not None and key == "chat":
            self.navigate.emit(f"playground/run/{self.model.detail.run.uid}/{found.step}")
        elif self.model.detail is not None:
            self._actions.checkpoint(key, self.model.detail.run, found, self)

    def _change(self, found: Diagnosis) -> None:
        if self.model.detail is not None:
            self._actions.copy_with(self.model.detail, found, self.navigate.emit)

    def _download(self, artifact: ArtifactInfo) -> None:
        if self.model.detail is not None:
            self._actions.download(self.model.detail.run, artifact, self)

    def _save(self, item: Item) -> None:
        if self.model.detail is not None:
            self._actions.save_file(self.model.detail.run, item, self)
