"""The window over a real controller and a real worker: save, ask, pause, resume from a checkpoint, take one away."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PySide6.QtWidgets import QApplication, QLabel, QMenu, QPlainTextEdit, QPushButton, QWidget

from engine.client.download import fingerprint
from engine.contract.api import ResumeRun
from engine.contract.run_spec import RunSpec
from engine.contract.states import RunState
from forge_desktop.app import Desktop
from forge_desktop.bridge.backend import Item
from forge_desktop.bridge.controller import connect_to_controller
from forge_desktop.pages.run_page import RunPage
from forge_desktop.panels.ask_dialog import AskDialog
from tests.helpers.controller import ControllerProcess
from tests.helpers.real_worker import WORKER, needs_worker

LONG = {"timeout": 120_000}
pytestmark = needs_worker


@pytest.fixture
def desktop(qapp: QApplication, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Desktop, Any]]:
    """A window over a home of its own whose worker is real."""
    service = ControllerProcess(tmp_path, WORKER)
    for name, value in service.environment.items():
        if name.startswith(("FORGE_", "PYTHONPATH")):
            monkeypatch.setenv(name, value)
    service.start()
    made = Desktop(qapp, service.home, lambda: connect_to_controller(service.home), "en", "light")
    made.preferences.set("onboarding", "done")
    made.open()
    yield made, service
    made.close()
    made.window.deleteLater()
    service.close()


def demo(max_steps: int) -> RunSpec:
    """A few steps of the demo, with validation and checkpoints."""
    bundled = {"path": "demo", "hub": "bundled"}
    data = {"train": [{**bundled, "limit": 256}], "max_length": 128}
    training = {"max_steps": max_steps, "epochs": 50, "micro_batch_size": 4, "learning_rate": 0.001, "threads": 1}
    job = {"kind": "train", "model": bundled, "data": data, "training": training, "checkpoints": {"keep_last": 5}}
    return RunSpec.model_validate({"name": "on and on", "job": job})


def choose(page: RunPage, name: str) -> None:
    menu = QMenu(page)
    page.fill_menu(menu)
    next(action for action in menu.actions() if action.objectName() == name).trigger()
    menu.deleteLater()


def test_that_a_run_is_asked_paused_and_resumed_from_the_window(desktop, qtbot, tmp_path):
    made, service = desktop
    qtbot.waitUntil(lambda: made.session.is_online, **LONG)
    uid = service.client.create(demo(400)).uid
    made.window.go(f"run/{uid}")
    page = made.window.page
    loss = page.model.curve("loss")
    qtbot.waitUntil(lambda: len(loss) > 5 and page.findChild(QPushButton, "run.ask") is not None, **LONG)

    qtbot.waitUntil(lambda: page.findChild(QPushButton, "run.ask").isEnabled(), **LONG)
    page.findChild(QPushButton, "run.ask").click()
    dialog = page.findChild(AskDialog)
    dialog.findChild(QPlainTextEdit).setPlainText("Write 5 May 2020 as an ISO date.")
    dialog.findChild(QPushButton, "ask.send").click()
    qtbot.waitUntil(lambda: any(made.text().startswith("step ") for made in dialog.findChildren(QLabel)), **LONG)
    dialog.close()

    choose(page, "run.save")
    qtbot.waitUntil(lambda: bool(page.model.detail.checkpoints), **LONG)
    page.findChild(QPushButton, "run.pause").click()
    qtbot.waitUntil(lambda: page.model.detail.run.state is RunState.PAUSED, **LONG)
    qtbot.waitUntil(lambda: [one.cause for one in page.model.detail.checkpoints] == ["person", "pause"], **LONG)
    first, last = page.model.detail.checkpoints
    assert last.step < 400

    actions = made.window.actions_of_runs
    transfer = actions.transfers.start(uid, "Checkpoint", Item("checkpoint", first.id), tmp_path / "got")
    qtbot.waitUntil(lambda: transfer.state in ("done", "failed"), **LONG)
    assert transfer.error is None
    assert fingerprint(transfer.path) == first.sha256

    actions.resume(page.model.detail.run, ResumeRun(checkpoint=first.id))
    qtbot.waitUntil(lambda: len(page.model.detail.attempts) == 2, **LONG)
    qtbot.waitUntil(lambda: loss.attempt[-1] == 2 and loss.x[-1] > last.step + 2, **LONG)
    service.client.stop(uid)
    qtbot.waitUntil(lambda: page.model.detail.run.state is RunState.STOPPED, **LONG)
    told = service.client.series(uid, ["loss"])["loss"]
    qtbot.waitUntil(lambda: len(loss) == len(told.x), **LONG)
    assert np.array_equal(loss.x, told.x)
    assert np.array_equal(loss.value, told.value)
    assert np.array_equal(loss.shown()[0], np.arange(1, loss.x[-1] + 1))
    assert len(loss.overwritten()[0]) == last.step - first.step
    assert page.chart.marks()[0][0] == first.step + 1
    assert page.findChild(QWidget, "run.attempts").isVisible()
