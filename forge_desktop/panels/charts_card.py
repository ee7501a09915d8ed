"""The card with a run's charts: one metric or all, how they are shown, and ways to take them along."""

from __future__ import annotations

from PySide6.QtCore import QPoint, Qt, Signal, Slot
from PySide6.QtGui import QAction, QShowEvent
from PySide6.QtWidgets import QGridLayout, QMenu, QWidget

from engine.contract.api import RunDetail
from forge_desktop.bridge.backend_series import Named
from forge_desktop.bridge.preferences import Preferences
from forge_desktop.models.chart_memory import ChartMemory
from forge_desktop.models.run_model import RunModel
from forge_desktop.models.series_view import CurveSource, held_axis
from forge_desktop.models.transfers import Transfers
from forge_desktop.panels.attempts_card import attempt_title
from forge_desktop.panels.chart_export import ChartExport
from forge_desktop.panels.chart_legend import ChartLegend, LegendEntry
from forge_desktop.panels.chart_options import ChartOptions, weight_text
from forge_desktop.panels.chart_series import ChartLink, ChartMark, ChartSeries, ChartSwitches
from forge_desktop.panels.curve_chart import CurveChart
from forge_desktop.panels.events_panel import guard_brief
from forge_desktop.theme.controls import Card, Segments, button, column, label
from forge_desktop.theme.flow import FlowLayout
from forge_desktop.theme.language import labelled, tr, word

METRICS = ("loss", "learning_rate", "grad_norm", "tokens_per_second")
PREFERENCES = {
    "rewards/margins": ("rewards/chosen", "rewards/rejected"),
    "rewards/accuracies": (),
    "accuracy": (),
    "absolute_error": (),
    "similarity/right": ("similarity/others",),
    "scores/right": ("scores/others",),
    "agreement": (),
    "value_loss": (),
    "reward": ("rewards/accuracy", "rewards/format", "validation_reward"),
    "answer_length": (),
}
"""Charts of stages that tell more than a loss, with the curves beside: made when there are points of them."""
SMOOTHED = {"loss", "grad_norm", "tokens_per_second", *PREFERENCES}
SEEN, VALIDATION = "tokens_seen", "validation_loss"
ALL = "all"
HEIGHT, SMALL_HEIGHT = 290, 160


