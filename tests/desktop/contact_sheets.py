"""Contact sheets: every page in light and dark, English and Chinese, wide and narrow, over replayed journals.

    python -m tests.desktop.contact_sheets FOLDER      (or `make contact-sheets`)

writes one picture a page and one sheet a look, to be looked at. Not a test: it judges nothing.
"""

from __future__ import annotations

import itertools
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from PySide6.QtCore import Qt
from PySide6.QtGui import QImage, QPainter
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication

from engine.contract.api import ConfigChange, Diagnosis
from engine.contract.errors import UserError
from engine.contract.paths import Home
from engine.contract.states import Mark, RunState
from engine.contract.stream import Resources
from forge_desktop.app import Desktop, make_application
from forge_desktop.bridge.backend import Item
from forge_desktop.bridge.replay import ReplayBackend
from forge_desktop.pages.run_page import RunPage
from forge_desktop.panels.ask_dialog import AskDialog
from forge_desktop.panels.resume_dialog import ResumeDialog
from tests.desktop import (
    sheets_adapters,
    sheets_alerts,
    sheets_compare,
    sheets_datasets,
    sheets_diagnosis,
    sheets_dialogs,
    sheets_fleet,
    sheets_forecast,
    sheets_forensics,
    sheets_guards,
    sheets_heads,
    sheets_memory,
    sheets_mix,
    sheets_nodes,
    sheets_notices,
    sheets_online,
    sheets_playground,
    sheets_run,
    sheets_runs,
    sheets_sampling,
    sheets_scratch,
    sheets_serving,
    sheets_settings,
    sheets_stages,
    sheets_teacher,
)
from tests.desktop.conftest import DATA_FACTS, MODEL_FACTS
from tests.desktop.sheets_charts import chart_pages
from tests.desktop.sheets_wizard import wizard_pages
from tests.helpers.journals import after_training, before_training, demo_spec, failed, resumed, saved, steps

SIZES = ((1440, 900), (1024, 700))
SETTLE_MS = 500
COLUMNS, WIDTH, GAP = 3, 640, 8
LINE = "21:25:{n:02d} INFO Step {n}  loss {loss:.4f}  grad norm 0.43  4812 tok/s\n"
LOG = "".join(LINE.format(n=n, loss=3 / (n + 1)) for n in range(60))


OUT_OF_MEMORY = Diagnosis(
    rule="out_of_memory",
    what="The GPU ran out of memory.",
    why="A batch of 8 rows of up to 2,048 tokens needs about 21.4 GB; 15.6 GB were free.",
    fix="Lower the micro batch size and gather more micro batches: the result stays the same.",
    params={"size": 8, "length": 2048, "device": "GPU 0"},
    lines=[
        "21:26:15 ERROR torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.13 GiB.",
        "21:26:15 ERROR GPU 0 has a total capacity of 23.6 GiB of which 1.02 GiB is free.",
    ],
    changes=[
        ConfigChange(field="training.micro_batch_size", value=4, was=8),
        ConfigChange(field="training.accumulation", value=2, was=1),
        ConfigChange(field="training.gradient_checkpointing", value=True, was=False),
    ],
)


