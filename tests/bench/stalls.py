"""The longest stall: opening every page twice while 8 runs stream 100 points a second each, over 100,000 runs.

A stall is a turn of the event loop in which the window's thread took no input: its processor time, which other work
on the machine does not lengthen much, and the time of day beside it. Watching without doing anything is the baseline.
The first time is taken in windows of their own, so that both columns are medians.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

from PySide6.QtCore import QTimer

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

Figures = dict[str, tuple[float, float, float, float]]
"""Milliseconds by what was opened: busy and of day the first time, the same again."""
WATCHING, STREAMING = "nothing, only watching the list", "10 s on the page of a run that streams"
ROUNDS = 3
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
    QTimer.singleShot(0, do)  # as a click does it: in a turn of the event loop
    rest(SETTLE_MS)
    return 1000 * beat.busy, 1000 * beat.wall


def window(history: Path) -> Figures:
    """One window over a copy of the history: everything is opened twice."""
    app = make_application(sys.argv[:1])
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(history, Path(folder) / "history")
        database = Database(Path(folder) / "history" / "history.sqlite3")
        backend = HistoryBackend(database)
        uids = filled(backend)
        desktop = Desktop(app, Home(Path(folder) / "home"), lambda: backend, "en", "light")
        desktop.preferences.set("onboarding", "done")
        desktop.open()
        rest(1500)
        stop = threading.Event()
        reporter = threading.Thread(target=backend.report, args=(stop,))
        reporter.start()
        try:
            return measured(desktop, Beat(), uids)
        finally:
            stop.set()
            reporter.join()
            desktop.close()
            database.close()


def measured(desktop: Desktop, beat: Beat, uids: list[str]) -> Figures:
    """By what was opened: busy and of day the first time, the same again."""
    desktop.window.go("runs")
    watching = max(once(beat, lambda: rest(2000)) for _ in range(3))
    places_ = places(desktop, uids)
    firsts = {title: once(beat, do) for title, do in places_.items()}
    found = {title: (*firsts[title], *once(beat, do)) for title, do in places_.items()}
    desktop.window.go(f"run/{uids[0]}")
    rest(SETTLE_MS)
    streaming = once(beat, lambda: rest(10_000))
    return {WATCHING: (*watching, *watching), **found, STREAMING: (*streaming, *streaming)}


def main() -> None:
    """The table: medians over windows of their own."""
    with tempfile.TemporaryDirectory() as folder:
        database = Database(Path(folder) / "history.sqlite3")
        fill(database)
        database.close()
        command = [sys.executable, "-m", "tests.bench.stalls", "--window", folder]
        rounds: list[Figures] = [
            json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1])
            for _ in range(ROUNDS)
        ]
    medians = {t: [statistics.median(one[t][place] for one in rounds) for place in range(4)] for t in rounds[0]}
    baseline = medians[WATCHING][2]
    print(f"{LIVE} runs stream 100 points a second each, the list holds {RUNS:,} runs; milliseconds, medians of "
          f"{ROUNDS} windows (the longest of them behind the slash).\n")  # fmt: skip
    print("| opened | first time, busy | of day | again, busy | of day | again by watching |")
    print("|---|---:|---:|---:|---:|---:|")
    for title, (first, first_day, again, again_day) in medians.items():
        worst = [max(one[title][place] for one in rounds) for place in range(4)]
        print(f"| {title} | {first:.1f} / {worst[0]:.1f} | {first_day:.0f} | {again:.1f} / {worst[2]:.1f} "
              f"| {again_day:.0f} | {again / baseline:.1f} |")  # fmt: skip
    print()
    for text, place in (("first time", 0), ("again", 2)):
        title = max(medians, key=lambda one: medians[one][place])
        print(f"Longest, {text}: {medians[title][place]:.1f} ms busy ({title}); aimed at: {ALLOWED_MS:.0f} ms.")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--window"]:
        print(json.dumps(window(Path(sys.argv[2]))))
    else:
        main()
