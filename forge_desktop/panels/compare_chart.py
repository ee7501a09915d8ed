"""One metric of several runs in one chart, with the parts of every chart: each run has its colour, dash and letter."""

from __future__ import annotations

from PySide6.QtCore import QPoint, QTimer, Signal, Slot
from PySide6.QtGui import QShowEvent
from PySide6.QtWidgets import QMenu, QWidget

from forge_desktop.bridge.backend_series import Named
from forge_desktop.models.compare_model import CHART_AXES, METRICS, VALIDATION, CompareModel, Entry
from forge_desktop.models.transfers import Transfers
from forge_desktop.panels.chart_export import ChartExport
from forge_desktop.panels.chart_options import ChartOptions
from forge_desktop.panels.chart_series import ChartSeries, ChartSwitches
from forge_desktop.panels.curve_chart import CurveChart
from forge_desktop.theme.controls import Card, Choice, Segments, button, label
from forge_desktop.theme.flow import FlowLayout
from forge_desktop.theme.language import labelled, tr, word
from forge_desktop.theme.measures import figure

HEIGHT, REFRESH_MS = 330, 250
UNSMOOTHED = ("learning_rate",)


class CompareCurves(Card):
    """The chart and how it shows the runs."""

    told = Signal(str)
    failed = Signal(object)
    """ErrorBody: something could not be saved."""

    def __init__(self, model: CompareModel, transfers: Transfers | None = None) -> None:
        super().__init__(tr("Curves"))
        self.setObjectName("compare.curves")
        self._model = model
        self._shown: object = None
        self._soon = QTimer(self, singleShot=True, interval=REFRESH_MS)
        self._soon.timeout.connect(self.refresh)
        self._soon.timeout.connect(self._look)
        self.options = ChartOptions(ChartSwitches(axis=CHART_AXES[model.axis]), axis_here=False)
        self.chart = CurveChart()
        self.chart.setObjectName("compare.chart")
        self.chart.setMinimumHeight(HEIGHT)
        self.chart.set_switches(self.options.switches)
        self.export = ChartExport(model.session, self._named, self, transfers)
        self.export.told.connect(self.told)
        self.export.failed.connect(self.failed)
        self._build_head()
        self._build_body()
        self.options.changed.connect(self._switched)
        self.chart.menu_wanted.connect(self._open_menu)
        self.chart.range_changed.connect(self._look)
        self.chart.notice.retry.connect(model.refetch)
        model.changed.connect(self.refresh)
        model.points_changed.connect(self._points_changed)
        model.series_state_changed.connect(self.refresh)
        self.refresh()

    def _build_head(self) -> None:
        self.choice = Choice([(name, word("metric", name)) for name in METRICS], self._model.metric)
        self.choice.setObjectName("compare.metric")
        self.choice.setAccessibleName(tr("Metric"))
        self.choice.setMinimumWidth(150)
        self.choice.activated.connect(lambda _place: self._choose())
        self._save = button("", "quiet", "download", self._open_save, "compare.export", tr("Save or copy the chart"))
        self._save.setFixedWidth(40)
        self.head.addWidget(self.choice)
        self.head.addStretch(1)
        self.head.addWidget(self._save)

    def _build_body(self) -> None:
        axes = [("step", tr("Step")), ("time", tr("Time at work")), ("tokens", tr("Tokens seen"))]
        self.axis = Segments(axes, self._model.axis, name="compare.axis")
        self.axis.chosen.connect(lambda _key: self._choose())
        bar = QWidget()
        flow = FlowLayout(bar, spacing=8)
        flow.addWidget(self.axis)
        flow.addWidget(self.options.bar())
        self.options.setParent(self)
        self.options.hide()
        self._note = label("", "hint", wrap=True)
        self._note.setObjectName("compare.note")
        self.body.addWidget(bar)
        self.body.addWidget(self.options.more)
        self.body.addWidget(self.chart, 1)
        self.body.addWidget(self._note)

    def showEvent(self, event: QShowEvent) -> None:
        """Qt's own hook: what was arranged while hidden is measured anew."""
        self.body.invalidate()
        self.updateGeometry()
        super().showEvent(event)

    def fill_menu(self, menu: QMenu) -> None:
        """What can be done with the chart."""
        menu.addAction(tr("Show everything"), self.chart.reset_view).setObjectName("chart.reset")
        menu.addSeparator()
        name = f"compare-{self._model.metric}"
        self.export.fill(menu, self.chart, [self._model.metric], name)

    @Slot()
    def refresh(self) -> None:
        """Show the runs that are there as they are now."""
        runs = self._drawn()
        key = [(one.uid, one.name) for one in runs], self._model.metric, self._model.axis
        if key != self._shown:
            self._shown = key
            self.chart.set_series([self._series(one) for one in runs], self._name())
        self._show_state()
        self._show_note()
        self.chart.touch()

    def _drawn(self) -> list[Entry]:
        """Without tokens a run has no place along them."""
        entries = [one for one in self._model.entries if one.error is None or one.detail is not None]
        if self._model.axis != "tokens":
            return entries
        return [one for one in entries if one.tells_tokens]

    def _series(self, one: Entry) -> ChartSeries:
        place, metric = self._model.entries.index(one), self._model.metric
        return ChartSeries(
            f"{one.letter} {one.name}", one.source(metric), place, place,
            "dots" if metric == VALIDATION else "line", metric not in UNSMOOTHED, overwritten=False,
        )  # fmt: skip

    def _name(self) -> str:
        return labelled(tr("Chart"), word("metric", self._model.metric))

    def _named(self) -> Named:
        return tuple((one.uid, one.name) for one in self._drawn())

    @Slot(object)
    def _points_changed(self, _metrics: set[str]) -> None:
        """Lines grow at once, what is said of them a little later; the first points bring everything."""
        if self.chart.notice.isVisible():
            self.refresh()
        elif not self._soon.isActive():
            self._soon.start()
        self.chart.touch()

    def _show_state(self) -> None:
        state, error = self._model.curves_state
        if self.chart.has_points():
            state = "ready"
        elif state == "ready":
            live = any(one.detail is not None and not one.detail.run.state.ended for one in self._model.entries)
            state = "empty" if live else "none"
        self.chart.show_state(state, error)
        said = [labelled(f"{one.letter} {one.name}", figure(last)) for one in self._drawn()
                if (last := one.figures_of(self._model.metric).last) is not None]  # fmt: skip
        if self.chart.link.x is None:
            self.chart.setAccessibleDescription("; ".join(said))

    def _show_note(self) -> None:
        known = [one for one in self._model.known if one.series.state == "ready"]
        silent = [one.letter for one in known if self._model.axis == "tokens" and not one.tells_tokens]
        text = tr("The wheel zooms, dragging moves, a double click shows everything.")
        if silent:
            text = tr("Without the number of tokens they have seen: {runs}.", runs=", ".join(silent))
        self._note.setText(text)

    def _choose(self) -> None:
        axis, metric = self.axis.value(), self.choice.value()
        if axis != self._model.axis:
            self.chart.link.point_at(None)
            self.chart.link.look_at(None)
        self._model.want(metric, axis)
        self.options.set_axis(CHART_AXES[axis])
        self.refresh()

    @Slot(object)
    def _switched(self, switches: ChartSwitches) -> None:
        self.chart.set_switches(switches)

    @Slot()
    def _look(self) -> None:
        """Long curves are fetched finer where somebody looks."""
        metric, seen = self._model.metric, self.chart.seen()[0]
        for one in self._drawn():
            if one.curve(metric).coarse is not None and self.chart.isVisible():
                source = one.source(metric)
                one.series.look_at(metric, (source.held_x(seen[0]), source.held_x(seen[1])))

    @Slot(QPoint)
    def _open_menu(self, place: QPoint) -> None:
        menu = QMenu(self)
        self.fill_menu(menu)
        menu.aboutToHide.connect(menu.deleteLater)
        menu.popup(place)

    def _open_save(self) -> None:
        self._open_menu(self._save.mapToGlobal(self._save.rect().bottomLeft()))