def pages(desktop: Desktop, backend: ReplayBackend) -> Iterator[str]:
    """Bring the window to each page in turn; yields its name when it is to be pictured."""
    window = desktop.window
    desktop.preferences.set("onboarding", "done")
    for kind in ("completion", "failure", "alert"):
        desktop.preferences.set(f"notices.on_{kind}", False)  # messages would lie over the pages
    window.go("runs")
    yield "runs-empty"
    live = backend.add(demo_spec("demo-iso-dates"), created=4.0)
    done = backend.add(demo_spec("support-tickets-with-a-rather-long-name"), created=3.0)
    bad = backend.add(demo_spec("legal-notes"), created=2.0)
    backend.add(demo_spec("sql-v3"), created=1.0)
    backend.play(live, [*before_training(), *steps(1, 70)])
    backend.play(done, [*before_training(), *steps(1, 100), *after_training()])
    backend.play(bad, [*before_training(), *steps(1, 20), *failed(UserError("worker.killed", signal=9).body(), 20)])
    backend.write_log(live, LOG + "21:26:15 WARNING 2 rows longer than 128 tokens were cut\n")
    load = {"cpu.utilisation": 93.0, "ram.used": 6.1e9, "ram.total": 24e9}
    for _ in range(3):
        backend.tell_resources(
            Resources(slots={"gpu": 1}, used={"gpu": 1}, waiting=1, values=load, names={"cpu": "AMD EPYC"})
        )
    yield "runs"
    yield from sheets_runs.pages(desktop, backend)
    for name, uid in (("run-live", live), ("run-failed", bad), ("run-done", done)):
        window.go(f"run/{uid}")
        yield name
    yield from recovery_pages(desktop, backend, live)
    window.go(f"run/{done}")
    yield "run-done-again"
    assert isinstance(window.page, RunPage)
    for tab in ("samples", "config", "events"):
        window.page.show_tab(tab)
        yield f"run-{tab}"
    window.session.offline.emit(UserError("controller.unreachable", detail="", log="").body())
    yield "offline"
    window.session.online.emit()
    while window.overlays.toasts.close_one():  # it says so over the next pages
        pass
    yield from sheets_run.pages(desktop, backend)
    yield from sheets_guards.pages(desktop, backend)
    yield from sheets_diagnosis.pages(desktop, backend)
    yield from sheets_dialogs.pages(desktop, backend)
    yield from sheets_compare.pages(desktop, backend)
    yield from sheets_settings.pages(desktop, backend)
    yield from sheets_alerts.pages(desktop, backend)
    yield from sheets_nodes.pages(desktop, backend)
    yield from sheets_fleet.pages(desktop, backend)
    yield from sheets_datasets.pages(desktop, backend)
    yield from sheets_sampling.pages(desktop, backend)
    yield from sheets_playground.pages(desktop, backend)
    yield from sheets_adapters.pages(desktop, backend)
    yield from sheets_serving.pages(desktop, backend)
    yield from wizard_pages(desktop, backend)
    yield from sheets_mix.pages(desktop, backend)
    yield from sheets_stages.pages(desktop, backend)
    yield from sheets_heads.pages(desktop, backend)
    yield from sheets_online.pages(desktop, backend)
    yield from sheets_teacher.pages(desktop, backend)
    yield from sheets_scratch.pages(desktop, backend)
    yield from sheets_forecast.pages(desktop, backend)
    yield from sheets_memory.pages(desktop, backend)
    yield from sheets_forensics.pages(desktop, backend)
    yield from sheets_notices.pages(desktop, backend)
    yield from chart_pages(desktop, backend)


def recovery_pages(desktop: Desktop, backend: ReplayBackend, live: str) -> Iterator[str]:
    """A run with three attempts and checkpoints, and every state a run can be in besides working and done."""
    window = desktop.window
    backend.play(live, [*saved(20), *saved(40, best=True), *saved(60, cause="steps")])
    backend.play(live, [*resumed(40, 1), *steps(41, 85, later=400), *saved(80, 2)])
    backend.play(live, [*resumed(60, 2), *steps(61, 74, later=800), *saved(70, 3, cause="person")])
    window.go(f"run/{live}")
    assert isinstance(window.page, RunPage)
    yield "run-three-attempts"
    window.page.show_tab("checkpoints")
    yield "run-checkpoints"
    window.actions_of_runs.do("ask", backend.run(live).run, window.page, window.go)
    ask = window.page.findChild(AskDialog)
    ask.prompts.setPlainText("Write 5 May 2020 as an ISO date.\nAnd 6 June 2021?")
    ask._send()
    yield "ask"
    ask.close()
    window.actions_of_runs.do("extend", backend.run(live).run, window.page, window.go)
    yield "extend"
    window.page.findChild(ResumeDialog).close()
    window.page.show_tab("overview")
    backend.move(live, mark=Mark.NOT_RESPONDING)
    yield "run-not-responding"
    backend.pause(live)
    backend.move(live, mark=None)
    yield "run-paused"
    backend.move(live, state=RunState.QUEUED, retry_at=time.time() + 13, retries=2, reason=None)
    yield "run-retry"
    yield from ended_pages(desktop, backend)
    window.go("runs")
    backend.move(live, state=RunState.RUNNING, mark=Mark.NOT_RESPONDING)
    waits = backend.add(demo_spec("qwen-sql"), created=2.2)
    backend.play(waits, [*before_training(), *steps(1, 44)])
    backend.move(waits, state=RunState.QUEUED, retry_at=time.time() + 13, retries=1)
    yield "runs-marks"


