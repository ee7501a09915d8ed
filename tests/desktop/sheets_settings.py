"""Pictures of the Settings page: every section, searching, unsaved and refused edits, environments, a move."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QDialog

from engine.contract.environments import Environment, Holds, Progress
from engine.contract.errors import UserError
from forge_desktop.app import Desktop
from forge_desktop.bridge.replay import ReplayBackend
from forge_desktop.models.settings_entries import SECTIONS
from forge_desktop.pages.settings_page import SettingsPage
from forge_desktop.panels.settings_artifacts import ArtifactsPanel
from forge_desktop.panels.settings_data import DataPanel
from forge_desktop.theme.language import language
from tests.desktop.sheets_nodes import until

VERSIONS: dict[str, str | None] = {
    "torch": "2.13.0",
    "transformers": "5.23.0",
    "peft": "0.19.1",
    "safetensors": "0.6.2",
}
NOTICES = tuple(f"notices.on_{kind}" for kind in ("completion", "failure", "alert"))
LOG = "Collecting torch==2.13.0\n  Downloading torch-2.13.0-cp311-manylinux_2_28_x86_64.whl (915.2 MB)\n"


def interpreters(home: str) -> list[Environment]:
    """One of each kind and state."""
    made = f"{home}/environments"
    return [
        Environment(name=".venv-worker", python="/opt/loraforge/.venv-worker/bin/python", origin="beside",
                    state="works", in_use=True, bytes=1_400_000_000,
                    holds=Holds(python="3.11.9", versions=VERSIONS)),
        Environment(name="gpu", python=f"{made}/gpu/bin/python", origin="made", state="making", build="cuda",
                    progress=Progress(step="downloading", done=17, total=58, bytes=1_240_000_000,
                                      bytes_total=3_390_000_000), log=LOG),
        Environment(name="nightly", python=f"{made}/nightly/bin/python", origin="made", state="failed", build="cpu",
                    error=UserError("worker.install_failed", detail="No space left on device.").body(), log=LOG,
                    progress=Progress(step="downloading", done=3, total=58)),
        Environment(name="old", python=f"{made}/old/bin/python", origin="made", state="broken", bytes=2_100_000_000,
                    error=UserError("environment.incomplete", python=f"{made}/old/bin/python", missing="peft").body(),
                    holds=Holds(python="3.12.4", versions={**VERSIONS, "peft": None}, cuda="12.9")),
    ]  # fmt: skip


def second_place(page: SettingsPage, backend: ReplayBackend) -> Iterator[str]:
    """The second place of checkpoints and results: whole, and when it cannot be used."""
    backend.change_settings(
        {"artifact_place": "s3://lora-results/team-a", "artifact_endpoint": "https://minio.lab:9000"}
    )
    backend.known_secrets["artifacts"] = "key:secret"
    page.show_section("artifacts")
    panel = page.findChild(ArtifactsPanel)
    until(lambda: panel.state is not None and panel.state.state == "whole" and not page.model.edits)
    panel.check()
    until(lambda: not panel.checking)
    yield "settings-artifacts-whole"
    backend.place_error = UserError("artifacts.refused", place="s3://lora-results/team-a", detail="Access denied.")
    backend.place_waiting = 3
    panel.check()
    until(lambda: panel.state.state == "failing")
    yield "settings-artifacts-failing"
    backend.place_error, backend.place_waiting = None, 0
    backend.change_settings({"artifact_place": "", "artifact_endpoint": ""})
    backend.known_secrets.pop("artifacts")


def pages(desktop: Desktop, backend: ReplayBackend) -> Iterator[str]:
    """Bring the window to each state of the page."""
    window = desktop.window
    backend.interpreters = interpreters(backend.stored.home)
    backend.known_secrets = {"huggingface": "hf_good"}
    quiet = [name for name in NOTICES if desktop.preferences.get(name) is False]
    for name in quiet:
        desktop.preferences.set(name, True)
    for section in SECTIONS:
        window.go(f"settings/{section.key}")
        yield f"settings-{section.key}"
    for name in quiet:
        desktop.preferences.set(name, False)
    page = window.page
    assert isinstance(page, SettingsPage)
    yield from second_place(page, backend)
    page.show_section("runs")
    page.model.set("keep_days", "14")
    page.model.set("retry_seconds", "soon")
    page.model.set("idle_minutes", "-1")
    yield "settings-unsaved"
    page.model.discard()
    page.search.setText("日志" if language() == "zh_CN" else "log")
    yield "settings-search"
    page.search.setText("qqq")
    yield "settings-search-nothing"
    page.show_section("data")
    panel = page.findChildren(DataPanel)[-1]  # the one before may be on its way out
    backend.move_gate.clear()
    panel.ask_to_move(Path("/mnt/disk2/loraforge"))
    yield "settings-move-question"
    box = QApplication.activeModalWidget()
    yes = window.findChild(object, "data.yes")
    yes.click()
    if box is not None:
        box.close()
    QTest.qWait(300)
    yield "settings-moving"
    backend.move_gate.set()
    QTest.qWait(800)
    yield "settings-moved"
    page.show_section("help")
    window.findChild(object, "help.gather").click()
    QTest.qWait(500)
    yield "settings-bundle"
    for dialog in window.findChildren(QDialog, "bundle"):
        dialog.close()
    backend.hangs = True
    page.show_section("queue")
    window.session.offline.emit(UserError("controller.unreachable", detail="", log="").body())
    yield "settings-offline"
    backend.hangs = False
    window.session.online.emit()
    while window.overlays.toasts.close_one():  # it says so over the next pages
        pass
