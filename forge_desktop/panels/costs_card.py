"""What runs have cost: by day, node or person, with the budget."""

from __future__ import annotations

from PySide6.QtCore import QRectF, QSize, Qt, Slot
from PySide6.QtGui import QColor, QPainter, QPaintEvent
from PySide6.QtWidgets import QSizePolicy, QWidget

from engine.contract.nodes import CostRow, Costs
from forge_desktop.models.costs_model import DAYS, WAYS, CostsModel
from forge_desktop.models.node_words import title_of
from forge_desktop.theme.controls import Bar, Card, Choice, Segments, column, label, restyle
from forge_desktop.theme.language import count, explain, labelled, sentences, tr, word
from forge_desktop.theme.look import tokens
from forge_desktop.theme.measures import money, percent
from forge_desktop.theme.spoken import speak_as

MOST_ROWS = 90
ROW, PLOT = 30, 110
NEAR = 0.8
"""Share of a budget from which it is worth a warning."""


class CostsCard(Card):
    """Follows the model."""

    def __init__(self, model: CostsModel) -> None:
        super().__init__(tr("Spending"))
        self.setObjectName("nodes.costs")
        self._model = model
        self._total = label("", "strong")
        self._by = Segments([(key, word("cost_by", key)) for key in WAYS], model.by, "nodes.costs.by")
        self._by.chosen.connect(lambda key: model.show(by=key))
        self._days = Choice([(str(days), tr("Last {n} days", n=days)) for days in DAYS], str(model.days))
        self._days.setObjectName("nodes.costs.days")
        self._days.setAccessibleName(tr("Period"))
        self._days.setMinimumWidth(140)
        self._days.activated.connect(lambda _place: model.show(days=int(self._days.value())))
        self.head.addWidget(self._total)
        self.head.addStretch(1)
        self.head.addWidget(self._by)
        self.head.addWidget(self._days)
        self._budget, self._budget_bar = label("", "label", wrap=True), Bar(6)
        self._budget_row = QWidget()
        self._budget_row.setLayout(column(self._budget, self._budget_bar, spacing=6))
        self.body.addWidget(self._budget_row)
        self.columns, self.lines = CostColumns(), CostLines()
        self._said = label("", "hint", wrap=True)
        for widget in (self.columns, self.lines, self._said):
            self.body.addWidget(widget)
        model.changed.connect(self._refresh)
        self._refresh()

    @Slot()
    def _refresh(self) -> None:
        costs = self._model.costs
        rows = costs.rows if costs is not None else []
        self._total.setText(" + ".join(money(sum_, name) for name, sum_ in (costs.totals if costs else {}).items()))
        self.columns.setVisible(bool(rows) and self._model.by == "day")
        self.lines.setVisible(bool(rows) and self._model.by != "day")
        self.columns.show_rows(rows)
        self.lines.show_rows(rows, self._model.by)
        self._say(costs)
        self._show_budget(costs)

    def _say(self, costs: Costs | None) -> None:
        if self._model.error is not None:
            text = sentences(*explain(self._model.error))
        elif costs is None:
            text = tr("Adding it up…")
        elif not costs.rows:
            text = tr("Nothing has cost anything yet. Give a node a price per GPU-hour, and what its runs cost is "
                      "added up here.")  # fmt: skip
        else:
            hours = sum(row.gpu_hours for row in costs.rows)
            failed = sum(row.failed for row in costs.rows)
            parts = [tr("{hours} GPU-hours", hours=f"{hours:,.0f}")]
            if self._model.by != "day":
                parts.append(count(sum(row.runs for row in costs.rows), "1 run", "{n} runs"))
            if failed:
                parts.append(count(failed, "1 of them failed", "{n} of them failed"))
            text = " · ".join(parts)
        self._said.setText(text)

    def _show_budget(self, costs: Costs | None) -> None:
        known = costs is not None and bool(costs.budget) and costs.budget_used is not None
        self._budget_row.setVisible(known)
        if costs is None or not costs.budget or costs.budget_used is None:
            return
        share = costs.budget_used / costs.budget
        currency = next(iter(costs.totals), "USD")
        text = tr("Budget: {used} of {budget} ({share})", used=money(costs.budget_used, currency),
                  budget=money(costs.budget, currency), share=percent(share))  # fmt: skip
        if share >= 1:
            text = f"⚠ {text} · {tr('It is used up; runs go on all the same.')}"
        elif share >= NEAR:
            text = f"⚠ {text}"
        tone = "bad" if share >= 1 else "warn" if share >= NEAR else ""
        self._budget.setText(text)
        restyle(self._budget, tone=tone)
        t = tokens()
        self._budget_bar.set(share, t.bad_fill if tone == "bad" else t.warn_fill if tone else t.accent)
        self._budget_bar.setAccessibleName(text)

    def text(self) -> str:
        """What it says below."""
        return self._said.text()


