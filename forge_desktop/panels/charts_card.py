"""The card with a run's charts: which metric, log scale, legend."""

from __future__ import annotations

from PySide6.QtCore import QSize, Slot
from PySide6.QtGui import QColor, QPainter, QPaintEvent
from PySide6.QtWidgets import QWidget

from forge_desktop.models.curves import Curve
from forge_desktop.models.run_model import RunModel
from forge_desktop.panels.attempts_card import attempt_title
from forge_desktop.panels.curve_chart import GHOST, SMOOTHING, CurveChart
from forge_desktop.theme.controls import Card, Segments, button, label, row
from forge_desktop.theme.language import tr, word
from forge_desktop.theme.look import tokens

METRICS = ("loss", "learning_rate", "grad_norm", "tokens_per_second")
SMOOTHED = {"loss", "grad_norm", "tokens_per_second"}


class ChartsCard(Card):
    """Shows one metric of a run at a time."""

    def __init__(self, model: RunModel) -> None:
        super().__init__(word("metric", "loss"))
        self.setObjectName("run.charts")
        self._model = model
        self._metric = "loss"
        t = tokens()
        legend = row(
            _Stroke(t.series[0]),
            label(tr("Smoothed {weight}", weight=SMOOTHING), "hint"),
            6,
            _Stroke(t.series[0], faint=True),
            label(tr("Raw"), "hint"),
            6,
            _Stroke(t.series[1], dot=True),
            label(tr("Validation"), "hint"),
            spacing=6,
        )
        self._choice = Segments([(name, word("metric", name)) for name in METRICS], "loss", name="chart")
        self._choice.chosen.connect(self._choose)
        self._log = button(tr("Log scale"), "segment", tip=tr("Logarithmic scale"))
        self._log.setCheckable(True)
        self._log.toggled.connect(self._set_log)
        self._lost = QWidget()
        self._lost.setLayout(row(6, _Stroke(t.series[0], ghost=True), label(tr("Overwritten"), "hint"), spacing=6))
        self._lost.hide()
        legend.addWidget(self._lost)
        self._legend = QWidget()
        self._legend.setLayout(legend)
        self.head.addWidget(self._legend)
        self.head.addStretch(1)
        self.head.addWidget(self._log)
        self.body.addLayout(row(self._choice, None))
        self.chart = CurveChart()
        self.chart.setMinimumHeight(230)
        self.body.addWidget(self.chart, 1)
        model.points_changed.connect(self._points_changed)
        model.changed.connect(self._run_changed)
        self._choose("loss")
        self._run_changed()

    @Slot(str)
    def _choose(self, metric: str) -> None:
        self._metric = metric
        self.title.setText(word("metric", metric))
        validation = self._model.curve("validation_loss") if metric == "loss" else Curve()
        self.chart.show_curves(self._model.curve(metric), validation, word("metric", metric), metric in SMOOTHED)
        self._legend.setVisible(metric == "loss")

    @Slot(bool)
    def _set_log(self, on: bool) -> None:
        self.chart.set_log(on)

    @Slot(object)
    def _points_changed(self, metrics: set[str]) -> None:
        if self._metric in metrics or (self._metric == "loss" and "validation_loss" in metrics):
            self.chart.touch()

    @Slot()
    def _run_changed(self) -> None:
        detail = self._model.detail
        if detail is not None:
            self.chart.set_end(detail.run.total_steps)
            self.chart.set_attempts({attempt.n: attempt_title(attempt) for attempt in detail.attempts})
            self._lost.setVisible(len(detail.attempts) > 1)


class _Stroke(QWidget):
    """A sample of a line for the legend."""

    def __init__(self, colour: str, faint: bool = False, dot: bool = False, ghost: bool = False) -> None:
        super().__init__()
        self._colour, self._dot = QColor(colour), dot
        if faint or ghost:
            self._colour.setAlpha(GHOST if ghost else 110)
        self.setFixedSize(QSize(16, 12))

    def paintEvent(self, _event: QPaintEvent) -> None:
        """Qt's own hook."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setBrush(self._colour)
        painter.setPen(self._colour)
        if self._dot:
            painter.drawEllipse(4, 2, 8, 8)
        else:
            painter.drawRoundedRect(0, 5, 15, 2, 1, 1)
        painter.end()
