"""Pictures of the Runs page: a day's work, picked runs, search and its errors, the menus, an empty start."""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable, Iterator

from PySide6.QtCore import QItemSelectionModel, Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QPushButton, QWidget

from engine.contract.api import RunSummary, Settings
from engine.contract.states import RunState
from engine.contract.stream import Resources
from forge_desktop.app import Desktop
from forge_desktop.bridge.replay import ReplayBackend
from forge_desktop.pages.runs_page import RunsPage
from tests.helpers.journals import demo_spec

WAIT_MS = 500
LIMIT_S = 30
DAY = (
    ("qwen3-8b-support-zh", "Qwen3-8B", "support-tickets-zh", "QLoRA r32", RunState.RUNNING, 0.61, 0.901, 6480, 9.42),
    ("llama4-8b-sql-v3", "Llama-4-8B", "spider-sql", "LoRA r16", RunState.RUNNING, 0.84, 0.402, 1560, 6.10),
    ("mistral-nemo-legal", "Mistral-Nemo-12B", "contracts-en", "DoRA r64", RunState.RUNNING, 0.23, 1.284, 18720, 3.87),
    ("qwen3-4b-router", "Qwen3-4B", "intent-router", "LoRA r8", RunState.FINISHING, 1.0, 0.188, 240, 1.15),
    ("gemma3-12b-med-qa", "Gemma-3-12B", "med-qa", "QLoRA r32", RunState.PAUSED, 0.47, 1.017, None, 2.30),
    ("qwen3-8b-support-zh-lr3e4", "Qwen3-8B", "support-zh", "QLoRA r32", RunState.FAILED, 0.12, 7.914, None, 0.48),
    ("phi5-mini-code", "Phi-5-mini", "commit-messages", "LoRA r16", RunState.COMPLETED, 1.0, 0.634, None, 4.76),
    ("llama4-8b-sql-v2", "Llama-4-8B", "spider-sql", "LoRA r16", RunState.COMPLETED, 1.0, 0.455, None, 7.02),
)  # fmt: skip
WAITING = (("gemma3-27b-legal", 20), ("qwen3-14b-finance", 10), ("llama4-8b-sql-v4", 0), ("phi5-mini-code-2", -10))


def curve(name: str, last: float, rising: bool) -> list[float]:
    """A loss that falls to where it ends; or rises."""
    chance = random.Random(name)
    if rising:
        return [1.2 - 0.02 * n + last * (n / 40) ** 4 for n in range(40)]
    return [last + 2.4 * math.exp(-n / 9) + chance.gauss(0, 0.03) for n in range(48)]


