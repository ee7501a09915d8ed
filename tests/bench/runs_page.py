"""How long the window's thread is busy at a stretch over a history of 100,000 runs while 8 runs report; a table.

Processor time of that thread in a turn of its event loop, so that other work on the machine does not count for much;
the time of day beside it. The history is the real one (SQLite); only the network is left out.
"""

from __future__ import annotations

import os
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from PySide6.QtCore import QAbstractEventDispatcher, QTimer

from engine.contract.api import RunPage, RunSummary
from engine.contract.paths import Home
from engine.contract.states import RunState
from engine.contract.stream import Points, RunChanged
from engine.control.store import run_list
from engine.control.store.database import Database
from forge_desktop.app import Desktop, make_application
from forge_desktop.bridge.replay import ReplayBackend
from forge_desktop.pages.runs_page import RunsPage
from tests.bench.history import RUNS, fill
from tests.bench.loops import rest, until
from tests.helpers.journals import before_training, demo_spec

LIVE = 8
PUSHES_A_SECOND = 30
POINTS_A_PUSH = 4
ALLOWED_MS = 50.0


class HistoryBackend(ReplayBackend):
    """Pages from a real history, headed by the live runs; the rest as a replay."""

    def __init__(self, database: Database) -> None:
        super().__init__()
        self._database = database
        self.live: list[RunSummary] = []

    def runs(
        self,
        states: Sequence[str],
        search: str,
        offset: int,
        limit: int,
        sort: str = "created",
        descending: bool = True,
    ) -> RunPage:
        """The history's page; the live runs come first while it is newest first and nothing is searched."""
        plain = not states and not search and sort == "created" and descending
        head = self.live if plain else []
        shown = head[offset : offset + limit]
        rest = limit - len(shown)
        page = self._database.read_now(
            lambda connection: run_list.page(
                connection, states=states, search=search, sort=sort, descending=descending,
                offset=max(0, offset - len(head)), limit=rest,
            )
        )  # fmt: skip
        return page.model_copy(update={"runs": [*shown, *page.runs], "total": page.total + len(head)})

    def report(self, stop: threading.Event) -> None:
        """Let every live run tell its progress, about 100 points a second each, until told to stop."""
        step = 0
        while not stop.wait(1 / PUSHES_A_SECOND):
            step += POINTS_A_PUSH
            for place, run in enumerate(self.live):
                loss = 3 / (1 + step / 50) + 0.01 * place
                sparkline = [*run.sparkline, loss][-48:]
                told = run.model_copy(update={"step": step % 10_000, "loss": loss, "sparkline": sparkline})
                self.live[place] = told
                self._tell(RunChanged(cursor=None, at=0.0, run=told))
                points = [(float(step + n), 0.0, loss) for n in range(POINTS_A_PUSH)]
                self._tell(Points(run=run.uid, attempt=1, points={"loss": points}))


class Beat:
    """The longest turn of the event loop in processor time of its thread, and the longest gap of day between beats.

    Input is taken once a turn: what one turn takes is what a person may wait for. A gap between two beats may hold two.
    """

    def __init__(self) -> None:
        dispatcher = QAbstractEventDispatcher.instance()
        assert dispatcher is not None
        dispatcher.awake.connect(self._turn)
        self._timer = QTimer(interval=5)
        self._timer.timeout.connect(self._beat)
        self._timer.start()
        self.begin()

    def begin(self) -> None:
        """Count anew."""
        self.busy = self.wall = 0.0
        self._cpu, self._at = time.thread_time(), time.perf_counter()
        self.first_cpu, self.first_at = self._cpu, self._at

    def _turn(self) -> None:
        cpu = time.thread_time()
        self.busy, self._cpu = max(self.busy, cpu - self._cpu), cpu

    def _beat(self) -> None:
        at = time.perf_counter()
        self.wall, self._at = max(self.wall, at - self._at), at


def deeds(page: RunsPage) -> dict[str, Callable[[], object]]:
    """What a person does with the list."""
    bar = page.table.verticalScrollBar()

    def scroll() -> None:
        for n in range(60):
            bar.setValue(n * 52 * 1600)
            rest(16)

    def wheel() -> None:
        for n in range(100):
            bar.setValue(bar.maximum() // 2 + 40 * n)
            rest(16)

    return {
        "nothing, only watching": lambda: rest(3000),
        "sort by loss": lambda: page.model.set_sort("loss", False),
        "sort by name": lambda: page.model.set_sort("name", True),
        "back to the newest": lambda: page.model.set_sort("created", True),
        "drag the scroll bar over all": scroll,
        "scroll by the wheel": wheel,
        "search “legal review”": lambda: page.search.setText("legal review"),
        "search “nothing like it”": lambda: page.search.setText("nothing like it"),
        "empty the search": page.search.clear,
        "filter the failed": lambda: page.model.set_filter("failed"),
        "all again": lambda: page.model.set_filter("all"),
        "pick all (1,000)": page.table.selectAll,
    }


def main() -> int:
    """The table; 1 if the thread was busy for too long."""
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    import psutil

    app = make_application(sys.argv[:1])
    with tempfile.TemporaryDirectory() as folder:
        database = Database(Path(folder) / "history.sqlite3")
        fill(database)
        backend = HistoryBackend(database)
        for n in range(LIVE):
            uid = backend.add(demo_spec(f"live {n}"), created=9e9 + n)
            backend.play(uid, before_training(10_000))
            backend.live.append(backend.run(uid).run.model_copy(update={"state": RunState.RUNNING}))
        desktop = Desktop(app, Home(Path(folder) / "home"), lambda: backend, "en", "light")
        desktop.open()
        desktop.window.go("runs")
        page = desktop.window.page
        assert isinstance(page, RunsPage)
        until(lambda: page.model.total == RUNS + LIVE and page.model.is_current)
        stop = threading.Event()
        reporter = threading.Thread(target=backend.report, args=(stop,))
        reporter.start()
        beat, longest = Beat(), 0.0
        before = psutil.Process().memory_info().rss / 1e6
        print(f"| over {RUNS:,} runs, {LIVE} of them at work | longest busy stretch, ms | of day, ms | busy in all |")
        print("|---|---|---|---|")
        for title, do in deeds(page).items():
            rest(100)
            beat.begin()
            do()
            until(lambda: page.model.is_current)
            rest(300)
            share = (time.thread_time() - beat.first_cpu) / (time.perf_counter() - beat.first_at)
            longest = max(longest, beat.busy)
            print(f"| {title} | {1000 * beat.busy:.1f} | {1000 * beat.wall:.0f} | {share:.0%} |", flush=True)
        after = psutil.Process().memory_info().rss / 1e6
        print(f"\nMemory: {before:.0f} MB before, {after:.0f} MB after; {page.model.pages_kept} pages kept.")
        print(f"Longest: {1000 * longest:.1f} ms of processor time; allowed: {ALLOWED_MS:.0f} ms.")
        stop.set()
        reporter.join()
        desktop.close()
        database.close()
    return int(1000 * longest > ALLOWED_MS)


if __name__ == "__main__":
    sys.exit(main())