def ended_pages(desktop: Desktop, backend: ReplayBackend) -> Iterator[str]:
    """Failed with a diagnosis, completed with files that will go, gone files, and downloads."""
    window = desktop.window
    failed_run = backend.add(demo_spec("llama-notes"), created=2.5)
    error = UserError("worker.killed", signal="SIGKILL").body()
    backend.play(failed_run, [*before_training(), *steps(1, 30), *saved(30), *failed(error, 30)])
    backend.write_log(failed_run, LOG)
    backend.diagnose(failed_run, OUT_OF_MEMORY)
    window.go(f"run/{failed_run}")
    yield "run-diagnosis"
    done = backend.add(demo_spec("tickets-zh"), created=2.4)
    backend.play(done, [*before_training(), *steps(1, 100), *saved(50), *saved(100, best=True), *after_training()])
    backend.move(done, expires=time.time() + 6 * 86_400)
    window.go(f"run/{done}")
    transfers = window.actions_of_runs.transfers
    backend.gate.clear()
    backend.content = b"x" * 900_000
    with tempfile.TemporaryDirectory() as folder:
        adapter = transfers.start(done, "Adapter of tickets-zh", Item("artifact", 1), Path(folder))
        yield "run-expires"
        backend.gate.set()
        sheets_runs.until(lambda: adapter.state == "done")
        Path(folder, "log.txt").write_text("")
        log = transfers.start(done, "Log of tickets-zh", Item("log"), Path(folder), "log.txt")
        sheets_runs.until(lambda: log.state == "exists")
        yield "run-transfers"
        for transfer in list(transfers.list):
            transfers.forget(transfer)
    backend.delete_files(done)
    assert isinstance(window.page, RunPage)
    window.page.show_tab("checkpoints")
    yield "run-cleaned"


def shoot(app: QApplication, folder: Path, theme: str, tongue: str, size: tuple[int, int]) -> list[QImage]:
    """Pictures of every page in one look."""
    backend = ReplayBackend()
    backend.answers = {"inspect_model": dict(MODEL_FACTS), "preview_data": dict(DATA_FACTS)}
    with tempfile.TemporaryDirectory() as home:
        desktop = Desktop(app, Home(Path(home)), lambda: backend, tongue, theme)
        desktop.window.resize(*size)
        desktop.open()
        QTest.qWait(SETTLE_MS)
        pictures = []
        for name in pages(desktop, backend):
            QTest.qWait(SETTLE_MS)
            dialog = QApplication.activeModalWidget()
            picture = (dialog or desktop.window).grab().toImage()
            picture.save(str(folder / f"{name}-{theme}-{tongue}-{size[0]}.png"))
            pictures.append(picture)
        desktop.close()
    return pictures


def sheet(pictures: list[QImage], file: Path) -> None:
    """All of them on one."""
    share = WIDTH / max(picture.width() for picture in pictures)  # a dialog stays smaller than its window
    smooth = Qt.TransformationMode.SmoothTransformation
    small = [picture.scaledToWidth(round(share * picture.width()), smooth) for picture in pictures]
    height = max(picture.height() for picture in small)
    lines = -(-len(small) // COLUMNS)
    whole = QImage(COLUMNS * (WIDTH + GAP), lines * (height + GAP), QImage.Format.Format_RGB32)
    whole.fill(Qt.GlobalColor.gray)
    painter = QPainter(whole)
    for place, picture in enumerate(small):
        painter.drawImage(place % COLUMNS * (WIDTH + GAP), place // COLUMNS * (height + GAP), picture)
    painter.end()
    whole.save(str(file))


def main(say: Callable[[str], object] = print) -> None:
    """Every look."""
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "contact-sheets")
    folder.mkdir(parents=True, exist_ok=True)
    app = make_application(sys.argv[:1])
    for theme, tongue, size in itertools.product(("light", "dark"), ("en", "zh_CN"), SIZES):
        file = folder / f"sheet-{theme}-{tongue}-{size[0]}.png"
        sheet(shoot(app, folder, theme, tongue, size), file)
        say(str(file))


if __name__ == "__main__":
    main()