def fill(backend: ReplayBackend, costs: bool = True) -> list[str]:
    """A day with eight runs and a queue; their ids."""
    now, uids = time.time(), []
    backend.prices = Settings(prices={"gpu": 2.1} if costs else {}, currency="USD")
    for name, priority in reversed(WAITING):
        uid = backend.add(demo_spec(name), created=now - 9000)
        backend.move(uid, model="Qwen/Qwen3-14B", dataset="finance", method="LoRA r16", priority=priority)
        uids.append(uid)
    for place, (name, model, dataset, method, state, share, loss, eta, cost) in enumerate(DAY):
        uid = backend.add(demo_spec(name), created=now - 600 * (place + 1), state=state)
        failed = state is RunState.FAILED
        backend.move(
            uid, model=model, dataset=dataset, method=method, node="local", loss=loss, step=round(1000 * share),
            total_steps=1000, eta_seconds=eta, attempt=1, started=now - 3600, seconds=3400.0,
            cost=cost if costs else None, sparkline=curve(name, loss, failed), pinned=place in (0, 6),
            tags=["nightly", "zh"] if place % 3 == 0 else [],
            finished=now - 60 if state.ended else None, score=0.91 if state is RunState.COMPLETED else None,
        )  # fmt: skip
        uids.append(uid)
    for n in range(40):
        load = 70 + 20 * math.sin(n / 4)
        backend.tell_resources(
            Resources(
                slots={"gpu": 8}, used={"gpu": 2 + n // 12}, waiting=4, names={"gpu0": "NVIDIA H200", "cpu": "EPYC"},
                values={
                    "gpu0.utilisation": load, "gpu0.memory_used": 61e9 + 1e8 * n, "gpu0.memory_total": 141e9,
                    "gpu0.temperature": 61.0, "cpu.utilisation": 34.0, "ram.used": 41e9, "ram.total": 128e9,
                },
            )
        )  # fmt: skip
    return uids


def many(backend: ReplayBackend, number: int) -> None:
    """A long history, made at once."""
    from engine.contract.ids import new_id
    from forge_desktop.bridge.replayed import Played

    states = (RunState.COMPLETED, RunState.COMPLETED, RunState.FAILED, RunState.STOPPED)
    spec, line, made = demo_spec(), curve("x", 0.4, False), []
    for n in range(number):
        summary = RunSummary.model_construct(
            uid=new_id(), name=f"sweep {n:06}", project="default", owner="lin", kind="train", lane="gpu",
            state=states[n % 4], model="Qwen3-4B", dataset=f"rows-{n % 97}", method="LoRA r8", created=1e9 + n,
            loss=(n * 7919 % number) / number, step=100, total_steps=100, sparkline=line, tags=[f"t{n % 10}"],
            attempt=1, reason=None,
        )  # fmt: skip
        made.append(Played(summary, spec))
    backend.hold(made)


def in_the_middle(page: RunsPage) -> bool:
    """Scroll there, once the bar is as long as the list, and until the rows came."""
    page.table.verticalScrollBar().setValue(52 * 2_500)
    return page.model.run_in(2_500) is not None


def click(parent: QWidget, name: str) -> None:
    """Press a button."""
    made = parent.findChild(QPushButton, name)
    assert made is not None, name
    made.click()


def until(true: Callable[[], bool]) -> None:
    """Wait for a condition."""
    limit = time.monotonic() + LIMIT_S
    while not true():
        assert time.monotonic() < limit, "the page did not get there"
        QTest.qWait(20)


def close_menus() -> None:
    """Let the open menu or popup go."""
    while (popup := QApplication.activePopupWidget()) is not None:
        popup.close()


def pages(desktop: Desktop, backend: ReplayBackend) -> Iterator[str]:
    """Bring the Runs page into each of its states."""
    window = desktop.window
    uids = fill(backend)
    window.go("runs")
    page = window.page
    assert isinstance(page, RunsPage)
    until(lambda: page.model.total >= len(uids) and len(page.queue.entries) >= len(WAITING))
    yield "runs-day"
    page.area.verticalScrollBar().setValue(page.area.verticalScrollBar().maximum())
    yield "runs-day-below"
    page.area.verticalScrollBar().setValue(0)
    page.table.setFocus()
    for row in range(3):
        flags = QItemSelectionModel.SelectionFlag.Select | QItemSelectionModel.SelectionFlag.Rows
        page.table.selectionModel().select(page.model.index(row + 1, 0), flags)
    yield "runs-picked"
    page.picked.clear()
    page.search.setText("state:completed,running tag:nightly loss<1")
    until(lambda: page.model.is_current)
    yield "runs-searched"
    page.search.setText("stat:failed")
    until(lambda: page.findChild(QWidget, "runs.search.error").isVisible())
    yield "runs-search-wrong"
    page.search.setText("nothing like it")
    until(lambda: page.model.is_current)
    yield "runs-no-match"
    page.search.clear()
    QTest.qWait(WAIT_MS)
    for key in ("created", "tags", "priority", "score"):
        page.table.header.choose(key, True)
    yield "runs-columns"
    page.table.header.forget_choices()
    many(backend, 5_000)
    backend.move(uids[-1], pinned=True)
    until(lambda: page.model.total > 5_000)
    until(lambda: in_the_middle(page))
    yield "runs-many"
    backend.let_go([uid for uid, run in list(backend._runs.items()) if run.summary.name.startswith("sweep")])
    backend.move(uids[-1], pinned=False)
    until(lambda: page.model.total < 1000)
    page.table.verticalScrollBar().setValue(0)
    for name, open_it in (
        ("menu", lambda: page.table.menu_wanted.emit(page.model.runs[0], page.mapToGlobal(page.rect().center()))),
        ("columns-menu", lambda: click(page, "runs.columns")),
        ("filter-menu", lambda: click(page, "runs.filters")),
        ("help", page.search.show_help),
    ):
        open_it()
        QTest.qWait(100)
        popup = QApplication.activePopupWidget()
        yield f"runs-{name}"
        if popup is not None:
            close_menus()
    page.bulk.do("delete", page.model.runs[:3])
    yield "runs-bulk-delete"
    for dialog in QApplication.topLevelWidgets():
        if dialog.isModal() and dialog.isVisible():
            dialog.close()
    page.bulk.do("tag", page.model.runs[:3])
    yield "runs-tags"
    for dialog in QApplication.topLevelWidgets():
        if dialog.isModal() and dialog.isVisible():
            dialog.close()
    page.search.clearFocus()
    window.setFocus(Qt.FocusReason.OtherFocusReason)