def name_of(key: str, by: str) -> str:
    """What a line of the sums is called."""
    if by == "node":
        return title_of(key)
    return key or tr("Nobody named")


class CostLines(QWidget):
    """A bar a node or person, with the sum and the hours."""

    def __init__(self) -> None:
        super().__init__()
        speak_as(self, "chart")
        self._rows: list[CostRow] = []
        self._by = "node"
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)

    def sizeHint(self) -> QSize:
        """Qt's own hook."""
        return QSize(400, max(1, len(self._rows)) * ROW)

    def show_rows(self, rows: list[CostRow], by: str) -> None:
        """The dearest first."""
        self._rows, self._by = sorted(rows, key=lambda one: -one.cost)[:MOST_ROWS], by
        said = [f"{name_of(one.key, by)} {money(one.cost, one.currency)}" for one in self._rows]
        self.setAccessibleName(labelled(tr("Spending"), ", ".join(said)))
        self.updateGeometry()
        self.update()

    def paintEvent(self, _event: QPaintEvent) -> None:
        """Qt's own hook."""
        t, painter = tokens(), QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        most = max((one.cost for one in self._rows), default=0.0) or 1.0
        side = Qt.AlignmentFlag.AlignVCenter
        for place, one in enumerate(self._rows):
            y = place * ROW
            painter.setPen(QColor(t.secondary))
            name = painter.fontMetrics().elidedText(name_of(one.key, self._by), Qt.TextElideMode.ElideRight, 150)
            painter.drawText(QRectF(0, y, 156, ROW), int(side | Qt.AlignmentFlag.AlignLeft), name)
            hours = tr("{hours} GPU-hours", hours=f"{one.gpu_hours:,.0f}")
            room = max(40.0, self.width() - 160 - 210)
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(QColor(t.hover))
            painter.drawRoundedRect(QRectF(160, y + 11, room, 8), 4, 4)
            painter.setBrush(QColor(t.series[place % len(t.series)]))
            painter.drawRoundedRect(QRectF(160, y + 11, max(8.0, room * one.cost / most), 8), 4, 4)
            right = int(side | Qt.AlignmentFlag.AlignRight)
            painter.setPen(QColor(t.text))
            painter.drawText(QRectF(self.width() - 206, y, 90, ROW), right, money(one.cost, one.currency))
            painter.setPen(QColor(t.muted))
            painter.drawText(QRectF(self.width() - 112, y, 112, ROW), right, hours)
        painter.end()


class CostColumns(QWidget):
    """A column a day."""

    def __init__(self) -> None:
        super().__init__()
        speak_as(self, "chart")
        self._rows: list[CostRow] = []
        self.setMinimumHeight(PLOT + 24)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)

    def show_rows(self, rows: list[CostRow]) -> None:
        """The oldest first."""
        self._rows = sorted(rows, key=lambda one: one.key)[-MOST_ROWS:]
        said = [f"{one.key} {money(one.cost, one.currency)}" for one in self._rows]
        self.setAccessibleName(labelled(tr("Spending"), ", ".join(said)))
        self.setToolTip("\n".join(said[-14:]))
        self.update()

    def paintEvent(self, _event: QPaintEvent) -> None:
        """Qt's own hook."""
        t, painter = tokens(), QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        font = self.font()
        font.setPixelSize(11)
        painter.setFont(font)
        most = max((one.cost for one in self._rows), default=0.0) or 1.0
        wide = self.width() / max(1, len(self._rows))
        every = max(1, round(64 / wide + 0.5))
        for place, one in enumerate(self._rows):
            tall = (PLOT - 22) * one.cost / most
            bar = min(46.0, wide - 4 if wide > 8 else wide * 0.7)
            left = place * wide + (wide - bar) / 2
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(QColor(t.series[0]))
            painter.drawRoundedRect(QRectF(left, PLOT - tall, bar, tall), 3, 3)
            middle = int(Qt.AlignmentFlag.AlignCenter)
            if wide >= 52:
                painter.setPen(QColor(t.secondary))
                painter.drawText(QRectF(place * wide, PLOT - tall - 18, wide, 16), middle,
                                 money(one.cost, one.currency))  # fmt: skip
            if place % every == 0:
                painter.setPen(QColor(t.muted))
                painter.drawText(QRectF(place * wide - 20, PLOT + 4, wide + 40, 16), middle, one.key[5:])
        painter.end()
