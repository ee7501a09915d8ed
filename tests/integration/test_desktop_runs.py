"""The Runs page over a real controller: search, bulk deeds and the queue as they really answer."""

from __future__ import annotations

from forge_desktop.app import Desktop
from forge_desktop.bridge.controller import connect_to_controller
from forge_desktop.pages.runs_page import RunsPage
from tests.helpers.controller import ControllerProcess
from tests.helpers.journals import demo_spec

LONG = {"timeout": 30_000}


def test_that_the_page_finds_tags_and_deletes_runs_of_a_real_controller(
    qapp, qtbot, service: ControllerProcess, monkeypatch
):
    for name, value in service.environment.items():
        if name.startswith(("FORGE_", "PYTHONPATH")):
            monkeypatch.setenv(name, value)
    service.home.root.mkdir(parents=True, exist_ok=True)
    desktop = Desktop(qapp, service.home, lambda: connect_to_controller(service.home), "en", "light")
    desktop.preferences.set("onboarding", "done")  # or its answer takes the page away
    desktop.open()
    try:
        qtbot.waitUntil(lambda: desktop.session.is_online, **LONG)
        for name in ("apples", "pears", "plums"):
            service.client.create(demo_spec(name), start=False)
        desktop.window.go("runs")
        page = desktop.window.page
        assert isinstance(page, RunsPage)
        qtbot.waitUntil(lambda: page.model.total == 3 and page.model.is_current, **LONG)
        page.table.selectAll()
        qtbot.waitUntil(lambda: len(page.picked) == 3, **LONG)
        page.bulk._tag(page.picked.runs, ["fruit"], [])
        page.search.setText("tag:fruit name:pears,plums")
        qtbot.waitUntil(lambda: page.model.total == 2 and page.model.is_current, **LONG)
        page.search.setText("stat:failed")
        qtbot.waitUntil(lambda: page.findChild(object, "runs.search.error").isVisible(), **LONG)
        page.search.clear()
        qtbot.waitUntil(lambda: page.model.total == 3 and page.model.is_current, **LONG)
        page.model.set_sort("score", True)
        qtbot.waitUntil(lambda: page.model.is_current, **LONG)
        assert page.queue.entries == []
        page.bulk._send(page.model.runs, "delete")
        qtbot.waitUntil(lambda: page.model.total == 0, **LONG)
        assert page.states.state() == "empty"
    finally:
        desktop.close()
        desktop.window.deleteLater()
