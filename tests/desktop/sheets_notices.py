"""Pictures of notices, palette, help, shortcuts, first steps, and the window without a controller."""

from __future__ import annotations

import time
from collections.abc import Iterator

from PySide6.QtTest import QTest

from engine.contract.errors import UserError
from forge_desktop.app import Desktop
from forge_desktop.bridge.replay import ReplayBackend
from forge_desktop.models.notices import Notice
from forge_desktop.panels.onboarding import OnboardingPage
from forge_desktop.panels.shortcuts_sheet import ShortcutsSheet

HOUR = 3600.0


def some_notices() -> list[Notice]:
    """One of each kind, over three days."""
    now = time.time()
    error = UserError("worker.killed", signal="SIGKILL").body().model_dump()
    ended = {"seconds": 5400.0, "loss": 0.4213, "score": 0.94, "state": "completed"}
    note = {"code": "checkpoint.not_saved", "params": {"step": 1200, "detail": "No space left on device."}}
    return [
        Notice("a", "completion", "completed", now - 240, "1", "support-tickets-with-a-rather-long-name", ended),
        Notice("b", "failure", "failed", now - 2 * HOUR, "2", "legal-notes", {"error": error, "state": "failed"}),
        Notice("c", "alert", "mark", now - 3 * HOUR, "3", "qwen-sql", {"mark": "not_responding"}),
        Notice("d", "start", "started", now - 5 * HOUR, "3", "qwen-sql", read=True),
        Notice("e", "alert", "disk", now - 26 * HOUR, facts={"free": 2.1e9, "folder": "/data/loraforge"}, read=True),
        Notice("f", "alert", "retry", now - 27 * HOUR, "4", "sql-v3", {"error": error}, read=True),
        Notice("g", "alert", "note", now - 50 * HOUR, "4", "sql-v3", note, read=True),
        Notice("h", "completion", "completed", now - 52 * HOUR, "5", "tickets-zh", {**ended, "score": None}, read=True),
    ]


def pages(desktop: Desktop, backend: ReplayBackend, settle_ms: int = 300) -> Iterator[str]:
    """Bring the window to each state in turn."""
    window = desktop.window
    window.go("runs")
    window.notices.list = []
    window.notices.changed.emit()
    window.toggle_notices()
    yield "notices-empty"
    window.escape()
    window.notices.list = some_notices()
    window.notices.changed.emit()
    window.overlays.toasts.still = True
    for notice in window.notices.list[:3]:
        window.overlays.toasts.show(notice)
    yield "toasts"
    while window.overlays.toasts.close_one():
        pass
    window.toggle_notices()
    yield "notices"
    window.escape()
    window.show_palette()
    yield "palette"
    window.overlays.palette.field.setText("dark")
    yield "palette-typed"
    window.overlays.palette.field.setText("demo")
    QTest.qWait(settle_ms)
    yield "palette-runs"
    window.overlays.palette.field.setText("pause")
    yield "palette-why-not"
    window.overlays.palette.field.setText("xyzzy")
    QTest.qWait(settle_ms)
    yield "palette-none"
    window.escape()
    window.toggle_help()
    yield "help"
    helping = window.overlays.panel.content
    helping.search.setText("PyTorch")  # type: ignore[union-attr]
    QTest.qWait(settle_ms)
    yield "help-search"
    window.escape()
    window.show_shortcuts()
    yield "shortcuts"
    sheet = window.findChild(ShortcutsSheet)
    assert isinstance(sheet, ShortcutsSheet)
    sheet.close()
    yield from first_steps(desktop, backend)
    yield from without_controller(desktop)


def first_steps(desktop: Desktop, backend: ReplayBackend) -> Iterator[str]:
    """The three cards; the second with everything there, and with nothing."""
    window = desktop.window
    window.go("welcome")
    yield "welcome-1"
    backend.worker_python = None
    window.go("welcome/2")
    yield "welcome-2-missing"
    backend.worker_python = "/home/lin/.local/share/LoRAForge/environments/default/bin/python"
    assert isinstance(window.page, OnboardingPage)
    window.page.checks.look()
    yield "welcome-2"
    window.go("welcome/3")
    yield "welcome-3"


def without_controller(desktop: Desktop) -> Iterator[str]:
    """Connecting, and why it cannot."""
    window = desktop.window
    window.go("runs")
    window._was_online = False
    window.connecting.show_error(None)
    window._cover()
    yield "connecting"
    newer = UserError("history.newer", file="/home/lin/.local/share/LoRAForge/history.sqlite3", theirs=9, ours=2)
    trouble = UserError(
        "controller.not_started", detail=newer.text, log="/home/lin/.local/share/LoRAForge/logs/controller.log"
    )
    window.connecting.show_error(trouble.body())
    yield "connecting-trouble"
    window._was_online = True
    window.connecting.show_error(None)
    window._cover()
