"""The card around the nodes' chart: which metric, over how long, and which line is whose."""

from __future__ import annotations

from PySide6.QtCore import Slot
from PySide6.QtGui import QColor, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QWidget

from engine.contract.node_alerts import AlertRule
from forge_desktop.models.node_figures import METRICS
from forge_desktop.models.node_words import condition, title_of
from forge_desktop.models.nodes_history import NodesHistory
from forge_desktop.models.nodes_model import NodesModel
from forge_desktop.panels.nodes_chart import DASHES, Limit, NodesChart, Strand
from forge_desktop.theme.controls import Card, Elided, Segments, label, row
from forge_desktop.theme.flow import FlowLayout
from forge_desktop.theme.language import explain, sentences, tr, word

UNITS = {"temperature": "°C", "utilisation": "%", "memory": "%"}


class NodesChartCard(Card):
    """Follows the history."""

    def __init__(self, nodes: NodesModel, history: NodesHistory) -> None:
        super().__init__()
        self.setObjectName("nodes.history")
        self._nodes, self._history = nodes, history
        self._hint = Elided("", "hint")
        self._metric = Segments([(key, word("node_metric", key)) for key in METRICS], history.metric, "nodes.metric")
        self._metric.chosen.connect(lambda key: self._choose(metric=key))
        periods = [("hour", tr("1 hour")), ("day", tr("24 hours"))]
        self._period = Segments(periods, history.period, "nodes.period")
        self._period.chosen.connect(lambda key: self._choose(period=key))
        head = row(self._metric, self._hint, self._period, spacing=12)
        head.setStretch(1, 1)
        self.body.addLayout(head)
        self.chart = NodesChart()
        self._nothing = label("", "hint", wrap=True)
        self.body.addWidget(self.chart)
        self.body.addWidget(self._nothing)
        self._legend = QWidget()
        self._entries = FlowLayout(self._legend, spacing=14)
        self.body.addWidget(self._legend)
        self._shown: list[tuple[str, int, bool]] = []
        history.changed.connect(self._refresh)
        nodes.node_changed.connect(self._refresh)
        self._refresh()

    def _choose(self, metric: str = "", period: str = "") -> None:
        self._history.show(metric, period)
        self._refresh()

    @Slot()
    def _refresh(self, *_name: object) -> None:
        metric, lines = self._history.metric, self._history.lines()
        order = [node.profile.name for node in self._nodes.nodes]
        hot = {name for name in order if self._is_hot(name)}
        strands = [
            Strand(title_of(name), lines[name], place, name in hot and metric == "temperature")
            for place, name in enumerate(order)
            if name in lines
        ]
        rules = self._rules([name for name in order if name in lines]) if metric == "temperature" else {}
        limits = list(dict.fromkeys(Limit(rule.threshold, rule.recover) for rule in rules.values()))
        span = (self._history.since, self._history.until)
        self.chart.show_lines(strands, span, UNITS[metric], limits, word("node_metric", metric))
        period = tr("last 24 hours") if self._history.period == "day" else tr("last hour")
        self._hint.set_text(" · ".join([period, *_said(rules, len(limits))]))
        self._say_nothing(bool(strands))
        self._show_legend(strands)

    def _is_hot(self, name: str) -> bool:
        node = self._nodes.find(name)
        return node is not None and condition(node, self._nodes.hot_at(name)) == "hot"

    def _rules(self, names: list[str]) -> dict[str, AlertRule]:
        """The rule in force for each node that is drawn."""
        found = {name: self._nodes.alerts.heat_rule(name) for name in names}
        return {name: rule for name, rule in found.items() if rule is not None}

    def hint(self) -> str:
        """What is said of the period and the limits."""
        return self._hint.accessibleName()

    def _say_nothing(self, something: bool) -> None:
        self.chart.setVisible(something)
        self._nothing.setVisible(not something)
        if self._history.error is not None:
            self._nothing.setText(sentences(*explain(self._history.error)))
        elif not self._history.is_loaded:
            self._nothing.setText(tr("Reading what was kept…"))
        else:
            self._nothing.setText(tr("No node has said this yet. Readings are kept from the moment a node is added."))

    def _show_legend(self, strands: list[Strand]) -> None:
        shown = [(strand.name, strand.colour, strand.strong) for strand in strands]
        if shown == self._shown:
            return
        self._shown = shown
        self._entries.clear()
        for strand in strands:
            made = QWidget()
            made.setLayout(row(_Stroke(strand), label(strand.name, "hint"), spacing=6))
            self._entries.addWidget(made)

    def legend(self) -> list[str]:
        """The names in the legend."""
        return [name for name, _colour, _strong in self._shown]


def _said(rules: dict[str, AlertRule], different: int) -> list[str]:
    """What the dashed lines are; where nodes have limits of their own, whose is which."""
    if not rules:
        return []
    if different == 1:
        rule = next(iter(rules.values()))
        limit, over = f"{rule.threshold:g}", f"{rule.recover:g}"
        return [tr("dashed: the limit of {limit} °C; an alert is over at {over} °C", limit=limit, over=over)]
    theirs = {f"{rule.threshold:g} °C" for rule in rules.values() if not rule.node}
    own = [f"{title_of(name)} {rule.threshold:g} °C" for name, rule in rules.items() if rule.node]
    return [tr("dashed: the limits"), *sorted(theirs), *own]


class _Stroke(QWidget):
    """A sample of a node's line."""

    def __init__(self, strand: Strand) -> None:
        super().__init__()
        self._strand = strand
        self.setFixedSize(20, 14)

    def paintEvent(self, _event: QPaintEvent) -> None:
        """Qt's own hook."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(QPen(QColor(self._strand.ink), 2.5, DASHES[self._strand.dash % len(DASHES)]))
        painter.drawLine(1, 7, 19, 7)
        painter.end()
