"""Pictures of the Serving pages: the list and an instance in every state, and the dialogs."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator

from engine.contract.api import CheckResult
from engine.contract.errors import Problem, Refused, UserError
from engine.contract.run_spec import RunSpec
from engine.contract.serving import MadeKey, NewKey, Percentiles, ServeJob
from engine.contract.states import EndReason, Phase, RunState
from forge_desktop.app import Desktop
from forge_desktop.bridge import fake_adapters
from forge_desktop.bridge.replay import ReplayBackend
from forge_desktop.pages.instance_page import InstancePage
from forge_desktop.pages.serving_page import ServingPage
from forge_desktop.panels.key_dialogs import RotateDialog, ShowKeyDialog
from tests.desktop.sheets_nodes import until

BUSY = {
    "requests": 18_204, "refused": 31, "failed": 2, "requests_per_minute": 142.0, "tokens_per_second": 4812.0,
    "running": 12, "waiting": 3, "queue": Percentiles(p50=0.004, p95=0.21, p99=0.9),
    "first_token": Percentiles(p50=0.118, p95=0.384, p99=1.2),
    "each_token": Percentiles(p50=0.021, p95=0.034, p99=0.06),
    "whole": Percentiles(p50=2.4, p95=6.8, p99=11.0), "cache_hit_rate": 0.82, "cache_used": 0.61,
}  # fmt: skip
LOG = "".join(
    f"21:25:{n:02d} INFO POST /v1/chat/completions 200  prompt 214  answer 96  first token 0.11 s\n" for n in range(30)
)


def job(**more: object) -> ServeJob:
    """Of a model of a hub, with two adapters."""
    library = "/home/lin/.forge/library"
    adapters = [{"name": "support-zh-v7", "path": f"{library}/a/adapter.lora.arrow"},
                {"name": "sql-generator", "path": f"{library}/b/adapter.lora.arrow"}]  # fmt: skip
    model = {"path": "Qwen/Qwen2.5-1.5B-Instruct", "hub": "huggingface"}
    return ServeJob.model_validate({"model": model, "adapters": adapters, **more})


def fill(backend: ReplayBackend) -> dict[str, str]:
    """Instances in several states; name to uid."""
    at = time.time()
    made = {}
    for name, age in (("support-desk", 7200), ("french-test", 300), ("sql-night", 86_400), ("old-demo", 9 * 86_400)):
        made[name] = backend.add(RunSpec(name=name, job=job()), at - age)
    backend.move(made["support-desk"], started=at - 7100)
    backend.make_ready(made["support-desk"], **BUSY)
    backend.move(made["french-test"], state=RunState.PREPARING, phase=Phase.LOADING)
    error = UserError("serve.port_taken", host="127.0.0.1", port=8000).body()
    backend.move(made["sql-night"], state=RunState.FAILED, reason=EndReason.BAD_CONFIG, error=error)
    backend.move(made["old-demo"], state=RunState.STOPPED, reason=EndReason.STOPPED_BY_PERSON)
    return made


def pages(desktop: Desktop, backend: ReplayBackend) -> Iterator[str]:
    """Bring the window to each state."""
    window = desktop.window
    window.go("serving")
    page = window.page
    assert isinstance(page, ServingPage)
    until(lambda: page.state() == "none")
    yield "serving-none"
    made = fill(backend)
    until(lambda: len(page.model.rows) == len(made) and bool(page.model.seen))
    yield "serving"
    yield from dialogs(backend, page)
    window.go(f"serving/{made['support-desk']}")
    shown = window.page
    assert isinstance(shown, InstancePage)
    keys(backend, made["support-desk"])
    shown.model.fetch_keys()
    backend.write_log(made["support-desk"], LOG)
    until(lambda: bool(shown.model.keys) and shown.model.seen.status is not None)
    for number, curve in enumerate(shown.model.curves.values()):
        curve.extend(20 + (7 + number) * math.sin(n / (2 + number)) + n % 3 for n in range(60))
    shown.cards.refresh()
    yield "instance"
    backend.seen[made["support-desk"]].status.alerts.extend(["serve.alert_first_token", "serve.alert_cache"])
    shown.how.way.set_value("python")
    shown.model.look()
    until(lambda: shown.alert.isVisibleTo(shown))
    yield "instance-alerts"
    yield from key_pages(shown)
    window.go(f"serving/{made['sql-night']}")
    failed = window.page
    assert isinstance(failed, InstancePage)
    until(lambda: failed.run.detail is not None)
    yield "instance-failed"
    window.go(f"serving/{made['french-test']}")
    starting = window.page
    assert isinstance(starting, InstancePage)
    until(lambda: starting.run.detail is not None)
    yield "instance-starting"
    window.go(f"run/{made['support-desk']}")
    yield "run-serve"


def keys(backend: ReplayBackend, uid: str) -> None:
    """Three keys, one of them replaced."""
    backend.make_serve_key(uid, NewKey(name="website", tenant="shop"))
    old = backend.make_serve_key(uid, NewKey(name="night batch", tenant="shop", tier=5, days=30))
    backend.rotate_serve_key(uid, old.about.id, 24)


def dialogs(backend: ReplayBackend, page: ServingPage) -> Iterator[str]:
    """Starting one, and what it refuses."""
    fake_adapters.fill(backend, time.time())
    dialog = page.serve_one(backend.shelf[1].id)
    until(lambda: bool(dialog.boxes))
    yield "serve"
    problems = [
        Problem(code="config.path_missing", field="adapters.0.path", params={"value": "/gone.lora.arrow"}),
        Problem(code="config.too_large", field="port", params={"value": "99999", "limit": 65535}),
    ]
    backend.serve_error = Refused("config.refused", count=2, problems=problems)
    dialog.go.click()
    until(lambda: dialog._error.isVisibleTo(dialog))
    yield "serve-refused"
    backend.serve_error = None
    backend.absent = ["llama_cpp"]
    dialog.draft._got_missing(CheckResult(missing=backend.absent))
    dialog._area.ensureWidgetVisible(dialog.lines["int8"])
    yield "serve-computed"
    backend.absent = []
    dialog._area.verticalScrollBar().setValue(dialog._area.verticalScrollBar().maximum())
    yield "serve-limits"
    dialog.reject()


def key_pages(shown: InstancePage) -> Iterator[str]:
    """Making, showing and rotating a key."""
    dialog = shown.keys.make_one()
    yield "key-new"
    dialog.reject()
    about = shown.model.keys[0]
    shown.keys.show_key(MadeKey(key="lf-" + "Zx8Qw3" * 7, about=about))
    told = shown.window().findChild(ShowKeyDialog)
    yield "key-shown"
    told.accept()
    shown.keys.rotate(about)
    rotating = shown.keys.findChild(RotateDialog)
    yield "key-rotate"
    rotating.reject()
