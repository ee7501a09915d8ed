"""The card of the review about time, cost and memory: what is to be expected, by which runs, and whether it holds."""

from __future__ import annotations

from PySide6.QtCore import Slot

from forge_desktop.models import forecast_words
from forge_desktop.models.forecast_model import ForecastModel
from forge_desktop.panels.memory_view import MemoryView
from forge_desktop.theme import icons
from forge_desktop.theme.controls import Card, label, line, row
from forge_desktop.theme.language import explain, sentences, tr
from forge_desktop.theme.look import tokens


class ForecastCard(Card):
    """Follows a forecast."""

    def __init__(self, model: ForecastModel) -> None:
        super().__init__(tr("Time, cost and memory"))
        self.setObjectName("wizard.forecast")
        self._model = model
        self._what = label("", "strong", wrap=True, select=True)
        self._what.setObjectName("wizard.forecast.what")
        self._spread = label("", wrap=True, select=True)
        self._basis = label("", "hint", wrap=True, select=True)
        self._sign = label()
        self._sign.setPixmap(icons.pixmap("triangle-alert", tokens().warn_text, 16))
        self._budget = label("", tone="warn", wrap=True, select=True)
        self._budget.setObjectName("wizard.forecast.budget")
        self._amounts = label("", wrap=True, select=True)
        self._amounts.setObjectName("wizard.forecast.amounts")
        for made in (self._what, self._spread, self._amounts):
            self.body.addWidget(made)
        warning = row(self._sign, spacing=8)
        warning.addWidget(self._budget, 1)
        self.body.addLayout(warning)
        self.body.addWidget(self._basis)
        self._memory = MemoryView()
        self._line = line()
        self.body.addWidget(self._line)
        self.body.addWidget(self._memory)
        model.changed.connect(self._refresh)
        self._refresh()

    @Slot()
    def _refresh(self) -> None:
        found, error = self._model.forecast, self._model.error
        self._what.setText(self._headline())
        known = found is not None and found.seconds is not None
        spread = forecast_words.spread_text(found) if found is not None else ""
        budget = forecast_words.budget_text(found) if found is not None else ""
        amounts = forecast_words.amounts_text(found) if found is not None else ""
        basis = ""
        if found is not None and known:
            basis = sentences(forecast_words.basis_text(found), forecast_words.price_text(found))
        elif found is not None and found.why_not == "no_runs":
            basis = tr("The first run of a model has nothing to be compared with. Once one has completed, the next are "
                       "forecast by it.")  # fmt: skip
        elif found is not None:
            basis = tr("Set a limit in steps, or use data whose rows can be counted.")
        elif error is not None:
            basis = sentences(*explain(error)[1:])
        for made, text in (
            (self._spread, spread),
            (self._amounts, amounts),
            (self._budget, budget),
            (self._basis, basis),
        ):
            made.setText(text)
            made.setVisible(bool(text))
        self._sign.setVisible(bool(budget))
        memory = found.memory if found is not None else None
        if memory is not None:
            self._memory.show_forecast(memory)
        self._memory.setVisible(memory is not None)
        self._line.setVisible(memory is not None)

    def _headline(self) -> str:
        found, error = self._model.forecast, self._model.error
        if found is not None:
            text = forecast_words.headline(found)
            return text[:1].upper() + text[1:]
        if error is not None:
            return explain(error)[0]
        return tr("This is told once nothing is missing; see 'Before you start'.")