class ChartsCard(Card):
    """Charts of one run, which share crosshair, zoom and switches."""

    told = Signal(str)
    failed = Signal(object)
    """ErrorBody: something could not be saved."""
    step_wanted = Signal(int)
    """A point of a curve was clicked: whoever looks wants to know what the step learned from."""

    def __init__(
        self,
        model: RunModel,
        preferences: Preferences | None = None,
        transfers: Transfers | None = None,
    ) -> None:
        """It shows nothing before `begin`, which may come in a later turn."""
        super().__init__(word("metric", "loss"))
        self.setObjectName("run.charts")
        self._model, self._memory = model, ChartMemory(preferences)
        switches = self._memory.switches(ChartSwitches)
        self.link = ChartLink(self)
        self.options = ChartOptions(switches)
        self.export = ChartExport(model.session, self._named, self, transfers)
        self.export.told.connect(self.told)
        self.export.failed.connect(self.failed)
        self.charts = {metric: self._make_chart(metric, switches) for metric in METRICS}
        self.chart = self.charts["loss"]
        self.legend = ChartLegend()
        self._build_head()
        self._build_charts()
        self.options.changed.connect(self._switched)
        self.link.zoomed.connect(self._keep_zoom)

    def begin(self) -> None:
        """Show what there is, and what comes."""
        self._model.points_changed.connect(self._points_changed)
        self._model.changed.connect(self._run_changed)
        self._model.series.state_changed.connect(self._show_states)
        self.link.look_at(self._memory.zoom(self._model.uid, self.options.switches.axis))
        metric = self._memory.metric()
        self.choose(metric if metric in (*METRICS, ALL) else "loss")
        self._run_changed()
        self._switched(self.options.switches)
        curves = self._model.curves.items()
        self._points_changed({name for name, curve in curves if len(curve) or curve.coarse is not None})

    def choose(self, metric: str) -> None:
        """Show the chart of one metric, or all."""
        for choices, own in ((self.choice, (*METRICS, ALL)), (self.beside, PREFERENCES)):
            if metric in own:
                choices.set_value(metric)
            else:
                choices.choose_none()
        self.title.setText(tr("Charts") if metric == ALL else word("metric", metric))
        kept = self.charts["loss" if metric == ALL else metric]
        had_focus = any(chart.hasFocus() for chart in self.charts.values())
        self._cells[metric if metric in METRICS else "loss"].show()
        if had_focus:
            kept.setFocus()
        for key, chart in self.charts.items():
            self._cells[key].setVisible(metric in (key, ALL))
            self._names[key].setVisible(metric == ALL)
            chart.setMinimumHeight(SMALL_HEIGHT if metric == ALL else HEIGHT)
        self._memory.keep_metric(metric)
        self._show_legend()
        self._look()

    def chosen(self) -> str:
        """The metric whose chart is shown, or all."""
        return self.choice.value() or self.beside.value()

    def shown(self) -> list[str]:
        """The metrics whose charts are seen."""
        chosen = self.chosen()
        return list(self.charts) if chosen == ALL else [chosen]

    def fill_menu(self, menu: QMenu, metric: str) -> None:
        """What can be done with one chart."""
        chart = self.charts[metric]
        whole = menu.addAction(tr("Show everything"), chart.reset_view)
        whole.setObjectName("chart.reset")
        for made, text in ((self.options.log, tr("Log scale")), (self.options.clip, tr("Clip outliers"))):
            action = QAction(text, menu, checkable=True, checked=made.isChecked())
            action.triggered.connect(made.setChecked)
            menu.addAction(action)
        menu.addSeparator()
        detail = self._model.detail
        name = f"{detail.run.name if detail else self._model.uid}-{metric}"
        self.export.fill(menu, chart, [metric, VALIDATION] if metric == "loss" else [metric], name)

    def _named(self) -> Named:
        detail = self._model.detail
        return ((self._model.uid, detail.run.name if detail else self._model.uid),)

    def showEvent(self, event: QShowEvent) -> None:
        """Qt's own hook: what was arranged while hidden is measured anew."""
        self._grid.invalidate()
        self.body.invalidate()
        self.updateGeometry()
        super().showEvent(event)

    def _make_chart(self, metric: str, switches: ChartSwitches) -> CurveChart:
        tokens = self._model.curve(SEEN)
        made = CurveChart()
        made.setObjectName(f"chart.of.{metric}")
        made.set_link(self.link)
        made.set_switches(switches)
        source = CurveSource(self._model.curve(metric), switches.axis, tokens=tokens)
        series = [ChartSeries(word("metric", metric), source, smooth=metric in SMOOTHED)]
        if metric == "loss":
            seldom = CurveSource(self._model.curve(VALIDATION), switches.axis, tokens=tokens)
            series.append(ChartSeries(tr("Validation"), seldom, colour=1, form="dots"))
        for number, name in enumerate(PREFERENCES.get(metric, ()), 1):
            beside = CurveSource(self._model.curve(name), switches.axis, tokens=tokens)
            series.append(ChartSeries(word("metric", name), beside, colour=number, smooth=True))
        made.set_series(series, labelled(tr("Chart"), word("metric", metric)))
        made.notice.retry.connect(self._model.series.refetch)
        made.range_changed.connect(self._look)
        made.chosen.connect(lambda x: self._point_chosen(made, x))
        made.menu_wanted.connect(lambda place: self._open_menu(metric, place))
        return made

    def _point_chosen(self, chart: CurveChart, x: float) -> None:
        """Where the axis is none of steps, the step that stands there."""
        source = chart.series[0].source
        steps = self._model.curve("loss").x
        if self.options.switches.axis == "step":
            self.step_wanted.emit(round(x))
            return
        places = [(abs(at - x), int(step)) for step in steps if (at := source.at_step(float(step))) is not None]
        if places:
            self.step_wanted.emit(min(places)[1])

    def _build_head(self) -> None:
        short = {"learning_rate": tr("LR"), "grad_norm": tr("Grad norm")}
        choices = [(name, short.get(name, word("metric", name))) for name in METRICS]
        self.choice = Segments([*choices, (ALL, tr("All"))], "loss", name="chart")
        self.beside = Segments([(name, word("metric", name)) for name in PREFERENCES], name="chart")
        self.beside.hide()
        for group, names in ((self.choice, METRICS), (self.beside, PREFERENCES)):
            for name in names:
                group.button(name).setAccessibleName(word("metric", name))
                group.button(name).setVisible(name in METRICS)
            group.chosen.connect(self.choose)
        self.head.addWidget(self.legend, 1, Qt.AlignmentFlag.AlignVCenter)
        self._save = button("", "quiet", "download", self._open_save, "chart.export", tr("Save or copy the chart"))
        self._save.setFixedWidth(40)
        self.head.addWidget(self._save)
        bar = QWidget()
        flow = FlowLayout(bar, spacing=8)
        flow.addWidget(self.choice)
        flow.addWidget(self.beside)
        flow.addWidget(self.options.bar())
        self.body.addWidget(bar)
        self.body.addWidget(self.options.more)
        self.options.setParent(self)
        self.options.hide()

    def _build_charts(self) -> None:
        self._cells: dict[str, QWidget] = {}
        self._names: dict[str, QWidget] = {}
        self._grid = grid = QGridLayout()
        grid.setSpacing(12)
        for metric in self.charts:
            self._place_chart(metric)
        self.body.addLayout(grid, 1)

    def _place_chart(self, metric: str) -> None:
        """Into the next free cell."""
        cell, place = QWidget(), len(self._cells)
        self._names[metric] = label(word("metric", metric), "label")
        cell.setLayout(column(self._names[metric], self.charts[metric], spacing=4))
        self._grid.addWidget(cell, place // 2, place % 2)
        self._cells[metric] = cell

    def _add_preferences(self, metrics: set[str]) -> None:
        """The run learns preferences: there are charts of them from now on."""
        added = [name for name in PREFERENCES if name in metrics and name not in self.charts]
        for name in added:
            self.charts[name] = self._make_chart(name, self.options.switches)
            self._place_chart(name)
            self.beside.button(name).show()
            self.beside.show()
        if added:
            self.choose(self.chosen())
            self._run_changed()

    @Slot(object)
    def _switched(self, switches: ChartSwitches) -> None:
        if switches.axis != self.chart.switches.axis:
            self.link.point_at(None)
            self.link.look_at(None)
        held = held_axis(switches.axis)
        self._model.series.set_axis(held)
        for chart in self.charts.values():
            chart.set_switches(switches)
        self._memory.keep_switches(switches)
        self._show_legend()

    @Slot()
    def _keep_zoom(self) -> None:
        self._memory.keep_zoom(self._model.uid, self.options.switches.axis, self.link.zoom)

    def _show_legend(self) -> None:
        entries = []
        weight = self.options.switches.smoothing
        chosen = self.chosen()
        if chosen in SMOOTHED | {ALL} and weight > 0:
            entries = [
                LegendEntry(tr("Smoothed {weight}", weight=weight_text(weight))),
                LegendEntry(tr("Raw"), form="raw"),
            ]
        if chosen in ("loss", ALL):
            entries.append(LegendEntry(tr("Validation"), 1, form="dots"))
        detail = self._model.detail
        if detail is not None and len(detail.attempts) > 1:
            entries.append(LegendEntry(tr("Overwritten"), form="lost"))
        self.legend.set_entries(entries)

    @Slot(object)
    def _points_changed(self, metrics: set[str]) -> None:
        if {"loss", VALIDATION} & metrics:
            self._model.curve(VALIDATION).set_begins(self._model.curve("loss").begins())
            self._show_marks()
        if SEEN in metrics:
            self.options.set_tokens_known(True)
        self._add_preferences(metrics)
        for metric, chart in self.charts.items():
            if metric in metrics or (metric == "loss" and VALIDATION in metrics):
                chart.touch()
        self._show_states()
        self._look()

    @Slot()
    def _look(self) -> None:
        """Long curves are fetched finer where somebody looks."""
        for metric in self.shown():
            chart = self.charts[metric]
            if self._model.curve(metric).coarse is not None and chart.isVisible():
                low, high = chart.seen()[0]
                source = chart.series[0].source
                self._model.series.look_at(metric, (source.held_x(low), source.held_x(high)))

    @Slot()
    def _run_changed(self) -> None:
        detail = self._model.detail
        if detail is None:
            return
        self.options.set_tokens_known(len(self._model.curve(SEEN)) > 0)
        for chart in self.charts.values():
            chart.set_end(detail.run.total_steps)
            for one in chart.series:
                one.source.set_axis(self.options.switches.axis, self._origin())
            chart.touch()
        self._show_marks()
        self._show_legend()
        self._show_states()

    def _origin(self) -> float:
        """When the first attempt began: the zero of the time since the start."""
        detail = self._model.detail
        first = next((a.started for a in detail.attempts if a.started), None) if detail else None
        return first or (detail.run.started if detail is not None else None) or 0.0

    @Slot()
    def _show_states(self) -> None:
        series, detail = self._model.series, self._model.detail
        ended = detail is not None and detail.run.state.ended
        for chart in self.charts.values():
            state = "ready" if chart.has_points() else "none" if ended else "empty"
            if state != "ready" and series.state != "ready":
                state = series.state
            chart.show_state(state, series.error)

    def _show_marks(self) -> None:
        detail = self._model.detail
        if detail is None:
            return
        marks = [*self._attempt_marks(detail), *_happened(detail)]
        for chart in self.charts.values():
            chart.set_marks(marks)

    def _attempt_marks(self, detail: RunDetail) -> list[ChartMark]:
        titles = {attempt.n: attempt_title(attempt) for attempt in detail.attempts}
        made = []
        for number, first in self._model.curve("loss").begins()[1:]:
            title = titles.get(number) or tr("Attempt {n}", n=number)
            text = labelled(title, tr("step {step}", step=f"{first:,.0f}"))
            made.append(ChartMark(first, text, "attempt", tr("Attempt {n}", n=number)))
        return made

    def _open_menu(self, metric: str, place: QPoint) -> None:
        menu = QMenu(self)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.fill_menu(menu, metric)
        menu.popup(place)

    def _open_save(self) -> None:
        self._open_menu(self.shown()[0], self._save.mapToGlobal(self._save.rect().bottomLeft()))


GUARDS_SHOWN = 200
"""Marks of guards; of a run with more, the last."""


def _happened(detail: RunDetail) -> list[ChartMark]:
    """Checkpoints that are there, and from where attempts went on."""
    made = [
        ChartMark(one.step, tr("Best checkpoint") if one.best else tr("Checkpoint saved"), "saved")
        for one in detail.checkpoints
    ]
    steps = sorted({one.resumed_step for one in detail.attempts if one.resumed_step is not None})
    made += [ChartMark(step, tr("Went on from here"), "resumed") for step in steps]
    seen = [event for event in detail.events if event.kind == "guard"][-GUARDS_SHOWN:]
    return made + [ChartMark(float(event.body.get("step", 0)), guard_brief(event.body), "guard") for event in seen]
