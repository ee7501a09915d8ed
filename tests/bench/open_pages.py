"""How long the window's thread is busy at a stretch while a page, step, section or dialog opens; a table.

Processor time of that thread between two turns of the event loop, so that other work on the machine does not count
for much. Every way is taken three times: the first pays for what is read and drawn once; the better of the others is
shown beside it.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from PySide6.QtCore import QAbstractEventDispatcher, QTimer
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QLineEdit, QPushButton, QWidget

from engine.contract.errors import UserError
from engine.contract.paths import Home
from forge_desktop.app import Desktop, make_application
from forge_desktop.bridge.replay import ReplayBackend
from forge_desktop.models.settings_entries import SECTIONS
from forge_desktop.pages.run_page import TABS
from forge_desktop.pages.settings_page import SettingsPage
from forge_desktop.wizard.steps import STEPS
from forge_desktop.wizard.wizard_page import WizardPage
from tests.bench.loops import rest
from tests.desktop.conftest import DATA_FACTS, MODEL_FACTS
from tests.helpers.journals import after_training, before_training, demo_spec, failed, saved, steps

RUNS, STEPS_OF_A_RUN = 60, 2000
LONGEST_S = 20.0
QUIET_MS = 250
ALLOWED_MS = 50.0
ROUNDS = 3


class Turns:
    """Notes the processor time of the longest turn of the event loop of those since it began."""

    def __init__(self) -> None:
        dispatcher = QAbstractEventDispatcher.instance()
        assert dispatcher is not None
        dispatcher.awake.connect(self._turn)
        dispatcher.aboutToBlock.connect(self._turn)
        self.begin()

    def begin(self) -> None:
        """Count anew."""
        self.longest, self.at = 0.0, time.thread_time()

    def _turn(self) -> None:
        now = time.thread_time()
        self.longest, self.at = max(self.longest, now - self.at), now


def history(backend: ReplayBackend) -> dict[str, str]:
    """A replay with a list of runs, and three of them in full: at work, completed, failed."""
    for n in range(RUNS):
        backend.add(demo_spec(f"run {n}"), created=float(n))
    found = {}
    for place, name in enumerate(("live", "done", "failed")):
        uid = found[name] = backend.add(demo_spec(f"{name} in full"), created=1000.0 + place)
        backend.play(uid, [*before_training(STEPS_OF_A_RUN), *steps(1, STEPS_OF_A_RUN), *saved(50), *saved(90)])
        backend.write_log(uid, "21:25:00 INFO Step 1  loss 0.5\n" * 5000)
    backend.play(found["done"], after_training())
    backend.play(found["failed"], failed(UserError("worker.killed", signal="SIGKILL").body(), STEPS_OF_A_RUN))
    return found


def ways(desktop: Desktop, runs: dict[str, str]) -> Iterator[tuple[str, Callable[[], object]]]:
    """Every page, step, section, tab and overlay, and how a person comes to it."""
    window = desktop.window

    def go(address: str) -> Callable[[], object]:
        return lambda: window.go(address)

    def press(name: str) -> Callable[[], object]:
        def deed() -> None:
            made = window.page.findChild(QPushButton, name) if window.page is not None else None
            assert made is not None, name
            made.click()

        return deed

    yield "runs", go("runs")
    for name, uid in runs.items():
        yield f"run: {name}", go(f"run/{uid}")
        for tab, _text in TABS:
            yield f"run: {name}, tab {tab}", press(f"run.tab.{tab}")
    yield "compare", go("compare/" + ",".join(runs.values()))
    yield "welcome", go("welcome")
    yield from wizard_ways(desktop, go, press)
    for section in SECTIONS:
        yield f"settings: {section.key}", go(f"settings/{section.key}")
    for section in SECTIONS:
        yield f"settings: to {section.key}", press(f"settings.to.{section.key}")
    yield "settings: search “a”", lambda: settings(desktop).search.setText("a")
    yield from overlay_ways(desktop)


def wizard_ways(
    desktop: Desktop, go: Callable[[str], Callable[[], object]], press: Callable[[str], Callable[[], object]]
) -> Iterator[tuple[str, Callable[[], object]]]:
    """The wizard: each step, blank and filled in, and edits of every kind."""
    yield "wizard: blank", go("new/draft-blank")
    for step, _text, _paths in STEPS:
        yield f"wizard: blank, {step}", press(f"wizard.step.{step}")
    yield "wizard: demo model", lambda: wizard(desktop).draft.set_model("demo", "bundled")
    yield "wizard: demo data", lambda: wizard(desktop).draft.set_data("demo", "bundled", "demo/held_out")
    for step, _text, _paths in STEPS:
        yield f"wizard: {step}", press(f"wizard.step.{step}")
    yield "wizard: training again", press("wizard.step.training")
    for fold in ("training", "tuner", "checkpoints", "limits.training", "logging"):
        yield f"wizard: unfold {fold}", press(f"wizard.fold.{fold}")
    yield "wizard: edit epochs", lambda: type_into(desktop, "field.training.epochs")
    yield "wizard: edit to a problem", lambda: wizard(desktop).draft.set("training.weight_decay", -0.1)
    yield "wizard: another preset", press("wizard.preset.thorough")
    yield "wizard: review after it", press("wizard.step.review")
    yield "wizard: edit the name", lambda: type_into(desktop, "field.name")
    yield "wizard: a kept draft again", go("new/draft-blank")
    yield "wizard: a marked copy", go("new/draft-blank?training.epochs=2")


def overlay_ways(desktop: Desktop) -> Iterator[tuple[str, Callable[[], object]]]:
    """What lies over a page, and another look."""
    window = desktop.window
    for address in ("runs", "new/draft-blank"):
        yield f"{address}: go", lambda address=address: window.go(address)  # type: ignore[misc]
        yield f"{address}: palette", window.show_palette
        yield f"{address}: palette, letters", lambda: window.overlays.palette.findChild(QLineEdit).setText("set")
        yield f"{address}: palette away", window.show_palette
        yield f"{address}: help", window.toggle_help
        yield f"{address}: notices", window.toggle_notices
        yield f"{address}: notices away", window.toggle_notices
        yield f"{address}: shortcuts", window.show_shortcuts
        yield f"{address}: shortcuts away", close_dialogs
        yield f"{address}: dark", lambda: window.choose_look("dark", "")
        yield f"{address}: Chinese", lambda: window.choose_look("", "zh_CN")
        yield f"{address}: narrow", lambda: window.resize(1024, 700)
        yield f"{address}: wide", lambda: window.resize(1440, 900)
        yield f"{address}: light", lambda: window.choose_look("light", "")
        yield f"{address}: English", lambda: window.choose_look("", "en")


def close_dialogs() -> None:
    """Close what is open."""
    modal = QApplication.activeModalWidget()
    if modal is not None:
        modal.close()


def wizard(desktop: Desktop) -> WizardPage:
    """The page that is open."""
    assert isinstance(desktop.window.page, WizardPage)
    return desktop.window.page


def settings(desktop: Desktop) -> SettingsPage:
    """The page that is open."""
    assert isinstance(desktop.window.page, SettingsPage)
    return desktop.window.page


def type_into(desktop: Desktop, name: str) -> None:
    """One letter into a field."""
    field = desktop.window.findChild(QLineEdit, name)
    assert field is not None, name
    QTest.keyClicks(field, "7")


def settled(desktop: Desktop) -> None:
    """Let the window work until nothing is asked, and a while more."""
    limit, quiet = time.monotonic() + LONGEST_S, time.monotonic()
    while time.monotonic() < limit and (time.monotonic() - quiet) * 1000 < QUIET_MS:
        rest(10)
        if desktop.session.is_asking or desktop.is_changing_look:
            quiet = time.monotonic()
        page = desktop.window.page
        if page is not None and not page.is_built:
            quiet = time.monotonic()


@contextmanager
def measured_desktop(app: QApplication) -> Iterator[tuple[Desktop, dict[str, str]]]:
    """The window over the history."""
    backend = ReplayBackend()
    backend.answers = {"inspect_model": dict(MODEL_FACTS), "preview_data": dict(DATA_FACTS)}
    runs = history(backend)
    with tempfile.TemporaryDirectory() as folder:
        desktop = Desktop(app, Home(Path(folder) / "home"), lambda: backend, "en", "light")
        desktop.preferences.set("onboarding", "done")
        desktop.window.resize(1440, 900)
        desktop.open()
        try:
            settled(desktop)
            yield desktop, runs
        finally:
            desktop.close()


def main() -> int:
    """The table; 1 if one turn took too long."""
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    app = make_application(sys.argv[:1])
    found: dict[str, list[float]] = {}
    size: dict[str, int] = {}
    with measured_desktop(app) as (desktop, runs):
        turns = Turns()
        for _round in range(ROUNDS):
            for title, deed in ways(desktop, runs):
                turns.begin()
                QTimer.singleShot(0, deed)
                settled(desktop)
                found.setdefault(title, []).append(1000 * turns.longest)
                page = desktop.window.page
                size[title] = len(page.findChildren(QWidget)) if page is not None else 0
    print("| opened | longest turn at first, ms | later, ms | widgets of the page |")
    print("|---|---|---|---|")
    for title, (first, *later) in found.items():
        print(f"| {title} | {first:.0f} | {min(later):.0f} | {size[title]:,} |")
    best = {title: min(times) for title, times in found.items()}
    longest = max(best, key=best.__getitem__)
    over = [title for title, busy in best.items() if busy > ALLOWED_MS]
    print(f"\nLongest: {best[longest]:.0f} ms ({longest}); {len(over)} over {ALLOWED_MS:.0f} ms.")
    return int(bool(over))


if __name__ == "__main__":
    sys.exit(main())
