"""The real window over a real controller: live points, a controller that dies, a window that is closed and opened."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from PySide6.QtWidgets import QApplication

from engine.client.address import read_address
from engine.contract.states import RunState
from forge_desktop.app import Desktop
from forge_desktop.bridge.controller import connect_to_controller
from forge_desktop.pages.run_page import RunPage
from tests.helpers.controller import ControllerProcess

LONG = {"timeout": 30_000}


@pytest.fixture
def open_desktop(qapp: QApplication, service: ControllerProcess, monkeypatch) -> Iterator[Any]:
    """Opens windows over the service's home; the first starts the controller."""
    for name, value in service.environment.items():
        if name.startswith(("FORGE_", "PYTHONPATH")):
            monkeypatch.setenv(name, value)
    service.home.root.mkdir(parents=True, exist_ok=True)
    opened: list[Desktop] = []

    def make() -> Desktop:
        opened.append(Desktop(qapp, service.home, lambda: connect_to_controller(service.home), "en", "light"))
        opened[-1].open()
        return opened[-1]

    yield make
    for desktop in opened:
        desktop.close()
        desktop.window.deleteLater()


def follow(desktop: Desktop, uid: str) -> RunPage:
    desktop.window.go(f"run/{uid}")
    page = desktop.window.page
    assert isinstance(page, RunPage)
    return page


def test_that_every_point_of_a_live_run_arrives_once(open_desktop, service, qtbot):
    desktop = open_desktop()
    qtbot.waitUntil(lambda: desktop.session.is_online, **LONG)
    uid = service.client.create(service.spec("steps=60 delay=0.01")).uid
    page = follow(desktop, uid)
    qtbot.waitUntil(lambda: page.model.detail is not None and page.model.detail.run.state.ended, **LONG)
    curve = page.model.curve("loss")
    qtbot.waitUntil(lambda: len(curve) == 60, **LONG)
    assert np.array_equal(curve.x, np.arange(1, 61))
    assert np.allclose(curve.value, 2.0 / np.arange(1, 61))
    qtbot.waitUntil(lambda: "stub worker at work" in page.log.text.toPlainText(), **LONG)
    assert page.model.detail.run.state is RunState.COMPLETED


def test_that_a_killed_controller_is_started_again_and_nothing_is_missed(open_desktop, service, qtbot):
    desktop = open_desktop()
    qtbot.waitUntil(lambda: desktop.session.is_online, **LONG)
    uid = service.client.create(service.spec("steps=200 delay=0.05")).uid
    page = follow(desktop, uid)
    qtbot.waitUntil(lambda: len(page.model.curve("loss")) > 5, **LONG)
    first = read_address(service.home)
    with qtbot.waitSignals([desktop.session.offline, desktop.session.online], timeout=30_000):
        os.kill(first.pid, signal.SIGKILL)
    assert read_address(service.home).pid != first.pid
    qtbot.waitUntil(lambda: page.model.detail.run.state is RunState.COMPLETED, **LONG)
    qtbot.waitUntil(lambda: len(page.model.curve("loss")) == 200, **LONG)
    assert np.array_equal(page.model.curve("loss").x, np.arange(1, 201))


def test_that_closing_the_window_leaves_the_run_going(open_desktop, service, qtbot):
    desktop = open_desktop()
    qtbot.waitUntil(lambda: desktop.session.is_online, **LONG)
    uid = service.client.create(service.spec("steps=100 delay=0.02")).uid
    page = follow(desktop, uid)
    qtbot.waitUntil(lambda: len(page.model.curve("loss")) > 2, **LONG)
    desktop.close()
    service.until(uid, "completed")
    again = open_desktop()
    assert isinstance(again.window.page, RunPage)
    qtbot.waitUntil(lambda: len(again.window.page.model.curve("loss")) == 100, **LONG)
    assert again.window.page.model.curve("loss").x[0] == 1


def test_that_a_result_is_downloaded_whole(open_desktop, service, qtbot, tmp_path):
    desktop = open_desktop()
    qtbot.waitUntil(lambda: desktop.session.is_online, **LONG)
    uid = service.client.create(service.spec("steps=3")).uid
    detail = service.until(uid, "completed")
    actions = desktop.window.actions_of_runs
    with qtbot.waitSignal(actions.told, **LONG):
        actions.download_to(uid, detail.artifacts[0], tmp_path / "got")
    names = {file.name for file in (tmp_path / "got").rglob("*") if file.is_file()}
    assert names == {"adapter_config.json", "adapter_model.safetensors"}
