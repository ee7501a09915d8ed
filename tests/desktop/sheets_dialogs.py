"""Pictures of dialogs that no other sheet opens: stopping, a line of the log, saved searches, refused deeds."""

from __future__ import annotations

from collections.abc import Iterator

from PySide6.QtWidgets import QApplication, QDialog

from engine.contract.api import RunSummary
from engine.contract.errors import UserError
from engine.contract.listing import BulkRefusal
from forge_desktop.app import Desktop
from forge_desktop.bridge.replay import ReplayBackend
from forge_desktop.models.log_lines import Row
from forge_desktop.models.runs_model import Question
from forge_desktop.models.saved_searches import SavedSearches
from forge_desktop.pages.run_page import RunPage
from forge_desktop.pages.runs_page import RunsPage
from forge_desktop.panels.bulk_actions import RefusedDialog, done_text
from forge_desktop.panels.log_line import LineDialog
from forge_desktop.panels.saved_menu import ManageDialog, NameDialog
from tests.helpers.journals import before_training, demo_spec, steps

LINE = (
    "21:26:15 WARNING The tokenizer's own chat template has no place for a system message; it goes before the first "
    "question. Rows with one: 1,204 of 52,311. 第 17 行的系统消息放在了第一个问题之前。\n"
)


def pages(desktop: Desktop, backend: ReplayBackend) -> Iterator[str]:
    """Open each dialog over the page it belongs to."""
    window = desktop.window
    live = backend.add(demo_spec("router-intents-v2"), created=3.5)
    backend.play(live, [*before_training(), *steps(1, 60)])
    backend.write_log(live, LINE)
    window.go(f"run/{live}")
    page = window.page
    assert isinstance(page, RunPage)
    yield "run-before-dialogs"
    window.actions_of_runs.stop(backend.run(live).run, page)
    yield from shown("run-stop")
    row = Row(offset=0, text=LINE.strip(), level=0)
    LineDialog(page.log.model, row, window.tell, page).open()
    yield from shown("run-log-line")
    window.go("runs")
    assert isinstance(window.page, RunsPage)
    yield from over_runs(desktop, window.page)


def over_runs(desktop: Desktop, page: RunsPage) -> Iterator[str]:
    """What the list of runs asks and says."""
    saved = SavedSearches(desktop.preferences)
    for name, text in (("Failed this week", "state:failed"), ("Support, zh", "tag:zh support"), ("Cheap", "cost<5")):
        saved.save(name, Question(search=text))
    NameDialog(saved, Question(search="state:completed score>0.9"), page).open()
    yield from shown("runs-save-search")
    ManageDialog(saved, page).open()
    yield from shown("runs-saved-searches")
    runs = [run for run in page.model.runs[:3] if isinstance(run, RunSummary)]
    hint = "`forge stop` ends it first."
    refused = [
        BulkRefusal(
            uid=run.uid,
            name=run.name,
            error=UserError("run.wrong_state", run=run.name, verb="deleted", state="running", hint=hint).body(),
        )
        for run in runs
    ]
    RefusedDialog(done_text("delete", 2), refused, {}, desktop.window).open()
    yield from shown("runs-refused")


def shown(name: str) -> Iterator[str]:
    """Picture what is open, then close it."""
    yield name
    for dialog in QApplication.topLevelWidgets():
        if isinstance(dialog, QDialog) and dialog.isVisible():
            dialog.close()
