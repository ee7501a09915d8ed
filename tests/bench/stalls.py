"""The longest stall: opening every page twice while 8 runs stream 100 points a second each, over 100,000 runs.

A stall is a stretch in which the window's thread came to no event: its processor time, which other work on the
machine does not lengthen, and the time of day beside it. Watching without doing anything is the baseline.
"""

from __future__ import annotations

import os
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

from engine.contract.paths import Home
from engine.contract.states import RunState
from engine.control.store.database import Database
from forge_desktop.app import Desktop, make_application
from forge_desktop.models.settings_entries import SECTIONS
from tests.bench.history import RUNS, fill
from tests.bench.loops import rest
from tests.bench.runs_page import ALLOWED_MS, LIVE, Beat, HistoryBackend
from tests.desktop.conftest import DATA_FACTS, MODEL_FACTS
from tests.helpers.journals import after_training, before_training, demo_spec, steps

SETTLE_MS = 900
STEPS = ("model", "data", "training", "compute", "review")


def filled(backend: HistoryBackend) -> list[str]:
    """Eight live runs, and three that are done; the ids of the live ones, then the others."""
    uids = []
    for n in range(LIVE):
        uid = backend.add(demo_spec(f"live {n}"), created=9e9 + n)
        backend.play(uid, before_training(10_000))
        backend.live.append(backend.run(uid).run.model_copy(update={"state": RunState.RUNNING}))
        uids.append(uid)
    for n in range(3):
        uid = backend.add(demo_spec(f"done {n}"), created=8e9 + n)
        backend.play(uid, [*before_training(2000), *steps(1, 2000, 2000), *after_training(2000)])
        uids.append(uid)
    backend.answers = {"inspect_model": dict(MODEL_FACTS), "preview_data": dict(DATA_FACTS)}
    return uids


def places(desktop: Desktop, uids: list[str]) -> dict[str, Callable[[], object]]:
    """Everything that can be opened."""
    window = desktop.window

    def page(address: str) -> Callable[[], object]:
        return lambda: window.go(address)

    def press(name: str) -> Callable[[], object]:
        return lambda: window.findChild(object, name).click()

    def over(show: Callable[[], object]) -> Callable[[], object]:
        return lambda: (show(), rest(300), window.overlays.close_one())

    found: dict[str, Callable[[], object]] = {
        "runs": page("runs"),
        "a run that streams": page(f"run/{uids[0]}"),
        "a run that is done": page(f"run/{uids[LIVE]}"),
        "compare 3": page("compare/" + ",".join(uids[LIVE:])),
        "compare 8 that stream": page("compare/" + ",".join(uids[:LIVE])),
        "wizard": page("new"),
        **{f"wizard: {step}": press(f"wizard.step.{step}") for step in STEPS},
        **{f"settings: {section.key}": page(f"settings/{section.key}") for section in SECTIONS},
        "first steps": page("welcome"),
        "palette": over(window.show_palette),
        "notices": over(window.toggle_notices),
        "help": over(window.toggle_help),
    }
    return found


def once(beat: Beat, do: Callable[[], object]) -> tuple[float, float]:
    """The longest stretch while something is opened and settles: of processor time, and of day."""
    rest(100)
    beat.begin()
    do()
    rest(SETTLE_MS)
    return 1000 * beat.busy, 1000 * beat.wall


def main() -> None:
    """The table."""
    app = make_application(sys.argv[:1])
    with tempfile.TemporaryDirectory() as folder:
        database = Database(Path(folder) / "history.sqlite3")
        fill(database)
        backend = HistoryBackend(database)
        uids = filled(backend)
        desktop = Desktop(app, Home(Path(folder) / "home"), lambda: backend, "en", "light")
        desktop.preferences.set("onboarding", "done")
        desktop.open()
        rest(1500)
        stop = threading.Event()
        reporter = threading.Thread(target=backend.report, args=(stop,))
        reporter.start()
        beat = Beat()
        try:
            report(desktop, beat, uids)
        finally:
            stop.set()
            reporter.join()
            desktop.close()
            database.close()


def report(desktop: Desktop, beat: Beat, uids: list[str]) -> None:
    """Everything is opened twice: the first time much is imported and made."""
    print(f"{LIVE} runs stream 100 points a second each, the list holds {RUNS:,} runs; milliseconds.\n")
    print("| opened | first time, busy | of day | again, busy | of day | again by watching |")
    print("|---|---:|---:|---:|---:|---:|")
    desktop.window.go("runs")
    watching = max(once(beat, lambda: rest(2000)) for _ in range(3))
    print(f"| nothing, only watching the list | | | {watching[0]:.1f} | {watching[1]:.0f} | 1.0 |", flush=True)
    found = places(desktop, uids)
    firsts = {title: once(beat, do) for title, do in found.items()}
    agains = {title: once(beat, do) for title, do in found.items()}
    for title, first in firsts.items():
        again = agains[title]
        print(f"| {title} | {first[0]:.1f} | {first[1]:.0f} | {again[0]:.1f} | {again[1]:.0f} "
              f"| {again[0] / watching[0]:.1f} |", flush=True)  # fmt: skip
    desktop.window.go(f"run/{uids[0]}")
    rest(SETTLE_MS)
    begun = time.monotonic()
    streaming = once(beat, lambda: rest(10_000))
    print(f"\nOver {time.monotonic() - begun:.0f} s of streaming on the page of a run: {streaming[0]:.1f} ms busy, "
          f"{streaming[1]:.0f} ms of day.")  # fmt: skip
    for text, measured in (("first time", firsts), ("again", agains)):
        title = max(measured, key=lambda one: measured[one][0])
        print(f"Longest, {text}: {measured[title][0]:.1f} ms busy ({title}); aimed at: {ALLOWED_MS:.0f} ms.")


if __name__ == "__main__":
    main()
