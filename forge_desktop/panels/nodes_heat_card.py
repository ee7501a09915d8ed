"""The card around the heat map: by utilisation, temperature or memory, with the scale of its colours."""

from __future__ import annotations

from PySide6.QtCore import QRectF, Slot
from PySide6.QtGui import QColor, QLinearGradient, QPainter, QPaintEvent
from PySide6.QtWidgets import QWidget

from forge_desktop.models.node_figures import METRICS, Metric
from forge_desktop.models.nodes_history import NodesHistory
from forge_desktop.models.nodes_model import NodesModel
from forge_desktop.panels.chart_series import mixed
from forge_desktop.panels.nodes_heat import COLD, WARM, NodesHeat
from forge_desktop.theme.controls import Card, Segments, label, row
from forge_desktop.theme.language import tr, word
from forge_desktop.theme.look import tokens


class NodesHeatCard(Card):
    """Follows the history."""

    def __init__(self, nodes: NodesModel, history: NodesHistory) -> None:
        super().__init__()
        self._nodes, self._history = nodes, history
        self.shown_metric: Metric = "utilisation"
        choices = [(key, word("node_metric", key)) for key in ("utilisation", "temperature", "memory")]
        self._choice = Segments(choices, self.shown_metric, "nodes.heat.metric")
        self._choice.chosen.connect(self._choose)
        self._low, self._high = label("", "hint"), label("", "hint")
        self._scale = _Scale()
        self.body.addLayout(row(self._choice, None, self._low, self._scale, self._high, spacing=10))
        self.map = NodesHeat()
        self.body.addWidget(self.map)
        self._nothing = label(tr("No node has said this yet. Readings are kept from the moment a node is added."),
                              "hint", wrap=True)  # fmt: skip
        self.body.addWidget(self._nothing)
        history.changed.connect(self._refresh)
        nodes.alerts.changed.connect(self._refresh)
        self._refresh()

    @Slot(str)
    def _choose(self, metric: str) -> None:
        self.shown_metric = next(one for one in METRICS if one == metric)
        self._refresh()

    @Slot()
    def _refresh(self, *_name: object) -> None:
        rows = self._history.devices(self.shown_metric)
        order = {node.profile.name: place for place, node in enumerate(self._nodes.nodes)}
        found = sorted(rows.items(), key=lambda item: (order.get(item[0][0], 999), item[0][1]))
        span = (self._history.since, self._history.until)
        self.map.show_rows(dict(found), self.shown_metric, span, self._nodes.hot_at)
        self.map.setVisible(bool(found))
        self._nothing.setVisible(not found)
        warm = self.shown_metric == "temperature"
        self._low.setText(f"{COLD:.0f} °C" if warm else "0%")
        self._high.setText(f"{WARM:.0f} °C" if warm else "100%")
        self._scale.set(self.shown_metric)


class _Scale(QWidget):
    """From pale to strong."""

    def __init__(self) -> None:
        super().__init__()
        self._metric: Metric = "utilisation"
        self.setFixedSize(120, 10)

    def set(self, metric: Metric) -> None:
        """The colours of another metric."""
        self._metric = metric
        self.update()

    def paintEvent(self, _event: QPaintEvent) -> None:
        """Qt's own hook."""
        t, painter = tokens(), QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        ink = t.series[1] if self._metric == "temperature" else t.series[0]
        shade = QLinearGradient(0, 0, self.width(), 0)
        shade.setColorAt(0, mixed(ink, t.surface2, 0.08))
        shade.setColorAt(0.92, mixed(ink, t.surface2, 1.0))
        shade.setColorAt(1, QColor(t.bad_fill if self._metric == "temperature" else ink))
        painter.setBrush(shade)
        painter.setPen(QColor(t.border))
        painter.drawRoundedRect(QRectF(self.rect()).adjusted(0.5, 0.5, -0.5, -0.5), 4, 4)
        painter.end()
