"""The Instances page of the real window over a real controller whose runs are real processes of this computer."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import psutil
import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QApplication, QMessageBox, QPushButton

from engine.contract.nodes import Instance
from forge_desktop.app import Desktop
from forge_desktop.pages.instances_page import InstancesPage
from tests.helpers.controller import ControllerProcess
from tests.helpers.windows import windows

LONG = {"timeout": 60_000}
ENDLESS = "steps=90000 delay=0.05 save=100"


@pytest.fixture
def page(qapp, service: ControllerProcess, monkeypatch, qtbot) -> Iterator[InstancesPage]:
    """The open page; the window has started the controller."""
    with windows(qapp, service, monkeypatch) as make:
        yield shown(make, qtbot)


def shown(make: Callable[[], Desktop], qtbot) -> InstancesPage:
    desktop = make()
    qtbot.waitUntil(lambda: desktop.session.is_online, **LONG)
    desktop.window.go("instances")
    found = desktop.window.page
    assert isinstance(found, InstancesPage)
    return found


def start(service: ControllerProcess, qtbot, *names: str) -> dict[str, str]:
    """Runs at work, by name."""
    service.client.edit_settings({"slots": {"gpu": 4}})
    runs = {name: service.client.create(service.spec(f"{name} {ENDLESS}")).uid for name in names}
    for uid in runs.values():
        qtbot.waitUntil(lambda uid=uid: (service.client.run(uid).run.step or 0) >= 2, **LONG)
    return runs


def trained(page: InstancesPage) -> dict[str, Instance]:
    """What is shown of runs, by run."""
    return {one.run: one for one in page.model.rows if one.run}


def at_work(page: InstancesPage) -> set[str]:
    """Runs whose process was seen."""
    return {run for run, one in trained(page).items() if one.state == "running"}


def pid_of(service: ControllerProcess, uid: str) -> int:
    return next(int(line["pid"]) for line in service.journal(uid) if line["kind"] == "started")


def gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def test_that_runs_appear_are_filtered_and_many_are_really_stopped(page, service, qtbot):
    runs = start(service, qtbot, "alpha", "beta", "gamma")
    qtbot.waitUntil(lambda: at_work(page) == set(runs.values()), **LONG)
    for one in trained(page).values():
        assert (one.node, one.state, one.kind, one.known) == ("local", "running", "train", True)
    pids = {name: pid_of(service, uid) for name, uid in runs.items()}

    qtbot.keyClicks(page.search, "beta")
    qtbot.waitUntil(lambda: set(trained(page)) == {runs["beta"]}, **LONG)
    page.search.clear()
    qtbot.waitUntil(lambda: len(trained(page)) == 3, **LONG)
    page.model.sort_by("run")
    assert [one.run_name.split()[0] for one in page.model.rows if one.run] == ["alpha", "beta", "gamma"]

    page.table.pick([trained(page)[runs[name]].id for name in ("alpha", "gamma")])
    qtbot.mouseClick(page.findChild(QPushButton, "instances.bulk.stop"), Qt.MouseButton.LeftButton)
    for name in ("alpha", "gamma"):
        qtbot.waitUntil(lambda name=name: service.client.run(runs[name]).run.state == "stopped", **LONG)
        assert service.client.run(runs[name]).checkpoints  # it saved first
        qtbot.waitUntil(lambda name=name: gone(pids[name]), **LONG)
    qtbot.waitUntil(lambda: at_work(page) == {runs["beta"]}, **LONG)
    assert service.client.run(runs["beta"]).run.state == "running"
    assert not gone(pids["beta"])


def test_that_killing_asks_and_then_ends_the_process_at_once(page, service, qtbot):
    (uid,) = start(service, qtbot, "omega").values()
    qtbot.waitUntil(lambda: at_work(page) == {uid}, **LONG)
    pid = pid_of(service, uid)
    page.table.pick([trained(page)[uid].id])
    qtbot.mouseClick(page.findChild(QPushButton, "instances.bulk.kill"), Qt.MouseButton.LeftButton)
    box = QApplication.activeModalWidget()
    assert isinstance(box, QMessageBox)
    assert not gone(pid)
    box.findChild(QPushButton, "instances.kill.yes").click()
    qtbot.waitUntil(lambda: gone(pid), **LONG)
    qtbot.waitUntil(lambda: service.client.run(uid).run.state == "stopped", **LONG)


def test_that_a_second_window_sees_what_the_first_has_started(qapp, service, monkeypatch, qtbot):
    with windows(qapp, service, monkeypatch) as make:
        first = shown(make, qtbot)
        (uid,) = start(service, qtbot, "one").values()
        second = shown(make, qtbot)
        qtbot.waitUntil(lambda: at_work(first) == at_work(second) == {uid}, **LONG)
        second.deeds.do("stop", [trained(second)[uid]])
        qtbot.waitUntil(lambda: service.client.run(uid).run.state == "stopped", **LONG)
        for page in (first, second):
            qtbot.waitUntil(lambda page=page: uid not in {one.run for one in page.model.all if one.state == "running"},
                            **LONG)  # fmt: skip


def test_that_one_listed_before_its_process_was_seen_can_be_ended_too(service, qtbot):
    service.start()
    (uid,) = start(service, qtbot, "early").values()
    assert service.client.instance_deed([f"local/{uid}.1"], "stop").errors == {}
    service.until(uid, "stopped")
