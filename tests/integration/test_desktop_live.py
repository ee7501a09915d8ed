"""The real window over a real controller: live points, a controller that dies, a window that is closed and opened."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QApplication

from engine.client.address import read_address
from engine.client.stream import RunStream
from engine.contract.states import RunState
from forge_desktop.app import Desktop
from forge_desktop.bridge.backend import Item
from forge_desktop.pages.run_page import RunPage
from tests.helpers.controller import ControllerProcess
from tests.helpers.windows import windows

LONG = {"timeout": 30_000}


@pytest.fixture
def open_desktop(qapp: QApplication, service: ControllerProcess, monkeypatch) -> Iterator[Any]:
    """Opens windows over the service's home; the first starts the controller."""
    with windows(qapp, service, monkeypatch) as make:
        yield make


class Heartbeat:
    """Notes the longest time the window's thread was not free; a 10 ms timer should come every 10 ms."""

    def __init__(self) -> None:
        self.longest, self._last = 0.0, time.monotonic()
        self._timer = QTimer(interval=10)
        self._timer.timeout.connect(self._beat)
        self._timer.start()

    def _beat(self) -> None:
        now = time.monotonic()
        self.longest, self._last = max(self.longest, now - self._last), now

    def must_be_steady(self) -> None:
        """A window that waits for the controller would stand still for as long as that is gone."""
        assert self.longest < 5, f"the window stood still for {self.longest:.3f} s"


def must_equal_history(page: RunPage, service: ControllerProcess) -> None:
    """Every curve of the page is what the history holds, point for point."""
    told = service.client.series(page.model.uid)
    assert told.keys() <= page.model.curves.keys()
    for name, curve in told.items():
        mine = page.model.curve(name)
        for ours, theirs in ((mine.attempt, curve.attempt), (mine.x, curve.x), (mine.t, curve.t)):
            assert np.array_equal(ours, theirs), name
        assert np.array_equal(mine.value, curve.value, equal_nan=True), name


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
    qtbot.waitUntil(lambda: "stub worker at work" in page.log.view.visible_text(), **LONG)
    assert page.model.detail.run.state is RunState.COMPLETED


def test_that_a_killed_controller_is_started_again_and_nothing_is_missed(open_desktop, service, qtbot):
    desktop = open_desktop()
    qtbot.waitUntil(lambda: desktop.session.is_online, **LONG)
    uid = service.client.create(service.spec("steps=200 delay=0.05")).uid
    page = follow(desktop, uid)
    qtbot.waitUntil(lambda: len(page.model.curve("loss")) > 5, **LONG)
    first, heart = read_address(service.home), Heartbeat()
    with qtbot.waitSignals([desktop.session.offline, desktop.session.online], timeout=30_000):
        os.kill(first.pid, signal.SIGKILL)
    assert read_address(service.home).pid != first.pid
    qtbot.waitUntil(lambda: page.model.detail.run.state is RunState.COMPLETED, **LONG)
    qtbot.waitUntil(lambda: len(page.model.curve("loss")) == 200, **LONG)
    assert np.array_equal(page.model.curve("loss").x, np.arange(1, 201))
    qtbot.waitUntil(lambda: desktop.window.banner.isHidden(), **LONG)
    must_equal_history(page, service)
    heart.must_be_steady()


def test_that_a_controller_that_hangs_freezes_nothing_and_is_found_again(open_desktop, service, qtbot):
    desktop = open_desktop()
    qtbot.waitUntil(lambda: desktop.session.is_online, **LONG)
    uid = service.client.create(service.spec("steps=600 delay=0.05")).uid
    page = follow(desktop, uid)
    qtbot.waitUntil(lambda: len(page.model.curve("loss")) > 5, **LONG)
    pid, heart = read_address(service.home).pid, Heartbeat()
    try:
        with qtbot.waitSignal(desktop.session.offline, timeout=60_000):
            os.kill(pid, signal.SIGSTOP)
            for _ in range(4):  # requests that nobody answers
                page.model.refetch()
        assert desktop.window.banner.isVisible()
        seen = len(page.model.curve("loss"))
        desktop.window.go("runs")
        page = follow(desktop, uid)
    finally:
        with qtbot.waitSignal(desktop.session.online, timeout=60_000):
            os.kill(pid, signal.SIGCONT)
    assert read_address(service.home).pid == pid, "another one was started beside it"
    qtbot.waitUntil(lambda: len(page.model.curve("loss")) > seen + 5, timeout=60_000)
    service.client.stop(uid)
    qtbot.waitUntil(lambda: page.model.detail is not None and page.model.detail.run.state.ended, timeout=60_000)
    total = len(service.client.series(uid, ["loss"])["loss"].x)
    qtbot.waitUntil(lambda: len(page.model.curve("loss")) == total, **LONG)
    must_equal_history(page, service)
    assert desktop.window.banner.isHidden()
    heart.must_be_steady()


def test_that_a_window_opened_while_a_run_goes_on_shows_it_from_its_first_point(open_desktop, service, qtbot):
    desktop = open_desktop()
    qtbot.waitUntil(lambda: desktop.session.is_online, **LONG)
    uid = service.client.create(service.spec("steps=300 delay=0.02")).uid
    page = follow(desktop, uid)
    qtbot.waitUntil(lambda: len(page.model.curve("loss")) > 10, **LONG)
    desktop.close()
    again = open_desktop()
    page = again.window.page
    assert isinstance(page, RunPage)
    qtbot.waitUntil(lambda: len(page.model.curve("loss")) > 20, **LONG)
    qtbot.waitUntil(lambda: page.model.detail is not None, **LONG)
    assert page.model.detail.run.state.live
    qtbot.waitUntil(lambda: len(page.model.curve("loss")) == 300, **LONG)
    assert np.array_equal(page.model.curve("loss").x, np.arange(1, 301))
    qtbot.waitUntil(lambda: page.model.detail.run.state.ended, **LONG)
    must_equal_history(page, service)


def test_that_a_client_that_does_not_read_is_cut_off_and_fetches_anew(service):
    """Its memory at the controller is bounded; what it missed it gets from the history."""
    service.start()
    gaps, seen = [], 0
    stream = RunStream(service.home, on_gap=lambda: gaps.append(True))
    messages = iter(stream)
    assert next(messages).type == "hello"
    uid = service.client.create(service.spec("steps=100000")).uid
    service.until(uid, "completed", timeout=300)
    for message in messages:
        seen += sum(map(len, message.points.values())) if message.type == "points" else 0
        if gaps:
            break
    stream.close()
    whole = service.client.series(uid, ["loss"])["loss"]
    assert np.array_equal(whole.x, np.arange(1, 100_001))
    assert 0 < seen < 4 * 100_000, "it got everything, so nobody was slow"


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
    item = Item("artifact", detail.artifacts[0].id)
    transfer = desktop.window.actions_of_runs.transfers.start(uid, "Adapter", item, tmp_path / "got")
    qtbot.waitUntil(lambda: transfer.state == "done", **LONG)
    names = {file.name for file in (tmp_path / "got").rglob("*") if file.is_file()}
    assert names == {"adapter_config.json", "adapter_model.safetensors"}
