"""What an instance is doing, in figures: one small card each, with the last five minutes as a curve."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QSize
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QGridLayout, QWidget

from engine.contract.serving import Percentiles, ServeStatus
from forge_desktop.models.served_model import ServedModel
from forge_desktop.models.serving_words import NONE, per_minute, seconds_text
from forge_desktop.panels.sparkline import Sparkline
from forge_desktop.theme.controls import Card, Elided, column, label
from forge_desktop.theme.language import count, labelled, tr
from forge_desktop.theme.look import tokens
from forge_desktop.theme.measures import percent

LEAST_WIDTH, GAP, MOST = 176, 12, 4


class FigureCard(Card):
    """A name, a figure, a line below, and its curve."""

    def __init__(self, key: str, title: str, colour: int) -> None:
        super().__init__(margins=(14, 12, 14, 10))
        self.setObjectName(f"serving.figure.{key}")
        self._title = title
        self.value = label(NONE, "title")
        self.below = Elided("", "hint")
        self.curve = Sparkline(tokens().series[colour % len(tokens().series)], low=0.0)
        self.body.setSpacing(4)
        self.body.addWidget(Elided(title, "label"))
        self.body.addLayout(column(self.value, self.below, spacing=1))
        self.body.addWidget(self.curve)

    def minimumSizeHint(self) -> QSize:
        """Qt's own hook."""
        return QSize(120, super().minimumSizeHint().height())

    def show_figure(self, value: str, below: str, values: Sequence[float]) -> None:
        """Another figure."""
        self.value.setText(value)
        self.below.set_text(below)
        self.curve.set_values(list(values))
        self.setAccessibleName(labelled(self._title, f"{value} {below}".strip()))


class ServingCards(QWidget):
    """All of them, as many beside each other as there is room for."""

    def __init__(self, model: ServedModel) -> None:
        super().__init__()
        self._model = model
        titles = {
            "rate": tr("Requests a minute"), "tokens": tr("Tokens a second"), "first": tr("First token, p50"),
            "each": tr("Each further token, p50"), "queue": tr("Waiting for a turn, p50"),
            "whole": tr("Whole answer, p50"), "cache": tr("Cache hits"), "busy": tr("At work and waiting"),
        }  # fmt: skip
        self.cards = {key: FigureCard(key, title, place) for place, (key, title) in enumerate(titles.items())}
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setSpacing(GAP)
        self._beside = 0
        self._arrange(MOST)
        model.changed.connect(self.refresh)
        self.refresh()

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Qt's own hook."""
        super().resizeEvent(event)
        room = (event.size().width() + GAP) // (LEAST_WIDTH + GAP)
        self._arrange(MOST if room >= MOST else 2)

    def _arrange(self, beside: int) -> None:
        if beside == self._beside:
            return
        self._beside = beside
        for place, card in enumerate(self.cards.values()):
            self._grid.removeWidget(card)
            self._grid.addWidget(card, place // beside, place % beside)
        for place in range(MOST):
            self._grid.setColumnStretch(place, 1 if place < beside else 0)

    def refresh(self) -> None:
        """Show how it is now."""
        now = self._model.seen.status
        for key, card in self.cards.items():
            value, below = _figure(key, now) if now is not None else (NONE, "")
            card.show_figure(value, below, self._model.curves[key] if now is not None else [])


def _figure(key: str, now: ServeStatus) -> tuple[str, str]:
    match key:
        case "rate":
            return per_minute(now.requests_per_minute), count(now.requests, "1 in all", "{n} in all")
        case "tokens":
            return f"{now.tokens_per_second:,.0f}", tr("{n} refused, {m} failed", n=now.refused, m=now.failed)
        case "cache":
            return percent(now.cache_hit_rate), tr("{share} of its memory used", share=percent(now.cache_used))
        case "busy":
            return f"{now.running:,} + {now.waiting:,}", tr("context {n} tokens", n=f"{now.context:,}")
    times: dict[str, Percentiles] = {
        "first": now.first_token, "each": now.each_token, "queue": now.queue, "whole": now.whole,
    }  # fmt: skip
    found = times[key]
    late = f"p95 {seconds_text(found.p95)} · p99 {seconds_text(found.p99)}"
    return seconds_text(found.p50), late if found.p95 else ""
