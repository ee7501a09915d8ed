"""Figures of a version as a model's tokens: lengths, what is lost at each, packing, steps, roles, turns, languages."""

from __future__ import annotations

import math

from PySide6.QtCore import Slot
from PySide6.QtWidgets import QGridLayout, QWidget

from engine.contract.dataset_queries import StatisticsAnswer
from forge_desktop.models.xray_model import XrayModel, cut_share
from forge_desktop.panels.length_chart import LengthChart
from forge_desktop.panels.page import ErrorCard, Hint
from forge_desktop.theme.controls import Bar, Card, Number, column, label, row
from forge_desktop.theme.language import tr, word
from forge_desktop.theme.measures import count_of, percent

BATCH, MOST_ROWS = 16, 1_000_000
MOST_TURNS, MOST_LANGUAGES = 8, 8


class DatasetStatisticsPanel(QWidget):
    """Asks only while it is shown."""

    def __init__(self, model: XrayModel) -> None:
        super().__init__()
        self.model = model
        self._shown: object = None
        self.chart = LengthChart()
        self.chart.moved.connect(model.set_length)
        self._cut = label("", "body", wrap=True)
        self._about = label("", "hint", wrap=True)
        self._batch = Number(1, MOST_ROWS, BATCH, "statistics.batch")
        self._batch.setAccessibleName(tr("Rows a step"))
        self._batch.changed.connect(lambda _value: self._refresh())
        self._steps = label("", "body", wrap=True)
        self._packing = label("", "body", wrap=True)
        self._error = ErrorCard("statistics.error")
        lengths = Card(tr("Lengths"))
        for part in (self._about, self.chart, self._cut, self._packing):
            lengths.body.addWidget(part)
        steps = Card(tr("Steps"))
        line = row(label(tr("Rows a step"), "label"), self._batch, self._steps, spacing=10)
        line.setStretch(2, 1)
        steps.body.addLayout(line)
        self._bars = {key: Card(title) for key, title in self._titles()}
        inner = QWidget()
        inside = column(lengths, steps, *self._bars.values(), None, spacing=12)
        inner.setLayout(inside)
        self._waiting = Hint("loader-circle", tr("Counting tokens"), tr("A sample of the rows is being read."))
        self._area = inner
        layout = column(self._error, self._waiting, spacing=12)
        layout.addWidget(self._area, 1)
        self.setLayout(layout)
        model.changed.connect(self._refresh)
        model.counted.connect(self._refresh)
        self._refresh()

    def _titles(self) -> tuple[tuple[str, str], ...]:
        return (("roles", tr("Tokens by role")), ("turns", tr("Turns a row")), ("languages", tr("Languages")))

    @Slot()
    def _refresh(self) -> None:
        figures = self.model.figures
        self._error.show_error(self.model.figures_error)
        self._waiting.setVisible(figures is None and self.model.figures_error is None)
        self._area.setVisible(figures is not None)
        if figures is None:
            self._shown = None
            return
        limit = self.model.max_length
        self.chart.show_lengths(figures.lengths, limit)
        rows, lost = cut_share(figures.lengths, limit)
        self._cut.setText(
            tr("At {n} tokens {rows} of the rows are cut, and {lost} of all tokens are lost.", n=f"{limit:,}",
               rows=percent(rows, 1), lost=percent(lost, 1))
        )  # fmt: skip
        self._about.setText(about_text(figures))
        self._packing.setText(packing_text(figures))
        self._packing.setVisible(bool(self._packing.text()))
        steps = math.ceil(figures.rows / self._batch.value()) if figures.rows else 0
        self._steps.setText(tr("{n} steps an epoch", n=f"{steps:,}"))
        if figures is not self._shown:
            self._shown = figures
            self._show_bars(figures)

    def _show_bars(self, figures: StatisticsAnswer) -> None:
        turns = dict(sorted(figures.turns.items())[:MOST_TURNS])
        languages = dict(sorted(figures.languages.items(), key=lambda one: -one[1])[:MOST_LANGUAGES])
        self._fill("roles", {word("role", role): float(n) for role, n in figures.tokens_by_role.items()})
        self._fill("turns", {f"{n:,}": float(rows) for n, rows in turns.items()})
        self._fill("languages", {tr("unknown") if one == "?" else word("language", one): share
                                 for one, share in languages.items()})  # fmt: skip

    def _fill(self, key: str, values: dict[str, float]) -> None:
        card, total = self._bars[key], sum(values.values()) or 1.0
        old = card.body.itemAt(card.body.count() - 1)
        if old is not None and (widget := old.widget()) is not None and widget.objectName() == "bars":
            card.body.removeWidget(widget)
            widget.hide()
            widget.deleteLater()
        card.setVisible(bool(values))
        made = QWidget()
        made.setObjectName("bars")
        grid = QGridLayout(made)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setHorizontalSpacing(12)
        grid.setColumnStretch(1, 1)
        for place, (name, value) in enumerate(values.items()):
            bar = Bar()
            bar.set(value / total)
            bar.setAccessibleName(f"{name} {percent(value / total, 1)}")
            share = percent(value / total, 1)
            figure = share if key == "languages" else f"{count_of(value)} · {share}"
            grid.addWidget(label(name, "label"), place, 0)
            grid.addWidget(bar, place, 1)
            grid.addWidget(label(figure, "hint"), place, 2)
        card.body.addWidget(made)


def about_text(figures: StatisticsAnswer) -> str:
    """How much was counted."""
    mean = figures.tokens / max(1, figures.measured)
    if figures.exact:
        text = tr("All {n} rows were counted: {tokens} tokens, {mean} a row.", n=f"{figures.rows:,}",
                  tokens=count_of(figures.tokens), mean=count_of(mean))  # fmt: skip
    else:
        text = tr("{n} of {all} rows were counted: about {tokens} tokens in all, {mean} a row.",
                  n=f"{figures.measured:,}", all=f"{figures.rows:,}", tokens=count_of(mean * figures.rows),
                  mean=count_of(mean))  # fmt: skip
    text += " " + tr("{share} of the tokens are learned.", share=percent(figures.trained_share, 1))
    if figures.untrained_rows:
        text += " " + tr("{n} rows teach nothing.", n=f"{figures.untrained_rows:,}")
    return text


def packing_text(figures: StatisticsAnswer) -> str:
    """How full batches are."""
    parts = []
    if figures.padding is not None:
        parts.append(tr("Grouped by length, {share} of a batch is rows.", share=percent(figures.padding)))
    if figures.packing is not None:
        parts.append(tr("Packed, it would be {share}.", share=percent(figures.packing)))
    return " ".join(parts)
