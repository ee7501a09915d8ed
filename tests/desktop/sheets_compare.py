"""Pictures of the Compare page: three runs, ten runs, one run, runs that are gone."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator

from PySide6.QtTest import QTest

from engine.contract.states import RunState
from forge_desktop.app import Desktop
from forge_desktop.bridge.replay import ReplayBackend
from forge_desktop.pages.compare_page import ComparePage, address_of
from forge_desktop.panels.page import TwoColumns
from forge_desktop.window import Window
from tests.desktop.sheets_run import big_spec, training
from tests.helpers.journals import after_training, before_training

SETTLE_MS = 500
NAMES = ("qwen3-8b-support-zh", "qwen3-8b-lr-1e-3", "qwen3-4b-support-zh-with-a-rather-long-name", "rank-16", "rank-64",
         "no-warmup", "cosine", "two-epochs", "dora", "constant-rate")  # fmt: skip


def pages(desktop: Desktop, backend: ReplayBackend) -> Iterator[str]:
    """Bring the Compare page into each of its looks; yields the name of each."""
    window = desktop.window
    chance = random.Random(3)
    uids = []
    for number, name in enumerate(NAMES):
        rate = 2e-4 * (number + 1)
        uid = backend.add(
            big_spec(name, learning_rate=rate, micro_batch_size=4 if number % 3 else 8), created=float(number)
        )
        backend.play(uid, [*before_training(1000), *training(1000 - 60 * number, 1000, 1_790_000_000.0, seed=number)])
        if number:
            backend.play(uid, after_training(1000 - 60 * number))
        backend.move(uid, seconds=3600 + 600.0 * number, cost=3 + 0.4 * number, score=0.5 + 0.05 * number,
                     started=1_790_000_000.0)  # fmt: skip
        uids.append(uid)
    for number in range(60):
        uid = backend.add(big_spec(f"older-{number}"), created=-1.0 * number)
        backend.move(uid, state=RunState.COMPLETED, seconds=600 + 14_000 * chance.random(), cost=9 * chance.random(),
                     score=0.2 + 0.6 * chance.random() ** 2, loss=chance.random() + 0.7)  # fmt: skip
    come(window, address_of(uids[:3]))
    yield "compare-three"
    page = window.page
    assert isinstance(page, ComparePage)
    page.findChild(object, "compare.axis.tokens").click()
    page.findChild(object, "compare.only.all").click()
    QTest.qWait(SETTLE_MS)
    yield "compare-tokens"
    bar = page.findChild(TwoColumns).area.verticalScrollBar()
    bar.setValue(bar.maximum() // 3)
    yield "compare-all-settings"
    page.findChild(object, "compare.only.differ").click()
    QTest.qWait(SETTLE_MS)
    bar.setValue(bar.maximum())
    yield "compare-differences"
    come(window, address_of(uids))
    yield "compare-ten"
    come(window, address_of([uids[1], "0000"]))
    yield "compare-unknown"
    come(window, address_of(uids[:1]))
    yield "compare-one"


def come(window: Window, address: str) -> None:
    """Open it and wait for all of it: a thread loads what draws the picture of all runs."""
    window.go(address)
    page = window.page
    assert isinstance(page, ComparePage)
    deadline = time.monotonic() + 30
    while not page.is_built or page.scatter.plot is None:
        assert time.monotonic() < deadline, "the page does not come"
        QTest.qWait(10)
    QTest.qWait(SETTLE_MS)
