"""Pictures of the Adapters page: the library in every state, and its dialogs."""

from __future__ import annotations

import time
from collections.abc import Iterator

from engine.contract.errors import UserError
from forge_desktop.app import Desktop
from forge_desktop.bridge import fake_adapters
from forge_desktop.bridge.replay import ReplayBackend
from forge_desktop.pages.adapters_page import AdaptersPage
from forge_desktop.panels.adapter_dialogs import ModulesDialog, SmallerDialog
from tests.desktop.sheets_nodes import until


def pages(desktop: Desktop, backend: ReplayBackend) -> Iterator[str]:
    """Bring the window to each state."""
    window = desktop.window
    window.go("adapters")
    page = window.page
    assert isinstance(page, AdaptersPage)
    until(lambda: page.state() == "none")
    yield "adapters-none"
    fake_adapters.fill(backend, time.time())
    page.model.fetch()
    until(lambda: len(page.model.rows) == len(backend.shelf))
    yield "adapters"
    page.table.pick([next(one.id for one in backend.shelf if one.name == "support-zh-v3")])
    yield "adapters-other-base"
    page.search.setText("nothing like it")
    until(lambda: page.state() == "no_match")
    yield "adapters-no-match"
    page.search.clear()
    one = backend.shelf[0]
    dialog = page.import_one()
    yield "adapters-import"
    dialog.path.setText("/data/broken.lora.arrow")
    backend.import_error = UserError("lora.file_broken", path="/data/broken.lora.arrow", detail="the end is missing")
    dialog.go.click()
    until(lambda: dialog.error.isVisibleTo(dialog))
    yield "adapters-import-refused"
    backend.import_error = None
    dialog.reject()
    page.do("smaller", one)
    smaller = page.findChild(SmallerDialog)
    yield "adapters-smaller"
    smaller.reject()
    page.do("modules", one)
    modules = page.findChild(ModulesDialog)
    until(lambda: bool(modules.model.rows))
    yield "adapters-modules"
    modules.accept()
    backend.adapters_error = UserError("history.damaged", path="/home/lin/history.sqlite3", detail="page 12")
    page.model.fetch()
    until(lambda: page._error.isVisibleTo(page))
    yield "adapters-error"
    backend.adapters_error = None
