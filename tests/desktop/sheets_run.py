"""Pictures of the run page: live on a GPU with a long log, on a processor, its tabs, and every state of its parts."""

from __future__ import annotations

import math
import random
import time
from collections.abc import Iterator

from PySide6.QtTest import QTest

from engine.contract.errors import UserError
from engine.contract.events import CheckpointSaved, Device, JournalLine, PhaseBegan, Planned, Step, Validation
from engine.contract.run_spec import RunConfig, RunSpec
from engine.contract.states import Phase, RunState
from forge_desktop.app import Desktop
from forge_desktop.bridge.replay import ReplayBackend
from forge_desktop.pages.run_page import RunPage
from tests.helpers.journals import Recording, after_training, before_training, failed

LONG = 5000
SETTLE_MS = 400


def big_spec(name: str = "qwen3-8b-support-zh", **changes: object) -> RunSpec:
    """An order for a large run."""
    bundled = {"path": "demo", "hub": "bundled"}
    document = {
        "name": name,
        "model": bundled,
        "data": {"train": [{"path": "/data/support-tickets-zh.jsonl"}]},
        "evaluation": {"data": [{"path": "demo/held_out", "hub": "bundled"}]},
        "training": {"epochs": 3.0, **changes},
        "compute": {"priority": 10},
        "tags": ["support", "zh"],
    }
    return RunConfig.model_validate(document).to_spec(owner="lin")


def training(last: int, total: int, begin: float, every: int = 5, seed: int = 1) -> list[JournalLine]:
    """Steps with readings of a GPU, validations and checkpoints."""
    chance = random.Random(seed)
    rec = Recording(begin)
    for step in range(every, last + 1, every):
        loss = 2.1 * math.exp(-step / (0.2 * total)) + 0.82 + chance.gauss(0, 0.05)
        values = {"loss": loss, "learning_rate": 2e-4 * (1 - step / total), "grad_norm": 0.43,
                  "tokens_per_second": 3120 + chance.gauss(0, 30), "tokens_seen": step * 512.0}  # fmt: skip
        rec.add(Step, step=step, epoch=3 * step / total, values=values)
        readings = {"gpu0.utilisation": 94 + chance.gauss(0, 2), "gpu0.memory_used": 61.4e9,
                    "gpu0.memory_total": 141e9, "gpu0.temperature": 61 + chance.gauss(0, 1), "gpu0.power":
                    612 + chance.gauss(0, 15), "gpu0.power_limit": 700.0, "cpu.utilisation": 12.0}  # fmt: skip
        rec.add(Device, values=readings, names={"gpu0": "NVIDIA H200", "cpu": "AMD EPYC"})
        if step % 500 == 0:
            rec.add(Validation, step=step, values={"validation_loss": loss + 0.06})
            rec.add(CheckpointSaved, path=f"checkpoints/a1-s{step}", step=step, epoch=step / 2667, loss=loss,
                    validation_loss=loss + 0.06, best=step == last // 500 * 500 - 500, cause="steps",
                    bytes=84_100_000, sha256="9f2c" * 16)  # fmt: skip
    return rec.lines


def log_text(lines: int) -> str:
    """A log like that of a real run."""
    made = []
    for n in range(lines):
        at = f"21:{n // 60 % 60:02d}:{n % 60:02d}"
        if n % 23 == 7:
            made.append(f"{at} WARNING 2 samples longer than 4,096 tokens were truncated\n")
        elif n % 17 == 3:
            made.append(f"{at} SAVE checkpoint-{10 * n} verified · sha256 9f2c…e1a7 · 84.1 MB\n")
        elif n % 151 == 20:
            made.append(f"{at} ERROR 读取第 {n} 行时出错：编码不是 UTF-8，已跳过\n")
        else:
            made.append(f"{at} INFO step {10 * n}  loss {0.9 + 1 / (n + 1):.3f}  lr 1.17e-4  grad 0.42  3,118 tok/s\n")
    return "".join(made)


def pages(desktop: Desktop, backend: ReplayBackend) -> Iterator[str]:
    """Bring the run page into each of its looks; yields the name of each."""
    window = desktop.window
    now = time.time()
    uid = backend.add(big_spec(), created=now - 10_300)
    backend.play(uid, [line.model_copy(update={"t": now - 10_290 + place}) for place, line in
                       enumerate(before_training(8000))])  # fmt: skip
    backend.play(uid, training(4880, 8000, now - 976))
    backend.write_log(uid, log_text(LONG))
    backend.move(uid, eta_seconds=6480.0, seconds=10_290.0, cost=9.42, started=now - 10_290, phase=Phase.TRAINING)
    window.go(f"run/{uid}")
    yield "runpage-live"
    page = window.page
    assert isinstance(page, RunPage)
    page.log.finder.open()
    page.log.finder.field.setText("truncated")
    page.show_tab("log")
    QTest.qWait(SETTLE_MS)
    page.log.finder.step(-1)
    yield "runpage-log-search"
    page.log.finder.close_bar()
    page.log.set_levels(4)
    yield "runpage-log-errors"
    page.log.set_levels(7)
    for tab in ("checkpoints", "samples", "config", "events"):
        page.show_tab(tab)
        yield f"runpage-{tab}"
    page.show_tab("overview")
    page.findChild(object, "run.name").edit()
    yield "runpage-rename"
    yield from states(desktop, backend, now)


def states(desktop: Desktop, backend: ReplayBackend, now: float) -> Iterator[str]:
    """Queued, reading rows, failed, done."""
    window = desktop.window
    waits = backend.add(big_spec("waits-for-a-slot"), created=now - 60)
    window.go(f"run/{waits}")
    yield "runpage-queued"
    rec = Recording(now - 20)
    rec.add(PhaseBegan, phase=Phase.LOADING)
    rec.add(Planned, total_steps=900, epochs=1.0, rows=2400)
    rec.add(PhaseBegan, phase=Phase.TOKENISING)
    backend.play(waits, [before_training()[0].model_copy(update={"t": now - 22}), *rec.take()])
    rec.add(PhaseBegan, phase=Phase.TOKENISING, done=0.5)
    backend.play(waits, rec.take())
    yield "runpage-reading"
    bad = backend.add(big_spec("fails-while-it-trains"), created=now - 2000)
    error = UserError("worker.killed", signal="SIGKILL").body()
    backend.play(bad, [*before_training(8000), *training(600, 8000, now - 900), *failed(error, 600)])
    backend.write_log(bad, log_text(40) + "21:26:15 ERROR torch.OutOfMemoryError: CUDA out of memory\n")
    window.go(f"run/{bad}")
    yield "runpage-failed"
    done = backend.add(big_spec("done"), created=now - 3000)
    backend.play(done, [*before_training(1000), *training(1000, 1000, now - 900), *after_training(1000)])
    backend.move(done, state=RunState.COMPLETED, cost=1.2, seconds=900.0)
    window.go(f"run/{done}")
    yield "runpage-done"
