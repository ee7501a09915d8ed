"""The forecast in the wizard: time, cost and spread by runs like it, plain words without any, the budget."""

from __future__ import annotations

from PySide6.QtWidgets import QLabel

from engine.contract.bundled import locate
from engine.contract.forecast import Past, Shape, spread, step_rows
from engine.contract.model import ModelConfig
from engine.contract.model_shape import read_shape
from forge_desktop.models import forecast_words, memory_words
from forge_desktop.panels.memory_view import MemoryView
from forge_desktop.theme.controls import Chip
from forge_desktop.wizard.forecast_card import ForecastCard
from forge_desktop.wizard.rail import Rail
from forge_desktop.wizard.wizard_page import WizardPage


def wizard(replay, qtbot) -> WizardPage:
    """At the review of the demo's run, whose rows are counted and whose model was looked into."""
    shape = read_shape(locate(ModelConfig(path="demo", hub="bundled")))
    replay.backend.answers["inspect_model"] |= {"shape": shape.model_dump()}
    replay.window.go("new")
    page = replay.window.page
    assert isinstance(page, WizardPage)
    page.draft.set_model("demo", "bundled")
    page.draft.set_data("demo", "bundled", "demo/held_out", "demo/validation")
    qtbot.waitUntil(lambda: bool(page.draft.data_facts) and page.draft.steps() is not None)
    page.go_to("name")
    return page


def past(page: WizardPage, seconds_per_step: float, **other: object) -> Past:
    config = page.draft.config
    values = {"model": config.model.path, "method": "", "node": "local", "device": "", "gpus": 0,
              "rows": step_rows(config.training), "length": config.data.max_length, **other}  # fmt: skip
    return Past(Shape(**values), 100, 100 * seconds_per_step, 20.0)


def told(page: WizardPage) -> str:
    return page.findChild(ForecastCard).findChild(QLabel, "wizard.forecast.what").text()


def rail(page: WizardPage) -> dict[str, str]:
    return dict(page.findChild(Rail).plan())


def test_that_the_first_run_of_a_model_has_no_forecast_and_says_so(replay, qtbot):
    page = wizard(replay, qtbot)
    qtbot.waitUntil(lambda: told(page) == "No run like it yet")
    assert rail(page)["Time"] == "no run like it yet"
    assert "Cost" not in rail(page)


def test_that_time_cost_and_spread_come_from_runs_like_it(replay, qtbot):
    replay.backend.hourly_price, replay.backend.price_currency = 4.0, "CNY"
    page = wizard(replay, qtbot)
    qtbot.waitUntil(lambda: page.forecast.forecast is not None)
    page.draft.set("training.max_steps", 700)
    replay.backend.past = [past(page, pace) for pace in (0.8, 0.9, 1.0, 1.1, 1.2)]
    replay.desktop.session.settings_changed.emit(replay.backend.settings())  # asks again
    qtbot.waitUntil(lambda: told(page) == "About 12 min · ¥0.80 (from 5 runs like it)")
    found = page.forecast.forecast
    assert forecast_words.spread_text(found) == "Half of them would take 10 min to 13 min and cost ¥0.72 to ¥0.88."
    assert forecast_words.amounts_text(found) == ""
    more = {"tokens": spread([3.2e6]), "energy": spread([1250.0])}
    told_more = "About 3.2 M tokens pass through the model. Its GPUs draw about 1.250 kWh."
    assert forecast_words.amounts_text(found.model_copy(update=more)) == told_more
    assert rail(page)["Time"] == "about 12 min"
    assert rail(page)["Cost"] == "about ¥0.80"
    assert rail(page)["Forecast"] == "from 5 runs like it"
    page.draft.set("training.max_steps", 1400)  # another draft, another forecast
    qtbot.waitUntil(lambda: "¥1.58" in told(page))


def test_that_a_budget_that_would_not_hold_is_a_warning(replay, qtbot):
    replay.backend.hourly_price, replay.backend.budget_left = 4.0, 0.5
    page = wizard(replay, qtbot)
    page.draft.set("training.max_steps", 700)
    replay.backend.past = [past(page, 1.0)]
    replay.desktop.session.settings_changed.emit(replay.backend.settings())
    said = page.findChild(ForecastCard).findChild(QLabel, "wizard.forecast.budget")
    qtbot.waitUntil(lambda: said.text() == "It would cost about $0.80, and $0.50 of the budget is left.")
    lines = page.findChild(Rail).lines()
    assert ("warn", said.text(), "settings/alerts") in lines


def test_that_rows_that_are_not_counted_are_said_and_a_limit_in_steps_helps(replay, qtbot):
    page = wizard(replay, qtbot)
    replay.backend.past = [past(page, 1.0, gpus=1, device="H200")]
    page.draft.set_data("org/rows", "huggingface")
    qtbot.waitUntil(lambda: page.forecast.forecast is not None and page.forecast.forecast.why_not == "no_steps")
    assert told(page) == "Not known: the rows of the data are not counted"
    page.draft.set("training.max_steps", 100)
    qtbot.waitUntil(lambda: told(page) == "About 2 min 0 s (from 1 run like it)")
    assert "on other devices" in forecast_words.basis_text(page.forecast.forecast)


def memory(page: WizardPage, name: str) -> str:
    return page.findChild(ForecastCard).findChild(QLabel, f"wizard.memory.{name}").text()


def test_that_memory_shows_its_parts_and_claims_no_error_before_there_are_runs(replay, qtbot):
    page = wizard(replay, qtbot)
    qtbot.waitUntil(lambda: page.forecast.forecast is not None and page.forecast.forecast.memory is not None)
    found = page.forecast.forecast.memory
    view = page.findChild(MemoryView)
    assert not view.isHidden()
    qtbot.waitUntil(lambda: memory(page, "sum") == memory_words.sum_text(found))
    assert view.findChild(Chip, "wizard.memory.fit").text() == "Fits"
    names = {label.text() for label in view.findChildren(QLabel)}
    assert {"Base weights", "Adapter", "Activations", "Logits and loss", "Program and allocator"} <= names
    assert "No run has shown yet how far such forecasts are off." in memory(page, "basis")
    assert rail(page)["Memory"] == f"{memory_words.sum_text(found)} of 24.0 GB"


def test_that_the_error_is_that_of_our_own_runs(replay, qtbot):
    replay.backend.memory_error, replay.backend.memory_runs = 0.06, 20
    page = wizard(replay, qtbot)
    qtbot.waitUntil(lambda: "± 6% over your last 20 runs." in memory(page, "basis"))


def test_that_what_does_not_fit_is_a_warning_and_less_rows_help(replay, qtbot):
    replay.backend.memory_capacity = 1_000_000_000
    page = wizard(replay, qtbot)
    page.draft.set("training.micro_batch_size", 256)
    chip = page.findChild(Chip, "wizard.memory.fit")
    qtbot.waitUntil(lambda: chip.text() == "Does not fit")
    assert any("It needs about" in text for _tone, text, _path in page.findChild(Rail).lines())
    page.draft.set("training.micro_batch_size", 1)
    qtbot.waitUntil(lambda: chip.text() != "Does not fit")
    assert not any("It needs about" in text for _tone, text, _path in page.findChild(Rail).lines())
