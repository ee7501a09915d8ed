"""Pictures of a forecast in the wizard's review: by five runs, by none, and where the budget would not hold."""

from __future__ import annotations

from collections.abc import Iterator

from engine.contract.forecast import Past, Shape, step_rows
from forge_desktop.app import Desktop
from forge_desktop.bridge.replay import ReplayBackend
from forge_desktop.wizard.wizard_page import WizardPage
from tests.desktop.sheets_nodes import until


def pages(desktop: Desktop, backend: ReplayBackend) -> Iterator[str]:
    """Bring the wizard to each state."""
    backend.hourly_price, backend.price_currency = 4.0, "CNY"
    window = desktop.window
    window.go("new/draft-forecast")
    page = window.page
    assert isinstance(page, WizardPage)
    page.draft.set_model("demo", "bundled")
    page.draft.set_data("demo", "bundled", "demo/held_out", "demo/validation")
    until(lambda: bool(page.draft.data_facts) and bool(page.draft.model_facts))
    page.go_to("name")
    until(lambda: page.forecast.forecast is not None)
    yield "forecast-none"
    backend.past = [_past(page, pace) for pace in (0.8, 0.9, 1.0, 1.1, 1.2)]
    page.draft.set("training.max_steps", 700)
    until(lambda: page.forecast.forecast is not None and page.forecast.forecast.runs == 5)
    yield "forecast"
    backend.budget_left = 0.5
    page.draft.set("training.max_steps", 701)
    until(lambda: page.forecast.forecast is not None and page.forecast.forecast.exceeds == "likely")
    yield "forecast-budget"
    backend.past, backend.budget_left, backend.hourly_price = [], None, None
    window.go("runs")


def _past(page: WizardPage, seconds_per_step: float) -> Past:
    config = page.draft.config
    assert config is not None
    shape = Shape(config.model.path, "", "local", "", 0, step_rows(config.training), config.data.max_length)
    return Past(shape, 100, 100 * seconds_per_step, 20.0)
