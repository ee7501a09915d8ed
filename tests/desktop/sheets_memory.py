"""Pictures of memory: a forecast with its parts, one that does not fit, and a run that waits for a rung."""

from __future__ import annotations

from collections.abc import Iterator

from engine.contract.errors import UserError
from engine.contract.states import EndReason, RunState
from forge_desktop.app import Desktop
from forge_desktop.bridge.replay import ReplayBackend
from forge_desktop.wizard.wizard_page import WizardPage
from tests.desktop.sheets_nodes import until
from tests.helpers.journals import before_training, demo_spec, saved, steps
from tests.helpers.memory_lines import demo_shape, forecast_line, ran_out


def pages(desktop: Desktop, backend: ReplayBackend) -> Iterator[str]:
    """Bring the window to each."""
    window, facts = desktop.window, backend.answers["inspect_model"]
    backend.answers["inspect_model"] = facts | {"shape": demo_shape().model_dump()}
    backend.memory_error, backend.memory_runs = 0.06, 20
    window.go("new/draft-memory")
    page = window.page
    assert isinstance(page, WizardPage)
    page.draft.set_model("demo", "bundled")
    page.draft.set_data("demo", "bundled", "demo/held_out", "demo/validation")
    until(lambda: bool(page.draft.data_facts) and bool(page.draft.model_facts))
    page.go_to("name")
    until(lambda: page.forecast.forecast is not None and page.forecast.forecast.memory is not None)
    yield "memory-forecast"
    backend.memory_capacity = 2_000_000_000
    page.draft.set("training.micro_batch_size", 64)
    until(lambda: (found := page.forecast.forecast) is not None and found.memory is not None
          and found.memory.fit == "too_large")  # fmt: skip
    yield "memory-too-large"
    spec = demo_spec("qwen3-support-zh")
    uid = backend.add(spec, created=3.0)
    backend.play(uid, [*before_training(), *forecast_line(spec), *steps(1, 40), *saved(40), *ran_out(42)])
    error = UserError("memory.asks").body()
    backend.move(uid, state=RunState.PAUSED, reason=EndReason.OUT_OF_MEMORY, error=error)
    window.go(f"run/{uid}")
    yield "memory-rungs"
    backend.answers["inspect_model"], backend.memory_capacity = facts, 24_000_000_000
    window.go("runs")
